import numpy as np
import pytest

from penultimate.datasets import check_subsets


def test_indices_are_ascending_and_subsets_keep_their_order():
    classes = np.array(["a", "b", "c", "d"])
    checked = check_subsets({"second": ["d", "b"], "first": ("a", "c")}, classes)
    assert checked == {"second": (1, 3), "first": (0, 2)}
    assert list(checked) == ["second", "first"]


@pytest.mark.parametrize(
    "subsets",
    [
        {"low": np.array([0, 1]), "high": np.array([2, 3])},
        {"low": range(2), "high": [np.int64(2), 3]},
        {"low": {0, 1}, "high": [2.0, 3.0]},
    ],
)
def test_any_way_to_list_numbers(subsets):
    assert check_subsets(subsets, np.arange(4)) == {"low": (0, 1), "high": (2, 3)}


@pytest.mark.parametrize(
    ("subsets", "message"),
    [
        ({}, "subsets is empty"),
        ({"a": [0, 1], "b": []}, "'b' is empty"),
        ({"a": [0, 1], "b": [8, 9]}, "'b' names 2 of 2 classes that no sample has, such as 8"),
        ({"a": [0, 1], "b": [2, 3, "4"]}, r"'b' names 1 of 3 .* such as '4'; .* are 0, 1, 2, 3\."),
        ({"a": [0, 1], "b": [1, 2, 3]}, "class 1 is in two subsets, 'a' and 'b'"),
        ({"a": [0, 1]}, r"2 classes are in no subset, such as 2; add it to one of \['a'\]"),
        ({"a": [0, 1, 2]}, "1 class is in no subset, such as 3"),
        ({"a": [0, 1, 2], "b": [3]}, "'b' has only one class, 3"),
        ({"a": [0, 1, 1], "b": [2, 3]}, "'a' names the class 1 more than once"),
    ],
)
def test_bad_subsets(subsets, message):
    with pytest.raises(ValueError, match=message):
        check_subsets(subsets, [0, 1, 2, 3])


@pytest.mark.parametrize(
    ("subsets", "message"),
    [
        ([[0, 1], [2, 3]], "must be a dict of names to lists"),
        (None, "got None"),
        ({"a": "01", "b": [2, 3]}, "'a' must be a list of classes; got '01'"),
        ({"a": 5, "b": [2, 3]}, "'a' must be a list of classes; got 5"),
        ({1: [0, 1], "b": [2, 3]}, "name of a subset must be a non-empty string; got 1"),
        ({"": [0, 1], "b": [2, 3]}, "non-empty string; got ''"),
    ],
)
def test_bad_types(subsets, message):
    with pytest.raises(TypeError, match=message):
        check_subsets(subsets, [0, 1, 2, 3])


def test_a_long_list_of_classes_is_cut():
    with pytest.raises(ValueError, match=r"classes are 0, 1, .*, 9, \.\.\.\.$"):
        check_subsets({"a": [99, 98]}, np.arange(50))
