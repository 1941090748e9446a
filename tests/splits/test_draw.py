import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penultimate.splits import Holdout, split_development, split_folds, split_test
from penultimate.splits.draw import check_class_sizes

counts = st.lists(st.integers(5, 40), min_size=2, max_size=5)


@given(counts, st.floats(0.05, 0.6), st.integers(0, 99))
@settings(deadline=None)
def test_parts_are_disjoint_complete_and_stratified(sizes, share, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    split = split_development(y, selection_size=share, seed=seed)
    assert sorted([*split.train, *split.held_out]) == list(range(len(y)))
    assert set(y[split.train]) == set(y)
    expected = np.array(sizes) * len(split.held_out) / len(y)
    assert np.all(np.abs(np.bincount(y[split.held_out], minlength=len(sizes)) - expected) <= 1)


@given(st.integers(4, 12), st.integers(0, 99))
@settings(deadline=None)
def test_groups_stay_whole(n_groups, seed):
    groups = np.repeat(np.arange(n_groups), 10)
    y = np.tile([0, 1], n_groups * 5)
    split = split_development(y, groups=groups, seed=seed)
    assert not set(groups[split.train]) & set(groups[split.held_out])
    assert len(split.held_out)


def test_test_part_is_always_the_same_and_selection_depends_on_the_seed():
    y = np.repeat([0, 1], 50)
    np.testing.assert_array_equal(split_test(y).held_out, split_test(y).held_out)
    one, two = (split_development(y, seed=seed).held_out for seed in (0, 1))
    assert not np.array_equal(one, two)


def test_given_split_is_kept():
    y = np.repeat([0, 1], 10)
    is_test = np.arange(20) % 10 > 6
    split = split_test(y, is_test=is_test)
    np.testing.assert_array_equal(split.held_out, np.flatnonzero(is_test))


@pytest.mark.parametrize(
    ("is_test", "groups", "message"),
    [
        (np.ones(20, bool), None, "puts every sample into 'test'"),
        (np.arange(20) >= 10, None, "1 of the test set's classes have no training samples"),
        (np.arange(20) % 2 == 0, np.zeros(20), "1 groups are in both parts"),
    ],
)
def test_bad_given_split(is_test, groups, message):
    y = np.repeat([0, 1], 10)
    with pytest.raises(ValueError, match=message):
        split_test(y, is_test=is_test, groups=groups)


def test_class_with_one_image():
    with pytest.raises(ValueError, match="class 'b' has 1 sample; at least 5"):
        check_class_sizes(np.array([0] * 9 + [1]), ["a", "b"])


def test_class_with_one_sample():
    with pytest.raises(ValueError, match="Class 1 has 1 sample here"):
        split_development(np.array([0, 0, 0, 0, 1]))


def test_one_group():
    with pytest.raises(ValueError, match="There is 1 group to split"):
        split_test(np.repeat([0, 1], 10), groups=np.zeros(20))


def test_groups_of_another_seed_are_another_draw():
    """No group, however large, is in all test parts or in none."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), rng.integers(20, 80, 20))
    groups[groups == 19] = 18  # one much larger than the others
    y = rng.integers(0, 3, len(groups))
    parts = [split_test(y, groups=groups, seed=seed) for seed in range(30)]
    drawn = np.array([np.isin(np.arange(19), groups[part.held_out]) for part in parts])
    assert len(np.unique(drawn, axis=0)) > 25
    assert drawn.any(axis=0).all()
    assert not drawn.all(axis=0).any()
    for part in parts:
        assert 0.15 < len(part.held_out) / len(y) < 0.25
        shares = np.bincount(y[part.held_out], minlength=3) / np.bincount(y)
        assert np.ptp(shares) < 0.1


def test_groups_leave_each_class_something_to_fit_on_where_they_can():
    y = np.array([0] * 40 + [1] * 12)
    groups = np.concatenate([np.arange(40) % 8, [8] * 6 + [9] * 6])
    for seed in range(20):
        assert set(y[split_development(y, groups=groups, seed=seed).train]) == {0, 1}


def test_group_that_holds_a_class():
    y = np.repeat([0, 1], 10)
    with pytest.raises(ValueError, match="their samples are in too few groups"):
        split_test(y, groups=y)


def test_message_names_the_class():
    y = np.repeat([0, 1], 10)
    with pytest.raises(ValueError, match="such as class 'vowels/.': their samples are in too few"):
        split_test(y, groups=y, names=["vowels/0", "vowels/1"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"test_size": 1.0}, r"'test_size' parameter of Holdout must be .* in \(0, 1\); got 1.0"),
        ({"selection_size": 0}, "'selection_size' parameter of Holdout"),
        ({"seed": -1}, "'seed' parameter of Holdout"),
    ],
)
def test_bad_holdout(parameters, message):
    with pytest.raises(ValueError, match=message):
        Holdout(**parameters).check()


@pytest.mark.parametrize(("n_each", "n_folds"), [(20, 5), (4, 4), (2, 2), (1, 0)])
def test_folds_are_as_many_as_the_smallest_class_allows(n_each, n_folds):
    y = np.repeat(["a", "b"], [20, n_each])
    folds = split_folds(y, seed=1)
    assert len(folds) == n_folds
    for fold in folds:
        assert set(y[fold.train]) == {"a", "b"}
        assert not set(fold.train) & set(fold.held_out)
    if folds:
        together = np.concatenate([fold.held_out for fold in folds])
        np.testing.assert_array_equal(np.sort(together), np.arange(len(y)))


def test_folds_keep_groups_whole():
    y, groups = np.tile([0, 1], 20), np.repeat(np.arange(4), 10)
    folds = split_folds(y, groups=groups)
    assert len(folds) == 4
    for fold in folds:
        assert not set(groups[fold.train]) & set(groups[fold.held_out])
    assert split_folds(y, groups=np.zeros(40, int)) == []


def test_folds_by_group_that_leave_a_class_out_name_it():
    y = np.array([0, 0, 1, 1, 1, 1, 0, 1, 0, 0])
    groups = np.array([0, 0, 4, 2, 2, 2, 4, 2, 4, 1])
    with pytest.raises(ValueError, match="Split by group, .* such as class 1"):
        split_folds(y, groups=groups)


copied = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60)), min_size=60, max_size=160)


def _sides(fingerprints, split):
    return set(fingerprints[split.train]) & set(fingerprints[split.held_out])


@pytest.mark.slow
@given(copied, st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_copies_stay_on_one_side(samples, seed):
    """Also copies that are in several classes: what is drawn, or refused by a message of ours."""
    y, prints = np.array(samples).T
    prints = prints.astype(np.uint64)
    try:
        splits = [
            split_test(y, fingerprints=prints, seed=seed),
            split_development(y, fingerprints=prints, seed=seed),
        ]
    except ValueError as error:
        if "exact copies" not in str(error) and "needs at least 2" not in str(error):
            raise
        splits = []
    for split in splits:
        assert sorted([*split.train, *split.held_out]) == list(range(len(y)))
        assert set(y[split.train]) == set(y)
        assert not _sides(prints, split)


@pytest.mark.slow
@given(copied, st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_copies_are_in_one_fold(samples, seed):
    y, prints = np.array(samples).T
    prints = prints.astype(np.uint64)
    folds = split_folds(y, fingerprints=prints, seed=seed)
    assert len(folds) in (0, *range(2, 6))
    for fold in folds:
        assert not _sides(prints, fold)
    if folds:
        together = np.concatenate([fold.held_out for fold in folds])
        np.testing.assert_array_equal(np.sort(together), np.arange(len(y)))


@pytest.mark.slow
@given(counts, st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_samples_that_all_differ_are_split_as_ever(sizes, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    prints = rng.permutation(len(y)).astype(np.uint64)
    groups = rng.integers(0, 30, len(y))
    for drawn, units in ((None, None), (groups, groups * 7)):
        if units is not None:
            prints = units.astype(np.uint64)  # copies within a group join nothing
        for make in (split_test, split_development, split_folds):
            try:
                plain = make(y, groups=drawn, seed=seed)
            except ValueError:
                continue
            if units is not None and make is split_test:
                continue  # of a class's images, too few differ
            told = make(y, groups=drawn, fingerprints=prints, seed=seed)
            for one, two in zip(*(x if isinstance(x, list) else [x] for x in (plain, told))):
                np.testing.assert_array_equal(one.held_out, two.held_out)


@pytest.mark.parametrize("n_copied", [1, 5, 12])
def test_class_shares_are_kept_despite_copies(n_copied):
    y = np.repeat(np.arange(5), 60)
    prints = np.arange(300, dtype=np.uint64)
    for k in range(5):  # images that are there twice, and one that is there n_copied times
        prints[60 * k : 60 * k + 20] = prints[60 * k + 20 : 60 * k + 40]
        prints[60 * k + 40 : 60 * k + 40 + n_copied] = prints[60 * k + 40]
    for seed in range(10):
        split = split_test(y, fingerprints=prints, seed=seed)
        shares = np.bincount(y[split.held_out]) / 60
        assert np.abs(shares - 0.2).max() < 0.13
        assert abs(len(split.held_out) / 300 - 0.2) < 0.05


def test_groups_that_share_a_copy_stay_together():
    y = np.tile([0, 1], 40)
    groups = np.repeat(np.arange(8), 10)
    prints = np.arange(80, dtype=np.uint64)
    prints[10] = prints[0]  # groups 0 and 1
    prints[21] = prints[11]  # groups 1 and 2
    for seed in range(10):
        parts = [
            split_test(y, groups=groups, fingerprints=prints, seed=seed),
            *split_folds(y, groups=groups, fingerprints=prints, seed=seed),
        ]
        for split in parts:
            sides = np.isin([0, 1, 2], groups[split.held_out])
            assert sides.all() or not sides.any()
            assert not set(groups[split.train]) & set(groups[split.held_out])


def test_one_image_that_joins_all_groups():
    prints = np.arange(40, dtype=np.uint64)
    prints[::10] = 0
    with pytest.raises(ValueError, match="There is 1 group to split; the data has 4, but .*copies"):
        split_test(np.tile([0, 1], 20), groups=np.repeat(np.arange(4), 10), fingerprints=prints)


def test_class_of_one_image():
    y = np.repeat([0, 1], 20)
    prints = np.arange(40, dtype=np.uint64)
    prints[20:] = 99
    message = "class 'dog' has 20 samples, but only 1 that differ: .*copies.*5 different"
    with pytest.raises(ValueError, match=message):
        split_test(y, fingerprints=prints, names=["cat", "dog"])
    with pytest.raises(ValueError, match="'dog' has 20 samples here, all exact copies;"):
        split_development(y, fingerprints=prints, names=["cat", "dog"])
    assert split_folds(y, fingerprints=prints) == []


def test_class_that_is_all_copies_of_another():
    y = np.repeat([0, 1], 20)
    prints = np.tile(np.arange(20, dtype=np.uint64), 2)
    for seed in range(10):
        split = split_test(y, fingerprints=prints, seed=seed)
        assert not _sides(prints, split)
        assert np.bincount(y[split.held_out]).tolist() == [4, 4]


@pytest.mark.parametrize("split", [split_test, split_development, split_folds])
def test_groups_that_are_none(split):
    y = np.repeat([0, 1], 10)
    with pytest.raises(ValueError, match="groups holds 1 missing values"):
        split(y, groups=np.r_[np.nan, np.arange(19)])
    with pytest.raises(ValueError, match=f"groups of {split.__name__} holds fractions"):
        split(y, groups=np.linspace(0, 1, 20))


def test_a_mask_of_numbers_is_a_mask():
    y = np.repeat([0, 1], 10)
    split = split_test(y, is_test=np.tile([0, 1], 10))
    assert split.held_out.tolist() == list(range(1, 20, 2))
    with pytest.raises(ValueError, match="is_test of split_test must hold True or False"):
        split_test(y, is_test=np.arange(20))
