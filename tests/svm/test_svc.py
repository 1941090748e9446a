import numpy as np
import pytest
from sklearn import svm
from sklearn.datasets import load_iris
from sklearn.utils.estimator_checks import estimator_checks_generator

from penultimate import SVC

X, y = load_iris(return_X_y=True)

# The two that scikit-learn's own SVC fails: its solver stops at a tolerance.
WEIGHTS = "repeated samples and weights agree only within the solver's tolerance"
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": WEIGHTS,
    "check_sample_weight_equivalence_on_sparse_data": WEIGHTS,
}


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
@pytest.mark.parametrize("C", [0.1, 10])
def test_as_scikit_learn(kernel, C):
    ours, theirs = SVC(C=C, kernel=kernel).fit(X, y), svm.SVC(C=C, kernel=kernel).fit(X, y)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X))
    np.testing.assert_array_equal(ours.support_, theirs.support_)


def test_no_probability():
    with pytest.raises(TypeError, match="probability"):
        SVC(probability=True)
    assert not hasattr(SVC(), "predict_proba")


def test_bad_parameter():
    with pytest.raises(ValueError, match="'C' parameter of SVC must be"):
        SVC(C=-1).fit(X, y)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(SVC(), expected_failed_checks=EXPECTED_FAILURES, mark="xfail")),
)
def test_estimator_check(estimator, check):
    check(estimator)
