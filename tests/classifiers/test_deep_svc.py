import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ParameterGrid, cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from penultimate import SVC, DeepSVC, FeatureExtractor, SVCSearchCV, Training
from penultimate.classifiers import _cut_network
from penultimate.networks import build_network, fit_network
from penultimate.networks.frameworks.backend import import_keras
from penultimate.provenance.fingerprints import fingerprint
from penultimate.provenance.leakage import LeakageWarning
from penultimate.provenance.records import provenance_of, record
from penultimate.splits import split_folds

pytestmark = pytest.mark.usefixtures("solved_networks")
QUICK = Training(epochs=1, augmentation=None)
SMALL = SVCSearchCV(param_grid={"C": [1, 10], "gamma": [0.001, 0.01]}, cv=2)


def feature_network(shape, n_classes):
    layers = import_keras().layers
    return import_keras().Sequential(
        [
            layers.Input(shape),
            layers.Dense(16, activation="relu"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


def image_network(shape, n_classes):
    layers = import_keras().layers
    return import_keras().Sequential(
        [
            layers.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Flatten(name="flatten"),
            layers.Dense(16, activation="relu"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


def untrained(network=image_network):
    """A network with a recorded provenance: it has seen nothing."""
    network = build_network(network, (12, 12, 1), 2)
    record(network, [])
    return network


@pytest.fixture(scope="module")
def fitted(shapes, solved_networks):
    return DeepSVC(training=QUICK, head=SMALL, random_state=0).fit(*shapes)


@pytest.mark.usefixtures("real_training")
def test_it_learns_and_keeps_labels(shapes):
    X, y = shapes
    recipe = Training(epochs=8, batch_size=8, augmentation=None)
    fitted = DeepSVC(image_network, training=recipe, head=SMALL, random_state=0).fit(X, y)
    assert fitted.classes_.tolist() == ["lying", "standing"]
    assert (fitted.predict(X) == y).mean() > 0.9
    assert fitted.decision_function(X).shape == (60,)
    assert set(fitted.best_params_) == {"C", "gamma"}
    assert 0.5 <= fitted.best_score_ <= 1


@pytest.mark.slow
def test_the_network_has_seen_only_the_fit_part(shapes, monkeypatch):
    seen = []

    def spy(network, X, codes, *args, **kwargs):
        seen.append(len(X))
        return real(network, X, codes, *args, **kwargs)

    real = _cut_network.fit_network
    monkeypatch.setattr(_cut_network, "fit_network", spy)
    DeepSVC(image_network, training=QUICK, head=SMALL).fit(*shapes)
    DeepSVC(image_network, training=QUICK, head=SMALL, selection="resubstitution").fit(*shapes)
    assert seen == [48, 60]


def test_all_forms_of_pixels_predict_the_same(fitted, shapes):
    X, _ = shapes
    expected = fitted.predict(X)
    for other in (X[..., None], X / 255, X.astype(np.float32)):
        np.testing.assert_array_equal(fitted.predict(other), expected)


@pytest.mark.slow
@pytest.mark.compiled  # uncompiled, the last digits depend on the number of samples
def test_one_dark_image_means_the_same_as_among_others(shapes):
    X, y = shapes
    X = X.astype(np.float64)
    X[0] = X[0] > 200  # almost black on the scale from 0 to 255
    model = DeepSVC(training=QUICK, head=SMALL, random_state=0).fit(X, y)
    among_others = model.extract(X)
    # On some processors the backend rounds otherwise for another number of samples.
    np.testing.assert_allclose(model.extract(X[:1]), among_others[:1], atol=1e-5)
    assert np.abs(model.extract(255 * X[:1]) - among_others[:1]).max() > 1e-3


@pytest.mark.compiled
def test_one_sample_is_predicted_as_among_many(fitted, shapes):
    X, _ = shapes
    np.testing.assert_allclose(fitted.extract(X[:1]), fitted.extract(X)[:1], atol=1e-5)
    np.testing.assert_array_equal(fitted.predict(X[:1]), fitted.predict(X)[:1])


def test_a_frozen_network_stays_unchanged(shapes):
    X, y = shapes
    network = untrained()
    before = [w.copy() for w in network.get_weights()]
    model = DeepSVC(network, head=SMALL, random_state=0).fit(X[..., None], y)
    assert model.network_ is network
    assert model.history_ is None
    for a, b in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_layer_and_head(shapes):
    model = DeepSVC(layer="flatten", head=LogisticRegression(), training=QUICK).fit(*shapes)
    # 16 channels at 12 x 12; 32 at 6 x 6.
    assert model.extract(shapes[0]).shape == (60, 6 * 6 * 32)
    assert not hasattr(model, "best_score_")


@pytest.mark.parametrize("layer", ["flaten", ["penultimate", "flaten"]])
def test_a_misspelled_layer_is_found_before_the_training(shapes, layer, monkeypatch):
    monkeypatch.setattr(_cut_network, "fit_network", lambda *_, **__: pytest.fail("was trained"))
    with pytest.raises(ValueError, match="'flaten'.*'flatten'"):
        DeepSVC(layer=layer).fit(*shapes)


def test_groups(shapes):
    X, y = shapes
    model = DeepSVC(image_network, training=QUICK, head=SMALL)
    model.fit(X, y, groups=np.arange(60) % 12)
    assert (model.predict(X) == y).mean() > 0.5


@pytest.mark.slow
@pytest.mark.one_backend
def test_layer_is_selected(shapes):
    X, y = shapes
    layers = ["flatten", "penultimate"]
    model = DeepSVC(image_network, layer=layers, head=SMALL, training=QUICK, random_state=0)
    model.fit(X, y)
    assert list(model.layer_scores_) == layers
    assert model.layer_ == max(layers, key=model.layer_scores_.get)
    assert model.best_score_ == model.layer_scores_[model.layer_]
    assert model.extractor_.layer == model.layer_
    for layer in layers:
        alone = clone(model).set_params(layer=layer).fit(X, y)
        assert alone.layer_scores_ == {layer: alone.best_score_}
        assert alone.best_score_ == model.layer_scores_[layer]
    with pytest.raises(ValueError, match="at least one layer"):
        DeepSVC(layer=[]).fit(X, y)


@pytest.mark.one_backend
@pytest.mark.parametrize(("n_each", "searched"), [(5, True), (2, True), (1, False)])
def test_crossfit_from_few_samples(shapes, n_each, searched):
    X, y = shapes
    few = np.concatenate([np.flatnonzero(y == label)[:n_each] for label in np.unique(y)])
    network = untrained("compact")
    model = DeepSVC(network, head=SMALL, selection="crossfit", random_state=0)
    model.fit(X[few], y[few])
    assert (model.predict(X[few]) == y[few]).all()
    assert hasattr(model, "best_params_") == searched
    assert model.classes_.tolist() == ["lying", "standing"]


@pytest.mark.slow
@pytest.mark.one_backend
def test_crossfit_matches_its_definition(shapes):
    """Compare with the definition: one network per fold, and features never mixed."""
    X, y = shapes
    few = np.concatenate([np.flatnonzero(y == label)[:12] for label in np.unique(y)])
    X, y = X[few], y[few]
    search = SVCSearchCV(param_grid={"C": [0.1, 1], "gamma": [0.001, 0.01]})
    model = DeepSVC(image_network, head=search, selection="crossfit", training=QUICK)
    model.set_params(random_state=3).fit(X, y)
    seed = int(np.random.RandomState(3).randint(2**31))
    codes, scores = np.unique(y, return_inverse=True)[1], []
    for fold in split_folds(y, seed=seed):
        network, _ = fit_network(
            image_network, X[fold.train, ..., None], codes[fold.train], QUICK, seed=seed
        )
        features = FeatureExtractor(network).fit_transform(X[..., None])
        scaler = StandardScaler().fit(features[fold.train])
        values = scaler.transform(features)
        scores.append(
            [
                SVC(**params)
                .fit(values[fold.train], y[fold.train])
                .score(values[fold.held_out], y[fold.held_out])
                for params in ParameterGrid(search.param_grid)
            ]
        )
    np.testing.assert_allclose(
        model.head_["head"].cv_results_["mean_test_score"], np.mean(scores, 0)
    )
    assert model.best_score_ == pytest.approx(np.mean(scores, 0).max())
    assert model.best_params_ == list(ParameterGrid(search.param_grid))[np.mean(scores, 0).argmax()]
    assert provenance_of(model.network_).holds(fingerprint(X)).all()
    assert (model.predict(X) == y).mean() > 0.9
    assert model.decision_function(X).shape == (24,)


def test_crossfit_needs_two_samples_of_each_class(shapes):
    X, y = shapes
    one = np.r_[0, np.flatnonzero(y != y[0])]
    with pytest.raises(ValueError, match="needs at least 2 samples"):
        DeepSVC(selection="crossfit").fit(X[one], y[one])


def test_attributes_of_an_earlier_head_are_removed(shapes):
    X, y = shapes
    network = untrained()
    model = DeepSVC(network, head=SMALL).fit(X, y)
    model.set_params(head=LogisticRegression(max_iter=1000)).fit(X, y)
    assert not hasattr(model, "best_params_")


def test_frozen_network_that_scales_pixels_gets_them_from_0_to_255(fitted, shapes):
    X, y = shapes
    with pytest.warns(LeakageWarning, match="seen 48 of 60 .* 12 others"):
        frozen = DeepSVC(fitted.network_, head=SMALL, random_state=0).fit(X / 255, y)
    np.testing.assert_allclose(frozen.extract(X / 255), fitted.extract(X), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def with_channel(shapes, solved_networks):
    return DeepSVC(untrained(), head=SVC()).fit(shapes[0][..., np.newaxis], shapes[1])


def test_bad_input(shapes):
    X, y = shapes
    for X_bad, y_bad, message in [
        (X, np.eye(2)[(y == "lying").astype(int)], "one-hot"),
        (X[:10], y, "inconsistent|10 samples but 60"),
        (X[0, ..., None], y[:1], r"if X is one image, pass X\[None\]"),
        (X - 300.0, y, r"\[0, 1\] or \[0, 255\]"),
        (np.full(X.shape, np.nan), y, "NaN"),
        (X, np.repeat("lying", 60), "1 class"),
    ]:
        with pytest.raises(ValueError, match=message):
            DeepSVC(training=QUICK).fit(X_bad, y_bad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[0], r"one sample, of shape \(12, 12, 1\); pass X\[None\]"),
        (lambda X: X[0, ..., 0], r"one sample, of shape \(12, 12\); pass X\[None\]"),
        (lambda X: X.repeat(2, 1), "images are 24 x 12 x 1; the network takes 12 x 12 x 1: resize"),
        (lambda X: X.repeat(2, 2)[..., 0], "images are 12 x 24 x 1; .* resize"),
        (lambda X: np.moveaxis(X, -1, 1), "images are 1 x 12 x 12; .*: move their channels last"),
        (lambda X: X.repeat(3, -1), "images are 12 x 12 x 3; .*: give them 1 channel"),
        (lambda X: X.reshape(len(X), -1), r"samples of shape \(12, 12, 1\); got X of shape"),
    ],
)
def test_samples_of_another_shape(with_channel, shapes, change, message):
    X, y = shapes[0][..., np.newaxis], shapes[1]
    for method in ("predict", "decision_function", "extract", "score", "fit"):
        args = (y,) if method in ("score", "fit") else ()
        model = clone(with_channel) if method == "fit" else with_channel
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(change(X), *args)


def test_images_of_other_sizes_where_the_network_takes_them():
    layers = import_keras().layers
    network = import_keras().Sequential(
        [
            layers.Input((None, None, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalMaxPooling2D(),
        ]
    )
    record(network, [])
    X = np.random.default_rng(0).normal(size=(20, 8, 8, 1))
    model = DeepSVC(network, head=SVC()).fit(X, np.arange(20) % 2)
    assert model.predict(X.repeat(2, 1)).shape == model.predict(X.repeat(2, 2)).shape == (20,)


def test_bad_parameters(shapes):
    with pytest.raises(ValueError, match="must be one of 'heldout', .*'resubstitution'; got 'cv'"):
        DeepSVC(selection="cv").fit(*shapes)
    with pytest.raises(ValueError, match="must be one of 'compact', .*; got 'vgg'"):
        DeepSVC("vgg").fit(*shapes)
    with pytest.warns(UserWarning, match="softmax output fed to an SVM"):
        DeepSVC(layer="probabilities", training=QUICK, head=SMALL).fit(*shapes)


def test_not_fitted(shapes):
    with pytest.raises(NotFittedError):
        DeepSVC().predict(shapes[0])


@pytest.mark.slow
def test_cross_validation(shapes):
    model = DeepSVC(image_network, training=QUICK, head=SMALL, random_state=0)
    assert cross_val_score(model, *shapes, cv=2).mean() > 0.5


DEEP = DeepSVC(
    feature_network,
    head=SVCSearchCV(param_grid={"C": [1, 10]}, cv=2),
    training=Training(epochs=1, batch_size=16, augmentation=None),
)


EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "repeated samples are copies, which no split "
    "divides; and the network's batches are others"
}


@pytest.mark.one_backend
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(DEEP, expected_failed_checks=EXPECTED_FAILURES, mark="xfail")),
)
def test_estimator_check(estimator, check):
    check(estimator)


def test_two_inputs_get_the_way_out():
    keras = import_keras()
    one, other = keras.Input((8, 8, 1)), keras.Input((3,))
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(one), other])
    network = keras.Model([one, other], keras.layers.Dense(2, activation="softmax")(joined))
    X, y = np.zeros((6, 8, 8, 1)), np.arange(6) % 2
    with pytest.raises(ValueError, match="takes one array; the network takes 2.*SVCSearchCV"):
        DeepSVC(network).fit([X, X[:, 0, :3, 0]], y)


@pytest.mark.one_backend
def test_normalization_is_selected_with_the_layer(shapes):
    X, y = shapes
    pairs = [
        (layer, name) for layer in ("flatten", "penultimate") for name in ("l2", "standardize")
    ]
    network = untrained()
    model = DeepSVC(
        network,
        layer=["flatten", "penultimate"],
        head=SMALL,
        random_state=0,
        normalization=["l2", "standardize"],
    ).fit(X[..., None], y)
    assert list(model.selection_scores_) == pairs
    chosen = model.layer_, model.normalization_
    assert chosen == max(pairs, key=model.selection_scores_.get)
    assert model.best_score_ == model.selection_scores_[chosen]
    assert model.layer_scores_["flatten"] == max(model.selection_scores_[p] for p in pairs[:2])
    for layer, name in pairs:
        alone = clone(model).set_params(layer=layer, normalization=name).fit(X[..., None], y)
        assert alone.selection_scores_ == {(layer, name): model.selection_scores_[layer, name]}
        if (layer, name) == chosen:
            np.testing.assert_array_equal(alone.predict(X), model.predict(X))


@pytest.mark.one_backend
@pytest.mark.parametrize("selection", ["crossfit", "resubstitution"])
def test_normalization_is_selected_by_every_protocol(shapes, selection):
    X, y = shapes
    names = ["standardize", "l2", "sqrt-l2", None]
    model = DeepSVC(
        untrained(), head=SMALL, selection=selection, random_state=0, normalization=names
    ).fit(X[..., None], y, groups=np.arange(60) % 12, sample_weight=np.linspace(0.5, 1, 60))
    assert [name for _, name in model.selection_scores_] == names
    assert model.best_score_ == max(model.selection_scores_.values())
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))


