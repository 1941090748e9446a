"""The gallery of the hardest cases: the samples most likely to be mislabeled."""

from typing import Any

import numpy as np

from penultimate.report.thumbnails import make_thumbnails
from penultimate.results.outcome import Outcome
from penultimate.results.samples import sample_names

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
        ``name``, ``true``, ``predicted`` (class names) and ``margin``; ``thumbnails``, their
        pictures in the same order; and ``n_cases``, the total number of cases. None if there are
        none.
    """
    hardest = sorted(comparison.hardest, key=lambda case: case.margin)
    shown = hardest[:MAX_HARD_CASES]
    if not shown:
        return None
    data = comparison.dataset
    samples = np.array([case.sample for case in shown])
    return {
        "cases": [
            {
                "sample": case.sample,
                "name": name,
                "true": data.classes[case.true],
                "predicted": data.classes[case.predicted],
                "margin": case.margin,
            }
            for case, name in zip(shown, sample_names(data, samples))
        ],
        "thumbnails": make_thumbnails(data, samples),
        "n_cases": len(hardest),
    }
