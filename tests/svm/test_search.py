import numpy as np
import pytest
from sklearn import svm
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, PredefinedSplit
from sklearn.utils.estimator_checks import estimator_checks_generator

from penultimate import SVC, SVCSearchCV

X, y = load_iris(return_X_y=True)
GRID = {"C": [0.1, 1, 10], "gamma": [0.01, 0.1]}


def test_as_grid_search():
    ours, theirs = SVCSearchCV(param_grid=GRID).fit(X, y), GridSearchCV(svm.SVC(), GRID).fit(X, y)
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == theirs.best_score_
    assert set(ours.cv_results_) == set(theirs.cv_results_)
    np.testing.assert_array_equal(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.decision_function(X).shape == (150, 3)
    assert ours.score(X, y) == theirs.score(X, y)


def test_default_grid_follows_the_scale_of_the_features():
    small, large = SVCSearchCV().fit(X, y), SVCSearchCV().fit(1000 * X, y)
    assert large.best_params_["gamma"] == pytest.approx(small.best_params_["gamma"] / 1e6)
    assert large.best_score_ == small.best_score_
    assert set(SVCSearchCV(SVC(kernel="linear")).fit(X, y).best_params_) == {"C"}
    gram = X @ X.T
    assert set(SVCSearchCV(SVC(kernel="precomputed")).fit(gram, y).best_params_) == {"C"}


def test_constant_features():
    search = SVCSearchCV().fit(np.ones((20, 3)), np.arange(20) % 2)
    assert np.isfinite(search.best_params_["gamma"])


def test_any_splitter_and_groups():
    fold = np.where(np.arange(150) % 5, -1, 0)
    held_out = SVCSearchCV(param_grid=GRID, cv=PredefinedSplit(fold)).fit(X, y)
    assert held_out.n_splits_ == 1
    search = SVCSearchCV(param_grid=GRID, cv=GroupKFold(3))
    assert search.fit(X, y, groups=np.arange(150) % 7).n_splits_ == 3


def test_no_refit():
    search = SVCSearchCV(param_grid=GRID, refit=False).fit(X, y)
    assert search.best_params_
    with pytest.raises(AttributeError, match="predict"):
        search.predict(X)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        SVCSearchCV().predict(X)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(SVCSearchCV(param_grid={"C": [1, 10]}, cv=2))),
)
def test_estimator_check(estimator, check):
    check(estimator)
