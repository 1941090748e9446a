import numpy as np
import pandas as pd
import pytest

from penultimate._common.progress import SILENT
from penultimate.comparison.given import read_given
from penultimate.datasets import Dataset

X = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
Y = [0, 1, 0, 1]


def read(X, y, *, test=None, subsets=None, groups=None):
    return read_given(X, y, test, subsets, groups, "compact", SILENT)[0]


@pytest.mark.parametrize("as_dataset", [False, True])
@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([1, 2], "groups of compare has 2 for 4 samples"),
        ([1.0, np.nan, 2.0, 2.0], "groups holds 1 missing"),
        (pd.array([1, None, 2, 2], dtype="Int64"), "groups holds 1 missing"),
        (np.array([None, "a", "b", "b"]), "groups holds 1 missing"),
        ([0.1, 0.2, 0.3, 0.4], "groups of compare holds fractions, such as 0.1"),
    ],
)
def test_bad_groups(groups, message, as_dataset):
    given = (Dataset.from_arrays(X, Y), None) if as_dataset else (X, Y)
    with pytest.raises(ValueError, match=message):
        read(*given, groups=groups)
    assert read(*given, groups=pd.array([1, 1, 2, 2], dtype="Int64")).groups.tolist() == [
        1,
        1,
        2,
        2,
    ]


def test_bad_names_of_subsets():
    with pytest.raises(ValueError, match="subsets holds 1 missing"):
        read(X, Y, subsets=np.array(["a", None, "a", "a"]))
    assert set(read(X, Y, subsets=np.array(["a"] * 4)).subsets) == {"a"}


@pytest.mark.parametrize(
    ("first", "second"),
    [(X, X > 99), (X, (X > 99).astype(int)), (X / 255, X.astype(float)), (X / 1.0, X / 255)],
)
def test_a_test_set_on_another_scale(first, second):
    with pytest.raises(ValueError, match="goes up to .* different scales"):
        read(first, Y, test=(second, Y))
    assert read(first, Y, test=(first, Y)).is_test.sum() == 4
