import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from penultimate import SVC, AbstainingClassifier, DeepSVC, Training
from penultimate.displays import RiskCoverageDisplay
from penultimate.evaluation import accuracy_interval, evaluate
from penultimate.networks.frameworks.backend import import_keras
from penultimate.provenance.leakage import LeakageError, LeakageWarning, UnknownProvenanceWarning
from penultimate.provenance.records import record


@pytest.fixture(scope="module")
def fitted(shapes):
    X, y = shapes
    recipe = Training(epochs=4, batch_size=8, augmentation=None)
    return DeepSVC(head=SVC(), training=recipe, random_state=0).fit(X[:40], y[:40])


def test_accuracy_with_its_interval_and_what_was_tested(fitted, shapes):
    X, y = shapes
    found = evaluate(fitted, X[40:], y[40:])
    assert found == accuracy_interval(fitted.predict(X[40:]) == y[40:])
    assert len(fitted.provenance_.tested) == 20
    assert evaluate(fitted, X[40:] / 255, y[40:]) == found


def test_seen_samples_are_refused(fitted, shapes):
    X, y = shapes
    for form in (X[30:], X[30:, ..., None], X[30:] / 255):
        with pytest.raises(LeakageError, match="10 of 30 test samples .*: 0, 1, 2 ... Evaluate on"):
            evaluate(fitted, form, y[30:])
    with pytest.warns(LeakageWarning, match="10 of 30") as caught:
        evaluate(fitted, X[30:], y[30:], on_leak="warn")
    assert caught[0].filename == __file__
    evaluate(fitted, X[30:], y[30:], on_leak="ignore")


def test_groups_and_classifiers_of_others():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = (X[:, 0] > 0).astype(int)
    machine = SVC().fit(X[:30], y[:30])
    alone = evaluate(machine, X[30:], y[30:])
    assert alone == accuracy_interval(machine.predict(X[30:]) == y[30:])
    grouped = evaluate(machine, X[30:], y[30:], groups=np.arange(30) % 3)
    assert grouped.high - grouped.low > alone.high - alone.low


def test_bad_input(fitted, shapes):
    X, y = shapes
    with pytest.raises(ValueError, match="one label per sample, shape \\(20,\\); got \\(19,\\)"):
        evaluate(fitted, X[40:], y[41:])
    with pytest.raises(ValueError, match="'on_leak' parameter of evaluate must be one of"):
        evaluate(fitted, X[40:], y[40:], on_leak="shout")


@pytest.mark.parametrize(
    ("fitted_on", "asked_with"), [(int, str), (str, int), (str, float), (bool, str), (float, str)]
)
def test_labels_of_another_type_are_no_errors_of_the_classifier(fitted_on, asked_with):
    X = np.arange(40, dtype=float)[:, None]
    y = (X[:, 0] > 19).astype(int)
    machine = SVC().fit(X, y.astype(fitted_on))
    assert evaluate(machine, X, y.astype(fitted_on)).value == 1
    uses = (
        lambda y: evaluate(machine, X, y),
        lambda y: RiskCoverageDisplay.from_estimator(machine, X, y),
        lambda y: (
            AbstainingClassifier(FrozenEstimator(machine), coverage=1.0)
            .fit(X, machine.predict(X))
            .score(X, y)
        ),
    )
    for use in uses:
        with pytest.raises(ValueError, match="but the classifier answers with .*y.astype"):
            use(y.astype(asked_with))


def test_missing_labels_are_no_errors_of_the_classifier():
    X = np.arange(40, dtype=float)[:, None]
    y = (X[:, 0] > 19).astype(float)
    machine = SVC().fit(X, y)
    y[:10] = np.nan
    with pytest.raises(ValueError, match="y holds 10 missing labels .* the first at 0; drop"):
        evaluate(machine, X, y)
    with pytest.raises(ValueError, match="y holds 10 missing labels"):
        RiskCoverageDisplay.from_estimator(machine, X, y)


def outputs(activation, n_outputs, seed=5):
    """A network whose outputs say how bright a sample's first values are."""
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    layer = keras.layers.Dense(n_outputs, activation=activation)
    model = keras.Sequential([keras.Input((3,)), layer])
    kernel = 9 * np.eye(3)[:, :n_outputs]
    layer.set_weights([kernel, np.full(n_outputs, -4.5 if n_outputs == 1 else 0.0)])
    record(model, [])
    return model


