import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.kernel_approximation import RBFSampler
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import estimator_checks_generator

from penultimate import SVC, StreamedSVC
from penultimate.svm import _newton, _streams, streamed

X, y = make_classification(
    5000, 32, n_informative=20, n_classes=4, class_sep=0.8, random_state=0, shuffle=True
)
X = (3 * X + 100).astype(np.float32)  # neither centered nor scaled


def exact(Z, labels, C, weight=None):
    """Return the objectives and the weights of scikit-learn's solution, class by class."""
    machine = LinearSVC(C=C, dual=False, tol=1e-8, max_iter=10_000)
    machine.fit(Z, labels, sample_weight=weight)
    classes = machine.classes_ if len(machine.classes_) > 2 else machine.classes_[1:]
    signs = np.where(labels[:, None] == classes, 1, -1)
    slacks = np.maximum(0, 1 - signs * (Z @ machine.coef_.T + machine.intercept_))
    costs = C * (np.ones(len(Z)) if weight is None else weight)
    norms = (machine.coef_**2).sum(axis=1) + machine.intercept_**2
    return norms / 2 + costs @ slacks**2, machine


@pytest.fixture
def mapped(tmp_path):
    """Return a function that writes an array into a file and maps it."""

    def write(array):
        np.save(tmp_path / "array.npy", array)
        return np.load(tmp_path / "array.npy", mmap_mode="r")

    return write


@pytest.mark.parametrize("C", [0.001, 1, 100])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_objective_is_that_of_scikit_learn(C, n_classes, mapped):
    chosen = y < n_classes
    Z = StandardScaler().fit_transform(X[chosen].astype(float))
    best, theirs = exact(Z, y[chosen], C)
    ours = StreamedSVC(C=C, batch_size=700).fit(mapped(X[chosen]), y[chosen])
    np.testing.assert_allclose(ours.objective_, best, rtol=1e-4)
    assert (ours.duality_gap_ <= 1e-4).all()
    assert ours.n_passes_ <= 12
    np.testing.assert_allclose(
        ours.decision_function(X[chosen]), theirs.decision_function(Z), atol=0.02
    )
    assert ours.coef_.shape == theirs.coef_.shape


def test_the_gap_bounds_the_distance_from_the_optimum():
    Z = StandardScaler().fit_transform(X.astype(float))
    best, _ = exact(Z, y, 1)
    for tol in (0.5, 0.1, 1e-2, 1e-6):
        ours = StreamedSVC(tol=tol).fit(X.astype(float), y)
        assert (ours.duality_gap_ <= tol).all()
        assert (ours.objective_ * (1 - ours.duality_gap_) <= best * (1 + 1e-9)).all()
        assert (ours.objective_ >= best * (1 - 1e-9)).all()


def test_sampled_hessians_change_only_the_number_of_passes(monkeypatch):
    whole = StreamedSVC(tol=1e-6).fit(X, y)
    monkeypatch.setattr(_newton, "_HESSIAN_ROWS", 1500)
    monkeypatch.setattr(_newton, "_HESSIAN_ROWS_PER_FEATURE", 1)
    part = StreamedSVC(tol=1e-6).fit(X, y)
    assert whole.n_passes_ < part.n_passes_ < 40
    np.testing.assert_allclose(part.objective_, whole.objective_, rtol=2e-6)


