"""Classifiers on a frozen network's features follow the conventions of scikit-learn."""

import copy
import io
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from penultimate import (
    SVC,
    AbstainingClassifier,
    DeepSVC,
    FeatureExtractor,
    MarginClassifier,
    Specialists,
    SVCHalvingSearchCV,
    SVCRandomizedSearchCV,
    SVCSearchCV,
    Training,
)
from penultimate.networks.frameworks.backend import import_keras
from penultimate.provenance.leakage import LeakageWarning, UnknownProvenanceWarning
from penultimate.provenance.records import record

pytestmark = pytest.mark.usefixtures("solved_networks")
ONCE = Training(epochs=1, batch_size=16, augmentation=None, validation_size=0)
GRID = {"C": [1, 10], "gamma": [0.01, 0.1]}
LOGISTIC = LogisticRegression(max_iter=1000)
SUBSETS = {"low": [0, 1], "high": [2, 3]}
RNG = np.random.default_rng(0)
y = np.arange(120) % 4
X = (RNG.integers(0, 60, (120, 8, 8, 1)) + 20).astype(np.uint8)
for k in range(4):
    X[y == k, 2 * k : 2 * k + 2] += 100
X_new, y_new = np.roll(X, 1, axis=2) // 2 + 40, y
UNIT = X.astype(np.float32) / 255
groups = np.arange(120) // 4 % 10


