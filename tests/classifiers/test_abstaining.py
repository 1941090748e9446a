import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from penultimate import (
    SVC,
    AbstainingClassifier,
    DeepSVC,
    MarginClassifier,
    SVCSearchCV,
    Training,
)
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.evaluation import confidence_scores, error_free_samples, risk_upper_bound

QUICK_GRID = {"C": [1, 10], "gamma": [0.01]}


@pytest.fixture(scope="module")
def noisy():
    """Two overlapping classes, with enough samples for a guarantee."""
    return make_classification(
        4000, 6, n_informative=4, n_redundant=0, class_sep=1.5, flip_y=0.02, random_state=0
    )


@pytest.fixture(scope="module")
def fitted(noisy):
    X, y = (part[:3000] for part in noisy)
    return AbstainingClassifier(SVC(), risk=0.03, holdout=0.4, random_state=0).fit(X, y)


def test_errors_among_answers_are_rare(fitted, noisy):
    X, y = (part[3000:] for part in noisy)
    assert 0.2 < fitted.accepts(X).mean() < 1
    assert 1 - fitted.score(X, y) < 0.03 < 1 - fitted.estimator_.score(X, y)
    assert fitted.risk_bound_ <= 0.03


def test_attributes_describe_the_held_out_samples(fitted, noisy):
    X = noisy[0][:3000]
    assert fitted.n_heldout_ == 1200
    assert fitted.coverage_ == fitted.n_accepted_ / 1200
    expected = risk_upper_bound(fitted.n_errors_, fitted.n_accepted_, level=0.975)
    assert fitted.risk_bound_ == expected
    assert fitted.classes_.tolist() == [0, 1]
    assert fitted.n_features_in_ == 6
    # The threshold is just above one of the confidences.
    confidence = confidence_scores(fitted.estimator_, X)
    assert np.isclose(confidence, fitted.threshold_, atol=2e-5 * confidence.max()).any()


def test_abstentions_have_low_confidence(fitted, noisy):
    X = noisy[0][3000:]
    answers = fitted.predict(X)
    accepted = np.abs(fitted.decision_function(X)) > fitted.threshold_
    np.testing.assert_array_equal(fitted.accepts(X), accepted)
    assert answers.dtype == object
    assert set(answers[~accepted].tolist()) == {None}
    np.testing.assert_array_equal(
        answers[accepted].astype(int), fitted.estimator_.predict(X[accepted])
    )


