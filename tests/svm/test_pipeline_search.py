"""Searches over pipelines: equal to scikit-learn's, with the steps fitted once per fold."""

import copy
import pickle
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
import sklearn.svm
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from penultimate import (
    SVC,
    PerformanceWarning,
    SVCHalvingSearchCV,
    SVCRandomizedSearchCV,
    SVCSearchCV,
)
from penultimate.selection.heldout import fit_head
from penultimate.splits import split_development

X, y = load_iris(return_X_y=True)
GRID = {"svc__C": [0.1, 10], "svc__gamma": [0.01, 0.1]}
FITS = []
KINDS = pytest.mark.parametrize("kind", [SVC, sklearn.svm.SVC], ids=["ours", "scikit-learn's"])


class Counting(TransformerMixin, BaseEstimator):
    """Counts its fits, and whether it ever saw labels of another length than the samples."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        FITS.append((len(X), None if y is None else len(y)))
        self.fitted_ = True
        return self

    def transform(self, X):
        return self.factor * X


def both(estimator, grid, samples=X, labels=y, fit_params=None, **params):
    """Fit our search and scikit-learn's, whose results must be equal; return both."""
    params, found = {"cv": 3, **params}, []
    for make in (SVCSearchCV, GridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            search = make(clone(estimator), grid, **params).fit(
                samples, labels, **(fit_params or {})
            )
        search.warned = [each.category for each in caught]
        found.append(search)
    same(*found)
    return found


def same(ours, theirs):
    assert ours.solver_ == "joint"
    assert set(ours.warned) == set(theirs.warned)
    assert set(ours.cv_results_) == set(theirs.cv_results_)
    for name, expected in theirs.cv_results_.items():
        if name.startswith("param"):
            assert str(list(ours.cv_results_[name])) == str(list(expected))
        elif "time" not in name:
            np.testing.assert_allclose(ours.cv_results_[name], expected, atol=1e-3)
        else:
            assert ours.cv_results_[name].shape == expected.shape
    for name in ("best_index_", "n_splits_", "multimetric_", "n_features_in_"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)
    assert str(getattr(ours, "best_params_", None)) == str(getattr(theirs, "best_params_", None))
    if hasattr(theirs, "best_estimator_"):
        assert repr(ours.best_estimator_) == repr(theirs.best_estimator_)
        assert type(ours.best_estimator_) is type(theirs.best_estimator_)
        assert type(ours.best_estimator_[-1]) is type(theirs.best_estimator_[-1])


def scaled(kind=SVC, **params):
    return Pipeline([("scaler", StandardScaler()), ("svc", kind(tol=1e-5))], **params)


def right(fitted, samples, labels):
    return np.mean(fitted.predict(samples) == labels)


GRIDS = {
    "the SVC": (scaled, GRID),
    "a parameter of a step": (
        lambda kind: make_pipeline(StandardScaler(), PCA(svd_solver="full"), kind(tol=1e-5)),
        {"pca__n_components": [1, 2, 0.9], "svc__C": [1, 10]},
    ),
    "steps": (
        scaled,
        {"scaler": [StandardScaler(), "passthrough", MinMaxScaler()], "svc__C": [0.1, 1, 10]},
    ),
    "a list": (
        scaled,
        [
            {"scaler": [StandardScaler()], "svc__kernel": ["linear"], "svc__C": [0.1, 1]},
            {"scaler": ["passthrough"], "svc__kernel": ["poly"], "svc__degree": [2, 3]},
        ],
    ),
    "the SVC itself": (
        scaled,
        {"svc": [SVC(kernel="linear", tol=1e-5), SVC(tol=1e-5)], "svc__C": [0.1, 1]},
    ),
    "nested": (
        lambda kind: make_pipeline(
            StandardScaler(), make_pipeline(SelectKBest(k=3), kind(tol=1e-5))
        ),
        {"pipeline__svc__C": [1, 10], "pipeline__selectkbest__k": [2, 3]},
    ),
    "a nested pipeline itself": (
        lambda kind: Pipeline([("scaler", StandardScaler()), ("end", kind(tol=1e-5))]),
        {"end": [make_pipeline(PCA(2), SVC(tol=1e-5)), SVC(tol=1e-5)]},
    ),
    "a placeholder": (
        lambda kind: Pipeline([("scaler", StandardScaler()), ("svc", "passthrough")]),
        {"svc": [SVC(kernel="linear"), SVC(tol=1e-5)]},
    ),
    "no steps": (lambda kind: make_pipeline(kind(tol=1e-5)), GRID),
    "passthrough": (
        lambda kind: Pipeline([("none", "passthrough"), ("svc", kind(tol=1e-5))]),
        GRID,
    ),
    "columns": (
        lambda kind: make_pipeline(
            make_column_transformer((StandardScaler(), [0, 1]), remainder="passthrough"),
            kind(tol=1e-5),
        ),
        GRID,
    ),
}


@KINDS
@pytest.mark.parametrize("case", GRIDS.values(), ids=GRIDS)
def test_grids_over_the_svc_and_its_steps(case, kind):
    make, grid = case
    # With a placeholder, scikit-learn's own search needs a scorer, and would not stratify.
    ours, theirs = both(make(kind), grid, cv=StratifiedKFold(3), scoring="accuracy")
    np.testing.assert_allclose(
        ours.decision_function(X), theirs.decision_function(X), rtol=1e-2, atol=1e-2
    )
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), abs=0.01)


