import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from penultimate._common.images import check_images
from penultimate._common.imports import import_optional
from penultimate._common.labels import check_labels
from penultimate._common.validation import (
    check_choice,
    check_number,
    check_per_sample,
    check_same_order,
    refuse_masked,
)


def test_import_optional_names_the_extra():
    with pytest.raises(ImportError, match=r"'no_such_thing' is not installed.*penultimate\[demo\]"):
        import_optional("no_such_thing.inside", "demo")


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_number_out_of_range(value):
    with pytest.raises(ValueError, match=r"'C' parameter of SVC must be .* got "):
        check_number(value, "C", "SVC", low=0, high=1e300, open_low=True)


@pytest.mark.parametrize("value", ["1", None, True, [1]])
def test_number_of_wrong_type(value):
    with pytest.raises(TypeError, match="must be a number; got"):
        check_number(value, "C", "SVC")


def test_integer():
    check_number(np.int64(3), "epochs", "Training", low=1, integer=True)
    with pytest.raises(TypeError, match="must be an integer; got 2.0"):
        check_number(2.0, "epochs", "Training", integer=True)


def test_choice_lists_the_choices():
    with pytest.raises(ValueError, match="must be one of 'a', 'b'; got 'c'"):
        check_choice("c", "layer", "X", ["a", "b"])


def test_labels_pass_in_any_type():
    for y in (["a", "b"], [1, 2], [True, False], [[0], [1]]):
        assert check_labels(y, 2).shape == (2,)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.eye(3), "one-hot, of shape"),
        ([1, 2], "3 samples but 2 labels; each sample needs one label"),
        ([1], r"3 samples but 1 label; .* if X is one image, pass X\[None\]"),
        ([1, 1, 1], "1 class, 1; a classifier needs at least two"),
        (["a", "a", "a"], "1 class, 'a'"),
        ([1.0, np.nan, 2.0], "1 missing labels .* the first at 1"),
        (["a", None, "b"], "1 missing labels"),
        (np.zeros((3, 2)), "one label per sample"),
    ],
)
def test_bad_labels(y, message):
    with pytest.raises(ValueError, match=message):
        check_labels(y, 3)


def test_no_labels():
    with pytest.raises(ValueError, match="no samples"):
        check_labels([], 0)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((4, 9)), r"must have the shape .* If it is one image, pass X\[None\]"),
        (np.zeros(9), "must have the shape"),
        (np.zeros((2, 8, 8, 4)), r"Drop the alpha channel, as with X\[..., :3\]"),
        (np.zeros((0, 8, 8)), "no pixels"),
        (np.zeros((2, 3, 8, 8)), "Move the channels last"),
        (np.zeros((2, 8, 8, 2)), "1 or 3 channels; got 2"),
        (np.full((2, 8, 8), np.nan), "NaN or infinity, in 2 of 2"),
        (np.full((2, 8, 8), -0.5), r"in \[0, 1\] or \[0, 255\]; got values from -0.5"),
        (np.full((2, 8, 8), 256.0), r"in \[0, 1\] or \[0, 255\]"),
        (np.full((2, 8, 8), "x"), "must hold numbers"),
        (np.full((2, 8, 8), 1.004), r"up to 1.004: just outside \[0, 1\]"),
    ],
)
def test_bad_images(X, message):
    with pytest.raises(ValueError, match=message):
        check_images(X)


def test_8_bit_images_are_not_copied():
    X = np.zeros((2, 8, 8, 3), np.uint8)
    assert check_images(X) is X


@given(nps.arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3)))
def test_all_ways_to_give_pixels_agree(images):
    expected = check_images(images).astype(float)
    np.testing.assert_allclose(check_images(images / 255), expected, atol=1e-4)
    np.testing.assert_array_equal(check_images(images.astype(int)), expected)
    floats = images.astype(np.float64)
    np.testing.assert_array_equal(check_images(floats, scale=1), expected)
    if images.max() > 2:
        np.testing.assert_array_equal(check_images(floats), expected)


def test_booleans_are_black_and_white():
    assert set(np.unique(check_images(np.eye(8, dtype=bool)[None]))) == {0, 255}


