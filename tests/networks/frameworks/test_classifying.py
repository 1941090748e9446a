"""The classifying layer is found, or its absence noticed, whatever a network ends in."""

import numpy as np
import pytest

from penultimate import FeatureExtractor
from penultimate.networks import predict_probabilities
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.keras_models import classifying_layer, ends_in_logits, make_cut

keras = import_keras()
layers, ops = keras.layers, keras.ops


class Prototypes(layers.Layer):
    """A custom classifying layer, whose weights have a custom name."""

    def __init__(self, n_classes, **options):
        super().__init__(**options)
        self.n_classes = n_classes

    def build(self, input_shape):
        self.prototypes = self.add_weight(shape=(self.n_classes, input_shape[-1]), name="p")

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.prototypes))


class Temperature(layers.Layer):
    def build(self, input_shape):
        self.t = self.add_weight(shape=(), name="t", initializer="ones")

    def call(self, x):
        return x / self.t


class AttentionPooling(layers.Layer):
    def build(self, input_shape):
        self.a = self.add_weight(shape=(input_shape[-1], 1), name="a")

    def call(self, x):
        return ops.sum(x * ops.softmax(ops.matmul(x, self.a), axis=1), axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])


def network(build, shape=(6,)):
    """A network with the end that `build` makes, on a layer named ``hidden`` or ``maps``."""
    inputs = keras.Input(shape)
    if len(shape) == 1:
        return keras.Model(inputs, build(layers.Dense(5, activation="relu", name="hidden")(inputs)))
    maps = layers.Conv2D(6, 3, activation="relu", name="maps")(inputs)
    return keras.Model(inputs, build(maps))


def dense(n=3, **options):
    return layers.Dense(n, **options)


def merged(merge, *branches):
    return lambda x: merge([branch(x) for branch in branches])


def l2(x):
    return x / ops.norm(x, axis=-1, keepdims=True)


SCORES = {
    "dense": dense(),
    "einsum": layers.EinsumDense("ab,bc->ac", output_shape=3),
    "own layer": Prototypes(3),
    "wrapped": layers.SpectralNormalization(dense()),
    "float32 at the end": lambda x: layers.Activation("linear", dtype="float32")(dense()(x)),
    "temperature": lambda x: dense()(x) / 2.0,
    "scaled": lambda x: layers.Rescaling(4.0)(dense()(x)),
    "dropout around": lambda x: layers.Dropout(0.5)(dense()(layers.Dropout(0.5)(x))),
    "sum of two": merged(layers.Add(), dense(), dense()),
}
PROBABILITIES = {
    "softmax": dense(activation="softmax"),
    "sigmoid": dense(1, activation="sigmoid"),
    "layer": lambda x: layers.Softmax()(dense()(x)),
    "activation": lambda x: layers.Activation("softmax")(dense()(x)),
    "operation": lambda x: ops.softmax(dense()(x)),
    "own layer, operation": lambda x: ops.softmax(Prototypes(3)(x)),
    "einsum": lambda x: layers.EinsumDense("ab,bc->ac", 3, activation="softmax")(x),
    "own temperature": lambda x: layers.Softmax()(Temperature()(dense()(x))),
    "batch normalization": lambda x: layers.Softmax()(layers.BatchNormalization()(dense()(x))),
    "mean of two": merged(
        layers.Average(), dense(activation="softmax"), dense(activation="softmax")
    ),
    "sum of two": lambda x: ops.softmax(layers.Add()([dense()(x), dense()(x)])),
    "dropout around": lambda x: layers.Dropout(0.5)(
        dense(activation="softmax")(layers.Dropout(0.5)(layers.GaussianNoise(0.5)(x)))
    ),
}
FEATURES = {
    "relu": dense(activation="relu"),
    "batch normalization": lambda x: layers.BatchNormalization()(dense()(x)),
    "layer normalization": lambda x: layers.LayerNormalization()(dense()(x)),
    "unit length": lambda x: layers.UnitNormalization()(dense()(x)),
    "normalize": lambda x: ops.normalize(dense()(x)),
    "leaky": lambda x: layers.LeakyReLU()(dense()(x)),
    "residual": merged(layers.Add(), lambda x: x, dense(5)),
    "both": merged(layers.Concatenate(), dense(activation="relu"), lambda x: x),
    "gated": merged(layers.Multiply(), lambda x: x, dense(5, activation="sigmoid")),
    "recurrent": lambda x: layers.GRU(4)(layers.Reshape((5, 1))(x)),
}
UNCLEAR = {
    "tanh": dense(activation="tanh"),
    "own activation": dense(activation=lambda x: x * 2),
    "lambda": lambda x: layers.Lambda(lambda z: z + 1, output_shape=(3,))(dense()(x)),
    "divided by its norm": lambda x: l2(dense()(x)),
    "own temperature": lambda x: Temperature()(dense()(x)),
    "gate": merged(layers.Multiply(), dense(), dense(activation="sigmoid")),
    "two scores beside another": merged(layers.Concatenate(), dense(), dense(4)),
    "heads on different tensors": lambda x: layers.Average()(
        [dense()(x), dense()(dense(7, activation="relu", name="other")(x))]
    ),
}
MAPS = {
    "squeezenet": (
        lambda x: layers.Softmax()(
            layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1, activation="relu")(x))
        ),
        "maps",
    ),
    "whole map": (lambda x: ops.softmax(layers.Flatten()(layers.Conv2D(3, 6)(x))), "maps"),
    "whole map, logits": (lambda x: layers.Flatten()(layers.Conv2D(3, 6)(x)), "maps"),
    "one position": (lambda x: layers.Conv2D(3, 6, activation="softmax")(x), "maps"),
    "pooled": (lambda x: layers.GlobalMaxPooling2D(name="end")(x), "end"),
    "maps": (lambda x: layers.Conv2D(3, 3, name="end")(x), "end"),
    "flattened maps": (lambda x: layers.Flatten(name="end")(layers.Conv2D(3, 3)(x)), "end"),
    "pooled scores": (lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1)(x)), None),
    "segmentation": (lambda x: layers.Conv2D(3, 1, activation="softmax")(x), None),
    "attention": (lambda x: AttentionPooling()(layers.Reshape((36, 6))(x)), None),
}