@pytest.mark.parametrize(
    "params",
    [
        {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"},
        {"scoring": {"mine": right, "theirs": "balanced_accuracy"}, "refit": False},
        {"scoring": right},
        {"scoring": lambda *given: {"a": right(*given), "b": 0.5}, "refit": "a"},
        {"scoring": "f1_macro", "refit": lambda found: 3},
        {"refit": False},
        {"cv": StratifiedShuffleSplit(2, random_state=0)},
        {"cv": [(np.arange(0, 150, 2), np.arange(1, 150, 2)), (np.arange(150) % 3 > 0,) * 2]},
        {"error_score": "raise"},
    ],
)
def test_params_of_the_search(params):
    both(scaled(), GRID, **{"cv": 3, **params})


def test_scores_on_two_classes_and_text_labels():
    names = np.array(["versicolor", "setosa"])[(y[:100] == 0).astype(int)]
    for labels in (names, names.tolist(), pd.Series(names)):
        both(scaled(), GRID, X[:100], labels, scoring="roc_auc", cv=3)


def test_break_ties_and_the_pipelines_own_score():
    both(scaled(), {**GRID, "svc__break_ties": [True, False]}, cv=3)


def test_scorers_get_the_pipeline_and_its_samples():
    frame = pd.DataFrame(X, columns=list("abcd"))
    seen = []

    def scorer(fitted, samples, labels):
        seen.append((type(fitted).__name__, isinstance(fitted, Pipeline), type(samples).__name__))
        assert fitted["scaler"].n_samples_seen_ == 100
        assert fitted.get_params()["svc__C"] == fitted.named_steps["svc"].C
        assert fitted.classes_.tolist() == [0, 1, 2]
        assert len(fitted.decision_function(samples)) == len(labels) == len(samples)
        return fitted.score(samples, labels)

    ours, _ = both(scaled(), GRID, frame, cv=3, scoring=scorer)
    assert set(seen) == {("Pipeline", True, "DataFrame")}
    assert ours.feature_names_in_.tolist() == list("abcd")


def test_a_scorer_may_ask_for_more_than_the_held_out_samples(monkeypatch):
    monkeypatch.setattr("penultimate.svm._joint_search._FEWEST_SAMPLES", 1)

    def scorer(fitted, samples, labels):
        return fitted.score(X, y) - len(fitted[-1].support_) / 1000

    ours, theirs = (
        make(scaled(), GRID, scoring=scorer, cv=3) for make in (SVCSearchCV, GridSearchCV)
    )
    with pytest.warns(PerformanceWarning, match="more than predictions"):
        ours.fit(X, y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.fit(X, y).cv_results_["mean_test_score"]
    )


def test_steps_are_fitted_once_per_fold_and_setting():
    FITS.clear()
    grid = {**GRID, "counting__factor": [1.0, 2.0]}
    SVCSearchCV(make_pipeline(Counting(), SVC()), grid, cv=3).fit(X, y)
    # 8 candidates on 3 folds, and the refit; the steps see nothing but training samples.
    assert FITS == [(100, 100)] * 6 + [(150, 150)]
    FITS.clear()
    grid = [{"counting": [Counting()], "svc__C": [C]} for C in (1, 10)]
    SVCSearchCV(make_pipeline("passthrough", Counting(), SVC()), grid, cv=3).fit(X, y)
    assert len(FITS) == 4


def test_supervised_steps_see_the_training_part_only():
    rng = np.random.default_rng(0)
    noise, labels = rng.normal(size=(60, 2000)), np.arange(60) % 2
    estimator = make_pipeline(SelectKBest(k=20), SVC())
    ours, _ = both(estimator, {"svc__C": [1, 10]}, noise, labels)
    assert ours.best_score_ < 0.7  # selected on all samples it would be nearly 1


def test_memory_caches_the_steps(tmp_path):
    FITS.clear()
    estimator = make_pipeline(Counting(), PCA(), SVC(), memory=str(tmp_path))
    grid = {"pca__n_components": [1, 2], "svc__C": [1, 10]}
    ours = SVCSearchCV(estimator, grid, cv=2).fit(X, y)
    assert len(FITS) == 3  # in each fold and in the refit, though there are two settings of PCA
    theirs = GridSearchCV(clone(estimator), grid, cv=2).fit(X, y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )


def test_pandas_output_and_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    estimator = scaled().set_output(transform="pandas")
    both(estimator, GRID, frame, cv=3)


TEXTS = [f"{'good fine' if k % 2 else 'bad poor'} thing {k % 7}" for k in range(60)]


def test_texts_become_sparse_samples():
    labels = np.arange(60) % 2
    estimator = make_pipeline(TfidfVectorizer(), sklearn.svm.SVC(tol=1e-5))
    grid = {"svc__C": [0.1, 1], "svc__gamma": [0.1, "scale"]}
    ours, _ = both(estimator, grid, TEXTS, labels, cv=3)
    assert ours.predict(["a fine thing"]).tolist() == [1]
    # Ours takes no sparse samples, alone or in a search.
    with pytest.raises(ValueError, match=r"All the 12 fits failed[\s\S]*Sparse data was passed"):
        SVCSearchCV(make_pipeline(TfidfVectorizer(), SVC()), grid, cv=3).fit(TEXTS, labels)


def test_sparse_samples_that_do_not_fit_are_fitted_separately(monkeypatch):
    monkeypatch.setattr("penultimate.svm._pipelines._native.memory_in_bytes", lambda limit: 10**3)
    estimator = make_pipeline(TfidfVectorizer(), sklearn.svm.SVC())
    monkeypatch.setattr("penultimate.svm._problem.Problem.check_solvable", lambda *given: None)
    with pytest.warns(PerformanceWarning, match="sparse samples"):
        search = SVCSearchCV(estimator, {"svc__C": [1, 2]}).fit(TEXTS, np.arange(60) % 2)
    assert search.solver_ == "per-fit"


def test_a_plain_sparse_search_over_scikit_learns_svc():
    sparse = sklearn.preprocessing.OneHotEncoder().fit_transform(X)
    grid = {"C": [1, 10]}
    ours = SVCSearchCV(sklearn.svm.SVC(), grid).fit(sparse, y)
    theirs = GridSearchCV(sklearn.svm.SVC(), grid).fit(sparse, y)
    assert ours.solver_ == "joint"
    assert type(ours.best_estimator_) is sklearn.svm.SVC
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=0.01
    )
    assert SVCSearchCV(sklearn.svm.SVC()).fit(sparse, y).best_score_ > 0.8  # a grid by default


