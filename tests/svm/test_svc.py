import itertools
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import estimator_checks_generator

from penultimate import SVC, SVCSearchCV
from penultimate.svm import _native

X, y = load_iris(return_X_y=True)
DIGITS, DIGIT_LABELS = load_digits(return_X_y=True)

# scikit-learn's own SVC fails this one, too: a solver stops at a tolerance.
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "repeated samples and weights agree only within the solver's tolerance"
    )
}


def both(X, y, *, sample_weight=None, **params):
    """Fit ours and scikit-learn's with the same parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = svm.SVC(**params).fit(X, y, sample_weight=sample_weight)
    return SVC(**params).fit(X, y, sample_weight=sample_weight), theirs


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
@pytest.mark.parametrize("C", [0.1, 1, 100])
@pytest.mark.parametrize("classes", [2, 3])
def test_as_scikit_learn(kernel, C, classes):
    chosen = y < classes
    ours, theirs = both(X[chosen], y[chosen], kernel=kernel, C=C, tol=1e-8, coef0=0.5)
    if kernel == "rbf":
        # Elsewhere other coefficients may give the same function: four features, 150 samples.
        np.testing.assert_array_equal(ours.support_, theirs.support_)
        np.testing.assert_array_equal(ours.n_support_, theirs.n_support_)
        np.testing.assert_array_equal(ours.support_vectors_, theirs.support_vectors_)
        np.testing.assert_allclose(ours.dual_coef_, theirs.dual_coef_, atol=1e-4 * C)
    # libsvm keeps kernel values in float32, and at C = 100 ends some thousandths away.
    close = {"rtol": 1e-2 if C == 100 else 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, **close)
    np.testing.assert_allclose(
        ours.decision_function(X[chosen]), theirs.decision_function(X[chosen]), atol=1e-2
    )
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert (ours.optimality_gap_ <= 1e-8).all()
    if kernel == "linear":
        np.testing.assert_allclose(ours.coef_, theirs.coef_, **close)
    else:
        assert not hasattr(ours, "coef_")


def test_precomputed_kernel():
    K = np.exp(-0.1 * ((X[:, None] - X) ** 2).sum(axis=2))
    ours, theirs = both(K, y, kernel="precomputed", tol=1e-8)
    np.testing.assert_allclose(ours.decision_function(K), theirs.decision_function(K), atol=1e-5)
    as_rbf = SVC(gamma=0.1, tol=1e-8).fit(X, y)
    np.testing.assert_array_equal(ours.support_, as_rbf.support_)
    with pytest.raises(ValueError, match="must be a square matrix"):
        SVC(kernel="precomputed").fit(X, y)


@pytest.mark.parametrize("shape", ["ovr", "ovo"])
def test_decision_function_shapes(shape):
    ours, theirs = both(DIGITS[:500], DIGIT_LABELS[:500], decision_function_shape=shape, tol=1e-6)
    values = ours.decision_function(DIGITS[500:])
    assert values.shape == (len(DIGITS) - 500, 10 if shape == "ovr" else 45)
    np.testing.assert_allclose(values, theirs.decision_function(DIGITS[500:]), atol=1e-4)


def test_ties():
    ours, theirs = both(X, y, break_ties=True, tol=1e-8)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    with pytest.raises(ValueError, match="break_ties must be False"):
        SVC(break_ties=True, decision_function_shape="ovo").fit(X, y).predict(X)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 1: 0.2, 2: 1.0}])
def test_weights(class_weight):
    weight = np.random.default_rng(0).uniform(0, 3, len(y))
    weight[::7] = 0
    ours, theirs = both(X, y, class_weight=class_weight, sample_weight=weight, tol=1e-8)
    np.testing.assert_allclose(ours.class_weight_, theirs.class_weight_)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-5)
    assert not np.isin(np.flatnonzero(weight == 0), ours.support_).any()


def test_class_without_weight():
    with pytest.raises(ValueError, match="sample_weight .* leaves a class"):
        SVC().fit(X, y, sample_weight=(y > 0).astype(float))


@pytest.mark.parametrize("variant", _native.core.variants())
@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
def test_every_instruction_set_solves_the_same_problem(variant, kernel, monkeypatch):
    expected = SVC(kernel=kernel, tol=1e-6, C=10).fit(DIGITS[:400], DIGIT_LABELS[:400])
    monkeypatch.setattr(_native, "VARIANT", variant)
    ours = SVC(kernel=kernel, tol=1e-6, C=10).fit(DIGITS[:400], DIGIT_LABELS[:400])
    np.testing.assert_allclose(
        ours.decision_function(DIGITS), expected.decision_function(DIGITS), atol=1e-3
    )
    assert set(ours.status_) == {"converged"}


@pytest.mark.parametrize("C", [1e-6, 1, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-8])
@pytest.mark.parametrize("separable", [True, False])
def test_every_solve_ends_and_reports_how(C, tol, separable):
    X, y = make_classification(
        150, 6, flip_y=0 if separable else 0.3, class_sep=3 if separable else 0.3, random_state=0
    )
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SVC(C=C, tol=tol).fit(X, y)
    assert time.perf_counter() - start < 20
    (status,), (gap,) = model.status_, model.optimality_gap_
    assert (status == "converged") == (gap <= tol)
    assert [w.category for w in caught] == ([] if gap <= tol else [ConvergenceWarning])
    if C <= 1e6 and tol >= 1e-3:
        assert status == "converged"


def test_iteration_limit():
    with pytest.warns(ConvergenceWarning, match=r"did not reach tol=0.001.*iteration_limit"):
        model = SVC(max_iter=3, C=100).fit(DIGITS, DIGIT_LABELS)
    assert "iteration_limit" in model.status_
    assert model.fit_status_ == 1


def test_unscaled_features_still_converge():
    shifted = X * [1, 1e3, 1e-3, 1] + 1e5
    ours, theirs = both(shifted, y, gamma=1e-6, tol=1e-6)
    np.testing.assert_array_equal(ours.predict(shifted), theirs.predict(shifted))


@pytest.mark.parametrize("factor", [1e15, 1e20, 1e45])
def test_beyond_float32(factor):
    """Inner products that overflow in float32, and samples that do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SVC(kernel="linear", C=1e9).fit(X[:100] * factor, y[:100])
    assert np.isfinite(model.dual_coef_).all()
    assert model.score(X[:100] * factor, y[:100]) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64])