@pytest.mark.parametrize("activation", ["softmax", "linear", "sigmoid"])
@pytest.mark.parametrize(
    "classes", [["c", "a", "b"], [3, 1, 2], range(3), np.array(["c", "a", "b"], object)]
)
def test_a_network_with_its_classes_in_the_order_of_its_outputs(activation, classes):
    model, X = outputs(activation, 3), np.eye(3)[[0, 1, 2, 2]]
    y = [list(classes)[k] for k in (0, 1, 2, 1)]
    assert evaluate(model, X, y, classes=classes).value == 0.75


@pytest.mark.parametrize("activation", ["linear", "sigmoid"])
def test_a_network_of_one_output_has_two_classes(activation):
    X = np.array([[0.0, 0, 0], [1, 0, 0], [0.55, 0, 0]])  # the last one's logit is .45
    found = evaluate(outputs(activation, 1), X, ["no", "yes", "yes"], classes=["no", "yes"])
    assert found.value == 1


def test_what_a_network_does_not_say(fitted, shapes):
    model, X = outputs("softmax", 3), np.eye(3)
    for y, classes, message in [
        ([0, 1, 2], None, "pass classes=.*in the order of its outputs"),
        ([0, 1, 1], [0, 1], "has 3 outputs, but classes has 2"),
        ([0, 1, 2], [1, 2, 3], r"not among the classes: \[0\]"),
        (["0", "1", "2"], [0, 1, 2], "not among the classes"),
        ([0, 1, 1], [0, 1, 1], "each class once"),
    ]:
        with pytest.raises(ValueError, match=message):
            evaluate(model, X, y, classes=classes)
    with pytest.raises(ValueError, match="DeepSVC has its own, classes_"):
        evaluate(fitted, *(part[40:] for part in shapes), classes=["lying", "standing"])


def test_what_a_network_has_seen():
    model, X = outputs("softmax", 3, seed=6), np.eye(3) * 2
    record(model, X[:2])
    with pytest.raises(LeakageError, match="2 of 3"):
        evaluate(model, X, [0, 1, 2], classes=range(3))
    unknown = import_keras().models.clone_model(model)  # of other weights, nothing is recorded
    unknown.set_weights([weights + 0.1 for weights in model.get_weights()])
    with pytest.warns(UnknownProvenanceWarning, match=r"record\(network, \[\]\)"):
        evaluate(unknown, X, [0, 1, 2], classes=range(3))


def scaled(X):
    return X.astype(np.float32) / 255


def turned(X):
    return X[:, ::-1]


def test_a_pipeline_changes_what_its_classifier_sees(fitted, shapes):
    X, y = shapes
    model = make_pipeline(FunctionTransformer(turned), FrozenEstimator(fitted))
    with pytest.raises(LeakageError, match="10 of 30"):
        evaluate(model, turned(X[30:]), y[30:])


@pytest.mark.parametrize(
    "wrap",
    [
        FrozenEstimator,
        lambda model: make_pipeline(FunctionTransformer(scaled), FrozenEstimator(model)),
        lambda model: make_pipeline(FrozenEstimator(model)),
        lambda model: FrozenEstimator(FrozenEstimator(model)),
    ],
)
def test_seen_samples_are_known_through_what_a_classifier_is_wrapped_in(fitted, shapes, wrap):
    X, y = shapes
    with pytest.raises(LeakageError, match="10 of 30"):
        evaluate(wrap(fitted), X[30:], y[30:])


@pytest.mark.parametrize(
    "wrap", [FrozenEstimator, lambda model: FrozenEstimator(make_pipeline(model))]
)
def test_no_threshold_is_set_on_seen_samples(fitted, shapes, wrap):
    X, y = shapes
    model = AbstainingClassifier(wrap(fitted), coverage=0.9)
    with pytest.warns(LeakageWarning, match="10 of 30 held-out samples .* the other 20"):
        assert model.fit(X[30:], y[30:]).n_heldout_ == 20
    with pytest.raises(LeakageError, match="40 of 40 held-out samples were seen"):
        model.fit(X[:40], y[:40])
    strict = AbstainingClassifier(wrap(fitted), risk=0.1)
    with pytest.raises(
        ValueError, match="20 of 60 .* are held out, not counting 40 that were seen"
    ):
        strict.fit(X, y)