@pytest.mark.parametrize("end", SCORES)
def test_bare_scores_are_classes(end):
    model = network(SCORES[end])
    cut = make_cut(model, "penultimate")
    assert cut.layer == "hidden"
    assert cut.place.startswith("the input of '")
    assert ends_in_logits(model)


@pytest.mark.parametrize("end", PROBABILITIES)
def test_probabilities_are_classes(end):
    model = network(PROBABILITIES[end])
    cut = make_cut(model, "penultimate")
    assert cut.layer == "hidden"
    assert not cut.gives_probabilities
    assert not ends_in_logits(model)


@pytest.mark.parametrize("end", FEATURES)
def test_rectified_and_normalized_values_are_features(end):
    model = network(FEATURES[end])
    cut = make_cut(model, "penultimate")
    assert cut.place == "the network's output"
    assert cut.network.output_shape == model.output_shape
    assert ends_in_logits(model)


@pytest.mark.parametrize("end", UNCLEAR)
def test_ambiguous_ends_are_an_error_that_lists_layers(end):
    model = network(UNCLEAR[end])
    with pytest.raises(
        ValueError, match=r"It is not clear which layer .*Name it: layer='hidden'"
    ) as e:
        make_cut(model, "penultimate")
    last = str(e.value).split("layer='")[-1].split("'")[0]  # as is promised, it can be named
    assert make_cut(model, last).network.output_shape == model.output_shape


@pytest.mark.parametrize("end", MAPS)
def test_maps(end):
    build, layer = MAPS[end]
    model = network(build, (8, 8, 3))
    if layer is None:
        with pytest.raises(ValueError, match="It is not clear which layer"):
            make_cut(model, "penultimate")
    else:
        assert make_cut(model, "penultimate").layer == layer


