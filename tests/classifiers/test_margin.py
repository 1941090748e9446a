import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris, load_wine, make_moons
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import estimator_checks_generator

from penultimate import MarginClassifier, Training
from penultimate.classifiers import _margin_training
from penultimate.networks import build_network
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.layers import RandomFourierFeatures
from penultimate.networks.margins.losses import BinaryHinge, CrammerSinger

QUICK = Training(epochs=20, batch_size=32, learning_rate=0.1, augmentation=None)
on_tensorflow = pytest.mark.skipif(
    import_keras().backend.backend() != "tensorflow", reason="long, and of no backend's making"
)
QUICKER_ON_ALL = Training(5, 16, augmentation=None, validation_size=0)
QUICKER = Training(epochs=5, batch_size=16, learning_rate=0.05, augmentation=None)
SOLVED = Training(1, 32, augmentation=None)  # with `solved_steps`, more epochs change nothing


EXACT = "hinge", "squared_hinge", "crammer_singer"  # what scikit-learn has a solver for


def small_network(shape, n_classes):
    layers = import_keras().layers
    return import_keras().Sequential(
        [
            layers.Input(shape),
            layers.Dense(16, activation="relu"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


def objective(loss, C, scores, codes, weights):
    """Half the squared weights plus C times the losses, in NumPy."""
    rows = np.arange(len(codes))
    if scores.shape[1] == 1:
        missing = 1 - np.where(codes == 1, 1, -1) * scores[:, 0]
    elif loss == "crammer_singer":
        others = scores + 1
        others[rows, codes] -= 1
        missing = (others - scores[rows, codes][:, None]).max(axis=1)
    else:
        missing = 1 - np.where(np.eye(scores.shape[1])[codes] == 1, 1, -1) * scores
    missing = np.maximum(0, missing)
    return (weights**2).sum() / 2 + C * (missing**2 if "squared" in loss else missing).sum()


def reference(loss, C, X, codes):
    """Weights and intercepts of the exact solver, whose penalty on intercepts is scaled away."""
    if loss == "crammer_singer":
        solver = LinearSVC(C=C, multi_class=loss, intercept_scaling=10, tol=1e-6, max_iter=10**6)
    elif loss == "squared_hinge":
        solver = LinearSVC(C=C, intercept_scaling=100, dual=False, tol=1e-8, max_iter=10**5)
    else:
        solver = SVC(kernel="linear", C=C, tol=1e-6)
    classes = range(codes.max() + 1)
    if loss != "crammer_singer" and len(classes) > 2:
        each = [reference(loss, C, X, (codes == k).astype(int)) for k in classes]
        return np.hstack([w for w, _ in each]), np.hstack([b for _, b in each])
    solver.fit(X, codes)
    weights, intercept = solver.coef_.T, solver.intercept_
    if loss == "crammer_singer" and len(classes) == 2:  # LinearSVC keeps the difference of the two
        return np.hstack([-weights / 2, weights / 2]), np.hstack([-intercept / 2, intercept / 2])
    return weights, intercept


def load_two_irises(return_X_y):
    """Load the two species that no plane separates."""
    X, codes = load_iris(return_X_y=return_X_y)
    return X[codes > 0], codes[codes > 0] - 1


# Every loss with two classes and with three, in as many steps as bring it near, and every loss with
# two values of C; only the hardest problem takes all steps of the recipe.
NEAR = [
    (load_two_irises, "hinge", 1, 1.01, 200),
    (load_two_irises, "squared_hinge", 0.1, 1.01, 200),
    (load_two_irises, "crammer_singer", 0.1, 1.01, 200),
    *((load_iris, loss, 1, 1.01, 500) for loss in EXACT),
    (load_breast_cancer, "hinge", 10, 1.05, None),
]


@pytest.mark.slow
@on_tensorflow
@pytest.mark.parametrize(("load", "loss", "C", "ratio", "n_steps"), NEAR)
def test_without_hidden_layers_it_is_the_svm(load, loss, C, ratio, n_steps, monkeypatch):
    if n_steps is not None:
        monkeypatch.setattr(_margin_training, "_LINEAR_STEPS", n_steps)
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    weights, intercept = reference(loss, C, X, y)
    expected = objective(loss, C, X @ weights + intercept, y, weights)
    model = MarginClassifier(loss=loss, C=C, random_state=0).fit(X, y)
    kernel, bias = model.network_.get_weights()
    reached = objective(loss, C, X @ kernel + bias, y, kernel)
    assert 0.999 * expected < reached < ratio * expected
    # The training minimizes this objective divided by C n; an epoch drops some samples.
    assert model.history_.loss[-1] * C * len(X) == pytest.approx(reached, rel=0.25)


@pytest.mark.slow
@on_tensorflow
def test_with_more_random_features_it_nears_the_kernel_machine():
    X, y = make_moons(300, noise=0.2, random_state=0)
    exact = SVC(C=1, gamma=1).fit(X, y).decision_function(X)

    def distance(n_features):
        def network(shape, n_classes):
            keras = import_keras()
            features = RandomFourierFeatures(n_features, gamma=1.0)
            head = keras.layers.Dense(n_classes, kernel_initializer="zeros")
            return keras.Sequential([keras.layers.Input(shape), features, head])

        recipe = Training(150, 256, 0.05, augmentation=None, validation_size=0)
        model = MarginClassifier(network, loss=BinaryHinge(), standardize=False, training=recipe)
        decision = model.set_params(random_state=0).fit(X, y).decision_function(X)
        return np.sqrt(np.mean((decision - exact) ** 2))

    few, some, many = (distance(n) for n in (16, 128, 1024))
    assert few > some > many
    assert many < 0.1


@pytest.fixture(scope="module")
def wine():
    X, codes = load_wine(return_X_y=True)
    return X, codes


@pytest.mark.slow
@pytest.mark.one_backend
def test_every_form_of_labels(wine, solved_steps):
    X, codes = wine
    names = np.array(["barolo", "grignolino", "barbera"])[codes]
    model = MarginClassifier(training=SOLVED, random_state=0)
    expected = model.fit(X, codes).decision_function(X)
    for y in (codes.astype(float), np.eye(3)[codes], 2 * np.eye(3)[codes] - 1):
        np.testing.assert_allclose(model.fit(X, y).decision_function(X), expected, atol=1e-3)
        assert model.predict(X).dtype == np.asarray(y).ravel().dtype or np.ndim(y) == 2
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        model.fit(X, codes[:, None])
    np.testing.assert_allclose(model.decision_function(X), expected, atol=1e-3)
    assert model.fit(X, names).classes_.tolist() == ["barbera", "barolo", "grignolino"]
    assert (model.predict(X) == names).mean() > 0.9
    second = codes == 1
    for y in (second, second.astype(int), np.where(second, 1, -1), np.eye(2)[second.astype(int)]):
        decision = model.fit(X, y).decision_function(X)
        assert decision.shape == (len(X),)
        assert np.mean((decision > 0) == second) > 0.9
        assert model.predict(X)[decision > 0][0] == (1 if np.ndim(y) == 2 else y[second][0])


# Only "hinge" without hidden layers has one output; with two, the losses do not differ in this.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "loss"),
    [
        (None, "hinge"),
        (None, "squared_crammer_singer"),
        (small_network, "hinge"),
        (small_network, "weston_watkins"),
    ],
)
def test_two_classes_have_one_decision_value(wine, network, loss):
    X, codes = wine
    model = MarginClassifier(network, loss=loss, training=QUICK, random_state=0)
    decision = model.fit(X, codes == 0).decision_function(X)
    assert np.mean((decision > 0) == (codes == 0)) > 0.95
    # The margin is at 1, near which such an easy problem has few samples.
    assert np.mean(np.abs(decision) > 0.9) > 0.6


@pytest.mark.slow
def test_network_loses_its_softmax(shapes, solved_steps):
    X, y = shapes
    recipe = Training(epochs=1)  # which augments images
    model = MarginClassifier("compact", training=recipe, random_state=0).fit(X, y)
    assert (model.predict(X) == y).mean() > 0.9
    assert model.decision_function(X).min() < 0
    assert model.scaler_ is None
    np.testing.assert_array_equal(model.predict(X / 255), model.predict(X))


@pytest.mark.slow
def test_a_smaller_c_shrinks_the_last_layer(wine):
    norms = [
        np.linalg.norm(MarginClassifier(C=C, training=QUICK).fit(*wine).network_.get_weights()[0])
        for C in (0.001, 0.1, 10)
    ]
    assert norms == sorted(norms)
    assert norms[0] < 0.5 * norms[2]


@pytest.mark.slow
@on_tensorflow
def test_weights_count_as_repetitions(wine, monkeypatch):
    monkeypatch.setattr(_margin_training, "_LINEAR_STEPS", 200)
    X, codes = wine
    keep = codes < 2
    X, codes = X[keep], codes[keep]
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    model = MarginClassifier(random_state=0)
    weighted = model.fit(X, codes, sample_weight=weight).decision_function(X)
    repeated = model.fit(np.repeat(X, weight, axis=0), np.repeat(codes, weight))
    np.testing.assert_allclose(repeated.decision_function(X), weighted, atol=0.1)


def test_class_weights_are_weights_of_their_samples(wine, solved_steps, monkeypatch):
    monkeypatch.setattr(_margin_training, "_LINEAR_STEPS", 2)
    X, codes = wine
    model = MarginClassifier(random_state=0)
    X, codes = X[codes < 2], codes[codes < 2]
    factors = np.where(codes == 1, 3.0, 0.5)
    weighted = model.fit(X, codes, sample_weight=factors).decision_function(X)
    by_class = clone(model).set_params(class_weight={0: 0.5, 1: 3.0}, standardize=True)
    np.testing.assert_allclose(by_class.fit(X, codes).decision_function(X), weighted, atol=0.1)
    assert not np.allclose(model.fit(X, codes).decision_function(X), weighted, atol=0.1)
    assert by_class.class_weight_.tolist() == [0.5, 3.0]


@pytest.mark.slow
def test_probabilities_are_calibrated_by_scikit_learn(wine, solved_steps, monkeypatch):
    monkeypatch.setattr(_margin_training, "_LINEAR_STEPS", 2)
    X, codes = wine
    train, test = np.arange(0, 178, 2), np.arange(1, 178, 2)
    quick = Training(1, 32, augmentation=None, validation_size=0.25)
    for calibration, training in (("temperature", quick), ("sigmoid", None)):
        model = MarginClassifier(calibration=calibration, training=training, random_state=0)
        model.fit(X[train], codes[train])
        probabilities = model.predict_proba(X[test])
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        assert log_loss(codes[test], probabilities) < 0.5
    model.set_params(training=quick)
    binary = model.fit(X[train], codes[train] == 1).predict_proba(X[test])
    assert np.mean((binary[:, 1] > 0.5) == (codes[test] == 1)) > 0.9
    with pytest.raises(AttributeError, match="predict_proba"):
        MarginClassifier(training=SOLVED).fit(X, codes).predict_proba(X)
    wrapped = CalibratedClassifierCV(MarginClassifier(training=SOLVED), ensemble=False, cv=2)
    assert log_loss(codes, wrapped.fit(X, codes).predict_proba(X)) < 0.5


@pytest.mark.slow
def test_early_stopping_keeps_the_best_weights(wine):
    recipe = Training(300, 16, 0.1, augmentation=None, validation_size=0.2, patience=3)
    model = MarginClassifier(small_network, training=recipe, random_state=0).fit(*wine)
    history = model.history_
    assert len(history.loss) == history.best_epoch + 1 + 3 < 300
    assert history.best_epoch == np.argmin(history.validation_loss)


@pytest.mark.slow
def test_partial_fit_sees_every_sample_and_agrees_with_fit(wine):
    X, codes = wine
    names = np.array(["a", "b", "c"])[codes]
    order = np.random.default_rng(0).permutation(len(X))
    model = MarginClassifier(training=Training(batch_size=16, learning_rate=0.03), random_state=0)
    for _ in range(4):
        for chunk in np.array_split(order, 4):
            model.partial_fit(X[chunk], names[chunk], classes=["a", "b", "c"])
    assert (model.predict(X) == names).mean() > 0.95
    assert model.scaler_.n_samples_seen_ == 4 * len(X)
    np.testing.assert_allclose(model.scaler_.mean_, X.mean(axis=0))
    one_class = codes == 0
    model.partial_fit(X[one_class], names[one_class])
    fitted = MarginClassifier(training=QUICK, random_state=0).fit(X, names)
    before = fitted.network_.get_weights()[0].copy()
    fitted.partial_fit(X, names)
    assert 0 < np.abs(fitted.network_.get_weights()[0] - before).max() < 1
    assert (fitted.predict(X) == names).mean() > 0.95


def test_partial_fit_takes_all_of_a_chunk():
    X, codes = np.array([[-1.0], [1.0], [3.0]]), np.array([0, 1, 1])
    recipe = Training(batch_size=2, learning_rate=0.1)
    model = MarginClassifier(training=recipe, standardize=False, random_state=0)
    model.partial_fit(X, codes, classes=[0, 1])
    assert int(model.network_.optimizer.iterations) == 2


@pytest.mark.slow
@on_tensorflow
def test_the_penalty_of_a_stream_is_that_of_all_its_samples(wine, monkeypatch):
    monkeypatch.setattr(_margin_training, "_LINEAR_STEPS", 200)
    X, codes = wine
    streamed = MarginClassifier(C=0.1, training=Training(batch_size=32, learning_rate=0.03))
    for _ in range(10):
        for chunk in (slice(0, None, 2), slice(1, None, 2)):
            streamed.partial_fit(X[chunk], codes[chunk], classes=[0, 1, 2])
    # Ten times as many samples are equivalent to ten times the C.
    fitted = MarginClassifier(C=1).fit(X, codes)
    norms = [np.linalg.norm(m.network_.get_weights()[0]) for m in (streamed, fitted)]
    assert norms[0] == pytest.approx(norms[1], rel=0.25)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"C": 0}, ValueError, r"'C' parameter of MarginClassifier must be .* \(0, inf\]; got 0"),
        ({"C": -1}, ValueError, "got -1"),
        ({"C": "high"}, TypeError, "must be a number; got 'high'"),
        ({"loss": "softmax"}, ValueError, "must be one of 'hinge', .*; got 'softmax'"),
        ({"loss": BinaryHinge()}, ValueError, "two classes, and y has 3.*'crammer_singer'"),
        ({"calibration": "platt"}, ValueError, "must be one of 'sigmoid'"),
        ({"standardize": 1}, TypeError, "must be True or False; got 1"),
        ({"training": 30}, TypeError, "must be a Training or None; got 30"),
        ({"training": Training(patience=3, validation_size=0)}, ValueError, "no patience"),
        ({"network": "vgg"}, ValueError, "must be one of 'compact'"),
        ({"network": lambda shape, n: small_network(shape, 5)}, ValueError, "each of the 3"),
        ({"network": lambda shape, n: 3}, TypeError, "must return a Keras model; got 3"),
    ],
)
def test_bad_parameters(wine, parameters, error, message):
    with pytest.raises(error, match=message):
        MarginClassifier(**parameters).fit(*wine)


