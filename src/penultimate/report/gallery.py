"""The misclassified images: pictures, names and answers."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.wording import quantity
from penultimate.report.thumbnails import make_thumbnails
from penultimate.results.outcome import Outcome
from penultimate.results.samples import sample_names

MAX_THUMBNAILS = 240


def gallery(comparison: Outcome) -> dict[str, Any]:
    """Collect the misclassified images.

    Parameters
    ----------
    comparison : Outcome

    Returns
    -------
    dict
        ``errors``, one entry per image, those that most methods and seeds got wrong first, each
        with ``sample`` (position in the dataset), ``name``, ``true`` (class index) and
        ``predicted`` (by method, the answers as pairs of a class index and the number of seeds);
        ``thumbnails``, their pictures in the same order; ``n_errors``, the number of misclassified
        images, of which the page holds the first; and ``counts``, a sentence for each method.
    """
    data, true = comparison.dataset, comparison.dataset.labels[comparison.test]
    wrong = {m.name: ~comparison.correct(m.name) for m in comparison.methods}
    by_sample = np.sum([rows.sum(axis=0) for rows in wrong.values()], axis=0)
    order = np.argsort(-by_sample, kind="stable")[: int((by_sample > 0).sum())]
    shown = order[:MAX_THUMBNAILS]
    samples = comparison.test[shown]
    names = sample_names(data, samples)
    return {
        "errors": [
            {
                "true": int(true[k]),
                "sample": int(sample),
                "name": name,
                "predicted": {
                    m.name: list(Counter(m.predictions[:, k].tolist()).items())
                    for m in comparison.methods
                },
            }
            for k, sample, name in zip(shown.tolist(), samples.tolist(), names)
        ],
        "thumbnails": make_thumbnails(data, samples),
        "n_errors": len(order),
        "counts": {name: _count(name, rows, data.noun) for name, rows in wrong.items()},
    }


def _count(name: str, wrong: NDArray[np.bool_], noun: str) -> str:
    """State how many predictions are wrong: an image has one for each seed."""
    n_wrong, n_images = int(wrong.sum()), int(wrong.any(axis=0).sum())
    n_seeds, n_test = wrong.shape
    if not n_images:
        return f"{name} classified every test {noun} correctly."
    images = quantity(n_images, noun)
    if n_seeds == 1:
        return f"{name} is wrong on {n_images:,} of {n_test:,} {noun}s."
    return (
        f"{n_wrong:,} of the {wrong.size:,} predictions of {name} ({n_test:,} {noun}s, {n_seeds} "
        f"seeds) are wrong, on {images}."
    )