@pytest.mark.parametrize(
    "groups",
    [
        [0, 0, 1],
        np.array([1.0, 1.0, 2.0]),
        ["a", "b", "b"],
        np.array(["a", "b", "b"], dtype=object),
        np.array([[1], [2], [2]]),
        pd.Series([7, 7, 8], index=[9, 8, 7]),
        pd.Series(["a", "b", "b"], dtype="category"),
        pd.Series([1, 2, 2], dtype="Int64"),
    ],
)
def test_groups_of_any_kind(groups):
    checked = check_per_sample(groups, 3, "groups", "DeepSVC")
    assert checked.shape == (3,)
    assert len(np.unique(checked)) == 2


@pytest.mark.parametrize("weights", [[1, 0, 2], [True, False, True], pd.Series([0.5, 1, 2])])
def test_weights_are_float64(weights):
    checked = check_per_sample(weights, 3, "sample_weight", "DeepSVC")
    assert checked.dtype == np.float64
    np.testing.assert_array_equal(checked, np.asarray(weights, float))


def test_nothing_for_each_sample():
    assert check_per_sample(None, 3, "groups", "DeepSVC") is None


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("groups", [1, 2], "groups of DeepSVC has 2 for 3 samples"),
        ("groups", np.zeros((3, 2)), r"Groups must be 1D.*has shape \(3, 2\)"),
        ("groups", 3, r"groups of DeepSVC has shape \(\) for 3"),
        ("groups", [1.0, np.nan, 2.0], "groups holds 1 missing values.*the first at 1; fill"),
        ("groups", ["a", None, "b"], "groups holds 1 missing"),
        ("groups", ["a", np.nan, "b"], "groups holds 1 missing"),
        ("groups", pd.array([1, None, 2], dtype="Int64"), "groups holds 1 missing"),
        ("groups", [0.5, 1.0, 2.0], "holds fractions, such as 0.5, .*passed as sample_weight="),
        ("groups", ["a", 1, "b"], "groups of DeepSVC mixes text and numbers"),
        ("sample_weight", [1, 2], "sample_weight of DeepSVC has 2 for 3 samples"),
        ("sample_weight", np.ones((3, 2)), "Sample weights must be 1D"),
        ("sample_weight", [1, None, 2], "sample_weight holds 1 missing values"),
        ("sample_weight", [1, np.nan, 2], "or NaN, or infinity: 1 of 3"),
        ("sample_weight", [1, np.inf, 2], "or NaN, or infinity: 1 of 3"),
        ("sample_weight", [1, -1, 2], "Negative values in data passed to `sample_weight`"),
        ("sample_weight", [0, 0, 0], "must not be all zero"),
        ("sample_weight", ["a", "b", "b"], "must hold numbers; got 'a'.*passed as groups="),
    ],
)
def test_what_is_wrong_for_each_sample(name, values, message):
    with pytest.raises(ValueError, match=message):
        check_per_sample(values, 3, name, "DeepSVC")


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (pd.Series([1, 2, 2], dtype="Int64"), "i"),
        (pd.Series([1, 2, 2], dtype="category"), "i"),
        (np.array([True, False, True], dtype=object), "b"),
        (np.array(["a", "b", "b"], dtype=object), "O"),
        (pd.Series(["a", "b", "b"], dtype="category"), "O"),
        (pd.Series(["a", "b", "b"], dtype="string"), "O"),
        ([1, 2, 2], "i"),
    ],
)
def test_objects_get_the_type_that_all_labels_have(y, kind):
    assert check_labels(y, 3).dtype.kind == kind


def test_text_and_numbers_are_not_mixed():
    with pytest.raises(ValueError, match="y mixes text and other labels"):
        check_labels(["a", 1, 2], 3)


def test_labels_of_rows_in_another_order():
    X = pd.DataFrame({"a": [1, 2, 3]}, index=[2, 0, 1])
    with pytest.raises(ValueError, match=r"same index in different orders. Pass y.loc\[X.index\]"):
        check_same_order(X, pd.Series(list("abc")), "compare")
    for y in (pd.Series(list("abc"), index=[2, 0, 1]), pd.Series(list("abc"), index=[7, 8, 9])):
        check_same_order(X, y, "compare")
    check_same_order(X, ["a", "b", "c"], "compare")


def test_masks():
    refuse_masked(np.ma.masked_array([1, 2]), "X")
    with pytest.raises(ValueError, match="X: masked values, 1 of them"):
        refuse_masked(np.ma.masked_array([1, 2], [False, True]), "X")