def test_bad_networks(wine):
    layers = import_keras().layers

    def in_relu(shape, n_classes):
        return import_keras().Sequential(
            [layers.Input(shape), layers.Dense(n_classes, activation="relu")]
        )

    with pytest.raises(ValueError, match="scores of either sign, and the network .* 'relu'"):
        MarginClassifier(in_relu).fit(*wine)
    with pytest.raises(TypeError, match="got the Keras model .* Pass the function that builds it"):
        MarginClassifier(build_network(small_network, (13,), 3)).fit(*wine)
    with pytest.raises(ValueError, match="images of at least 8 x 8"):
        MarginClassifier("compact").fit(np.random.random((6, 4, 4)), [0, 1] * 3)


def test_bad_samples_and_labels(wine):
    X, codes = wine
    holed = X.copy()
    holed[3, 2] = np.nan
    calls = []
    counted = MarginClassifier(lambda *args: calls.append(args) or small_network(*args))
    for X_bad, y_bad, message in [
        (holed, codes, "NaN"),
        (X, np.zeros(len(X)), "1 class"),
        (X, codes[:-1], "inconsistent"),
        (X, np.eye(4)[codes], "no sample belongs to column 3"),
        (X, np.linspace(0, 1, len(X)), "continuous"),
    ]:
        with pytest.raises(ValueError, match=message):
            counted.fit(X_bad, y_bad)
    for weight, message in [
        (np.where(codes == 1, 0, 1), r"leaves class 1 without any weight"),
        (-np.ones(len(X)), "[Nn]egative"),
    ]:
        with pytest.raises(ValueError, match=message):
            counted.fit(X, codes, sample_weight=weight)
    assert calls == []  # nothing was built, let alone trained
    with pytest.raises(NotFittedError):
        counted.predict(X)


