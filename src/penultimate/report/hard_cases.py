"""The gallery of the hardest cases: the samples most likely to be mislabeled."""

from typing import Any

from penultimate.report.sprites import make_sprite_sheet
from penultimate.results.outcome import Outcome

MAX_HARD_CASES = 60


def hard_cases(comparison: Outcome) -> dict[str, Any] | None:
    """Collect the hardest development samples and their images.

    Parameters
    ----------
    comparison : Outcome

    Returns
    -------
    dict or None
        ``cases``, the most negative margin first, each with ``sample`` (position in the dataset),
        ``true``, ``predicted`` (class names) and ``margin``; ``sprites``, their images in the same
        order; and ``n_cases``, the total number of cases. None if there are none.
    """
    hardest = sorted(comparison.hardest, key=lambda case: case.margin)
    shown = hardest[:MAX_HARD_CASES]
    if not shown:
        return None
    data = comparison.dataset
    return {
        "cases": [
            {
                "sample": case.sample,
                "true": data.classes[case.true],
                "predicted": data.classes[case.predicted],
                "margin": case.margin,
            }
            for case in shown
        ],
        "sprites": make_sprite_sheet(data.images[[case.sample for case in shown]]),
        "n_cases": len(hardest),
    }