def dense(shape, n_classes):
    layers = import_keras().layers
    return import_keras().Sequential(
        [
            layers.Input(shape),
            layers.Flatten(name="flat"),
            layers.Dense(12, activation="relu", name="hidden"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def network():
    import_keras().utils.set_random_seed(0)
    model = dense((8, 8, 1), 4)
    record(model, [])
    return model


def test_a_batch_passes_through_the_network_once_for_all_layers(network, monkeypatch):
    passes = []
    model = import_keras().Model
    predict = model.predict_on_batch

    def counted(self, batch):
        passes.append(len(batch))
        return predict(self, batch)

    monkeypatch.setattr(model, "predict_on_batch", counted)
    chosen = deep(network, layer=["hidden", "flat"], batch_size=60).fit(UNIT, y)
    assert passes == [60, 60]
    specialists = Specialists(
        network, subsets=SUBSETS, head=SVC(), layer=["hidden", "flat"], batch_size=60
    )
    specialists.fit(UNIT, y)
    assert passes == [60, 60] * 2
    assert chosen.score(X_new / np.float32(255), y) > 0.5


def deep(network, head=None, **parameters):
    return DeepSVC(network, head=SVC() if head is None else head, random_state=0, **parameters)


def special(network, head=None):
    return Specialists(
        network, subsets=SUBSETS, head=SVC() if head is None else head, random_state=0
    )


def abstaining(network, head=None):
    return AbstainingClassifier(deep(network, head), coverage=0.9, random_state=0)


def margin(network):
    return MarginClassifier(training=ONCE, random_state=0)


def least_c(head, X, y):
    return -abs(head.C - 10)


def second(results):
    return 1


ALL = [deep, special, abstaining]
HEADS = {
    "search": SVCSearchCV(param_grid=GRID),
    "grid": GridSearchCV(SVC(), GRID),
    "metrics": GridSearchCV(SVC(), GRID, scoring=["accuracy", "f1_macro"], refit="f1_macro"),
    "scorer": GridSearchCV(SVC(), GRID, scoring=make_scorer(accuracy_score)),
    "callable": GridSearchCV(SVC(), GRID, scoring=least_c),
    "refit": GridSearchCV(SVC(), GRID, refit=second),
    "calibrated": CalibratedClassifierCV(SVC(), ensemble=False),
    "ensemble": CalibratedClassifierCV(SVC(), cv=3),
    "stack": StackingClassifier([("svm", SVC()), ("log", LOGISTIC)], LOGISTIC, cv=3),
    "vote": VotingClassifier([("svm", SVCSearchCV(param_grid=GRID)), ("log", LOGISTIC)]),
    "pipeline": make_pipeline(PCA(5), SVCSearchCV(param_grid=GRID)),
    "plain pipeline": make_pipeline(PCA(5), SVC()),
    "searched pipeline": GridSearchCV(make_pipeline(PCA(5), SVC()), {"svc__C": [1, 10]}),
    "searched calibration": GridSearchCV(
        CalibratedClassifierCV(SVC(), ensemble=False, cv=3), {"method": ["sigmoid", "isotonic"]}
    ),
    "forest": RandomForestClassifier(10, random_state=0),
}


@pytest.mark.parametrize("selection", ["heldout", "crossfit", "resubstitution"])
@pytest.mark.parametrize("name", HEADS)
def test_heads_of_all_sorts(network, name, selection):
    head = clone(HEADS[name])
    model = deep(network, head, selection=selection).fit(UNIT, y)
    assert np.mean(model.predict(UNIT) == y) > 0.9
    for method in ("predict_proba", "decision_function", "class_margins"):
        assert hasattr(model, method) == hasattr(model.head_["head"], method)
    if name == "callable":
        assert model.best_params_["C"] == 10
    if name in ("search", "grid", "scorer", "metrics", "pipeline"):
        n_splits = {"heldout": 1, "crossfit": 5, "resubstitution": 5}[selection]
        search = model.head_["head"]
        search = search[-1] if name == "pipeline" else search
        assert search.n_splits_ == n_splits
        assert model.best_score_ == search.best_score_


@pytest.mark.slow
@pytest.mark.parametrize("name", ["search", "metrics", "callable", "refit", "calibrated", "forest"])
def test_crossfit_of_trained_networks_takes_these_heads(name):
    head = clone(HEADS[name])
    model = deep(dense, head, selection="crossfit", training=ONCE).fit(UNIT, y)
    back = pickle.loads(pickle.dumps(model))  # noqa: S301
    np.testing.assert_array_equal(back.predict(UNIT), model.predict(UNIT))
    fitted = model.head_["head"]
    if name == "callable":
        values = model.head_["preprocessing"].transform(model.extract(UNIT))
        assert model.best_params_["C"] == 10
        assert fitted.score(values, y) == model.best_score_ == 0
    if name == "refit":
        assert fitted.best_index_ == 1
        assert not hasattr(model, "best_score_")
    if name == "metrics":
        assert {"mean_test_accuracy", "rank_test_f1_macro"} <= set(fitted.cv_results_)
    assert hasattr(model, "predict_proba") == (name in ("calibrated", "forest"))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (SVCRandomizedSearchCV(n_iter=3), "random_state to an integer; got None"),
        (SVCHalvingSearchCV(random_state=0), "drops some during the search"),
        (LogisticRegressionCV(), "LogisticRegressionCV does not list its own"),
        (make_pipeline(PCA(5), SVCSearchCV()), "the SVCSearchCV is inside a Pipeline"),
        (VotingClassifier([("a", SVCSearchCV())]), "is inside a VotingClassifier"),
        (GridSearchCV(SVC(), GRID, refit=False), "refit=False, and so no classifier"),
        (GridSearchCV(SVC(), GRID, scoring=["accuracy", "f1"]), "refit='accuracy'"),
    ],
)
def test_heads_that_crossfit_cannot_follow_are_refused_before_any_training(head, message):
    def build(*_):
        pytest.fail("a network was built")

    with pytest.raises(ValueError, match=message):
        DeepSVC(build, head=head, selection="crossfit").fit(UNIT, y)


@pytest.mark.parametrize("head", [3, "svc", SVC, PCA()])
def test_a_head_must_be_a_classifier(network, head):
    with pytest.raises(TypeError, match="'head' parameter of DeepSVC must be a classifier"):
        deep(network, head).fit(UNIT, y)


@pytest.mark.parametrize("make", ALL)
def test_methods_are_those_of_the_head(network, make):
    for head, proba, decision, margins in (
        (SVC(), False, True, True),
        (LOGISTIC, True, True, False),
        (RandomForestClassifier(10), True, False, False),
        (GridSearchCV(LOGISTIC, {"C": [1, 2]}), True, True, False),
    ):
        model = make(network, head)
        for fitted in (False, True):
            if fitted:
                model.fit(UNIT, y)
            names = ("predict_proba", "decision_function", "class_margins")
            has = [hasattr(model, name) for name in names]
            assert has == [proba, decision, margins], (head, fitted)
        if proba:
            shares = model.predict_proba(UNIT)
            np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
        if decision:
            assert model.decision_function(UNIT).shape == (120, 4)


def test_values_of_specialists_without_a_subset_agree_with_predict(network):
    for head, method in ((SVC(), "class_margins"), (LOGISTIC, "predict_proba")):
        model = special(network, head).fit(UNIT, y)
        values = getattr(model, method)(UNIT)
        np.testing.assert_array_equal(model.classes_[values.argmax(axis=1)], model.predict(UNIT))
        assert getattr(model, method)(UNIT, subset="low").shape[1] == 2
    careful = AbstainingClassifier(special(network), coverage=0.8, random_state=0).fit(UNIT, y)
    assert 0.5 < careful.accepts(UNIT).mean() < 1


METHODS = {
    "DeepSVC": ["predict", "decision_function", "class_margins", "extract", "fingerprint"],
    "Specialists": ["predict", "decision_function", "class_margins", "route", "fingerprint"],
    "AbstainingClassifier": ["predict", "decision_function", "class_margins", "accepts"],
    "MarginClassifier": ["predict", "decision_function", "fingerprint"],
    "SVCSearchCV": ["predict", "decision_function", "class_margins"],
    "FeatureExtractor": ["transform", "count"],
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_raises_if_not_fitted(network, name):
    model = {
        "DeepSVC": deep(network),
        "Specialists": special(network),
        "AbstainingClassifier": abstaining(network),
        "MarginClassifier": MarginClassifier(calibration="sigmoid"),
        "SVCSearchCV": SVCSearchCV(),
        "FeatureExtractor": FeatureExtractor(network),
    }[name]
    for method in METHODS[name]:
        with pytest.raises(NotFittedError):
            getattr(model, method)(UNIT)
    if name != "FeatureExtractor":
        with pytest.raises(NotFittedError):
            model.score(UNIT, y)
    if name in ("DeepSVC", "Specialists"):
        model.head = LOGISTIC
        with pytest.raises(NotFittedError):
            model.predict_proba(UNIT)
    if name == "Specialists":
        with pytest.raises(NotFittedError):
            model.add_subset("more", UNIT, y)
        with pytest.raises(NotFittedError):
            model.drop_subset("low")


def test_after_a_failed_fit_nothing_predicts(network):
    class Failing(SVC):
        def fit(self, X, y, sample_weight=None):
            raise RuntimeError("no")

    model = deep(network).fit(UNIT, y)
    with pytest.raises(RuntimeError):
        model.set_params(head=Failing()).fit(UNIT, y)
    with pytest.raises(NotFittedError):
        model.predict(UNIT)


@pytest.mark.slow
@pytest.mark.parametrize("make", ALL)
def test_copies_predict_the_same(network, make):
    model = make(network, clone(HEADS["search"])).fit(UNIT, y)
    want = model.decision_function(UNIT)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    for other in (pickle.loads(pickle.dumps(model)), joblib.load(file), copy.deepcopy(model)):  # noqa: S301
        np.testing.assert_allclose(other.decision_function(UNIT), want, rtol=1e-6)
    again = clone(model).fit(UNIT, y)
    np.testing.assert_allclose(again.decision_function(UNIT), want, rtol=1e-6)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("when", ["fit", "predict", "both"])
def test_output_of_transformers_changes_nothing(network, make, when):
    head = make_pipeline(PCA(5), SVC())
    want = make(network, head).fit(UNIT, y).predict(UNIT)
    with sklearn.config_context(transform_output="pandas" if when != "predict" else "default"):
        model = make(network, head).fit(UNIT, y)
    with sklearn.config_context(transform_output="pandas" if when != "fit" else "default"):
        np.testing.assert_array_equal(model.predict(UNIT), want)


def test_output_of_transformers_changes_nothing_in_a_fitted_head(network):
    model = deep(network).fit(UNIT, y)
    with sklearn.config_context(transform_output="pandas"):
        found = model.head_.predict(model.extract(UNIT))  # which warns if it is given feature names
    np.testing.assert_array_equal(found, model.predict(UNIT))


def test_an_extractors_own_output_follows_the_setting(network):
    extractor = FeatureExtractor(network).fit()
    with sklearn.config_context(transform_output="pandas"):
        frame = extractor.transform(UNIT)
    assert frame.columns.tolist() == extractor.get_feature_names_out().tolist()
    np.testing.assert_array_equal(frame.to_numpy(), extractor.transform(UNIT))


@pytest.mark.slow
def test_output_of_transformers_where_a_network_is_trained():
    with sklearn.config_context(transform_output="pandas"):
        model = deep(dense, HEADS["search"], selection="crossfit", training=ONCE).fit(UNIT, y)
        assert model.predict(UNIT).shape == (120,)
        flat = UNIT.reshape(120, -1)
        margin = MarginClassifier(random_state=0, training=ONCE).fit(flat, y)
        assert margin.predict(flat).shape == (120,)


class Noting(SVC):
    """An SVC that stores the parameters of its fit."""

    def fit(self, X, y, sample_weight=None):
        NOTED.append(sample_weight)
        return super().fit(X, y, sample_weight)


NOTED: list = []


@pytest.mark.parametrize("make", ALL)
def test_weights_reach_the_head(network, make):
    weights = 1.0 + np.arange(120)
    NOTED.clear()
    make(network, Noting()).fit(UNIT, y, sample_weight=weights)
    assert NOTED
    for noted in NOTED:
        assert set(noted.tolist()) <= set(weights.tolist())
    with pytest.raises(ValueError, match="KNeighborsClassifier.* takes none"):
        make(network, KNeighborsClassifier()).fit(UNIT, y, sample_weight=weights)
    for head in (HEADS["search"], HEADS["pipeline"], HEADS["grid"], HEADS["vote"]):
        if make is not abstaining:
            make(network, clone(head)).fit(UNIT, y, sample_weight=weights)


@pytest.mark.slow
@pytest.mark.parametrize("selection", ["heldout", "crossfit", "resubstitution"])
def test_weights_reach_the_network_that_is_trained(selection):
    wrong = np.where(np.arange(120) % 8 < 4, (y + 1) % 4, y)
    trusted = np.where(wrong == y, 1.0, 1e-6)
    model = deep(dense, selection=selection, training=ONCE)
    right = model.fit(UNIT, wrong, sample_weight=trusted).predict(UNIT)
    assert np.mean(right == y) > 0.9
    outputs = model.network_.predict(UNIT, verbose=0).argmax(axis=1)
    assert np.mean(outputs == y) > 0.8


@pytest.mark.parametrize("make", [*ALL, lambda network: MarginClassifier(training=ONCE)])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("groups", groups[:30]),
        ("groups", np.where(groups == 3, None, groups)),
        ("groups", np.random.default_rng(0).random(120)),
        ("sample_weight", np.ones(30)),
        ("sample_weight", np.where(groups == 3, np.nan, 1.0)),
        ("sample_weight", -np.ones(120)),
        ("sample_weight", groups.astype(str)),
        ("sample_weight", np.where(y == 2, 0, 1)),
    ],
)
def test_invalid_per_sample_arguments_are_named_by_every_fit(network, make, name, values):
    model = make(network)
    if isinstance(model, MarginClassifier) and name == "groups":
        pytest.skip("it takes no groups")
    if isinstance(model, AbstainingClassifier) and values.ndim and np.ndim(values) == 1:
        model.set_params(estimator=deep(network))
    with pytest.raises(ValueError, match=name):
        model.fit(UNIT, y, **{name: values})
    with pytest.raises(TypeError):
        model.fit(UNIT, y, values)  # by its name alone


