"""Every solve ends, and says how: any C and tolerance, scaled features or not."""

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
# Where float64 and some thousand iterations a sample must be enough.
EASY = {"digits", "iris"}


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
@pytest.mark.parametrize("name", DATA)
def test_every_solve_says_how_it_ended(name, kernel):
    X, y = DATA[name]()
    for C in (1e-6, 1e-3, 1.0, 1e3, 1e6, 1e9):
        for tol in (1e-1, 1e-3, 1e-5, 1e-8):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model = SVC(kernel=kernel, C=C, tol=tol, max_iter=20_000).fit(X, y)
            case = f"C={C:g}, tol={tol:g}"
            converged = model.status_ == "converged"
            within = model.optimality_gap_ <= tol
            # A pair that used up its iterations may have arrived with the last of them.
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
