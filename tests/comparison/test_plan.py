import dataclasses

import numpy as np
import pytest

from penultimate.comparison.plan import make_plan
from penultimate.datasets import Dataset
from penultimate.splits import Holdout

SEEDS = (0, 1)


@pytest.fixture
def data():
    """Three classes of 30 images; the last ten of each occur twice."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (90, 6, 6), np.uint8)
    y = np.arange(90) % 3
    images[75:] = images[60:75]
    return Dataset.from_arrays(images, y)


def splits_of(plan):
    """All pairs of position arrays that a plan separates."""
    development = plan.split.train
    yield plan.split.train, plan.split.held_out
    for seed in plan.development_splits:
        for split in (plan.development_splits[seed], *plan.folds[seed]):
            yield development[split.train], development[split.held_out]


@pytest.mark.parametrize("selection", ["heldout", "crossfit", "resubstitution"])
@pytest.mark.parametrize("by_group", [None, True])
def test_no_split_separates_copies(data, selection, by_group):
    if by_group:
        data = dataclasses.replace(data, groups=np.arange(90) % 15)
    plan = make_plan(data, Holdout(), SEEDS, selection)
    prints = data.fingerprint()
    for first, second in splits_of(plan):
        assert not set(prints[first]) & set(prints[second])
    assert plan.n_copies == 15
    assert plan.dataset.notes == (
        "15 images are exact copies of others; copies were kept on the same side of every split.",
    )
    assert any(len(folds) for folds in plan.folds.values()) == (selection != "heldout")


def test_without_copies_nothing_is_noted_or_changed(data):
    plan = make_plan(data.without_duplicates(), Holdout(), SEEDS, "resubstitution")
    assert (plan.n_copies, plan.folds) == (0, {0: [], 1: []})
    assert len(plan.dataset.notes) == 1  # of without_duplicates itself


def test_a_given_selection_part_is_used_for_every_seed(data):
    parts = np.arange(90) % 10
    given = dataclasses.replace(data, is_test=parts == 0, is_selection=parts == 4)
    plan = make_plan(given, Holdout(), SEEDS)
    for split in plan.development_splits.values():
        np.testing.assert_array_equal(plan.split.train[split.held_out], np.flatnonzero(parts == 4))
        np.testing.assert_array_equal(
            plan.split.train[split.train], np.flatnonzero((parts != 4) & (parts != 0))
        )
    assert "selection part came with the data: 9 images, the same" in plan.dataset.notes[0]
    assert "every split except the given one" in plan.dataset.notes[1]
    other = make_plan(given, Holdout(), SEEDS, "crossfit")
    assert "With selection='crossfit' they are development samples" in other.dataset.notes[0]
    assert sorted(np.concatenate([f.held_out for f in other.folds[0]])) == list(range(81))


def test_given_selection_part_alone_is_not_tested_on(data):
    given = dataclasses.replace(data, is_selection=np.arange(90) >= 72)
    plan = make_plan(given, Holdout(), SEEDS)
    prints = data.fingerprint()
    assert not given.is_selection[plan.split.held_out].any()
    assert not set(prints[plan.split.held_out]) & set(prints[plan.split.train])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"is_selection": np.arange(90) % 10 > 0}, "leaves no sample in the fit part"),
        (
            {"is_selection": (np.arange(90) % 3 == 1) & (np.arange(90) % 10 > 0)},
            "1 classes are in the selection part .* no sample to fit on, such as class '1'",
        ),
        (
            {"is_selection": np.arange(90) % 10 == 4, "groups": np.arange(90) % 10 // 2},
            "1 groups are in both the fit part and the selection part",
        ),
    ],
)
def test_an_unusable_given_selection_part_is_refused(data, change, message):
    is_test = np.arange(90) % 10 == 0
    groups = change.get("groups")
    if groups is not None:
        groups = np.where(is_test, 99, groups)
    given = dataclasses.replace(data, **{**change, "is_test": is_test, "groups": groups})
    with pytest.raises(ValueError, match=message):
        make_plan(given, Holdout(), SEEDS)


def test_a_sample_in_two_parts_is_refused(data):
    with pytest.raises(ValueError, match="90 samples are in both is_test and is_selection"):
        dataclasses.replace(data, is_test=np.ones(90, bool), is_selection=np.ones(90, bool))
