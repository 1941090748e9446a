"""What heads on features chose, of the layers and normalizations that there were, in words."""

from collections import Counter
from typing import Any

from penultimate._common.wording import quantity
from penultimate.results.method import MethodResult


def spell_pair(pair: dict[str, Any]) -> str:
    """Write a layer and a normalization.

    Parameters
    ----------
    pair : dict
        With ``layer``, None if the features were given, and ``normalization``.

    Returns
    -------
    str

    Examples
    --------
    >>> from penultimate.results.selected import spell_pair
    >>> spell_pair({"layer": "flatten", "normalization": "l2"})
    'flatten, l2'
    >>> spell_pair({"layer": None, "normalization": None})
    'no normalization'
    """
    normalization = pair["normalization"] or "no normalization"
    return ", ".join(part for part in (pair["layer"], normalization) if part is not None)


def selections(methods: list[MethodResult], *, by_folds: bool = False) -> str:
    """Say which layer and normalization each method selected, with the mean selection scores.

    Parameters
    ----------
    methods : list of MethodResult
    by_folds : bool, default=False
        Whether the scores are of cross-validation, so that no samples were held out.

    Returns
    -------
    str
        Empty if no method had a choice.
    """
    found, layers = [], set()
    for method in methods:
        for subset, log in method.fits.items():
            logged = [each for each in log.selected if each is not None and len(each["scores"]) > 1]
            if method.router is not None or not logged:
                continue  # routed methods repeat the heads of another
            name = method.name if subset is None else f"{method.name} on {subset}"
            found.append(f"{name}: {_counted(logged)} ({_means(logged)})")
            layers |= {each["layer"] for each in logged}
    if not found:
        return ""
    what = "Normalization" if layers == {None} else "Layer and normalization"
    how = "by cross-validation" if by_folds else "on held-out samples"
    return (
        f"{what}, selected {how} (mean selection accuracies of all candidates in parentheses). "
        f"{'; '.join(found)}."
    )


def _counted(logged: list[dict[str, Any]]) -> str:
    """Write what was selected, and for how many seeds if they differ."""
    counts = Counter(spell_pair(each) for each in logged)
    if len(counts) == 1:
        return next(iter(counts))
    return " and ".join(f"{pair} for {quantity(n, 'seed')}" for pair, n in counts.most_common())


def _means(logged: list[dict[str, Any]]) -> str:
    scores: dict[str, list[float]] = {}
    for each in logged:
        for pair in each["scores"]:
            scores.setdefault(spell_pair(pair), []).append(pair["score"])
    return "; ".join(
        f"{pair} {100 * sum(values) / len(values):.1f} %" for pair, values in scores.items()
    )
