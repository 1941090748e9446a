"""Our searches accept and reject what scikit-learn's do, and warn when they are slow."""

import copy
import pickle
import warnings
from io import BytesIO

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR, NuSVC

from penultimate import (
    SVC,
    PerformanceWarning,
    SVCHalvingSearchCV,
    SVCRandomizedSearchCV,
    SVCSearchCV,
)

X, y = load_iris(return_X_y=True)
GRID = {"C": [0.1, 10], "gamma": [0.01, 0.1]}
SEARCHES = {
    "grid": lambda cv=3, **params: SVCSearchCV(SVC(), GRID, cv=cv, **params),
    "random": lambda cv=3, **params: SVCRandomizedSearchCV(
        n_iter=4, random_state=0, cv=cv, **params
    ),
    "halving": lambda cv=3, **params: SVCHalvingSearchCV(
        SVC(), GRID, random_state=0, cv=cv, **params
    ),
}
every_search = pytest.mark.parametrize("make", SEARCHES.values(), ids=SEARCHES)


def right(fitted, samples, labels):
    return np.mean(fitted.predict(samples) == labels)


def both(fitted, samples, labels):
    return {"right": right(fitted, samples, labels), "wrong": -right(fitted, samples, labels)}


class Sure:
    """A scorer that is an object, and uses decision values."""

    def __call__(self, fitted, samples, labels):
        return float(np.sort(fitted.decision_function(samples))[:, -1].mean())


def by_few(results):
    return int(np.argmin(results["param_C"].astype(float)))