@pytest.mark.parametrize("make", ALL)
def test_metadata_is_routed(network, make):
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            make(network, Noting()).fit(UNIT, y, sample_weight=np.ones(120))
        for asks in (True, False):
            NOTED.clear()
            head = Noting().set_fit_request(sample_weight=asks)
            model = make(network, head)
            if make is abstaining:
                model.estimator.set_fit_request(sample_weight=True)
            model.fit(UNIT, y, sample_weight=np.ones(120), groups=groups)
            assert all((noted is not None) == asks for noted in NOTED)
            assert NOTED
        # Groups are requested unless they are declined, as by a splitter.
        found = cross_validate(
            make(network, SVC()), UNIT, y, cv=GroupKFold(2), params={"groups": groups}
        )
        assert len(found["test_score"]) == 2
        with pytest.raises(TypeError, match="unexpected"):
            make(network, SVC()).fit(UNIT, y, nonsense=1)
    with pytest.raises(TypeError, match="nonsense"):
        make(network, SVC()).fit(UNIT, y, nonsense=1)


def test_a_calibration_by_groups_receives_the_groups(network):
    with sklearn.config_context(enable_metadata_routing=True):
        head = CalibratedClassifierCV(SVC(), cv=GroupKFold(3))
        assert deep(network, head).fit(UNIT, y, groups=groups).predict_proba(UNIT).shape == (120, 4)
        search = GridSearchCV(SVC(), GRID, cv=GroupKFold(3))
        assert deep(network, search).fit(UNIT, y, groups=groups).head_["head"].n_splits_ == 1