@pytest.mark.parametrize("kernel", ["precomputed", "rbf"])
def test_gram_matrices(kernel):
    both(make_pipeline(SVC(kernel="precomputed", tol=1e-5)), {"svc__C": [0.01, 1]}, X @ X.T, cv=3)

    class Gram(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.train_ = X
            return self

        def transform(self, X):
            return X @ self.train_.T

    estimator = make_pipeline(Gram(), SVC(kernel=kernel, tol=1e-5))
    both(estimator, {"svc__C": [0.01, 1], "svc__gamma": [1e-4]}, cv=3)


# Failures.


class Fails(StandardScaler):
    """Fails on some samples."""

    def __init__(self, above=1e9):
        super().__init__()
        self.above = above

    def fit(self, X, y=None):
        if X[0, 0] > self.above:
            raise ZeroDivisionError("a fault of the step")
        return super().fit(X, y)


@pytest.mark.parametrize("scoring", [None, "f1_macro", ["accuracy", "f1_macro"]])
def test_steps_that_cannot_be_fitted_get_error_score(scoring):
    grid = {"pca__n_components": [2, 40], "svc__C": [1, 10]}
    estimator = make_pipeline(PCA(), SVC(tol=1e-5))
    params = {"scoring": scoring, "cv": 3, "refit": scoring is None}
    ours, _ = both(estimator, grid, error_score=-1, **params)
    assert FitFailedWarning in ours.warned
    both(estimator, grid, **params)
    with pytest.raises(ValueError, match="n_components"):
        SVCSearchCV(estimator, grid, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match=r"All the 20 fits failed[\s\S]*n_components"):
        SVCSearchCV(estimator, {**grid, "pca__n_components": [40, 41]}).fit(X, y)


def test_a_step_that_fails_on_one_fold():
    folds = [(np.arange(k, 150, 2), np.arange(1 - k, 150, 2)) for k in (0, 1)]
    ours, _ = both(make_pipeline(Fails(above=5.0), SVC()), GRID, cv=folds, refit=False)
    assert np.isnan(ours.cv_results_["split0_test_score"]).all()
    assert np.isfinite(ours.cv_results_["split1_test_score"]).all()


def test_steps_whose_output_no_svc_takes():
    estimator = Pipeline([("log", FunctionTransformer(np.log)), ("svc", SVC())])
    grid = {"log": [FunctionTransformer(np.log), "passthrough"], "svc__C": [1]}
    with np.errstate(all="ignore"):
        ours, _ = both(estimator, grid, X - 2)
    assert np.isnan(ours.cv_results_["mean_test_score"]).tolist() == [True, False]


def test_weights_that_leave_out_a_class_in_a_fold():
    weights = np.ones(150)
    folds = [(np.arange(k, 150, 2), np.arange(1 - k, 150, 2)) for k in (0, 1)]
    weights[np.arange(0, 50, 2)] = 0  # all of a class that the first fold trains on
    ours, _ = both(scaled(), GRID, fit_params={"svc__sample_weight": weights}, cv=folds)
    assert np.isnan(ours.cv_results_["split0_test_score"]).all()


SLOW = {
    "training scores": (scaled(), GRID, {"return_train_score": True}, "training scores"),
    "a limit": (scaled().set_params(svc__max_iter=10**6), GRID, {}, "max_iter"),
    "a kernel": (
        scaled(sklearn.svm.SVC),
        {"svc__kernel": ["sigmoid", "rbf"]},
        {},
        "kernel='sigmoid'",
    ),
    "another classifier": (scaled(), {"svc": [SVC(), sklearn.svm.NuSVC()]}, {}, "NuSVC"),
    "a setting that fails": (scaled(), {"svc__C": [-1, 1]}, {}, "'svc__C': -1"),
    "a class without samples": (
        scaled(),
        GRID,
        {"cv": [(np.arange(100), np.arange(50, 150))]},
        "some class",
    ),
    "no memory": (scaled().set_params(svc__memory_limit="1KiB"), GRID, {}, "memory limit"),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", SLOW.values(), ids=SLOW)
def test_a_slow_search_says_why_once(case):
    estimator, grid, params, why = case
    params = {"cv": 3, **params}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = SVCSearchCV(estimator, grid, **params).fit(X, y)
    told = [each for each in caught if each.category is PerformanceWarning]
    assert len(told) == 1
    assert why in str(told[0].message)
    assert told[0].filename == __file__
    assert ours.solver_ == "per-fit"
    theirs = GridSearchCV(estimator, grid, **params).fit(X, y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=0.01
    )


# Metadata.


def test_weights_and_groups_without_routing():
    weights = np.random.default_rng(0).uniform(0.1, 3, 150)
    groups = np.arange(150) // 5
    given = {"svc__sample_weight": weights, "groups": groups}
    both(scaled(), GRID, fit_params=given, cv=GroupKFold(3))
    both(
        scaled(),
        GRID,
        fit_params={**given, "scaler__sample_weight": weights.tolist()},
        cv=GroupKFold(3),
    )
    refused = {"sample_weight": "svc__sample_weight=", "svc__other": "fits failed"}
    for name, words in refused.items():
        with pytest.raises(ValueError, match=words):
            SVCSearchCV(scaled(), GRID).fit(X, y, **{name: weights})


@KINDS
@pytest.mark.parametrize("of_scaler", [True, False, "other"])
def test_routed_metadata(kind, of_scaler):
    weights = np.random.default_rng(0).uniform(0.1, 3, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=of_scaler),
            kind(tol=1e-5).set_fit_request(sample_weight=True),
        )
        scorer = make_scorer(f1_score, average="micro").set_score_request(sample_weight=True)
        given = {"sample_weight": weights, "groups": np.arange(150) // 5}
        if of_scaler == "other":
            given["other"] = weights[::-1]
        ours, theirs = both(estimator, GRID, fit_params=given, cv=GroupKFold(3), scoring=scorer)
        score = ours.score(X, y, sample_weight=weights)
        assert score == pytest.approx(theirs.score(X, y, sample_weight=weights))
        with pytest.raises(TypeError, match="unexpected"):
            SVCSearchCV(scaled(), GRID).fit(X, y, nobody=weights)


# The other searches.


def test_random_search():
    drawn = {"svc__C": loguniform(0.1, 10), "scaler": [StandardScaler(), "passthrough"]}
    ours, theirs = (
        make(scaled(), drawn, n_iter=6, random_state=0).fit(X, y)
        for make in (SVCRandomizedSearchCV, RandomizedSearchCV)
    )
    ours.warned = theirs.warned = []
    same(ours, theirs)


def test_halving():
    grid = {"svc__C": [0.01, 0.1, 1, 10], "scaler": [StandardScaler(), "passthrough"]}
    ours = SVCHalvingSearchCV(scaled(), grid, random_state=0).fit(X, y)
    theirs = HalvingGridSearchCV(scaled(), grid, random_state=0)
    theirs.set_params(return_train_score=False).fit(X, y)
    ours.warned = theirs.warned = []
    same(ours, theirs)


# Good citizens.


@KINDS
def test_fitted_searches_can_be_pickled_and_cloned(kind):
    search = SVCSearchCV(scaled(kind), GRID, scoring="f1_macro", cv=3).fit(X, y)
    for other in (pickle.loads(pickle.dumps(search)), copy.deepcopy(search)):  # noqa: S301
        np.testing.assert_array_equal(other.predict(X), search.predict(X))
        assert other.score(X, y) == search.score(X, y)
    again = clone(search)
    assert not hasattr(again, "best_estimator_")
    assert again.fit(X, y).best_params_ == search.best_params_


def test_the_given_pipeline_is_not_changed():
    estimator = scaled()
    before = repr(estimator)
    search = SVCSearchCV(estimator, GRID).fit(X, y)
    assert repr(estimator) == before
    assert not hasattr(estimator["scaler"], "mean_")
    assert search.best_estimator_ is not estimator


def test_margins_of_the_svc_at_the_end():
    estimator = make_pipeline(StandardScaler(), SVC())
    search = SVCSearchCV(estimator, GRID).fit(X, y)
    margins = search.best_estimator_[-1].class_margins(search.best_estimator_[:-1].transform(X))
    np.testing.assert_array_equal(search.class_margins(X), margins)
    assert not hasattr(SVCSearchCV(scaled(sklearn.svm.SVC), GRID).fit(X, y), "class_margins")


def test_two_searches_at_once():
    expected = SVCSearchCV(scaled(), GRID, scoring="f1_macro", cv=3).fit(X, y)
    found = [SVCSearchCV(scaled(), GRID, scoring="f1_macro", cv=3) for _ in range(3)]
    threads = [threading.Thread(target=search.fit, args=(X, y)) for search in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for search in found:
        np.testing.assert_array_equal(
            search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
        )


def test_progress_is_shown_once(capsys):
    SVCSearchCV(scaled(), {**GRID, "scaler": [StandardScaler(), "passthrough"]}, verbose=1).fit(
        X, y
    )
    shown = capsys.readouterr().err
    assert "100%" in shown
    shares = [int(part.rsplit(maxsplit=1)[-1]) for part in shown.split("%")[:-1]]
    assert shares == sorted(shares)


def test_a_head_that_is_a_search_over_a_pipeline_is_solved_jointly():
    weights = np.random.default_rng(0).uniform(0.5, 2, 150)
    search = SVCSearchCV(make_pipeline(StandardScaler(), SVC()), GRID)
    for given in (None, weights):
        head = fit_head(search, X, y, split_development(y), sample_weight=given)
        assert head[-1].solver_ == "joint"