def test_impossible_validation_slices_are_refused(wine, solved_steps):
    X, codes = wine
    alone = np.append(np.flatnonzero(codes < 2), 177)
    with pytest.raises(ValueError, match=r"validation_size=0.1.*Class 2 has 1 sample.*size=0\)"):
        MarginClassifier(small_network).fit(X[alone], codes[alone])
    assert (
        MarginClassifier(training=QUICKER_ON_ALL).fit(X[alone], codes[alone]).n_features_in_ == 13
    )
    few = np.append(np.flatnonzero(codes < 2), [175, 176, 177])
    recipe = Training(5, 16, validation_size=0.05)
    model = MarginClassifier(training=recipe, calibration="sigmoid", random_state=0)
    with pytest.raises(ValueError, match="no sample of class 2 to calibrate with .*larger"):
        model.fit(X[few], codes[few])


def test_bad_partial_fit(wine, solved_steps):
    X, codes = wine
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MarginClassifier().partial_fit(X, codes)
    with pytest.raises(ValueError, match=r"classes must name at least two; got \[0\]"):
        MarginClassifier().partial_fit(X, codes, classes=[0])
    model = MarginClassifier(training=QUICKER).partial_fit(X, codes, classes=[0, 1, 2])
    model.partial_fit(X[codes < 2], np.eye(3)[codes[codes < 2]])  # no sample of the last column
    before = model.network_.get_weights()[0].copy()
    with pytest.raises(ValueError, match=r"not among the classes: \[7\].*\[0, 1, 2\]"):
        model.partial_fit(X, np.where(codes == 1, 7, codes))
    with pytest.raises(ValueError, match="not the same as in the first call"):
        model.partial_fit(X, codes, classes=[0, 1])
    with pytest.raises(ValueError, match="calibration='sigmoid' is for fit"):
        clone(model).set_params(calibration="sigmoid").partial_fit(X, codes, classes=[0, 1, 2])
    np.testing.assert_array_equal(model.network_.get_weights()[0], before)