def test_the_classifier_has_not_seen_what_the_threshold_is_set_on():
    seen = []

    class Spy(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append((X[:, 0].copy(), sample_weight.copy()))
            return super().fit(X, y, sample_weight)

        def decision_function(self, X):
            asked.append(X[:, 0].copy())
            return super().decision_function(X)

    asked = []
    X = np.arange(100.0)[:, None]
    y = (X[:, 0] > 50).astype(int)
    AbstainingClassifier(Spy(), coverage=0.5, holdout=0.3).fit(X, y, sample_weight=X[:, 0] + 1)
    rows, weights = seen[0]
    assert (len(rows), set(rows) & set(np.concatenate(asked))) == (70, set())
    np.testing.assert_array_equal(weights, rows + 1)


def test_groups_are_whole_and_reach_a_classifier_that_takes_them():
    class Grouped(LogisticRegression):
        def fit(self, X, y, groups=None):
            self.groups_ = groups
            return super().fit(X, y)

    X, y = load_iris(return_X_y=True)
    groups = np.arange(150) % 10
    model = AbstainingClassifier(Grouped(max_iter=500), coverage=0.9, random_state=0)
    fitted_on = model.fit(X, y, groups=groups).estimator_.groups_
    assert len(fitted_on) == 15 * len(set(fitted_on))
    assert model.n_heldout_ == 150 - len(fitted_on)
    plain = AbstainingClassifier(LogisticRegression(max_iter=500), coverage=0.9, random_state=0)
    assert plain.fit(X, y, groups=groups).n_heldout_ == model.n_heldout_


def test_a_frozen_classifier_stays_and_all_samples_are_held_out(noisy):
    X, y = noisy
    svc = SVC().fit(X[:1000], y[:1000])
    model = AbstainingClassifier(FrozenEstimator(svc), risk=0.05).fit(X[1000:], y[1000:])
    assert model.n_heldout_ == 3000
    assert model.estimator_.estimator is svc
    np.testing.assert_array_equal(model.decision_function(X), svc.decision_function(X))


@pytest.mark.parametrize("coverage", [0.01, 0.3, 0.55, 1.0])
def test_coverage_is_what_was_asked(noisy, coverage):
    X, y = noisy
    svc = SVC().fit(X[:1000], y[:1000])
    model = AbstainingClassifier(FrozenEstimator(svc), coverage=coverage).fit(X[1000:], y[1000:])
    assert model.n_accepted_ == pytest.approx(coverage * 3000)
    assert model.accepts(X[1000:]).mean() == model.coverage_
    assert (model.threshold_ == -np.inf) == (coverage == 1)
    expected = risk_upper_bound(model.n_errors_, model.n_accepted_, level=0.95)
    assert model.risk_bound_ == expected


def test_tied_samples_are_accepted_together():
    X, y = load_digits(return_X_y=True)
    model = AbstainingClassifier(KNeighborsClassifier(3), coverage=0.5, random_state=0).fit(X, y)
    # Most samples have probability 1: these ties are more than half.
    assert 0.5 < model.coverage_ < 1
    probability = model.predict_proba(X).max(axis=1)
    assert probability[model.accepts(X)].min() == 1


def test_too_few_samples_are_refused_before_anything_is_fitted(noisy):
    class Slow(LogisticRegression):
        def fit(self, X, y):
            raise AssertionError("it must not come to this")

    X, y = noisy
    needed = error_free_samples(0.001)
    message = f"needs at least {needed:,} held-out samples without an error; 800 of 4,000"
    with pytest.raises(ValueError, match=message):
        AbstainingClassifier(Slow(), risk=0.001).fit(X, y)


def test_no_threshold_gives_the_guarantee():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 3)), rng.integers(0, 2, 2000)
    model = AbstainingClassifier(LogisticRegression(), risk=0.05, random_state=0)
    with pytest.warns(UserWarning, match="from every sample: the 72 most confident of 400"):
        model.fit(X, y)
    assert (model.threshold_, model.coverage_, model.risk_bound_) == (np.inf, 0, 1)
    assert set(model.predict(X).tolist()) == {None}
    with pytest.warns(UndefinedMetricWarning, match="abstains from all"):
        assert np.isnan(model.score(X, y))


@pytest.mark.parametrize(
    ("labels", "reject_label", "dtype"),
    [
        ([0, 1], None, object),
        ([0, 1], -1, np.int64),
        ([0, 1], np.nan, np.float64),
        ([0, 1], "?", object),
        (["cat", "dog"], "unknown", np.dtype("<U7")),
        (["cat", "dog"], None, object),
        ([False, True], None, object),
    ],
)
def test_what_predict_returns_where_it_abstains(noisy, labels, reject_label, dtype):
    X, y = noisy
    y = np.array(labels)[y]
    model = AbstainingClassifier(
        LogisticRegression(), coverage=0.5, reject_label=reject_label, random_state=0
    ).fit(X, y)
    answers, accepted = model.predict(X), model.accepts(X)
    assert answers.dtype == dtype
    assert model.predict(X[accepted][:3]).dtype == dtype
    assert answers[accepted].tolist() == model.estimator_.predict(X[accepted]).tolist()
    rejected = answers[~accepted].tolist()
    assert all(a == reject_label or (a != a and reject_label != reject_label) for a in rejected)


def test_scikit_learns_metrics_take_a_label_of_the_same_type(noisy):
    X, y = noisy
    model = AbstainingClassifier(
        LogisticRegression(), coverage=0.5, reject_label=-1, random_state=0
    ).fit(X, y)
    right = model.score(X, y) * model.accepts(X).mean()
    assert accuracy_score(y, model.predict(X)) == pytest.approx(right)


def test_score_is_the_weighted_accuracy_among_answers(fitted, noisy):
    X, y = noisy
    weights = np.random.default_rng(0).random(len(y))
    accepted = fitted.accepts(X)
    expected = accuracy_score(
        y[accepted], fitted.estimator_.predict(X[accepted]), sample_weight=weights[accepted]
    )
    assert fitted.score(X, y, weights) == pytest.approx(expected)