SCORINGS = {
    "a function": {"scoring": right},
    "an object": {"scoring": Sure()},
    "a made scorer": {"scoring": make_scorer(f1_score, average="macro")},
    "a list": {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"},
    "a tuple": {"scoring": ("accuracy", "balanced_accuracy"), "refit": False},
    "a dict": {"scoring": {"mine": right, "theirs": "accuracy"}, "refit": "mine"},
    "a function of several": {"scoring": both, "refit": "right"},
    "a function of several, none refitted": {"scoring": both, "refit": False},
    "a function that refits": {"scoring": "f1_macro", "refit": by_few},
    "several, and a function that refits": {"scoring": ["accuracy", "f1_macro"], "refit": by_few},
    "a single metric by its name": {"scoring": "accuracy", "refit": "accuracy"},
}


def fit_both(params, fit_params=None, grid=GRID, samples=X, labels=y):
    """Fit our search and scikit-learn's; return both with their warnings."""
    params, found = {"cv": 3, **params}, []
    for make in (SVCSearchCV, GridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            search = make(SVC(tol=1e-5), grid, **params).fit(samples, labels, **(fit_params or {}))
        found.append((search, [each.category for each in caught]))
    return found


def same(ours, theirs):
    assert set(ours.cv_results_) == set(theirs.cv_results_)
    for name, expected in theirs.cv_results_.items():
        if "time" not in name and name != "params":
            np.testing.assert_allclose(
                np.asarray(ours.cv_results_[name], float), np.asarray(expected, float), atol=1e-3
            )
    public = {name for name in vars(theirs) if name.endswith("_")}
    assert public <= set(dir(ours))
    assert ours.multimetric_ == theirs.multimetric_
    for name in ("best_index_", "best_params_"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)
    assert hasattr(ours, "best_score_") == hasattr(theirs, "best_score_")
    assert type(ours.scorer_) is type(theirs.scorer_)


@pytest.mark.parametrize("params", SCORINGS.values(), ids=SCORINGS)
def test_any_scoring_is_solved_jointly(params):
    (ours, our_warnings), (theirs, their_warnings) = fit_both(params)
    same(ours, theirs)
    assert ours.solver_ == "joint"
    assert set(our_warnings) == set(their_warnings)
    if params.get("refit", True):
        assert type(ours.best_estimator_) is SVC
        if callable(params.get("refit")) and ours.multimetric_:
            with pytest.raises(ValueError, match="its refit is a callable"):
                ours.score(X, y)
        else:
            assert ours.score(X, y) == pytest.approx(theirs.score(X, y), abs=1e-6)
    with (
        pytest.raises(AttributeError)
        if not params.get("refit", True)
        else warnings.catch_warnings()
    ):
        ours.predict(X)


@pytest.mark.parametrize("params", list(SCORINGS.values())[:8], ids=list(SCORINGS)[:8])
def test_any_scoring_with_weights(params):
    weights = np.random.default_rng(0).uniform(0.5, 2, 150)
    if isinstance(params["scoring"], dict):
        params = {**params, "scoring": {"mine": make_scorer(f1_score, average="micro")}}
        params["refit"] = "mine"
    (ours, our_warnings), (theirs, their_warnings) = fit_both(params, {"sample_weight": weights})
    same(ours, theirs)
    assert set(our_warnings) == set(their_warnings)


def test_a_scorer_may_use_more_than_predictions(monkeypatch):
    """Support vectors, other methods, and samples other than those it was given."""
    monkeypatch.setattr("penultimate.svm._joint_search._FEWEST_SAMPLES", 1)

    def few(fitted, samples, labels):
        return -len(fitted.support_)

    def on_others(fitted, samples, labels):
        return fitted.score(X, y) + 0 * fitted.class_margins(samples).sum()

    scoring = {"few": few, "others": on_others}
    (ours, warned), (theirs, _) = fit_both({"scoring": scoring, "refit": "few", "cv": 3})
    same(ours, theirs)
    assert warned == [PerformanceWarning]


def broken(fitted, samples, labels):
    raise ZeroDivisionError("a fault of the user's")


@pytest.mark.parametrize("scoring", [broken, {"a": broken, "b": "accuracy"}])
def test_a_failing_scorer_keeps_its_error(scoring):
    params = {"scoring": scoring, "refit": False, "error_score": "raise"}
    errors = []
    for make in (SVCSearchCV, GridSearchCV):
        with pytest.raises(ZeroDivisionError) as caught:
            make(SVC(), GRID, **params).fit(X, y)
        errors.append(caught.value)
    assert repr(errors[0]) == repr(errors[1])


def test_a_failing_scorer_is_called_once_per_fit_and_gets_error_score():
    calls = []

    def scorer(fitted, samples, labels):
        calls.append(1)
        raise ZeroDivisionError

    with pytest.warns(UserWarning, match="Scoring failed"):
        search = SVCSearchCV(SVC(), GRID, scoring=scorer, error_score=0.25, cv=3).fit(X, y)
    assert len(calls) == 12
    assert set(search.cv_results_["mean_test_score"]) == {0.25}
    assert search.solver_ == "joint"


@pytest.mark.parametrize(
    "params",
    [
        {"refit": "x"},
        {"refit": "x", "scoring": "accuracy"},
        {"refit": "x", "scoring": ["accuracy", "f1_macro"]},
        {"refit": True, "scoring": ["accuracy", "f1_macro"]},
        {"refit": "x", "scoring": {"a": "accuracy"}},
    ],
)
def test_refit_that_names_no_metric_is_rejected_before_anything_is_computed(params):
    drawn = []

    class Folds(StratifiedKFold):
        def split(self, *args, **kwargs):
            drawn.append(1)
            return super().split(*args, **kwargs)

    with pytest.raises(ValueError, match="'refit' parameter"):
        SVCSearchCV(SVC(), GRID, cv=Folds(), **params).fit(X, y)
    assert not drawn


def test_a_function_that_scores_one_metric_is_not_refitted_by_another():
    with pytest.raises(ValueError, match="'refit' parameter .* 'x'"):
        SVCSearchCV(SVC(), GRID, scoring=right, refit="x").fit(X, y)


def test_the_first_of_tied_settings_is_the_best():
    grid = {"C": [100, 1, 10, 1e-5]}
    for make in (SVCSearchCV, GridSearchCV):
        search = make(SVC(), grid, cv=4).fit(X[:100], y[:100])  # separable, unless C is tiny
        assert search.cv_results_["rank_test_score"].tolist()[:3] == [1, 1, 1]
        assert search.best_params_ == {"C": 100}
        assert search.best_index_ == 0


@pytest.mark.parametrize(("refit", "best"), [("right", {"C": 1.0}), ("wrong", {"C": 1e-3})])
def test_the_metric_of_refit_chooses(refit, best):
    grid = {"C": [1e-3, 1.0], "class_weight": [{0: 5}]}
    search = SVCSearchCV(SVC(), grid, scoring=both, refit=refit).fit(X, y)
    best = {**best, "class_weight": {0: 5}}
    assert search.best_params_ == best
    assert search.best_score_ == search.cv_results_[f"mean_test_{refit}"][search.best_index_]
    assert best["C"] == search.best_estimator_.C
    assert search.score(X, y) == both(search.best_estimator_, X, y)[refit]


def test_where_a_scorer_of_several_metrics_fails_all_get_error_score():
    def sometimes(fitted, samples, labels):
        if fitted.C > 1:
            raise ZeroDivisionError
        return both(fitted, samples, labels)

    with pytest.warns(UserWarning, match="Scoring failed"):
        search = SVCSearchCV(
            SVC(), {"C": [10, 1]}, scoring=sometimes, refit="wrong", error_score=-9, cv=2
        ).fit(X, y)
    assert search.cv_results_["mean_test_right"][0] == -9
    assert search.cv_results_["rank_test_wrong"].tolist() == [2, 1]
    assert search.multimetric_


@pytest.mark.parametrize("scoring", ["adjusted_rand_score", right])
def test_a_metric_without_weights_warns_once_and_is_computed_without(scoring):
    weights = np.random.default_rng(0).uniform(0.5, 2, 150)
    params = {"scoring": scoring, "cv": 3}
    (ours, our_warnings), (theirs, _) = fit_both(params, {"sample_weight": weights})
    same(ours, theirs)
    assert our_warnings == [UserWarning]


def test_a_scorer_that_fails_with_weights_and_without_gets_error_score():
    def scorer(fitted, samples, labels, sample_weight=None):
        raise TypeError("a fault of the user's")

    search = SVCSearchCV(SVC(), GRID, scoring=scorer, error_score=0.5, cv=2)
    with pytest.warns(UserWarning, match="Scoring failed"):
        search.fit(X, y, sample_weight=np.ones(150))
    assert set(search.cv_results_["mean_test_score"]) == {0.5}


SLOW = {
    "training scores": ({"return_train_score": True}, GRID, X, y, "training scores"),
    "a parameter that is not shared": ({}, {"shrinking": [True, False]}, X, y, "'shrinking'"),
    "a limit": ({"estimator": SVC(max_iter=100_000)}, GRID, X, y, "max_iter"),
    "a setting that fails": ({"error_score": 0.5}, {"C": [-1, 1]}, X, y, "'C': -1"),
    "no memory": ({"estimator": SVC(memory_limit="1KiB")}, GRID, X, y, "memory limit"),
    "another classifier": (
        {"estimator": make_pipeline(StandardScaler(), NuSVC())},
        {"nusvc__nu": [0.1, 0.2]},
        X,
        y,
        "sklearn's NuSVC",
    ),
    "a class without samples": (
        {"cv": [(np.arange(60), np.arange(50, 100))]},
        GRID,
        X[40:140],
        np.where(np.arange(100) < 99, y[40:140], 5),
        "some class",
    ),
}


@pytest.mark.parametrize("case", SLOW.values(), ids=SLOW)
def test_a_slow_search_warns_once_with_the_reason(case, capsys):
    params, grid, samples, labels, why = case
    params = {"estimator": SVC(), "cv": 3, **params}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = SVCSearchCV(param_grid=grid, verbose=1, **params).fit(samples, labels)
        theirs = GridSearchCV(param_grid=grid, **params).fit(samples, labels)
    told = [each for each in caught if each.category is PerformanceWarning]
    assert len(told) == 1
    assert why in str(told[0].message)
    assert told[0].filename == __file__  # the user's own line
    assert ours.solver_ == "per-fit"
    same(ours, theirs)
    said = capsys.readouterr()
    assert "Fitting" in said.out  # scikit-learn's own progress
    assert "0%" not in said.err


@every_search
def test_a_fast_search_does_not_warn(make):
    search = make().fit(X, y)  # a warning is an error here
    assert search.solver_ == "joint"
    assert search.cv_results_["mean_fit_time"].min() > 0
    assert len(search.cv_results_["std_fit_time"]) == len(search.cv_results_["params"])


@pytest.mark.parametrize("grid", [GRID, {"C": [1, 10], "shrinking": [True]}])
@pytest.mark.parametrize(
    "cv",
    [
        lambda: (split for split in StratifiedKFold(3).split(X, y)),
        lambda: iter(list(StratifiedKFold(3).split(X, y))),
        lambda: StratifiedKFold(3, shuffle=True, random_state=np.random.RandomState(3)),
        lambda: ShuffleSplit(3, random_state=np.random.RandomState(3)),
        lambda: ShuffleSplit(3),  # draws from NumPy's own generator
    ],
    ids=["generator", "iterator", "shuffled", "random", "random by the process"],
)
@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")
def test_folds_from_a_generator_are_read_once(cv, grid):
    found = []
    for make in (SVCSearchCV, GridSearchCV):
        np.random.seed(5)
        found.append(make(SVC(tol=1e-5), grid, cv=cv()).fit(X, y))
        found[-1].drawn = np.random.randint(1000)
    same(*found)
    assert found[0].drawn == found[1].drawn


@pytest.mark.parametrize("fixed", [{}, {"shrinking": [True]}], ids=["joint", "per-fit"])
@pytest.mark.parametrize("state", [0, np.random.RandomState(0), None])
@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")
def test_random_settings_are_drawn_once(fixed, state):
    drawn = {"C": loguniform(0.1, 10), **fixed}
    found = []
    for make in (SVCRandomizedSearchCV, RandomizedSearchCV):
        np.random.seed(5)
        search = make(SVC(tol=1e-5), drawn, n_iter=3, random_state=copy.deepcopy(state))
        found.append(search.fit(X, y))
    same(*found)


@pytest.mark.parametrize("grid", [{"C": iter([1, 10])}, {"C": (1, 10)}, [{"C": np.array([1, 2])}]])
def test_values_of_any_kind(grid):
    results = []
    for make in (SVCSearchCV, GridSearchCV):
        try:
            results.append(make(SVC(), grid).fit(X, y).cv_results_["mean_test_score"].tolist())
        except TypeError as error:
            results.append(str(error))
    assert results[0] == results[1]


HALVINGS = (
    {"factor": 2},
    {"factor": 1.5, "min_resources": "smallest"},
    {"min_resources": 40, "cv": 4},
)
STATES = (0, np.random.RandomState(0), None)


# How it is solved has no part in what is drawn: with each of these once, not with all pairs.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("params", "state", "fixed"),
    [
        (params, state, {"shrinking": [True]} if i == k else {})
        for i, params in enumerate(HALVINGS)
        for k, state in enumerate(STATES)
    ],
)
@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")
def test_halving_draws_and_drops_as_scikit_learn(params, state, fixed):
    found = []
    for make in (SVCHalvingSearchCV, HalvingGridSearchCV):
        np.random.seed(5)
        estimator, grid = SVC(tol=1e-5), {"C": [0.01, 0.1, 1, 10], "gamma": [0.01, 0.1], **fixed}
        search = make(estimator, grid, random_state=copy.deepcopy(state), **params)
        if make is HalvingGridSearchCV:
            search.set_params(return_train_score=False)
        found.append(search.fit(X, y))
    same(*found)
    assert found[0].cv_results_["params"] == found[1].cv_results_["params"]
    for name in ("n_resources_", "n_candidates_", "n_remaining_candidates_", "min_resources_"):
        assert getattr(found[0], name) == getattr(found[1], name)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"factor": 1}, "'factor'"),
        ({"min_resources": 0}, "'min_resources'"),
        ({"min_resources": 151}, "min_resources_=151 is greater .*150"),
        ({"cv": ShuffleSplit(3)}, "consistent folds"),
        ({"scoring": ["accuracy", "f1_macro"]}, "single metric"),
        ({"scoring": both}, "single metric"),
    ],
)
def test_halving_with_unusable_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        SVCHalvingSearchCV(SVC(), GRID, **params).fit(X, y)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (SVCRandomizedSearchCV(n_iter=0), "'n_iter'"),
        (SVCSearchCV(verbose=-1), "'verbose'"),
        (SVCSearchCV(scoring=3), "'scoring'"),
        (SVCSearchCV(scoring=[]), "scoring|[Ee]mpty"),
        (SVCSearchCV(refit=lambda results: 1.5), "integer"),
        (SVCSearchCV(refit=lambda results: 99), "99"),
    ],
)
def test_unusable_parameters_are_named(search, message):
    with pytest.raises((ValueError, TypeError, IndexError), match=message):
        search.fit(X, y)