@pytest.mark.slow
def test_unscaled_features_cause_a_warning(wine, solved_steps):
    X, codes = wine
    with pytest.warns(
        UserWarning, match=r"deviations range from 0\.12\d? to 3\d\d; .*standardize=True"
    ):
        MarginClassifier(standardize=False, training=QUICKER).fit(X, codes)
    scaled = StandardScaler().fit_transform(X)
    MarginClassifier(standardize=False, training=QUICKER).fit(scaled, codes)
    constant = np.column_stack([scaled, np.full(len(X), 5.0)])
    MarginClassifier(standardize=False, training=QUICKER).fit(constant, codes)


@pytest.mark.slow
def test_it_can_be_unpickled_in_another_process(wine, run_anew):
    X, codes = wine
    model = MarginClassifier(
        small_network_of_keras, loss=CrammerSinger(margin=2.0), training=QUICKER, random_state=0
    )
    model.fit(X, codes)
    clone_of_it = pickle.loads(pickle.dumps(model))  # noqa: S301
    np.testing.assert_array_equal(clone_of_it.predict(X), model.predict(X))
    clone_of_it.partial_fit(X, codes)
    linear = MarginClassifier(training=QUICKER, random_state=0).fit(X, codes)
    code = (
        "import pickle, sys\n"
        "assert 'penultimate' not in sys.modules\n"
        "answer(pickle.loads(data).predict(X).tolist())"
    )
    assert run_anew(code, data=pickle.dumps(linear), X=X) == linear.predict(X).tolist()


def small_network_of_keras(shape, n_classes):
    return small_network(shape, n_classes)


# With equivalent forms of the same samples, stochastic steps find the same minimum, but not the
# same bits; scikit-learn's own SVC fails these checks as well.
EXPECTED = {"check_sample_weight_equivalence_on_dense_data"}


@pytest.mark.slow
@on_tensorflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(MarginClassifier(training=Training(2, 16, 0.05)))),
)
def test_estimator_check(estimator, check, request):
    """Check the estimator's interface; training does not matter here, and would take minutes."""
    if getattr(check, "func", check).__name__ in EXPECTED:
        request.applymarker(pytest.mark.xfail(strict=True))
    else:
        request.getfixturevalue("solved_steps")
    check(estimator)