def test_as_many_outputs_as_labels_are_classes():
    model = network(UNCLEAR["tanh"])
    assert make_cut(model, "penultimate", n_classes=3).layer == "hidden"
    with pytest.raises(ValueError, match="It is not clear"):
        make_cut(model, "penultimate", n_classes=4)
    single = network(dense(1, activation="tanh"))
    assert make_cut(single, "penultimate", n_classes=2).layer == "hidden"
    assert make_cut(network(FEATURES["relu"]), "penultimate", n_classes=3).layer != "hidden"
    y = np.array(["a", "b", "c"])
    assert FeatureExtractor(model).fit(np.zeros((3, 6)), y).layer_ == "hidden"


def test_the_size_of_maps_is_taken_from_the_outer_model():
    inner = keras.Input((None, None, 3))
    head = keras.Model(inner, layers.Flatten()(layers.Conv2D(2, 6)(inner)))
    outer = keras.Input((6, 6, 3))
    body = layers.Conv2D(3, 1, activation="relu", name="body")(outer)
    assert make_cut(keras.Model(outer, head(body)), "penultimate").layer == "body"


def test_several_outputs_must_share_their_penultimate_layer():
    inputs = keras.Input((6,))
    hidden = layers.Dense(5, activation="relu", name="hidden")(inputs)
    heads = [dense()(hidden), dense(2, activation="softmax")(layers.Dropout(0.1)(hidden)), hidden]
    assert make_cut(keras.Model(inputs, heads), "penultimate").layer == "hidden"
    early = dense(2, activation="softmax")(inputs)
    with pytest.raises(ValueError, match="2 outputs, with different penultimate layers.*'hidden'"):
        make_cut(keras.Model(inputs, [heads[0], early]), "penultimate")
    with pytest.raises(ValueError, match="3 outputs, and one is needed"):
        ends_in_logits(keras.Model(inputs, heads))


def test_unknown_outputs_are_tried_on_noise():
    class Classifier(keras.Model):
        def __init__(self, activation):
            super().__init__()
            self.dense = layers.Dense(3, activation=activation)

        def call(self, x):
            return self.dense(x)

    for activation, are_logits in (("softmax", False), (None, True)):
        model = keras.Sequential([layers.Input((6,)), Classifier(activation)])
        assert ends_in_logits(model) == are_logits
        alone = Classifier(activation)
        alone(np.zeros((1, 6), np.float32))
        assert ends_in_logits(alone)  # of unknown input there is nothing to try it on


def test_the_classifying_layer_is_the_one_behind_the_output():
    beside = keras.Input((6,))
    hidden = layers.Dense(5, activation="relu", name="hidden")(beside)
    model = keras.Model(beside, ops.softmax(layers.Rescaling(0.1)(Prototypes(3, name="p")(hidden))))
    assert classifying_layer(model).name == "p"
    with pytest.raises(ValueError, match="made by several layers"):
        classifying_layer(network(SCORES["sum of two"]))


def own_softmax(z):
    return ops.exp(z) / ops.sum(ops.exp(z), axis=-1, keepdims=True)


def sharpened(p):
    return ops.square(p) / ops.sum(ops.square(p), axis=-1, keepdims=True)


AFTER_PROBABILITIES = {
    "clip": lambda p: ops.clip(p, 1e-6, 1 - 1e-6),
    "smoothed": lambda p: p * 0.94 + 0.02,
    "rescaled by one": layers.Rescaling(1.0),
    "nothing added": lambda p: p + 0.0,
    "clip of one's own": layers.Lambda(lambda p: ops.clip(p, 0.01, 0.99)),
}


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("after", AFTER_PROBABILITIES)
def test_what_is_made_of_probabilities_is_not_squashed_again(after, n):
    kind, end = "sigmoid" if n == 1 else "softmax", AFTER_PROBABILITIES[after]
    model = network(lambda x: end(dense(n, activation=kind)(x)))
    X = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    own = ops.convert_to_numpy(model(X))
    expected = np.hstack([1 - own, own]) if n == 1 else own
    np.testing.assert_allclose(predict_probabilities(model, X), expected, atol=1e-5)
    for row in (X[:1], X[5:6]):  # one sample is read as many are
        np.testing.assert_allclose(predict_probabilities(model, row).sum(), 1, atol=1e-5)


