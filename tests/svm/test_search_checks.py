"""What a search refuses before it computes anything."""

import numpy as np
import pytest
import sklearn.svm
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from penultimate import (
    SVC,
    PerformanceWarning,
    SVCHalvingSearchCV,
    SVCRandomizedSearchCV,
    SVCSearchCV,
)

X, y = load_iris(return_X_y=True)
SEARCHES = (SVCSearchCV, SVCRandomizedSearchCV, SVCHalvingSearchCV)
GRID = {"svc__C": [1, 10]}


class NeverFitted(StandardScaler):
    def fit(self, *args, **kwargs):
        raise AssertionError("computed something")


def pipeline(last=None):
    return Pipeline([("scaler", NeverFitted()), ("svc", SVC() if last is None else last)])


@pytest.mark.parametrize("make", SEARCHES)
@pytest.mark.parametrize("grid", [{"C": [1, 10]}, [{"C": [1]}, {"C": [10]}]])
def test_a_grid_in_the_place_of_the_estimator(make, grid):
    name = "param_distributions" if make is SVCRandomizedSearchCV else "param_grid"
    for call in (lambda search: search.fit(X, y), is_classifier):
        with pytest.raises(TypeError, match=rf"{make.__name__}\({name}=...\)"):
            call(make(grid))
    assert make(grid).estimator is grid  # `__init__` stores
    assert repr(make(grid))


@pytest.mark.parametrize(
    ("estimator", "name", "nearest"),
    [
        (pipeline(), "C", "svc__C"),
        (pipeline(), "svc__c", "svc__C"),
        (pipeline(), "svm__C", "svc__C"),
        (pipeline(), "with_mean", "scaler__with_mean"),
        (pipeline(), "svc_gamma", "svc__gamma"),
        (Pipeline([("a", NeverFitted()), ("b", pipeline())]), "svc__C", "b__svc__C"),
        (SVC(), "svc__C", "C"),
        (SVC(), "Gamma", "gamma"),
        (sklearn.svm.SVC(), "kernels", "kernel"),
    ],
)
@pytest.mark.parametrize("make", SEARCHES)
def test_an_unknown_parameter_names_the_nearest(make, estimator, name, nearest):
    with pytest.raises(ValueError, match=f"'{name}' .*{make.__name__}.* Did you mean '{nearest}'"):
        make(estimator, {name: [1, 10, 100, 1000] * 5}).fit(X, y)


def test_parameters_of_a_step_that_the_grid_replaces_are_known():
    grid = {"scaler": [StandardScaler(), "passthrough"], "svc__C": [1]}
    SVCSearchCV(Pipeline([("scaler", "passthrough"), ("svc", SVC())]), grid).fit(X, y)
    grid = {"scaler": [StandardScaler()], "scaler__with_std": [True, False], "svc__C": [1]}
    search = SVCSearchCV(Pipeline([("scaler", "passthrough"), ("svc", SVC())]), grid).fit(X, y)
    assert len(search.cv_results_["params"]) == 2


@pytest.mark.filterwarnings("ignore:There are 2 settings, fewer")  # of the randomized one
@pytest.mark.parametrize("make", SEARCHES)
@pytest.mark.parametrize("last", [StandardScaler(), "passthrough", None])
def test_a_pipeline_without_a_classifier(make, last):
    estimator = Pipeline([("scaler", NeverFitted()), ("last", last)])
    with pytest.raises(ValueError, match="last step of the Pipeline .* must be an SVC"):
        make(estimator, {"last__copy": [True, False]}).fit(X, y)


def test_a_pipeline_has_no_default_grid():
    with pytest.raises(ValueError, match="{'svc__C': "):
        SVCSearchCV(pipeline()).fit(X, y)


@pytest.mark.parametrize(
    "scoring",
    [
        "neg_log_loss",
        "neg_brier_score",
        "roc_auc_ovr",
        ["accuracy", "neg_log_loss"],
        {"a": "accuracy", "b": make_scorer(log_loss, response_method="predict_proba")},
    ],
)
@pytest.mark.parametrize(
    ("estimator", "grid"),
    [
        (SVC(), {"C": [1, 10]}),
        (sklearn.svm.SVC(), {"C": [1, 10]}),
        (pipeline(), GRID),
        (pipeline(sklearn.svm.SVC()), {**GRID, "scaler": ["passthrough", NeverFitted()]}),
    ],
)
@pytest.mark.parametrize("trained", [False, True])
def test_metrics_of_probabilities_are_refused(scoring, estimator, grid, trained):
    search = SVCSearchCV(estimator, grid, scoring=scoring, refit=False, return_train_score=trained)
    with pytest.raises(ValueError, match="needs probabilities.*CalibratedClassifierCV"):
        search.fit(X, y)