def test_any_layout_of_the_same_numbers(dtype):
    samples = DIGITS[:300].astype(dtype)
    expected = SVC().fit(samples, DIGIT_LABELS[:300]).predict(DIGITS)
    read_only = samples.copy()
    read_only.flags.writeable = False
    for other in (np.asfortranarray(samples), np.repeat(samples, 2, axis=1)[:, ::2], read_only):
        np.testing.assert_array_equal(
            SVC().fit(other, DIGIT_LABELS[:300]).predict(DIGITS), expected
        )


def test_float32_is_kept():
    model = SVC().fit(DIGITS.astype(np.float32), DIGIT_LABELS)
    assert model.support_vectors_.dtype == np.float32
    assert model.decision_function(DIGITS.astype(np.float32)).dtype.kind == "f"


def test_constant_features_and_two_samples():
    assert SVC().fit(np.ones((20, 2)), np.arange(20) % 2).predict([[1, 1]]).shape == (1,)
    assert SVC(C=100).fit([[0.0], [1.0]], ["a", "b"]).predict([[0.1]]) == ["a"]


def test_many_classes():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(120, 8)) * 5
    labels = np.repeat(np.arange(120), 3)
    samples = centers[labels] + rng.normal(size=(360, 8)) * 0.1
    assert SVC(C=10).fit(samples, labels).score(samples, labels) == 1


def test_threads_and_memory_change_nothing_but_time():
    expected = SVC(n_jobs=1).fit(DIGITS, DIGIT_LABELS).decision_function(DIGITS)
    for params in ({"n_jobs": 2}, {"n_jobs": -1}, {"memory_limit": "64KiB"}):
        ours = SVC(**params).fit(DIGITS, DIGIT_LABELS).decision_function(DIGITS)
        np.testing.assert_allclose(ours, expected, atol=2e-2 if "memory_limit" in params else 0)


@pytest.mark.parametrize("limit", ["much", "2 bananas", "0GiB"])
def test_bad_memory_limit(limit):
    with pytest.raises(ValueError, match="'memory_limit' parameter must be a positive number"):
        SVC(memory_limit=limit).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"C": -1}, "'C' parameter of SVC must be"),
        ({"kernel": "sigmoid"}, "'kernel' parameter of SVC must be"),
        ({"tol": 0}, "'tol' parameter of SVC must be"),
        ({"n_jobs": 0}, "'n_jobs' parameter of SVC and its searches must not be 0"),
    ],
)
def test_bad_parameter(params, message):
    with pytest.raises(ValueError, match=message):
        SVC(**params).fit(X, y)