@pytest.mark.parametrize(
    "labels",
    [
        y + 1,
        y.astype(str),
        y.astype(object),
        pd.Series(y + 1, dtype="category"),
        pd.Series(y, dtype="Int64"),
        pd.Series(y.astype(str), dtype="string"),
        y > 1,
        (y > 1).astype(object),
        y.astype(np.float32),
    ],
    ids=lambda labels: f"{type(labels).__name__} {labels.dtype}",
)
@pytest.mark.parametrize("make", [deep, abstaining, margin])
def test_labels_of_all_sorts(network, make, labels):
    flat = UNIT.reshape(120, -1) if make is margin else UNIT
    model = make(network).fit(flat, labels)
    assert model.classes_.tolist() == sorted(set(labels))
    assert set(model.predict(flat).tolist()) <= {*labels, None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakageWarning)
        assert model.score(flat, labels) > 0.9


@pytest.mark.slow
def test_concurrent_calls_agree_with_sequential_ones(network):
    def fit(seed):
        model = DeepSVC(dense, head=SVC(), training=ONCE, random_state=seed)
        return model.fit(UNIT, y).decision_function(UNIT)

    def predict(k):
        return model.decision_function(UNIT[k : k + 5])

    model = deep(network).fit(UNIT, y)
    expected = [fit(seed) for seed in range(3)], [predict(k) for k in range(20)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(fit, range(3))), list(pool.map(predict, range(20)))
    for want, got in zip(expected, found, strict=True):
        for one, other in zip(want, got, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "make", [deep, special, lambda network: MarginClassifier(dense, training=ONCE)]
)
def test_another_scale_is_refused_by_every_method(network, make):
    model = make(network).fit(UNIT, y)
    other = 255 * UNIT[:5]
    methods = [model.predict, lambda X: model.score(X, y[:5]), model.decision_function]
    methods += [model.extract] if make is deep else []
    for method in methods:
        with pytest.raises(ValueError, match="on another scale than those that this"):
            method(other)