@pytest.mark.slow
@pytest.mark.one_backend
def test_normalization_is_searched_over_like_any_parameter(shapes):
    X, y = shapes
    model = DeepSVC(untrained(), head=SVC(), normalization=["l2", None], random_state=0)
    assert model.get_params()["normalization"] == clone(model).normalization == ["l2", None]
    search = GridSearchCV(model, {"normalization": ["standardize", ["l2", None]]}, cv=2)
    search.fit(X[..., None], y)
    assert search.best_estimator_.normalization_ in ("standardize", "l2", None)


@pytest.mark.parametrize("given", ["l3", [], ["l2", "l2"]])
def test_bad_normalizations_are_found_before_the_training(shapes, given, monkeypatch):
    monkeypatch.setattr(_cut_network, "fit_network", lambda *_, **__: pytest.fail("was trained"))
    with pytest.raises(ValueError, match="'normalization' parameter of DeepSVC"):
        DeepSVC(normalization=given).fit(*shapes)


def test_a_seen_sample_matters_where_a_normalization_is_selected(shapes):
    X, y = shapes
    network = untrained()
    record(network, X[..., None])
    model = DeepSVC(network, head=SVC(), random_state=0)
    model.fit(X[..., None], y)  # nothing is selected
    with pytest.warns(LeakageWarning, match="the head is selected on samples"):
        model.set_params(normalization=["l2", None]).fit(X[..., None], y)
