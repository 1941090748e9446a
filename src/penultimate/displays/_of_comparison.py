"""The method of a comparison that a display is about."""

from penultimate.results.answer import shown_method
from penultimate.results.method import MethodResult
from penultimate.results.outcome import Outcome


def chosen_method(comparison: Outcome, name: str | None) -> MethodResult:
    """Return the named method, or the one that the report shows first.

    Raises ``KeyError``, with the names, if it was not compared.
    """
    return comparison.method(shown_method(comparison) if name is None else name)


def method_with_probabilities(comparison: Outcome, name: str | None) -> MethodResult:
    """Return the same; raise ``ValueError`` if it has no probabilities, naming those that do."""
    method = chosen_method(comparison, name)
    if method.probabilities is None:
        others = [m.name for m in comparison.methods if m.probabilities is not None]
        way_out = f"pass one that does: {others}." if others else "no method here does."
        raise ValueError(f"{method.name!r} gives no probabilities; {way_out}")
    return method
