"""In any kind of model, a layer gives the value that it computes in that model."""

import copy
import pickle

import numpy as np
import pytest

from penultimate import FeatureExtractor
from penultimate.networks import takes_pixels
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.graph import Graph
from penultimate.networks.frameworks.keras_models import giving_scores, make_cut

keras = import_keras()
layers = keras.layers
X = np.random.default_rng(0).random((5, 8, 8, 1), dtype=np.float32)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def backbone(name="backbone", **options):
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", name="maps"),
            layers.GlobalAveragePooling2D(name="pooled"),
        ],
        name=name,
        **options,
    )


def before(image):
    return layers.Rescaling(2.0)(layers.RandomFlip()(image))


def nested(body):
    image = keras.Input((8, 8, 1))
    return keras.Model(image, layers.Dense(2, activation="softmax")(body(before(image))))


def nested_twice(body):
    image = keras.Input((8, 8, 1))
    return nested(keras.Model(image, body(image), name="middle"))


def sequential(body):
    return keras.Sequential([layers.Input((8, 8, 1)), layers.Rescaling(2.0), body, layers.Dense(2)])


def called_elsewhere_first(body):
    body(keras.Input((8, 8, 1)))
    return nested(body)


def without_training(body):
    return nested(lambda image: body(image, training=False))


def functional(body):
    image = keras.Input((8, 8, 1))
    return nested(keras.Model(image, body.layers[1](body.layers[0](image)), name="backbone"))


def layers_called_again(body):
    image = keras.Input((8, 8, 1))
    return keras.Model(image, layers.Dense(2)(body.layers[1](body.layers[0](before(image)))))


def dropout_called_twice(body):
    image, dropout = keras.Input((8, 8, 1)), layers.Dropout(0.5)
    return keras.Model(image, layers.Dense(2)(dropout(body(dropout(before(image))))))


def loaded(body, folder):
    nested(body).save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def cloned(body):
    model = nested(body)
    copied = keras.models.clone_model(model)
    copied.set_weights(model.get_weights())
    return copied


BUILDS = [
    nested,
    nested_twice,
    sequential,
    called_elsewhere_first,
    without_training,
    functional,
    layers_called_again,
    dropout_called_twice,
    loaded,
    cloned,
]


@pytest.mark.slow
@pytest.mark.parametrize("build", BUILDS)
def test_layers_give_the_values_of_this_model(build, tmp_path):
    body = backbone()
    model = build(body, tmp_path) if build is loaded else build(body)
    maps = numpy(body.layers[0](2 * X))
    expected = {
        "penultimate": maps.mean(axis=(1, 2)),
        "pooled": maps.mean(axis=(1, 2)),
        "maps": maps.reshape(5, -1),
    }
    for layer, features in expected.items():
        extractor = FeatureExtractor(model, layer=layer).fit(X)
        np.testing.assert_allclose(extractor.transform(X), features, rtol=1e-5, atol=1e-5)
        again = FeatureExtractor(model, layer=extractor.layer_).fit(X)  # a name that `layer` takes
        np.testing.assert_array_equal(again.transform(X), extractor.transform(X))
        copies = [
            pickle.loads(pickle.dumps(extractor)),  # noqa: S301
            copy.deepcopy(extractor),
        ]
        for each in copies if layer == "maps" else []:
            np.testing.assert_allclose(each.transform(X), features, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("training", [None, False, True])
def test_features_equal_those_of_predict_in_any_mode_of_the_backbone(training):
    body = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Flatten(),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
        ]
    )
    image = keras.Input((8, 8, 1))
    features = body(image, training=training)
    model = keras.Model(image, layers.Dense(2)(features))
    expected = keras.Model(image, features).predict(X, verbose=0)
    np.testing.assert_allclose(FeatureExtractor(model).fit(X).transform(X), expected, atol=1e-6)


def test_a_network_is_not_changed(tmp_path):
    model = nested(backbone())
    outputs, config = numpy(model(X, training=False)), model.get_config()
    for layer in ("maps", "penultimate", "maps"):
        FeatureExtractor(model, layer=layer).fit_transform(X)
    assert model.get_config() == config
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(X, training=False)), outputs)


def test_each_call_of_a_shared_model_has_its_number():
    inner = keras.Sequential(
        [layers.Input((6,)), layers.Dense(6, activation="relu", name="d")], name="inner"
    )
    middle_input, outer_input = keras.Input((6,)), keras.Input((6,))
    middle = keras.Model(middle_input, inner(inner(middle_input)), name="middle")
    model = keras.Model(outer_input, layers.Dense(2)(middle(middle(outer_input))))
    V = values = np.random.default_rng(0).random((5, 6), dtype=np.float32)
    for number in range(4):
        values = numpy(inner(values))
        for layer in (f"d:{number}", f"middle/inner/d:{number}", f"inner:{number}"):
            features = FeatureExtractor(model, layer=layer).fit_transform(V)
            np.testing.assert_allclose(features, values, rtol=1e-5, atol=1e-5)
    extractor = FeatureExtractor(model).fit(V)
    assert (extractor.layer_, extractor.cut_at_[:12]) == ("middle/inner/d:3", "the input of")
    with pytest.raises(ValueError, match=r"'d' is called 4 times .*'d:0', 'd:1', 'd:2', 'd:3'"):
        FeatureExtractor(model, layer="d").fit()
    with pytest.raises(ValueError, match="called 4 times.*counted from 0; got 'd:4'"):
        FeatureExtractor(model, layer="d:4").fit()