@pytest.mark.parametrize(
    "end",
    [
        lambda x: own_softmax(dense()(x)),
        lambda x: sharpened(dense(activation="softmax")(x)),
        merged(
            layers.Concatenate(),
            lambda x: 1 - dense(1, activation="sigmoid", kernel_initializer="ones")(x),
            dense(1, activation="sigmoid", kernel_initializer="ones"),
        ),
    ],
)
def test_outputs_that_add_up_to_one_are_probabilities(end):
    model, X = network(end), np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    own = ops.convert_to_numpy(model(X))
    np.testing.assert_allclose(predict_probabilities(model, X), own, atol=1e-5)


def test_percentages_and_rounded_probabilities_are_scaled():
    X = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    for end in (lambda p: p * 100, lambda p: ops.round(p, 1)):
        model = network(lambda x, end=end: end(dense(activation="softmax")(x)))
        own = ops.convert_to_numpy(model(X))
        expected = own / own.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(predict_probabilities(model, X), expected, atol=1e-5)


def test_logarithms_of_probabilities_are_scores():
    X = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    model = network(lambda x: ops.log(dense(activation="softmax")(x)))
    expected = np.exp(ops.convert_to_numpy(model(X)))
    np.testing.assert_allclose(predict_probabilities(model, X), expected, atol=1e-5)


@pytest.mark.parametrize(
    "end",
    [
        lambda x: dense(1, activation="sigmoid")(x) * 100,
        lambda x: dense(1, activation="sigmoid")(x) * 2 - 1,
        lambda x: ops.log(dense(1, activation="sigmoid")(x)),
        lambda x: dense(3, activation="softmax")(x) * 2 - 1,
        lambda x: 1 / (1 + ops.exp(-dense(1)(x))),
        layers.Lambda(lambda x: ops.sigmoid(x[:, :1])),
        dense(1, activation="log_sigmoid"),
    ],
)
def test_outputs_with_two_readings_are_an_error(end):
    model = network(end)
    with pytest.raises(ValueError, match=r"not clear whether the outputs .* are probabilities"):
        predict_probabilities(model, np.random.default_rng(0).normal(size=(9, 6)))


def test_the_way_out_of_two_readings():
    model = network(lambda x: 1 / (1 + ops.exp(-dense(1)(x))))
    p = model.outputs[0]
    told = keras.Model(model.inputs[0], ops.concatenate([1 - p, p], axis=1))
    X = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    positive = ops.convert_to_numpy(model(X))[:, 0]
    np.testing.assert_allclose(predict_probabilities(told, X)[:, 1], positive, atol=1e-6)


TEXTS = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
PROJECTED = {
    "matmul": lambda h: ops.matmul(l2(h), TEXTS) * 20.0,
    "operator": lambda h: h @ TEXTS,
    "einsum": lambda h: ops.einsum("ab,bc->ac", h, TEXTS),
    "dot": lambda h: ops.dot(h, TEXTS),
    "distances": lambda h: -ops.sum((ops.expand_dims(h, 1) - TEXTS.T) ** 2, axis=-1),
}


@pytest.mark.parametrize("compare", PROJECTED)
def test_a_constant_classifier_is_the_classifying_step(compare):
    model = network(lambda x: layers.Softmax()(PROJECTED[compare](dense(4, name="z")(x))))
    assert make_cut(model, "penultimate").network.output_shape[-1] == 4
    bare = network(lambda x: PROJECTED[compare](dense(4, name="z")(x)))
    with pytest.raises(ValueError, match="It is not clear which layer"):
        make_cut(bare, "penultimate")


def test_a_constant_matrix_of_scores():
    noise = np.full((3, 3), 0.1, np.float32) + 0.7 * np.eye(3, dtype=np.float32)
    model = network(lambda x: ops.matmul(dense(activation="softmax")(x), noise))
    assert make_cut(model, "penultimate").layer == "hidden"
    assert not ends_in_logits(model)
    for mix in (lambda z: z @ noise, layers.Lambda(lambda z: z[:, :2])):
        either = network(lambda x, mix=mix: ops.softmax(mix(dense(3, name="z")(x))))
        with pytest.raises(ValueError, match="layer='z' or 'hidden' "):
            make_cut(either, "penultimate")
