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
    with pytest.raises(ValueError, match=r"one entry a sample, shape \(2,\); got shape \(3,\)"):
        Dataset.from_arrays(np.zeros((2, 4, 4)), [0, 1], groups=[1, 2, 3])
