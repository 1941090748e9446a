"""The table of a search, against scikit-learn's own."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV

from penultimate._common.cv_results import make_cv_results

rng = np.random.default_rng(0)
# Ties, failures and nine folds: from eight on, NumPy adds up in another order.
SCORES = {
    "plain": rng.uniform(size=(5, 9)),
    "ties": np.array([[0.5, 0.7], [0.9, 0.7], [0.8, 0.8], [0.6, 0.6], [0.7, 0.9]]),
    "a failed fold": np.array([[0.5, 0.7], [np.nan, 0.7], [0.8, 0.2]]),
    "infinite": np.array([[-np.inf, 0.7], [0.1, 0.2], [np.inf, 0.1]]),
    "one candidate": np.array([[0.1, 0.2, 0.4]]),
    "negative": np.array([[-3.0, -1.0], [-1.0, -2.0], [-2.0, -2.0]]),
}


class Known(ClassifierMixin, BaseEstimator):
    """A classifier with given scores."""

    def __init__(self, candidate=0, other=None, scores=None):
        self.candidate, self.other, self.scores = candidate, other, scores

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self


def table_of(scores, grid):
    """The columns that scikit-learn makes of the same scores; fold k tests sample k alone."""
    n_folds = scores.shape[1]
    X, y = np.arange(n_folds + 1.0)[:, None], np.arange(n_folds + 1) % 2
    search = GridSearchCV(
        Known(scores=scores),
        grid,
        cv=[(np.arange(n_folds + 1), np.array([k])) for k in range(n_folds)],
        scoring=lambda fitted, X, y: fitted.scores[fitted.candidate, int(X[0, 0])],
        refit=False,
    )
    return search.fit(X, y).cv_results_


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("scores", SCORES.values(), ids=SCORES)
def test_columns_are_those_of_scikit_learn(scores):
    theirs = table_of(scores, {"candidate": list(range(len(scores)))})
    times = {name: column for name, column in theirs.items() if name.endswith("_time")}
    ours = make_cv_results(theirs["params"], {"score": scores}, columns=times)
    assert list(ours) == list(theirs)  # in the same order
    for name, column in theirs.items():
        assert_array_equal(ours[name], column, err_msg=name)
        assert np.asarray(ours[name]).dtype == np.asarray(column).dtype, name


def test_tied_candidates_share_the_best_rank_and_failed_ones_the_last():
    ranks = make_cv_results([{}] * 5, {"score": SCORES["ties"]})["rank_test_score"]
    assert ranks.tolist() == [4, 1, 1, 4, 1]
    nan = np.array([[np.nan], [0.1], [0.2], [np.nan]])
    assert make_cv_results([{}] * 4, {"score": nan})["rank_test_score"].tolist() == [3, 2, 1, 3]
    none = np.full((3, 2), np.nan)
    assert make_cv_results([{}] * 3, {"score": none})["rank_test_score"].tolist() == [1, 1, 1]


def test_each_metric_has_its_own_ranks_and_training_scores_have_none():
    test = {"a": np.array([[0.1], [0.2]]), "b": np.array([[0.4], [0.3]])}
    results = make_cv_results([{"C": 1}, {"C": 2}], test, {"a": test["b"], "b": test["a"]})
    assert results["rank_test_a"].tolist() == [2, 1]
    assert results["rank_test_b"].tolist() == [1, 2]
    assert results["mean_train_a"].tolist() == [0.4, 0.3]
    assert "rank_train_a" not in results


VALUES = {
    "numbers": [1, 2.5],
    "text": ["rbf", "linear"],
    "None": [None, "balanced"],
    "pairs": [(1, 2), (3, 4)],
    "of different lengths": [(1,), (3, 4)],
    "booleans": [True, False],
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_parameters_have_the_types_of_scikit_learn(values):
    grid = [{"candidate": [0], "other": values}, {"candidate": [1, 2]}]
    theirs = table_of(np.array([[0.1], [0.2], [0.3]]), grid)
    ours = make_cv_results(theirs["params"], {"score": np.zeros((4, 1))})
    for name in ("param_candidate", "param_other"):
        assert ours[name].dtype == theirs[name].dtype
        assert ours[name].tolist() == theirs[name].tolist()
        assert_array_equal(ours[name].mask, theirs[name].mask)


def test_a_scorer_of_the_table_sees_each_fold():
    """The reference itself: fold k has the scores of column k."""
    found = table_of(SCORES["plain"], {"candidate": [3]})
    assert [found[f"split{k}_test_score"][0] for k in range(9)] == SCORES["plain"][3].tolist()
