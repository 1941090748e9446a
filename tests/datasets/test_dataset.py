import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penultimate.datasets import Dataset


@given(st.lists(st.sampled_from(["a", "b", "10", "2", "1"]), min_size=1).map(lambda y: [*y, "c"]))
def test_labels_index_classes(y):
    data = Dataset.from_arrays(np.zeros((len(y), 4, 4), np.uint8), y)
    assert [data.classes[label] for label in data.labels] == y


def test_groups_of_wrong_length():
    with pytest.raises(ValueError, match="groups of Dataset has 3 for 2 samples"):
        Dataset.from_arrays(np.zeros((2, 4, 4)), [0, 1], groups=[1, 2, 3])


@pytest.fixture
def letters():
    """Three subsets in which the names 1 and 2 occur, in an order that is not theirs."""
    labels = np.array(["1", "2"] * 6)
    subsets = np.array(["c", "a", "b"] * 4)
    order = np.lexsort((np.arange(12) % 5, np.arange(12) % 2))
    images = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    groups = [f"g{k}" for k in order]
    return (
        labels[order],
        subsets[order],
        Dataset.from_arrays(images, labels[order], subsets=subsets[order], groups=groups),
    )


def test_merged_labels_do_not_collide(letters):
    labels, subsets, data = letters
    assert data.classes == ("a/1", "a/2", "b/1", "b/2", "c/1", "c/2")
    assert data.subsets == {"a": (0, 1), "b": (2, 3), "c": (4, 5)}
    assert [data.classes[k] for k in data.labels] == [
        f"{s}/{y}" for s, y in zip(subsets, labels, strict=True)
    ]


def test_a_view_has_the_original_names_and_the_right_samples(letters):
    labels, subsets, data = letters
    for name in "abc":
        view = data.view(name)
        mine = subsets == name
        assert view.classes == ("1", "2")
        assert view.subsets == {}
        assert [view.classes[k] for k in view.labels] == labels[mine].tolist()
        np.testing.assert_array_equal(view.images[:, 0, 0, 0], np.flatnonzero(mine))
        assert view.groups.tolist() == data.groups[mine].tolist()


def test_subsets_by_label():
    data = Dataset.from_arrays(
        np.zeros((4, 4, 4), np.uint8), [0, 5, 9, 7], subsets={"low": [0, 5], "high": [9, 7]}
    )
    assert data.subsets == {"low": (0, 1), "high": (2, 3)}
    assert data.view("high").classes == ("7", "9")


def test_unknown_subset(letters):
    with pytest.raises(ValueError, match="must be one of 'a', 'b', 'c'; got 'd'"):
        letters[2].view("d")


@pytest.mark.parametrize(
    ("subsets", "message"),
    [
        ({"low": [0, 1], "high": [1, 2]}, "The class '1' is in two subsets, 'low' and 'high'"),
        ({"low": [0, 1]}, "1 class is in no subset, such as '2'"),
        (["a", "b"], "subsets of Dataset has 2 for 3 samples"),
        (["a/b", "a", "a"], "must not contain '/'"),
    ],
)
def test_bad_subsets(subsets, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_arrays(np.zeros((3, 4, 4), np.uint8), [0, 1, 2], subsets=subsets)


def test_copies_with_several_labels_are_not_dropped_in_silence():
    images = np.zeros((4, 8, 8), np.uint8)
    images[2:] = 9
    files = np.array(["a/1.png", "b/1.png", "b/2.png", "b/3.png"])
    data = dataclasses.replace(Dataset.from_arrays(images, ["a", "b", "b", "b"]), files=files)
    with pytest.raises(ValueError, match=r"'b/1.png' \(b\) of 'a/1.png' \(a\)"):
        data.without_duplicates()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"groups": [1.0, np.nan, 2.0, 2.0]}, "groups holds 1 missing"),
        ({"groups": pd.array([1, None, 2, 2], dtype="Int64")}, "groups holds 1 missing"),
        ({"groups": ["a", None, "b", "b"]}, "groups holds 1 missing"),
        ({"groups": [0.1, 0.2, 0.3, 0.4]}, "groups of Dataset holds fractions, such as 0.1"),
        ({"subsets": ["a", None, "a", "a"]}, "subsets holds 1 missing"),
        ({"subsets": [1.0, np.nan, 1.0, 1.0]}, "subsets holds 1 missing"),
        ({"is_test": [1.0, np.nan, 0.0, 0.0]}, "is_test holds 1 missing"),
        ({"is_test": pd.array([True, None, False, False])}, "is_test holds 1 missing"),
        ({"is_test": ["True", "False"] * 2}, "is_test .* True or False per .* got 'True'"),
        ({"is_test": [3, 1, 0, 0]}, "is_test .* True or False per sample; got 3"),
        ({"is_test": [1, 3]}, "is_test of Dataset has 2 for 4 samples"),
        ({"is_selection": [0.5, 0, 1, 1]}, "is_selection .* got 0.5"),
    ],
)
def test_what_is_given_for_each_sample_is_checked(arrays, message):
    images = np.zeros((4, 8, 8), np.uint8)
    with pytest.raises(ValueError, match=message):
        Dataset.from_arrays(images, [0, 1, 0, 1], **arrays)
    data = Dataset.from_arrays(images, [0, 1, 0, 1])
    if "subsets" not in arrays:
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(data, **arrays)