@pytest.mark.parametrize("size", [1, 37, 5000, 10**6])
def test_the_size_of_a_block_changes_nothing(size):
    rows = slice(0, 300 if size == 1 else None)
    ours = StreamedSVC(batch_size=size, tol=1e-8).fit(X[rows].astype(float), y[rows])
    whole = StreamedSVC(tol=1e-8).fit(X[rows].astype(float), y[rows])
    np.testing.assert_allclose(ours.coef_, whole.coef_, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(ours.predict(X[rows]), whole.predict(X[rows]))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_few_samples_are_solved_in_their_span(kernel, n_classes, dtype, monkeypatch):
    rows = np.flatnonzero(y < n_classes)[:24]  # with the intercept there are 33 weights
    # A feature that is constant, one that is there twice, and a sample that is.
    Z = np.hstack([X[rows, :-2], np.ones((24, 1)), X[rows, :1]]).astype(dtype)
    Z[-1], labels, weight = Z[0], y[rows], 1.0 + np.arange(24) % 3
    machine = StreamedSVC(kernel=kernel, n_components=32, tol=1e-6, batch_size=7, random_state=0)
    widths = []

    def solve(problems, *args, **params):
        widths.append(problems.weights.shape[1])
        return _newton.minimize(problems, *args, **params)

    monkeypatch.setattr(streamed, "minimize", solve)
    few = clone(machine).fit(Z, labels, sample_weight=weight)
    # Samples that do not count make them as many as the weights.
    twice, without = np.concatenate([Z, Z]), np.concatenate([weight, np.zeros(24)])
    many = clone(machine).fit(twice, np.concatenate([labels, labels]), sample_weight=without)
    # Neither is the span used where it takes more memory than there may be.
    limited = clone(machine).set_params(memory_limit=8 * 33**2).fit(Z, labels, weight)
    assert widths[0] == 24
    assert set(widths[1:]) == {33}
    tol = 1e-8 if dtype == "float64" else 1e-3
    for other in (many, limited):
        np.testing.assert_allclose(few.objective_, other.objective_, rtol=2e-6)
        np.testing.assert_allclose(few.coef_, other.coef_, rtol=tol, atol=tol)
        np.testing.assert_allclose(few.intercept_, other.intercept_, rtol=tol, atol=tol)


def test_classes_in_groups_that_fit_into_memory():
    together = StreamedSVC(tol=1e-8).fit(X.astype(float), y)
    apart = StreamedSVC(tol=1e-8, memory_limit=8 * 33**2).fit(X.astype(float), y)
    assert apart.n_passes_ > 2 * together.n_passes_
    np.testing.assert_allclose(apart.coef_, together.coef_, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int16", "uint8", ">f4"])
def test_no_array_is_converted_as_a_whole(dtype, mapped):
    array = mapped(np.round(X).astype(dtype))
    expected = StreamedSVC().fit(np.array(array), y)
    rows = _streams.Rows(StreamedSVC(), array, 100, reset=True)
    assert rows.X is array
    assert {block.dtype for _, block in rows.blocks()} == {rows.dtype}
    assert rows.dtype == ("float32" if dtype in ("float32", "float16", ">f4") else "float64")
    ours = StreamedSVC().fit(array, y)
    np.testing.assert_array_equal(ours.coef_, expected.coef_)
    np.testing.assert_array_equal(ours.predict(array), expected.predict(np.array(array)))


def test_random_features_are_those_of_scikit_learn():
    few, labels = X[:1500], y[:1500]
    ours = StreamedSVC(kernel="rbf", n_components=200, random_state=3).fit(few, labels)
    Z = StandardScaler().fit_transform(few)
    sampler = RBFSampler(gamma=1 / 32, n_components=200, random_state=3).fit(Z)
    best, theirs = exact(sampler.transform(Z).astype(float), labels, 1)
    np.testing.assert_allclose(ours.objective_, best, rtol=1e-3)
    same = ours.predict(few) == theirs.predict(sampler.transform(Z))
    assert same.mean() > 0.99
    assert ours.coef_.shape == (4, 200)


@pytest.mark.slow
def test_random_features_approach_the_kernel_machine():
    digits, labels = load_digits(return_X_y=True)
    ours = StreamedSVC(kernel="rbf", n_components=600, C=10, random_state=0)
    Z = StandardScaler().fit_transform(digits)
    kernel = SVC(C=10).fit(Z[:1200], labels[:1200]).score(Z[1200:], labels[1200:])
    found = ours.fit(digits[:1200].astype(np.float32), labels[:1200])
    assert found.score(digits[1200:].astype(np.float32), labels[1200:]) > kernel - 0.04


@pytest.mark.parametrize("gamma", ["scale", "auto", 0.01])
@pytest.mark.parametrize("standardize", [False, True])
def test_gamma(gamma, standardize):
    iris, kinds = load_iris(return_X_y=True)
    ours = StreamedSVC(
        kernel="rbf", gamma=gamma, standardize=standardize, n_components=10, batch_size=40
    ).fit(iris, kinds)
    Z = StandardScaler().fit_transform(iris) if standardize else iris
    expected = {"scale": 1 / (4 * Z.var()), "auto": 1 / 4, 0.01: 0.01}[gamma]
    assert ours._map.sampler.gamma == pytest.approx(expected)


def test_without_standardization():
    iris, kinds = load_iris(return_X_y=True)
    best, theirs = exact(iris, kinds, 1)
    ours = StreamedSVC(standardize=False, tol=1e-7).fit(iris, kinds)
    np.testing.assert_allclose(ours.objective_, best, rtol=1e-6)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-2)


def test_weights():
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, 5000).astype(float)
    repeated = np.repeat(np.arange(5000), weight.astype(int))
    few = StreamedSVC(tol=1e-8).fit(X.astype(float), y, sample_weight=weight)
    many = StreamedSVC(tol=1e-8).fit(X[repeated].astype(float), y[repeated])
    np.testing.assert_allclose(few.coef_, many.coef_, rtol=1e-4, atol=1e-7)
    balanced = StreamedSVC(class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(balanced.class_weight_, 5000 / (4 * np.bincount(y)))
    halved = StreamedSVC(C=2, class_weight=dict.fromkeys(range(4), 0.5)).fit(X, y)
    np.testing.assert_allclose(halved.coef_, StreamedSVC().fit(X, y).coef_, rtol=1e-5)


def test_labels_of_any_type():
    for names in (np.array(["a", "b", "ü", "d"]), np.array([3.0, 1.0, -2.0, 0.0])):
        ours = StreamedSVC().fit(X, names[y])
        np.testing.assert_array_equal(ours.predict(X), names[StreamedSVC().fit(X, y).predict(X)])
    two = StreamedSVC().fit(X, y > 1)
    decisions = two.decision_function(X[:9])
    np.testing.assert_array_equal(two.predict(X[:9]), decisions > 0)
    np.testing.assert_array_equal(two.class_margins(X[:9]), np.stack([-decisions, decisions]).T)
    four = StreamedSVC().fit(X, y)
    np.testing.assert_array_equal(four.class_margins(X[:9]).argmax(axis=1), four.predict(X[:9]))


def test_constant_features_and_few_samples():
    assert StreamedSVC().fit(np.ones((20, 2)), np.arange(20) % 2).predict([[1, 1]]).shape == (1,)
    for kernel in ("linear", "rbf"):
        two = StreamedSVC(kernel=kernel).fit([[0.0], [1.0]], ["a", "b"])
        np.testing.assert_array_equal(two.predict([[0.1], [0.9]]), ["a", "b"])
    wide = np.random.default_rng(0).normal(size=(6, 40))
    assert StreamedSVC().fit(wide, [0, 0, 1, 1, 2, 2]).score(wide, [0, 0, 1, 1, 2, 2]) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bad_value_is_found_and_its_row_named(value, mapped):
    bad = X.copy()
    bad[4321, 7] = value
    what = "NaN" if np.isnan(value) else "infinity"
    with pytest.raises(ValueError, match=f"contains {what}: row 4321 .*, feature 7"):
        StreamedSVC(batch_size=1000).fit(mapped(bad), y)
    machine = StreamedSVC().fit(X, y)
    with pytest.raises(ValueError, match="row 4321"):
        machine.predict(mapped(bad))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": np.zeros(5000)}, "greater than one; got 1 class"),
        ({"y": y[:-1]}, "inconsistent numbers of samples"),
        ({"X": X[:0], "y": y[:0]}, r"0 sample\(s\)"),
        ({"X": X[:, :0]}, r"0 feature\(s\)"),
        ({"X": X[0]}, "Expected 2D array"),
        ({"X": X.astype(complex)}, "Complex data"),
        ({"sample_weight": np.full(5000, -1.0)}, "Negative values"),
        ({"sample_weight": (y > 0).astype(float)}, "leaves a class without any positive weight"),
        ({"sample_weight": np.ones(3)}, "one per sample"),
        ({"X": np.where(np.arange(32) == 5, 1e200, 1.0) * X.astype(float)}, "feature 5 overflows"),
    ],
)
def test_bad_data(changed, message):
    with pytest.raises(ValueError, match=message):
        StreamedSVC().fit(**{"X": X, "y": y, **changed})


