import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

from penultimate import SVC
from penultimate.svm import _grid_engine as _grid
from penultimate.svm._grid_engine import Fold, GridEngine, Setting

X, y = load_digits(return_X_y=True)
X, y = X[:500], y[:500]
FOLDS = [Fold(*split) for split in StratifiedKFold(3).split(X, y)]
SETTINGS = [
    Setting(k, SVC(C=C, gamma=gamma, tol=1e-4))
    for k, (C, gamma) in enumerate([(1, 1e-3), (10, 1e-3), (100, 1e-4), (1, 3e-4)])
]


def run(with_decisions=True, **params):
    params = {"memory": 2**30, **params}
    engine = GridEngine(X, y, FOLDS, **params)
    outcomes = [((o.setting, o.fold), o) for o in engine.run(SETTINGS, with_decisions)]
    assert len(outcomes) == len(dict(outcomes)) == len(SETTINGS) * len(FOLDS)
    return dict(outcomes)


@pytest.fixture(scope="module")
def outcomes():
    return run()


def test_each_outcome_equals_that_of_a_separate_classifier(outcomes):
    for setting in SETTINGS:
        for number, fold in enumerate(FOLDS):
            outcome = outcomes[setting.index, number]
            alone = SVC(**setting.estimator.get_params()).set_params(decision_function_shape="ovo")
            alone.fit(X[fold.train], y[fold.train])
            values = alone.decision_function(X[fold.test])
            np.testing.assert_allclose(outcome.decisions, values, atol=2e-3)
            assert outcome.gap <= 1e-4
            assert np.mean(outcome.winners == alone.predict(X[fold.test])) > 0.99


@pytest.mark.parametrize("params", [{"n_jobs": 1}, {"n_jobs": 3}, {"memory": 400_000}])
def test_threads_and_memory_change_nothing(params, outcomes):
    for place, outcome in run(**params).items():
        np.testing.assert_allclose(outcome.decisions, outcomes[place].decisions, atol=2e-4)


def test_a_second_run_gives_the_same(outcomes):
    for place, outcome in run().items():
        np.testing.assert_array_equal(outcome.decisions, outcomes[place].decisions)


def test_solutions_that_do_not_fit_into_memory_together(outcomes, monkeypatch):
    batches, batch = [], GridEngine._batch

    def note(engine, jobs):
        batches.append(len(taken := batch(engine, jobs)))
        return taken

    monkeypatch.setattr(GridEngine, "_batch", note)
    run()
    assert batches == [3]  # as many as there are values of gamma
    monkeypatch.setattr(_grid, "_SOLUTIONS_SHARE", 0.0)
    for place, outcome in run().items():
        np.testing.assert_array_equal(outcome.decisions, outcomes[place].decisions)
    assert batches == [3, 1, 1, 1]


def test_with_two_classes_each_fold_is_a_task():
    keep = y < 2
    folds = [Fold(*split) for split in StratifiedKFold(3).split(X[keep], y[keep])]
    engine = GridEngine(X[keep], y[keep], folds, memory=2**30)
    outcomes = list(engine.run(SETTINGS))
    assert len({(o.setting, o.fold) for o in outcomes}) == len(SETTINGS) * len(folds)
    for outcome in outcomes:
        fold, estimator = folds[outcome.fold], SETTINGS[outcome.setting].estimator
        alone = SVC(**estimator.get_params()).fit(X[keep][fold.train], y[keep][fold.train])
        np.testing.assert_array_equal(outcome.winners, alone.predict(X[keep][fold.test]))
        assert outcome.decisions is None


def test_progress_only_increases_and_reaches_the_end():
    reported = []
    run(with_decisions=False, on_progress=reported.append)
    assert reported == sorted(reported)
    assert reported[-1] == 1.0
