"""Names of classes and subsets."""

from hypothesis import given
from hypothesis import strategies as st

from penultimate.datasets import natural_order
from penultimate.datasets.class_names import printable


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_numbers_sort_as_numbers(numbers):
    names = natural_order(f"class {n}" for n in numbers)
    assert names == [f"class {n}" for n in sorted(set(numbers))]


@given(st.lists(st.text(max_size=5)))
def test_natural_order_is_a_fixed_order_of_distinct_names(names):
    ordered = natural_order(names)
    assert set(ordered) == set(names)
    assert ordered == natural_order(reversed(names))


def test_names_of_any_kind_can_be_written():
    assert printable("Gl\u00e4ser") == "Gl\u00e4ser"
    assert printable(b"caf\xe9") == r"caf\xe9"
    assert printable("caf\udce9") == r"caf\udce9"  # as the file system gives invalid bytes
    assert printable(3.0) == "3.0"
