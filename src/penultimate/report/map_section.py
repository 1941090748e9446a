"""Data of the report's interactive feature map.

Projections are fitted on development features and only applied to the test samples: an LDA fitted
on the samples that it shows would separate them even by chance. Coordinates are stored as whole
numbers, which keeps a page with thousands of points small.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.displays import possible_projections, project_features
from penultimate.displays.feature_map import COLORS, name_places, short_names, title_of
from penultimate.report.colors import on_dark
from penultimate.report.sprites import make_sprite_sheet
from penultimate.results.outcome import Outcome
from penultimate.results.samples import sample_names

MAX_POINTS = 5000
_THUMBNAIL_SIDE = 32
_STEPS = 1000  # integer coordinates per axis: finer than the pixels of most screens


def feature_map(comparison: Outcome) -> dict[str, Any] | None:
    """Project the test samples with every possible projection, for all classes and each subset.

    Parameters
    ----------
    comparison : Outcome

    Returns
    -------
    dict or None
        ``views``, each a projection of some samples; ``samples`` (positions in the dataset),
        ``names``, ``true``, ``predicted`` and ``sprites`` of the samples shown; the ``method`` that
        made the predictions; ``classes``, ``colors`` and ``dark_colors`` (on light and dark
        paper), ``n_test`` and ``seed``. None if nothing can be projected.
    """
    data, features = comparison.dataset, comparison.features
    if features is None:
        return None
    # A fixed random subset limits the size of the page.
    shown = np.random.default_rng(0).permutation(len(comparison.test))[:MAX_POINTS]
    shown.sort()
    samples = comparison.test[shown]
    is_test = np.isin(np.arange(len(data.labels)), comparison.test)
    development = features["development"], data.labels[~is_test]
    test = features["test"][shown], data.labels[samples]
    views = []
    for subset, members in [(None, tuple(range(len(data.classes)))), *data.subsets.items()]:
        names, key = short_names(data.classes, data.subsets, subset)
        common = {"subset": subset, "members": members, "names": names, "key": key}
        views += [common | view for view in _views(development, test, members)]
    if not views:
        return None
    method = next((m for m in comparison.methods if m.family == "svm"), comparison.methods[0])
    sprites = (
        make_sprite_sheet(data.images[samples], largest_side=_THUMBNAIL_SIDE, lossy=True)
        if data.has_images
        else None
    )
    return {
        "views": views,
        "samples": samples.tolist(),
        "names": sample_names(data, samples),
        "true": test[1].tolist(),
        "predicted": method.predictions[0, shown].tolist(),
        "sprites": None if sprites is None else asdict(sprites),
        "method": method.name,
        "classes": data.classes,
        "colors": COLORS,
        "dark_colors": [on_dark(color) for color in COLORS],
        "n_test": len(comparison.test),
        "seed": comparison.seeds[0],
    }


def _views(
    development: tuple[NDArray[Any], NDArray[np.int64]],
    test: tuple[NDArray[Any], NDArray[np.int64]],
    members: Sequence[int],
) -> Iterator[dict[str, Any]]:
    """Project the samples of some classes, fitting on development samples of the same classes."""
    (fitted_on, labels), (features, true) = (
        (rows[np.isin(codes, members)], codes[np.isin(codes, members)])
        for rows, codes in (development, test)
    )
    if not len(true):
        return
    for projection in possible_projections(features.shape[1], len(members)):
        points = project_features(features, fitted_on, labels, projection=projection)
        extent = np.ptp(points, axis=0)
        scaled = _STEPS * (points - points.min(axis=0)) / np.where(extent == 0, 1, extent)
        # The vertical axis points up in the plane, but down on a screen.
        scaled[:, 1] = _STEPS - scaled[:, 1]
        whole = np.rint(scaled).astype(int)
        places = {label: place.tolist() for label, place in name_places(whole, true).items()}
        yield {"projection": title_of(projection), "points": whole.tolist(), "places": places}