@pytest.mark.parametrize(
    "estimator",
    [
        SVC(),
        make_pipeline(StandardScaler(), SVCSearchCV(param_grid=QUICK_GRID, cv=2)),
        MarginClassifier(training=Training(epochs=20, augmentation=None, validation_size=0.2)),
        RandomForestClassifier(20, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("load", [load_digits, load_breast_cancer])
def test_classifiers_of_all_sorts(estimator, load):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)[:600]
    model = AbstainingClassifier(estimator, coverage=0.8, random_state=0).fit(X, y[:600])
    plain = model.estimator_.predict(X)
    assert model.score(X, y[:600]) >= (plain == y[:600]).mean()
    assert 0.6 < model.accepts(X).mean() < 1
    assert hasattr(model, "predict_proba") == hasattr(estimator, "predict_proba")
    assert hasattr(model, "decision_function") == hasattr(estimator, "decision_function")


@pytest.mark.slow
def test_images(shapes):
    X, y = shapes
    head = SVCSearchCV(param_grid={"C": [1, 10], "gamma": [0.001, 0.01]}, cv=2)
    deep = DeepSVC(training=Training(epochs=8, batch_size=8, augmentation=None), head=head)
    model = AbstainingClassifier(deep, coverage=0.7, reject_label="?", random_state=0).fit(X, y)
    assert model.n_heldout_ == 12
    assert set(model.predict(X).tolist()) == {"lying", "standing", "?"}
    assert model.score(X, y) > 0.9


def test_data_frames_and_sparse_matrices():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = AbstainingClassifier(LogisticRegression(max_iter=500), coverage=0.8, random_state=0)
    frame = clone(model).fit(X, pd.Series(y.to_numpy(), index=np.arange(150) + 7))
    assert frame.feature_names_in_.tolist() == X.columns.tolist()
    plain = clone(model).fit(X.to_numpy(), y.to_numpy())
    dense = plain.predict(X.to_numpy())
    np.testing.assert_array_equal(frame.predict(X), dense)
    thin = clone(model).fit(sparse.csr_array(X.to_numpy()), y)
    assert np.mean(thin.predict(sparse.csr_array(X.to_numpy())) == dense) > 0.95


def test_a_second_fit_forgets_the_first():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = AbstainingClassifier(LogisticRegression(max_iter=500), coverage=0.8)
    model.fit(X, y).fit(X.to_numpy(), y)
    assert not hasattr(model, "feature_names_in_")


def test_the_same_seed_holds_out_the_same(noisy):
    models = [
        AbstainingClassifier(SVC(), coverage=0.8, random_state=seed).fit(*noisy)
        for seed in (0, 0, 1)
    ]
    assert models[0].threshold_ == models[1].threshold_ != models[2].threshold_


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "either a 'risk', such as 0.01, or a 'coverage'.*risk=None and coverage=None"),
        ({"risk": 0.1, "coverage": 0.5}, "either a 'risk'.*risk=0.1 and coverage=0.5"),
        ({"risk": 0}, r"'risk' parameter of AbstainingClassifier must be.*\(0, 1\); got 0"),
        ({"risk": 1.0}, r"'risk' parameter.*got 1.0"),
        ({"coverage": 0}, r"'coverage' parameter.*\(0, 1\]; got 0"),
        ({"coverage": 1.1}, r"'coverage' parameter.*got 1.1"),
        ({"coverage": 0.5, "level": 1}, r"'level' parameter.*got 1"),
        ({"coverage": 0.5, "holdout": 1.0}, r"'holdout' parameter.*got 1.0"),
        ({"coverage": 0.5, "criterion": "entropy"}, "'criterion' parameter.*got 'entropy'"),
        ({"coverage": 0.5, "criterion": "probability"}, "needs a classifier with predict_proba"),
        ({"coverage": 0.5, "reject_label": 1}, "not be one of the classes; got 1"),
    ],
)
def test_bad_parameters(parameters, message):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        AbstainingClassifier(SVC(), **parameters).fit(X, y)


