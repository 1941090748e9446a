import numpy as np
import pytest

from penultimate.svm import _native
from penultimate.svm._pairs import SortedClasses
from penultimate.svm._samples import SamplesInFloat32, form_for

RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 3, 60)
LAYOUT = SortedClasses.of(CODES, 3)


def make(X, form="centered", memory=2**30):
    return SamplesInFloat32(X, LAYOUT, form, memory, _native.make_context(2))


def test_forms():
    kernels = ["rbf", "linear", "poly", "precomputed"]
    assert [form_for(k) for k in kernels] == ["centered", "centered", "plain", "gram"]


def test_with_few_features_inner_products_are_within_classes():
    X = RNG.normal(size=(60, 4)) + 5
    samples = make(X)
    assert samples.products is None
    X = (X - X.mean(axis=0))[LAYOUT.order]
    sizes = np.diff(LAYOUT.starts)
    blocks = np.split(samples.within, np.cumsum(sizes**2)[:-1])
    for c, (size, block) in enumerate(zip(sizes, blocks)):
        part = X[LAYOUT.starts[c] : LAYOUT.starts[c + 1]]
        np.testing.assert_allclose(block.reshape(size, size), part @ part.T, atol=1e-4)


def test_with_many_features_all_inner_products_are_computed():
    X = RNG.normal(size=(60, 300)).astype(np.float32)
    samples = make(X, "plain")
    X = X[LAYOUT.order]
    np.testing.assert_allclose(samples.products, X @ X.T, rtol=1e-4, atol=1e-3)
    assert samples.X is None
    assert samples.nbytes == 4 * 60**2


@pytest.mark.parametrize("n_features", [4, 300])
def test_memory_too_small_for_inner_products(n_features):
    samples = make(RNG.normal(size=(60, n_features)), memory=1000)
    assert samples.products is None
    assert samples.within is None
    assert samples.nbytes == 0


def test_inputs_are_not_changed():
    X = RNG.normal(size=(60, 4)).astype(np.float32)
    before = X.copy()
    make(X)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    ("factor", "gamma", "resolved"),
    [(1, 1.0, True), (1e-20, 1.0, False), (1e20, 1.0, False), (1e3, 1.0, False), (1e3, 1e-6, True)],
)
def test_what_float32_resolves(factor, gamma, resolved):
    assert make(factor * RNG.normal(size=(60, 4))).resolve(gamma) == resolved


def test_constant_features_are_resolved_by_float32():
    """All distances are 0, unlike those of features so small that their squares underflow."""
    assert make(np.ones((60, 4))).resolve(1.0)
    assert not make(np.linspace(0, 1e-30, 240).reshape(60, 4)).resolve(1.0)