def test_sparse_input_is_rejected():
    with pytest.raises(TypeError, match="[Ss]parse"):
        SVC().fit(csr_array(X), y)


def test_probabilities_come_from_calibration():
    calibrated = CalibratedClassifierCV(SVC(), ensemble=False).fit(X, y)
    assert calibrated.predict_proba(X).shape == (150, 3)


def test_compatibility_parameters_change_nothing():
    idle = {"shrinking": False, "cache_size": 1, "random_state": 0, "verbose": True}
    plain = SVC().fit(X, y)
    np.testing.assert_array_equal(SVC(**idle).fit(X, y).dual_coef_, plain.dual_coef_)
    with pytest.raises(ValueError, match="cache_size"):
        SVC(cache_size=0).fit(X, y)
    assert set(svm.SVC().get_params()) <= set(SVC().get_params())


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
def test_missing_probabilities_say_what_to_do(method):
    fitted = SVC().fit(X, y)
    assert not hasattr(fitted, method)
    with pytest.raises(AttributeError, match=r"CalibratedClassifierCV\(.*ensemble=False"):
        getattr(fitted, method)
    with pytest.raises(ValueError, match=r"CalibratedClassifierCV\(.*ensemble=False"):
        SVC(probability=True).fit(X, y)
    SVC(probability="deprecated").fit(X, y)  # scikit-learn's default


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_bits_repeat_with_the_same_number_of_threads(n_jobs):
    first, second = (SVC(n_jobs=n_jobs, C=10).fit(DIGITS, DIGIT_LABELS) for _ in range(2))
    np.testing.assert_array_equal(first.dual_coef_, second.dual_coef_)
    np.testing.assert_array_equal(first.decision_function(DIGITS), second.decision_function(DIGITS))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
@pytest.mark.serial
def test_ctrl_c_returns_immediately():
    """From a fit and from a search, in one process that catches it both times."""
    code = (
        "import numpy as np; from penultimate import SVC, SVCSearchCV\n"
        "rng = np.random.default_rng(0); X = rng.normal(size=(12000, 30))\n"
        "y = rng.integers(0, 2, 12000)\n"
        "for estimator in (SVC(C=1e6, tol=1e-8), SVCSearchCV(verbose=1)):\n"
        "    try:\n"
        "        print('go', flush=True); estimator.fit(X, y); print('fitted', flush=True)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=dict(os.environ),
    )
    for _ in range(2):
        assert process.stdout.readline() == "go\n"
        time.sleep(0.7)
        start = time.perf_counter()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert time.perf_counter() - start < 5  # under one, where nothing else runs
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(SVC(), expected_failed_checks=EXPECTED_FAILURES, mark="xfail")),
)
def test_estimator_check(estimator, check):
    check(estimator)


def test_class_margins_are_the_smallest_decision_values():
    rng = np.random.default_rng(0)
    for n_classes in (2, 3, 5):
        X, y = rng.normal(size=(90, 4)), rng.integers(0, n_classes, 90)
        machine = SVC(decision_function_shape="ovo").fit(X, y)
        decisions = machine.decision_function(X).reshape(90, -1)
        if n_classes == 2:
            decisions = -decisions  # which is positive for the second
        values = np.full((90, n_classes, n_classes), np.inf)
        for column, (i, j) in enumerate(itertools.combinations(range(n_classes), 2)):
            values[:, i, j], values[:, j, i] = decisions[:, column], -decisions[:, column]
        np.testing.assert_allclose(machine.class_margins(X), values.min(axis=2))
        agree = machine.classes_[machine.class_margins(X).argmax(axis=1)] == machine.predict(X)
        assert agree.mean() > 0.9
        search = SVCSearchCV(param_grid={"C": [1.0]}, cv=2).fit(X, y)
        assert search.class_margins(X).shape == (90, n_classes)


@pytest.mark.parametrize("make", [SVC, lambda **params: SVCSearchCV(SVC(**params), cv=2)])
def test_warnings_point_to_the_line_that_fits(make):
    """Through the decorators that scikit-learn puts around our methods."""
    samples, labels = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make(C=1e6, max_iter=3).fit(samples, labels)
    assert caught[0].filename == __file__
