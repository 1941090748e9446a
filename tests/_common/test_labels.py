import numpy as np
import pytest

from penultimate._common.labels import check_labels, from_one_hot, is_one_hot

ROWS = np.eye(3, dtype=int)[[0, 2, 1, 2]]


def test_one_hot_rows_of_any_type():
    for rows in (ROWS, ROWS.astype(float), ROWS.astype(bool), ROWS.astype(object), ROWS.tolist()):
        assert is_one_hot(rows)
        assert is_one_hot(rows, signed=True)
    signed = 2 * ROWS - 1
    assert is_one_hot(signed, signed=True)
    assert not is_one_hot(signed)


@pytest.mark.parametrize(
    "rows",
    [
        [0, 1, 1],
        [[0], [1]],
        [[0, 0], [0, 1]],
        [[1, 1], [0, 1]],
        [[0.0, 2.0], [1.0, 0.0]],
        [["0", "1"], ["1", "0"]],
    ],
)
def test_other_labels_are_not_one_hot(rows):
    assert not is_one_hot(rows)
    assert not is_one_hot(rows, signed=True)


def test_classes_of_one_hot_rows():
    for rows in (ROWS, 2 * ROWS - 1):
        assert from_one_hot(rows).tolist() == [0, 2, 1, 2]
    with pytest.raises(ValueError, match="no sample belongs to column 1"):
        from_one_hot(ROWS[[0, 1]])
    assert from_one_hot(ROWS[[0, 1]], whole=False).tolist() == [0, 2]


def test_labels_as_rows_of_text_are_refused():
    with pytest.raises(ValueError, match=r"one label per sample, shape \(n_samples,\); got \(2, 2"):
        check_labels([["0", "1"], ["1", "0"]], 2)


@pytest.mark.parametrize("y", [{"a", "b"}, {0: "a"}, iter("ab")])
def test_labels_without_an_order_or_a_length(y):
    with pytest.raises(TypeError, match="pass a list or an array, with one label per sample"):
        check_labels(y, 2)
