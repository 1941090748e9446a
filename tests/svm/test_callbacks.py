"""scikit-learn's callbacks: the tasks that a fit and a search report."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from penultimate import SVC, SVCHalvingSearchCV, SVCRandomizedSearchCV, SVCSearchCV

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.8 has no callbacks")

X, y = load_iris(return_X_y=True)
GRID = {"C": [1, 10, 100], "gamma": [0.1, 1.0]}


class Recorder:
    """Records the names of the tasks that begin and end, and what they hand over."""

    def __init__(self):
        self.begun, self.ended, self.fitted, self.n_running = [], [], [], 0

    def setup(self, estimator, context):
        self.n_running += 1

    def teardown(self, estimator, context):
        self.n_running -= 1

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.begun.append((context.estimator_name, context.task_name))
        if context.parent is None:
            self.given = X, y, metadata

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.ended.append((context.estimator_name, context.task_name))
        self.fitted.append(fitted_estimator)


class Propagated(Recorder):
    max_propagation_depth = None


def names(tasks):
    return [name for _, name in tasks]


def test_a_fit_is_one_task():
    recorder, weights = Recorder(), np.ones(150)
    model = SVC().set_callbacks(recorder)
    assert model.fit(X, y, sample_weight=weights) is model
    assert recorder.begun == recorder.ended == [("SVC", "fit")]
    assert recorder.given == (X, y, {"sample_weight": weights})
    np.testing.assert_array_equal(recorder.fitted[0].predict(X), model.predict(X))
    assert recorder.n_running == 0


def test_callbacks_change_no_result():
    plain = SVCSearchCV(SVC(), GRID).fit(X, y)
    with_them = SVCSearchCV(SVC(), GRID).set_callbacks(Propagated()).fit(X, y)
    for name, column in plain.cv_results_.items():
        if name.endswith("_score"):
            np.testing.assert_array_equal(with_them.cv_results_[name], column)
    np.testing.assert_array_equal(
        with_them.best_estimator_.dual_coef_, plain.best_estimator_.dual_coef_
    )


@pytest.mark.parametrize(
    ("search", "n_fits"),
    [
        (SVCSearchCV(SVC(), GRID, cv=4), 24),
        (SVCRandomizedSearchCV(n_iter=7, cv=3, random_state=0), 21),
    ],
)
def test_a_search_reports_every_fit_and_the_refit(search, n_fits):
    recorder = Propagated()
    search.set_callbacks(recorder).fit(X, y)
    begun = names(recorder.begun)
    assert begun[:2] == ["fit", "search"]
    assert begun[2:-1] == ["candidate-split-evaluation"] * n_fits
    assert recorder.begun[-1] == ("SVC", "fit")  # the classifier's own task
    assert sorted(recorder.begun) == sorted(recorder.ended)
    assert recorder.ended[-1] == (type(search).__name__, "fit")
    assert recorder.n_running == 0
    np.testing.assert_array_equal(recorder.fitted[-1].predict(X), search.predict(X))


def test_without_refit_nothing_is_refitted():
    recorder = Recorder()
    SVCSearchCV(SVC(), GRID, refit=False).set_callbacks(recorder).fit(X, y)
    assert "refit-with-best-params" not in names(recorder.begun)
    again = Recorder()
    SVCSearchCV(SVC(), GRID).set_callbacks(again).fit(X, y)
    assert again.begun[-1] == ("SVCSearchCV", "refit-with-best-params")  # it is not propagated


def test_halving_reports_its_iterations():
    recorder = Propagated()
    search = SVCHalvingSearchCV(SVC(), GRID, random_state=0, cv=3).set_callbacks(recorder)
    search.fit(X, y)
    begun = names(recorder.begun)
    assert begun.count("halving-iteration") == search.n_iterations_ > 1
    assert begun.count("candidate-split-evaluation") == 3 * sum(search.n_candidates_)
    assert sorted(recorder.begun) == sorted(recorder.ended)


@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")
def test_separate_fits_report_those_of_scikit_learns_search():
    recorder = Propagated()
    search = SVCSearchCV(SVC(), {"shrinking": [True, False]}, cv=3).set_callbacks(recorder)
    search.fit(X, y)
    assert search.solver_ == "per-fit"
    assert recorder.begun.count(("SVC", "fit")) == 7  # 6 fits and the refit
    assert ("GridSearchCV", "fit") in recorder.begun
    assert sorted(recorder.begun) == sorted(recorder.ended)


def test_the_solver_reports_while_it_works():
    """Callbacks can end a search before it is done: an error in one is raised."""

    class Impatient(Recorder):
        def on_fit_task_end(self, estimator, context):
            self.ended.append(context.task_name)
            if context.task_name == "candidate-split-evaluation":
                raise TimeoutError("enough")

    recorder, called = Impatient(), []

    def scorer(fitted, samples, labels):
        called.append(1)
        return 0.0

    search = SVCSearchCV(SVC(), GRID, scoring=scorer).set_callbacks(recorder)
    with pytest.raises(TimeoutError, match="enough"):
        search.fit(X, y)
    assert recorder.ended == ["candidate-split-evaluation"]
    assert not called
    assert recorder.n_running == 0


@pytest.mark.parametrize("make", [SVC, lambda: SVCSearchCV(SVC(), GRID)])
def test_progress_bar(make, capsys):
    model = make().set_callbacks(callback.ProgressBar())
    model.fit(X, y)
    assert "100%" in capsys.readouterr().out
    assert not hasattr(pickle.loads(pickle.dumps(model)), "_callback_fit_ctx")  # noqa: S301
    clone(model).fit(X, y)  # callbacks are kept, and their state is not
    assert "100%" in capsys.readouterr().out


def test_inside_searches_of_scikit_learn():
    recorder = Propagated()
    GridSearchCV(SVC(), {"C": [1, 10]}, cv=2).set_callbacks(recorder).fit(X, y)
    assert recorder.begun.count(("SVC", "fit")) == 5