def test_sparse_samples_and_unfitted():
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        StreamedSVC().fit(csr_array(X), y)
    with pytest.raises(NotFittedError):
        StreamedSVC().predict(X)
    with pytest.raises(ValueError, match="33 features, but StreamedSVC is expecting 32"):
        StreamedSVC().fit(X, y).predict(np.ones((3, 33), np.float32))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"C": 0}, "'C' parameter of StreamedSVC must be"),
        ({"C": np.inf}, "'C' parameter of StreamedSVC must be"),
        ({"kernel": "poly"}, "'kernel' parameter of StreamedSVC must be"),
        ({"n_components": 0}, "'n_components' parameter"),
        ({"max_passes": 1}, "'max_passes' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"memory_limit": "much"}, "'memory_limit' parameter must be a positive number"),
        ({"n_jobs": 0}, "must not be 0"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        StreamedSVC(**params).fit(X, y)


def test_a_limit_on_the_passes_is_no_secret():
    with pytest.warns(ConvergenceWarning, match=r"4 of 4 problems .* in 2 passes") as caught:
        ours = StreamedSVC(max_passes=2).fit(X, y)
    assert caught[0].filename == __file__
    assert ours.n_passes_ == 2
    assert (ours.duality_gap_ > 1e-4).all()


def test_values_that_float32_cannot_resolve_end():
    """Not in an endless loop, and with a certificate that is not claimed."""
    rng = np.random.default_rng(0)
    hard = rng.normal(size=(400, 5)).astype(np.float32)
    kinds = (hard[:, 0] > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours = StreamedSVC(C=1e12, tol=1e-9).fit(hard, kinds)
    assert np.isfinite(ours.coef_).all()
    assert ours.score(hard, kinds) > 0.99


def test_a_store_is_read_in_blocks(tmp_path):
    pytest.importorskip("pyarrow")
    from penultimate.store import FeatureStore, content_hashes

    with FeatureStore(tmp_path / "store", key="a") as store:
        store.append(content_hashes(X), X)
    store = FeatureStore(tmp_path / "store")
    position = {row.tobytes(): k for k, row in enumerate(content_hashes(X))}
    order = [position[row.tobytes()] for row in store.hashes]
    ours = StreamedSVC().fit(store, y[order])
    assert _streams.Rows(ours, store, 8, reset=False).X is store
    np.testing.assert_array_equal(ours.coef_, StreamedSVC().fit(X[order], y[order]).coef_)
    for part in (tmp_path / "store" / "parts").glob("*.parquet"):
        part.write_bytes(part.read_bytes()[:-100])
    for matrix in (tmp_path / "store" / "mapped").glob("*.npy"):
        matrix.unlink()
    with pytest.raises(ValueError, match="parquet"):
        StreamedSVC().fit(FeatureStore(tmp_path / "store"), y[order])


def test_it_is_copied_and_pickled():
    ours = StreamedSVC(kernel="rbf", n_components=20, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(ours))  # noqa: S301
    np.testing.assert_array_equal(again.decision_function(X), ours.decision_function(X))
    np.testing.assert_array_equal(clone(ours).fit(X, y).coef_, ours.coef_)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_file(tmp_path):
    """The pages of the file that are mapped count, 73 MiB; any copy would take as much or more."""
    code = f"""
import re
import numpy as np
from penultimate import StreamedSVC

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

file = np.lib.format.open_memmap({str(tmp_path / "big.npy")!r}, "w+", np.float32, (150_000, 128))
file[::100, 0] = 1
file.flush()
del file
big = np.load({str(tmp_path / "big.npy")!r}, mmap_mode="r")
labels = np.arange(150_000) % 2
StreamedSVC(tol=0.9).fit(big[:20_000], labels[:20_000])
before = peak()
StreamedSVC(tol=0.9).fit(big, labels)
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    grown = int(done.stdout) / 1024
    assert grown < 90, f"{grown:.0f} MiB more"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"), list(estimator_checks_generator(StreamedSVC(), mark="xfail"))
)
def test_estimator_check(estimator, check):
    check(estimator)
