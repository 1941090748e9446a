import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penultimate.svm._pairs import SortedClasses, count_votes, pair_decisions, pair_indices


@given(st.lists(st.integers(0, 4), min_size=1))
def test_classes_are_ranges(codes):
    codes = np.array(codes)
    layout = SortedClasses.of(codes, 5)
    for c in range(5):
        members = layout.order[layout.starts[c] : layout.starts[c + 1]]
        np.testing.assert_array_equal(members, np.flatnonzero(codes == c))


def test_decisions_are_sums_over_the_two_classes_of_a_pair():
    rng = np.random.default_rng(0)
    starts = np.array([0, 2, 5, 6])
    K = rng.normal(size=(7, 6))
    coefficients, intercepts = rng.normal(size=(2, 2, 6)), rng.normal(size=(2, 3))
    decisions = pair_decisions(K, coefficients, starts, intercepts)
    assert decisions.shape == (2, 7, 3)
    for s in range(2):
        for pair, (i, j) in enumerate(zip(*pair_indices(3))):
            first, second = np.s_[starts[i] : starts[i + 1]], np.s_[starts[j] : starts[j + 1]]
            expected = (
                K[:, first] @ coefficients[s, j - 1, first]
                + K[:, second] @ coefficients[s, i, second]
                + intercepts[s, pair]
            )
            np.testing.assert_allclose(decisions[s, :, pair], expected)


def test_votes():
    # Pairs (0, 1), (0, 2), (1, 2): a clear winner, and a tie that goes to the lowest class.
    decisions = np.array([[-1.0, -1.0, -1.0], [1.0, -1.0, 1.0]])
    assert count_votes(decisions, 3).tolist() == [2, 0]