def test_a_layer_in_several_nested_models_is_named_by_its_path():
    image = keras.Input((8, 8, 1))
    two = [backbone("one"), backbone("two")]
    model = keras.Model(image, layers.Dense(2)(layers.Add()([each(image) for each in two])))
    with pytest.raises(ValueError, match=r"Several nested models .*'one/maps', 'two/maps'"):
        FeatureExtractor(model, layer="maps").fit()
    features = FeatureExtractor(model, layer="two/maps").fit_transform(X)
    np.testing.assert_allclose(features, numpy(two[1].layers[0](X)).reshape(5, -1), rtol=1e-5)


def test_operations_have_names():
    samples = keras.Input((6,))
    hidden = keras.ops.relu(layers.Dense(5)(samples))
    model = keras.Model(samples, layers.Dense(2)(hidden))
    cut = make_cut(model, "penultimate")
    assert cut.layer == hidden._keras_history.operation.name
    assert make_cut(model, cut.layer).network.output_shape == (None, 5)


def test_a_layer_with_several_outputs():
    steps = keras.Input((4, 3))
    _, state = layers.GRU(5, return_state=True, name="gru")(steps)
    model = keras.Model(steps, layers.Dense(2)(state))
    with pytest.raises(ValueError, match="'gru' .* has 2 outputs"):
        make_cut(model, "gru")
    W = np.random.default_rng(0).random((5, 4, 3), dtype=np.float32)
    expected = numpy(keras.Model(steps, state)(W))
    np.testing.assert_allclose(FeatureExtractor(model).fit_transform(W), expected, rtol=1e-5)


def test_a_model_with_an_overridden_call_has_no_graph():
    class Doubled(keras.Model):
        def call(self, x):
            return 2 * super().call(x)

    samples = keras.Input((6,))
    with pytest.raises(ValueError, match="subclassed model"):
        make_cut(Doubled(samples, layers.Dense(3)(samples)), "penultimate")


def test_very_deep_networks():
    samples = tensor = keras.Input((2,))
    for _ in range(800):
        tensor = tensor + 1.0
    model = keras.Model(samples, layers.Dense(2)(tensor))
    assert len(Graph(model).calls) == 801
    assert make_cut(model, "penultimate").network.output_shape == (None, 2)


def test_the_names_of_a_large_network_are_not_all_listed():
    samples = tensor = keras.Input((2,))
    for k in range(60):
        tensor = layers.ReLU(name=f"relu_{k}")(tensor)
    with pytest.raises(ValueError, match="Did you mean 'relu_7'.*lists all of them") as error:
        make_cut(keras.Model(samples, tensor), "relu_77")
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ([layers.RandomFlip(), layers.Rescaling(1 / 255)], True),
        ([keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])], False),
        ([layers.Resizing(4, 4), layers.Rescaling(1 / 127.5, -1)], True),
        ([layers.Conv2D(1, 3), layers.Rescaling(1 / 255)], False),
    ],
)
def test_networks_take_pixels_if_they_first_augment_or_resize(first, expected):
    model = keras.Sequential([layers.Input((8, 8, 1)), *first, layers.Conv2D(2, 3)])
    image = keras.Input((8, 8, 1))
    assert takes_pixels(model) == takes_pixels(keras.Model(image, model(image))) == expected


def test_one_branch_that_does_not_scale_pixels():
    image = keras.Input((8, 8, 1))
    both = layers.Add()([layers.Rescaling(1 / 255)(image), layers.Conv2D(1, 1)(image)])
    assert not takes_pixels(keras.Model(image, both))


@pytest.mark.parametrize("end", ["layer", "operation", "dense", "nested"])
def test_scores_are_found_wherever_the_softmax_is(end):
    samples = keras.Input((6,))
    scores = layers.Dense(3, name="scores")(layers.Dense(5, activation="relu")(samples))
    V = np.random.default_rng(0).random((5, 6), dtype=np.float32)
    expected = numpy(keras.Model(samples, scores)(V))
    if end == "dense":
        model = keras.Model(samples, scores)
        model.layers[-1].activation = keras.activations.softmax
    else:
        softmax = keras.ops.softmax if end == "operation" else layers.Softmax()
        model = keras.Model(samples, softmax(scores))
    if end == "nested":
        outer = keras.Input((6,))
        model = keras.Model(outer, layers.Dropout(0.1)(model(outer)))
        with pytest.raises(ValueError, match="ends in 'softmax'"):
            giving_scores(model)  # a dropout after it
        model = keras.Model(outer, model.layers[1](outer))
    np.testing.assert_allclose(numpy(giving_scores(model)(V)), expected, rtol=1e-5)
