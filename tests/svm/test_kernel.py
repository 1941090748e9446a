import numpy as np
import pytest

from penultimate.svm._kernel import Kernel


@pytest.mark.parametrize(
    ("kernel", "norm"),
    [
        (Kernel("rbf", 1.0, 0.0, 1), 1e308),
        (Kernel("linear", 0.0, 0.0, 1), np.inf),
        (Kernel("poly", 1.0, 0.0, 3), 1e120),
        (Kernel("rbf", np.inf, 0.0, 1), 1.0),
    ],
)
def test_overflow_in_fit_says_what_to_do(kernel, norm):
    X = np.array([[7.0]])
    with pytest.raises(ValueError, match=r"go up to 7, .* StandardScaler"):
        kernel.check_fit(X, norm)
    Kernel("rbf", 1.0, 0.0, 1).check_fit(X, 1e300)


def test_far_samples_have_kernel_values_of_zero():
    X, norms = np.array([[1e200, 0.0], [1.0, 2.0]]), np.array([np.inf, 5.0])
    Kernel("rbf", 0.1, 0.0, 1).check_prediction(X, norms, X[1:], 5.0)
    np.testing.assert_array_equal(X, [[0, 0], [1, 2]])
    np.testing.assert_array_equal(norms, [np.inf, 5])


@pytest.mark.parametrize("kernel", [Kernel("linear", 0, 0, 1), Kernel("poly", 1.0, 0.0, 2)])
def test_overflow_in_prediction(kernel):
    X, norms = np.array([[1e200, 0.0]]), np.array([np.inf])
    support = np.array([[1e150, 1.0]])
    with pytest.raises(ValueError, match="entries up to 1e\\+200"):
        kernel.check_prediction(X, norms, support, 1e300)