def test_the_level_of_the_guarantee_is_not_called_confidence():
    """Confidence is what ranks the samples."""
    with pytest.raises(TypeError, match="confidence"):
        AbstainingClassifier(SVC(), risk=0.1, confidence=0.9)
    with pytest.raises(ValueError, match="risk=0.1 at level=0.9 needs at least 29 held-out"):
        AbstainingClassifier(SVC(), risk=0.1, level=0.9).fit([[0.0], [1.0]] * 5, [0, 1] * 5)


def test_a_non_classifier_is_refused():
    for estimator in (SVC, "SVC"):
        with pytest.raises(TypeError, match="must be a classifier, such as SVC"):
            AbstainingClassifier(estimator, coverage=0.5).fit([[0.0], [1.0]], [0, 1])


def test_labels_that_a_frozen_classifier_does_not_know():
    X, y = load_iris(return_X_y=True)
    svc = FrozenEstimator(SVC().fit(X, y))
    with pytest.raises(ValueError, match=r"such as '0'; its classes are \[0, 1, 2\]"):
        AbstainingClassifier(svc, coverage=0.5).fit(X, y.astype(str))


def test_unfitted():
    model = AbstainingClassifier(SVC(), coverage=0.5)
    for method in (model.predict, model.accepts, model.decision_function):
        with pytest.raises(NotFittedError):
            method([[0.0]])


class Known(ClassifierMixin, BaseEstimator):
    """Samples are confidences; the error rate is a known function of them."""

    def __sklearn_is_fitted__(self):
        return True

    classes_ = np.array([0, 1])

    def fit(self, X, y):
        return self

    def decision_function(self, X):
        return X[:, 0]

    def predict(self, X):
        return np.ones(len(X), dtype=int)


def test_the_guarantee_holds_of_the_whole_classifier():
    # Errors with probability 0.2 (1 - c), so 0.1 (1 - t) of those above t: 0.07 at t = 0.3.
    rng = np.random.default_rng(0)
    n_violated, thresholds = 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(200):
            c = rng.random(600)
            y = (rng.random(600) >= 0.2 * (1 - c)).astype(int)
            model = AbstainingClassifier(FrozenEstimator(Known()), risk=0.07).fit(c[:, None], y)
            n_violated += model.threshold_ < 0.3
            thresholds.append(model.threshold_)
    assert n_violated <= 20  # the 10 that are allowed, plus three standard deviations
    assert np.isfinite(thresholds).mean() > 0.5


ALL_ANSWERED = AbstainingClassifier(LogisticRegression(), coverage=1.0, reject_label=-99)
SOME_REJECTED = AbstainingClassifier(LogisticRegression(), coverage=0.8)
NO_ARITHMETIC = "None among the answers, which the check computes with or sorts"
REPEATED = "weights and repeated samples are not the same where samples are held out at random"
WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": REPEATED,
    "check_sample_weight_equivalence_on_sparse_data": REPEATED,
}
EXPECTED_FAILURES = {
    **WEIGHTS,
    "check_estimators_pickle": NO_ARITHMETIC,
    "check_classifier_data_not_an_array": NO_ARITHMETIC,
    "check_classifiers_train": NO_ARITHMETIC,
    "check_supervised_y_2d": NO_ARITHMETIC,
    "check_methods_sample_order_invariance": NO_ARITHMETIC,
    "check_methods_subset_invariance": NO_ARITHMETIC,
    "check_fit_idempotent": NO_ARITHMETIC,
    "check_classifiers_classes": "it wants an answer for every sample",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(ALL_ANSWERED, expected_failed_checks=WEIGHTS, mark="xfail")),
)
def test_estimator_check(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(
        estimator_checks_generator(
            SOME_REJECTED, expected_failed_checks=EXPECTED_FAILURES, mark="xfail"
        )
    ),
)
def test_estimator_check_of_one_that_abstains(estimator, check):
    check(estimator)


def test_what_is_cloned_forgets_an_earlier_fit():
    X, y = load_iris(return_X_y=True)
    fitted = FeatureClassifier(SVC(), random_state=0).fit(X, y)
    model = AbstainingClassifier(fitted, risk=0.2, random_state=0).fit(X, y)
    assert model.n_heldout_ == 30
