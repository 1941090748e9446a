from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penultimate.datasets import Dataset, natural_order


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_numbers_sort_as_numbers(numbers):
    names = natural_order(f"class {n}" for n in numbers)
    assert names == [f"class {n}" for n in sorted(set(numbers))]


@given(st.lists(st.text(max_size=5)))
def test_natural_order_is_a_fixed_order_of_distinct_names(names):
    ordered = natural_order(names)
    assert set(ordered) == set(names)
    assert ordered == natural_order(reversed(names))


@given(st.lists(st.sampled_from(["a", "b", "10", "2", "1"]), min_size=1).map(lambda y: [*y, "c"]))
def test_labels_index_classes(y):
    data = Dataset.from_arrays(np.zeros((len(y), 4, 4), np.uint8), y)
    assert [data.classes[label] for label in data.labels] == y


def test_groups_of_wrong_length():
    with pytest.raises(ValueError, match=r"one entry per sample, shape \(2,\); got shape \(3,\)"):
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
        (["a", "b"], "3 labels but 2 subset names"),
        (["a/b", "a", "a"], "must hold no '/'"),
    ],
)
def test_bad_subsets(subsets, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_arrays(np.zeros((3, 4, 4), np.uint8), [0, 1, 2], subsets=subsets)


def test_copies_with_several_labels_are_not_dropped_in_silence():
    images = np.zeros((4, 8, 8), np.uint8)
    images[2:] = 9
    files = np.array(["a/1.png", "b/1.png", "b/2.png", "b/3.png"])
    data = replace(Dataset.from_arrays(images, ["a", "b", "b", "b"]), files=files)
    with pytest.raises(ValueError, match=r"'b/1.png' \(b\) of 'a/1.png' \(a\)"):
        data.without_duplicates()
