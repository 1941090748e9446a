import numpy as np
import pandas as pd
from scipy import sparse

from penultimate._common.per_sample import take_rows

ROWS = np.array([2, 0])


def test_per_sample_parameters_are_indexed():
    given = {
        "array": np.arange(3),
        "list": ["a", "b", "c"],
        "series": pd.Series([1, 2, 3], index=[7, 8, 9]),
        "frame": pd.DataFrame({"a": [1, 2, 3]}),
        "sparse": sparse.csr_array(np.eye(3)),
    }
    taken = take_rows(given, ROWS, 3)
    assert taken["array"].tolist() == [2, 0]
    assert taken["list"] == ["c", "a"]
    assert taken["series"].tolist() == [3, 1]
    assert taken["frame"]["a"].tolist() == [3, 1]
    assert taken["sparse"].toarray().tolist() == [[0, 0, 1], [1, 0, 0]]


def test_the_rest_stays():
    given = {"text": "abc", "dict": {1: 2, 3: 4, 5: 6}, "other length": [1, 2], "none": None}
    assert take_rows(given, ROWS, 3) == given
