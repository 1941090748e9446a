import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils.multiclass import _ovr_decision_function

from penultimate.svm import _native
from penultimate.svm._pairs import SortedClasses, pair_indices, vote_scores


@given(st.lists(st.integers(0, 4), min_size=1))
def test_classes_are_ranges(codes):
    codes = np.array(codes)
    layout = SortedClasses.of(codes, 5)
    for c in range(5):
        members = layout.order[layout.starts[c] : layout.starts[c + 1]]
        np.testing.assert_array_equal(members, np.flatnonzero(codes == c))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("from_products", [False, True])
@pytest.mark.parametrize("n_samples", [1, 7, 300])  # of which more than 128 are several tasks
def test_decisions_are_sums_over_the_two_classes_of_a_pair(dtype, from_products, n_samples):
    rng = np.random.default_rng(0)
    starts = np.array([0, 2, 2, 5, 6])  # a class without support vectors
    support, samples = rng.normal(size=(6, 3)).astype(dtype), rng.normal(size=(n_samples, 3))
    samples = samples.astype(dtype)
    coefficients = rng.normal(size=(2, 3, 6)).astype(dtype)
    intercepts = rng.normal(size=(2, 6))
    if from_products:
        everything = np.concatenate([support, samples])
        place = np.arange(6, 6 + n_samples), np.arange(6)
        arrays = None, None, everything @ everything.T, *place
    else:
        arrays = samples, support, None, None, None
    winners = np.empty((2, n_samples), np.int32)
    values = np.empty((2, n_samples, 6), dtype)
    norms = [np.einsum("ij,ij->i", a, a) for a in (samples, support)]
    kernel = _native.make_kernel("rbf", 0.3, 0.0, 1)
    _native.core.decide(
        _native.make_context(2), kernel, *arrays, *norms, starts, coefficients, intercepts,
        winners, values,
    )  # fmt: skip
    K = rbf_kernel(samples, support, gamma=0.3)
    for s in range(2):
        votes = np.zeros((n_samples, 4))
        for pair, (i, j) in enumerate(zip(*pair_indices(4))):
            first, second = np.s_[starts[i] : starts[i + 1]], np.s_[starts[j] : starts[j + 1]]
            expected = (
                K[:, first] @ coefficients[s, j - 1, first]
                + K[:, second] @ coefficients[s, i, second]
                + intercepts[s, pair]
            )
            np.testing.assert_allclose(values[s, :, pair], expected, rtol=1e-4, atol=1e-5)
            votes[np.arange(n_samples), np.where(values[s, :, pair] > 0, i, j)] += 1
        # The lowest class wins a tie, as in libsvm.
        np.testing.assert_array_equal(winners[s], votes.argmax(axis=1))


@pytest.mark.parametrize("n", [1, 40, 600])  # of blocks of 256 rows
def test_all_inner_products(n):
    X = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    products = np.empty((n, n), np.float32)
    _native.core.multiply_all(_native.make_context(2), X, products)
    np.testing.assert_allclose(products, X @ X.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_classes", [3, 5, 12])
def test_decisions_by_class_are_those_of_scikit_learn(n_classes):
    n_pairs = n_classes * (n_classes - 1) // 2
    decisions = np.random.default_rng(0).normal(size=(50, n_pairs)).round(1)  # some are zero
    np.testing.assert_allclose(
        vote_scores(decisions, n_classes),
        _ovr_decision_function(decisions < 0, -decisions, n_classes),
    )
