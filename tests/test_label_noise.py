"""The benchmark of label noise: what resubstitution says, and what the other two do."""

import importlib
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def label_noise():
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not here")
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("label_noise")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def measure(label_noise):
    """The benchmark's, in a quarter of its steps: a step takes the same time for any batch."""
    recipe = replace(label_noise.RECIPE, batch_size=128, learning_rate=0.006)
    return partial(label_noise.measure, recipe=recipe)


@pytest.mark.slow
def test_only_resubstitution_is_fooled_by_random_labels(label_noise, measure, monkeypatch):
    digits = [part[:1200] for part in label_noise.load_digits(return_X_y=True)]
    monkeypatch.setattr(label_noise, "load_digits", lambda return_X_y: digits)
    told = {s: measure(1.0, s, 0, 30) for s in label_noise.SELECTIONS}
    assert told["resubstitution"][0] > 0.35  # about .4
    for selection in ("crossfit", "heldout"):
        assert told[selection][0] < 0.18
    assert np.all([true < 0.16 for _, true in told.values()])


@pytest.mark.slow
def test_and_by_some_wrong_ones(measure):
    told, true = measure(0.3, "resubstitution", 0, 40)
    assert told - true > 0.04  # .126 is the mean, and a split's standard deviation .033
    told, true = measure(0.3, "heldout", 0, 40)
    assert abs(told - true) < 0.1