@pytest.mark.parametrize(
    "scoring", ["roc_auc", "average_precision", "accuracy", "f1", "neg_mean_absolute_error", None]
)
def test_other_metrics_are_not_refused(scoring):
    binary = y[:100]
    search = SVCSearchCV(make_pipeline(StandardScaler(), SVC()), GRID, scoring=scoring)
    assert np.isfinite(search.fit(X[:100], binary).best_score_)


def test_the_metric_of_a_user_is_not_called_to_find_out():
    calls = []

    def metric(labels, predictions):
        calls.append(len(labels))
        return np.mean(labels == predictions)

    search = SVCSearchCV(SVC(), {"C": [1, 10]}, scoring=make_scorer(metric), refit=False)
    search.fit(X, y)
    assert calls == [30] * 10


def test_the_way_out_works():
    calibrated = CalibratedClassifierCV(SVC(), ensemble=False, cv=2)
    search = SVCSearchCV(
        make_pipeline(StandardScaler(), calibrated),
        {"calibratedclassifiercv__estimator__C": [1, 10]},
        scoring="neg_log_loss",
        cv=StratifiedKFold(2),
    )
    with pytest.warns(PerformanceWarning, match="CalibratedClassifierCV"):
        assert search.fit(X, y).best_score_ < 0


@pytest.mark.parametrize("search", [SVCSearchCV, SVCRandomizedSearchCV, SVCHalvingSearchCV])
@pytest.mark.parametrize(
    ("scoring", "words"),
    [
        ("acuracy", "got 'acuracy'. Did you mean 'accuracy'?"),
        (["accuracy", "f1_macr"], "got 'f1_macr'. Did you mean 'f1_macro'?"),
        ({"a": "nothing like it"}, "got 'nothing like it'. All names"),
        ([], "is empty"),
    ],
)
def test_a_misspelt_metric_names_the_argument(search, scoring, words):
    with pytest.raises(ValueError, match=f"'scoring' parameter of {search.__name__}") as caught:
        search(SVC(), {"C": [1, 10]}, scoring=scoring).fit(X, y)
    assert words in str(caught.value)


def test_few_settings_are_tried_once_and_no_other_search_is_advised():
    with pytest.warns(UserWarning, match="2 settings, fewer than n_iter=10") as said:
        search = SVCRandomizedSearchCV(SVC(), {"C": [1, 10]}, n_iter=10).fit(X, y)
    assert len(search.cv_results_["params"]) == 2
    assert "SVCSearchCV" in str(said[0].message)
    assert not [one for one in said if "GridSearchCV" in str(one.message)]
    assert said[0].filename == __file__


@pytest.mark.parametrize(
    ("search", "options"), [(SVCRandomizedSearchCV, {"n_iter": 2}), (SVCHalvingSearchCV, {})]
)
def test_training_scores_on_request(search, options):
    assert "mean_train_score" not in search(SVC(), {"C": [1, 10]}, **options).fit(X, y).cv_results_
    asked = search(SVC(), {"C": [1, 10]}, return_train_score=True, **options)
    with pytest.warns(PerformanceWarning, match="training scores were requested"):
        results = asked.fit(X, y).cv_results_
    assert np.isfinite(results["mean_train_score"]).all()


def test_weights_that_no_step_gets():
    weights = np.ones(len(y))
    piped = SVCSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 10]})
    with pytest.raises(ValueError, match="SVCSearchCV.fit got 'sample_weight'.*svc__sample"):
        piped.fit(X, y, sample_weight=weights)
    with pytest.raises(ValueError, match=r"got 'scv__sample_weight'.*svc__sample_weight="):
        piped.fit(X, y, scv__sample_weight=weights)
    with pytest.raises(ValueError, match="Sample weights must be 1D.*svc__sample_weight"):
        piped.fit(X, y, svc__sample_weight=weights[:3])
    piped.fit(X, y, svc__sample_weight=weights)
    with pytest.raises(ValueError, match="an SVC takes sample_weight"):
        SVCSearchCV(SVC(), {"C": [1, 10]}).fit(X, y, svc__sample_weight=weights)