# Metadata.


@every_search
def test_groups_are_routed(make):
    groups = np.arange(150) // 3 % 10
    with sklearn.config_context(enable_metadata_routing=True):
        search = make(cv=GroupKFold(3))
        found = cross_validate(
            search, X, y, cv=GroupKFold(3), params={"groups": groups}, error_score="raise"
        )
        assert found["test_score"].min() > 0.7
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
            search.fit(X, y, groups=groups, sample_weight=np.ones(150))


@every_search
def test_weights_are_routed_as_requested(make):
    weights = np.random.default_rng(0).uniform(0.1, 3, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(f1_score, average="micro").set_score_request(sample_weight=True)
        estimator = SVC().set_fit_request(sample_weight="mine")
        search = make(scoring=scorer).set_params(estimator=estimator)
        search.fit(X, y, mine=weights, sample_weight=weights)
        routed = search.score(X, y, sample_weight=weights)
    plain = make(scoring=make_scorer(f1_score, average="micro")).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(
        search.best_estimator_.dual_coef_, plain.best_estimator_.dual_coef_
    )
    assert routed == pytest.approx(
        f1_score(y, search.predict(X), average="micro", sample_weight=weights)
    )


@every_search
def test_metadata_routing(make):
    with sklearn.config_context(enable_metadata_routing=True):
        search = make(cv=GroupKFold(3))
        search.set_params(estimator=SVC().set_fit_request(sample_weight=True))
        router = search.get_metadata_routing()
        assert router.consumes("fit", ["groups", "sample_weight", "other"]) == {
            "groups",
            "sample_weight",
        }


@pytest.mark.parametrize("name", ["groups", "sample_weight"])
@every_search
def test_arrays_of_the_wrong_length_are_rejected_by_name(make, name):
    with pytest.raises(ValueError, match=rf"{name} of SVC\w+ has 149 for 150"):
        make().fit(X, y, **{name: np.ones(149, int)})
    with pytest.raises(TypeError, match="positional"):
        make().fit(X, y, np.ones(150))


def test_groups_are_not_weights():
    writers = [f"writer {k % 7}" for k in range(150)]
    SEARCHES["grid"](cv=GroupKFold(3)).fit(X, y, groups=writers)
    with pytest.raises(ValueError, match="sample_weight of SVCSearchCV must hold numbers"):
        SEARCHES["grid"]().fit(X, y, sample_weight=writers)
    writers[3] = None
    with pytest.raises(ValueError, match="groups"):
        SEARCHES["grid"](cv=GroupKFold(3)).fit(X, y, groups=writers)


# Good citizens of scikit-learn.


@every_search
@pytest.mark.parametrize("scoring", [None, right, "f1_macro"], ids=["default", "function", "name"])
def test_fitted_searches_can_be_pickled_and_cloned(make, scoring):
    search = make(scoring=scoring).fit(X, y)
    file = BytesIO()
    joblib.dump(search, file)
    file.seek(0)
    for other in (pickle.loads(pickle.dumps(search)), joblib.load(file), copy.deepcopy(search)):  # noqa: S301
        np.testing.assert_array_equal(other.predict(X), search.predict(X))
        assert other.score(X, y) == search.score(X, y)
    again = clone(search)
    assert not hasattr(again, "best_estimator_")
    assert again.fit(X, y).best_params_ == search.best_params_


@pytest.mark.parametrize("transform_output", ["pandas", "default"])
@every_search
def test_transform_output_changes_nothing(make, transform_output):
    frame = pd.DataFrame(X, columns=list("abcd"))
    with sklearn.config_context(transform_output=transform_output):
        search = make().fit(frame, y)
        assert type(search.predict(frame)) is np.ndarray
    assert search.feature_names_in_.tolist() == list("abcd")


@every_search
def test_no_predictions_before_fit(make):
    for method, args in (
        ("predict", (X,)),
        ("decision_function", (X,)),
        ("class_margins", (X,)),
        ("score", (X, y)),
    ):
        with pytest.raises(NotFittedError):
            getattr(make(), method)(*args)


@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")
def test_methods_follow_the_classifier():
    assert not hasattr(SVCSearchCV(SVC()), "predict_proba")
    calibrated = CalibratedClassifierCV(SVC(), ensemble=False, cv=2)
    search = SVCSearchCV(calibrated, {"estimator__C": [1, 10]}, cv=2)
    assert search.fit(X, y).predict_proba(X).shape == (150, 3)
    assert not hasattr(search, "class_margins")
    with pytest.raises(ValueError, match="param_grid"):
        SVCSearchCV(calibrated).fit(X, y)


@pytest.mark.filterwarnings("ignore")  # scikit-learn and we warn, each in words of our own
def test_a_fold_without_weight_has_the_error_score():
    X, y = load_iris(return_X_y=True)
    weight = np.ones(len(y))
    for start in (0, 50, 100):  # all that the first of five folds holds out
        weight[start : start + 10] = 0
    scores = []
    for search in (SVCSearchCV(SVC(), {"C": [1, 2]}), GridSearchCV(SVC(), {"C": [1, 2]})):
        search.fit(X, y, sample_weight=weight)
        scores.append([search.cv_results_[f"split{k}_test_score"] for k in range(5)])
    np.testing.assert_array_equal(np.isnan(scores[0]), np.isnan(scores[1]))
    assert np.isnan(scores[0]).sum() == 2


def test_a_regressor_has_the_folds_of_scikit_learn():
    samples, values = load_iris(return_X_y=True)
    theirs = GridSearchCV(SVR(), {"C": [1, 10]}, cv=3).fit(samples, values)
    with pytest.warns(PerformanceWarning, match="the estimator is sklearn's SVR"):
        ours = SVCSearchCV(SVR(), {"C": [1, 10]}, cv=3).fit(samples, values)
    for k in range(3):
        np.testing.assert_array_equal(
            ours.cv_results_[f"split{k}_test_score"], theirs.cv_results_[f"split{k}_test_score"]
        )
