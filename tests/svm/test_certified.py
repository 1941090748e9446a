"""Every solve ends with a true status, for any C and tolerance, with or without scaling."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning

from penultimate import SVC


def noise():
    rng = np.random.default_rng(0)
    return rng.normal(size=(120, 3)), rng.integers(0, 3, 120)


def unscaled():
    X, y = make_classification(120, 6, random_state=0)
    return X * 10.0 ** np.arange(-3, 3) + 1e4, y


def few(load):
    X, y = load(return_X_y=True)
    return X[::5], y[::5]


DATA = {
    "digits": lambda: few(load_digits),
    "iris": lambda: few(load_iris),
    "noise": noise,
    "unscaled": unscaled,
}
# Problems for which float64 and a few thousand iterations per sample must suffice.
EASY = {"digits", "iris"}


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
@pytest.mark.parametrize("name", DATA)
def test_every_solve_reports_how_it_ended(name, kernel):
    X, y = DATA[name]()
    for C in (1e-6, 1e-3, 1.0, 1e3, 1e6, 1e9):
        for tol in (1e-1, 1e-3, 1e-5, 1e-8):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model = SVC(kernel=kernel, C=C, tol=tol, max_iter=20_000).fit(X, y)
            case = f"C={C:g}, tol={tol:g}"
            converged = model.status_ == "converged"
            within = model.optimality_gap_ <= tol
            # A pair that used up its iterations may have converged with the last of them.
            assert (within[converged]).all(), case
            assert not (within & (model.status_ == "precision_limit")).any(), case
            expected = [] if converged.all() else [ConvergenceWarning]
            assert [warning.category for warning in caught] == expected, case
            assert model.fit_status_ == int(not converged.all())
            assert np.isfinite(model.dual_coef_).all(), case
            assert np.isfinite(model.intercept_).all(), case
            assert (np.abs(model.dual_coef_) <= C).all(), case
            if name in EASY and kernel == "rbf" and (C <= 1e3 and tol >= 1e-5):
                assert converged.all(), case


def test_the_gap_is_that_of_the_coefficients():
    """Residuals are updated; with large kernel values, they drift far from the true ones."""
    rng = np.random.default_rng(4)
    samples, labels = rng.normal(size=(20, 3)) + 100, np.arange(20) % 2
    model = SVC(kernel="poly", gamma=1.0, coef0=1.0, C=100).fit(samples, labels)
    b = np.zeros(20)
    b[model.support_] = model.dual_coef_[0]
    K = (samples @ samples.T + 1) ** 3
    residuals = np.where(labels, 1.0, -1.0) - K @ b
    grow, shrink = b < np.where(labels, 100, 0), b > np.where(labels, 0, -100)
    gap = residuals[grow].max() - residuals[shrink].min()
    rounding = 1e-14 * K.max() * np.abs(b).sum()
    assert gap <= model.optimality_gap_[0] + rounding
