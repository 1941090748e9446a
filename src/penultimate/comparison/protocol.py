"""The protocol of a comparison: what is held out, how heads are selected, what a leak leads to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from penultimate._common.validation import check_choice
from penultimate.provenance.leakage import ON_LEAK
from penultimate.splits import Holdout
from penultimate.splits.parts import SELECTIONS


@dataclass(frozen=True)
class Protocol:
    """How a comparison draws its splits, selects its heads and treats leaks.

    Parameters
    ----------
    holdout : Holdout or list of Holdout, default=Holdout()
        What is held out. If there are several, the first is the main one; the whole comparison is
        repeated on each of the others with the first seed only, and the results are in ``others``.
    selection : {"heldout", "crossfit", "resubstitution"}, default="heldout"
        How heads are selected, as in `DeepSVC`. With ``"crossfit"`` and ``"resubstitution"``
        networks are trained on all of development. The latter is optimistic, and labeled so.
    on_leak : {"raise", "warn", "ignore"}, default="raise"
        What to do if test samples are exact copies of development samples, or if a frozen network
        is known to have seen them (`provenance.record`).

    Examples
    --------
    >>> from penultimate import Holdout, Protocol
    >>> Protocol(Holdout(test_size=0.3), selection="crossfit").on_leak
    'raise'
    """

    holdout: Holdout | Sequence[Holdout] = field(default_factory=Holdout)
    selection: str = "heldout"
    on_leak: str = "raise"

    @property
    def holdouts(self) -> list[Holdout]:
        """What is held out on each split, the main one first."""
        return [self.holdout] if isinstance(self.holdout, Holdout) else list(self.holdout)

    def check(self) -> None:
        """Raise ``TypeError`` or ``ValueError`` for a setting that is invalid."""
        check_choice(self.selection, "selection", "Protocol", SELECTIONS)
        check_choice(self.on_leak, "on_leak", "Protocol", ON_LEAK)
        # No generator: it could be read only once, and a protocol can be used for several
        # comparisons.
        many = isinstance(self.holdout, Sequence)
        if not isinstance(self.holdout, Holdout) and not (
            many and all(isinstance(one, Holdout) for one in self.holdout)
        ):
            raise TypeError(
                "The 'holdout' parameter of Protocol must be a Holdout, such as "
                f"Holdout(test_size=0.3), or a list of them; got {self.holdout!r}."
            )
        if not self.holdouts:
            raise ValueError("holdout is empty; pass a Holdout, or a list of them.")
        for one in self.holdouts:
            one.check()
        # The same test set, counted several times, would make its differences seem to repeat.
        # (Different draws that happen to agree, as with few groups, are still draws.)
        draws = [(one.by_group, one.seed, one.test_size) for one in self.holdouts]
        if repeated := [one for one, draw in zip(self.holdouts, draws) if draws.count(draw) > 1]:
            raise ValueError(
                f"{repeated[0]} and {repeated[1]} hold out the same test samples; give each its "
                "own seed."
            )