@pytest.mark.parametrize("make", [deep, special])
def test_unknown_training_samples_cause_one_warning_per_fit(make):
    import_keras().utils.set_random_seed(7)  # networks with equal weights share their provenance
    model = make(dense((8, 8, 1), 4), SVCSearchCV(param_grid=GRID))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(UNIT, y)
    assert [item.category for item in caught] == [UnknownProvenanceWarning]
    assert caught[0].filename == __file__
    for call in ("record(network, X)", "record(network, [])"):
        assert call in str(caught[0].message)
    careful = AbstainingClassifier(FrozenEstimator(model), coverage=0.5)
    with pytest.warns(UnknownProvenanceWarning, match="the guarantee does not hold"):
        careful.fit(UNIT[:, :, ::-1], y)


@pytest.mark.parametrize("make", [deep, special])
@pytest.mark.parametrize("n_seen", [60, 116])
def test_the_head_is_selected_on_what_the_network_has_not_seen(make, n_seen):
    import_keras().utils.set_random_seed(n_seen)
    network = dense((8, 8, 1), 4)
    record(network, X[:n_seen])
    model = make(network, SVCSearchCV(param_grid=GRID))
    words = "60 of 120 .* on 24 of the 60 others" if n_seen == 60 else "4 others are too few"
    with pytest.warns(LeakageWarning, match=words) as caught:
        model.fit(UNIT, y)
    assert len(caught) == 1
    if n_seen == 60 and make is deep:
        folds = model.head_["head"].cv.test_fold
        assert folds[:60].tolist() == [-1] * 60
        assert (folds >= 0).sum() == 24
        crossed = clone(model).set_params(selection="crossfit")
        with pytest.warns(LeakageWarning, match="on 60 of the 60 others"):
            crossed.fit(UNIT, y)
        assert all(second.min() >= 60 for _, second in crossed.head_["head"].cv)
    with warnings.catch_warnings():  # nothing is selected
        warnings.simplefilter("error")
        make(network, SVC()).fit(UNIT, y)
