from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from penultimate import Dataset, Protocol, Training
from penultimate.comparison.all_splits import _shorter
from penultimate.comparison.networks import Settings


@pytest.mark.parametrize(
    ("side", "files", "n_seeds", "changed", "ways"),
    [
        (200, True, 3, {}, ["load_data's image_size=48", "seeds=1", "Training(epochs=10)"]),
        (200, False, 1, {}, ["smaller images", "Training(epochs=10)"]),
        (48, True, 1, {"training": Training(epochs=10)}, []),
        (
            28,
            True,
            1,
            {"network": "wide", "protocol": Protocol(selection="crossfit")},
            ["Protocol(selection='heldout')", "network='compact'", "Training(epochs=10)"],
        ),
    ],
)
def test_only_what_is_not_done_yet_would_be_shorter(side, files, n_seeds, changed, ways):
    X = np.zeros((2, side, side, 1), np.uint8)
    data = Dataset.from_arrays(X, [0, 1])
    if files:
        data = replace(data, files=np.array(["a.png", "b.png"]))
    plan = SimpleNamespace(dataset=data, development_splits=dict.fromkeys(range(n_seeds)))
    settings = replace(Settings({}, "compact", Training(), Protocol()), **changed)
    found = _shorter(settings, plan, X)
    assert bool(found) == bool(ways)
    position = 0
    for way in ways:
        position = found.index(way, position)
    assert found.count(",") == max(0, len(ways) - 1)
    assert "--" not in found