def test_masks_and_groups_of_any_type():
    data = Dataset.from_arrays(
        np.zeros((2, 8, 8), np.uint8),
        ["a", "b"],
        groups=pd.Series(["x", "y"], index=[7, 8]),
        is_test=[0.0, 1.0],
        is_selection=pd.Series([True, False]),
    )
    assert data.is_test.tolist() == [False, True]
    assert data.is_test.dtype == data.is_selection.dtype == bool
    assert data.groups.tolist() == ["x", "y"]


def test_integers_of_0_and_1_are_noted():
    images = np.eye(8, dtype=int)[None].repeat(2, axis=0)
    (note,) = Dataset.from_arrays(images, ["a", "b"]).notes
    assert "none above 1: as pixels from 0 to 255 they are nearly black. Pass booleans" in note
    for other in (images.astype(bool), images.astype(float), images * 255, images * 0):
        assert Dataset.from_arrays(other, ["a", "b"]).notes == ()


def test_other_groups_and_subsets():
    data = Dataset.from_arrays(np.eye(8)[:4, :, np.newaxis].repeat(8, 2), [0, 1, 0, 1])
    assert data.with_groups(pd.array([1, 1, 2, 2], dtype="Int64")).groups.tolist() == [1, 1, 2, 2]
    assert data.with_groups([1, 1, 2, 2]).with_groups(None).groups is None
    assert data.with_subsets({"a": [0, 1]}).with_subsets(None).subsets == {}
    for change, values, error, message in (
        ("groups", [1, 2], ValueError, "groups of Dataset has 2 for 4 samples"),
        ("groups", [0.1, 0.2, 0.3, 0.4], ValueError, "holds fractions"),
        ("subsets", ["a"] * 4, TypeError, "must be a dict"),
        ("subsets", {}, ValueError, "subsets is empty"),
        ("subsets", {"a": [0]}, ValueError, "only one class"),
        ("subsets", {"a": 5}, (TypeError, ValueError), "a"),
        ("subsets", {"a": "01"}, (TypeError, ValueError), "list"),
        ("subsets", {"a": [0, 2]}, ValueError, "2"),
    ):
        with pytest.raises(error, match=message):
            getattr(data, f"with_{change}")(values)


def test_classes_without_images_are_left_out_with_a_note():
    data = Dataset.from_arrays(np.zeros((10, 8, 8), np.uint8), list("abcde") * 2)
    taken = data.take(np.isin(data.labels, [0, 3]))
    assert taken.classes == data.classes
    found = taken.without_empty_classes()
    assert (found.classes, found.labels.tolist()) == (("a", "d"), [0, 1, 0, 1])
    assert found.notes[-1] == "3 classes without images left out: 'b', 'c', 'e'."
    assert found.without_empty_classes() is found


def test_subsets_without_images_go_and_others_are_renumbered():
    images = np.zeros((12, 8, 8), np.uint8)
    subsets = {"low": ["a", "b"], "high": ["c", "d", "e"]}
    data = Dataset.from_arrays(images, list("abcdef"[:5]) * 2 + ["a", "b"], subsets=subsets)
    high = data.take(data.labels >= 2).without_empty_classes()
    assert (high.classes, high.subsets) == (("c", "d", "e"), {"high": (0, 1, 2)})
    with pytest.raises(ValueError, match="'high' has only one class, 'c'"):
        data.take(data.labels < 3).without_empty_classes()
    with pytest.raises(ValueError, match="y holds 1 class, 'c'"):
        data.take(data.labels == 2).without_empty_classes()


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0], ["a", "b"], [0.0, 1.0], [True, False]])
def test_labels_are_indices_of_the_classes(labels):
    with pytest.raises(ValueError, match="labels must be indices of the 2 classes; got "):
        Dataset(np.zeros((2, 8, 8, 1), np.uint8), np.array(labels), ("a", "b"))
