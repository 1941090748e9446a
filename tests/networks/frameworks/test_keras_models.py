import numpy as np
import pytest

from penultimate.networks._forward import forward
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.keras_models import (
    classifying_layer,
    computing_in_bfloat16,
    cut,
    giving_scores,
    make_cut,
    predicted_codes,
    takes_pixels,
)

keras = import_keras()
layers = keras.layers
numpy = keras.ops.convert_to_numpy
X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


def outputs_of(model, layer):
    return numpy(keras.Model(model.inputs[0], model.get_layer(layer).output)(X))


def sequential(*last):
    return keras.Sequential(
        [layers.Input((6,)), layers.Dense(4, activation="relu", name="features"), *last]
    )


@pytest.mark.parametrize(
    "last",
    [
        [layers.Dense(3, activation="softmax")],
        [layers.Dense(3), layers.Softmax()],
        [layers.Dense(3), layers.Activation("softmax")],
        [layers.Dropout(0.5), layers.Dense(3, activation="softmax")],
        [layers.Dropout(0.5), layers.Dropout(0.2), layers.Dense(3)],
    ],
)
def test_penultimate_is_the_input_of_the_classifying_layer(last):
    model = sequential(*last)
    features = forward(cut(model, "penultimate"), X, batch_size=2)
    np.testing.assert_allclose(features, outputs_of(model, "features"), rtol=1e-5, atol=1e-6)


def test_functional_model_with_branches():
    inputs = layers.Input((6,))
    left, right = layers.Dense(2)(inputs), layers.Dense(3)(inputs)
    joined = layers.Concatenate(name="joined")([left, right])
    model = keras.Model(inputs, layers.Dense(4, activation="softmax")(joined))
    features = forward(cut(model, "penultimate"), X, batch_size=8)
    np.testing.assert_allclose(features, outputs_of(model, "joined"), rtol=1e-5, atol=1e-6)


def test_classifier_inside_a_nested_model():
    inner = sequential(layers.Dense(3, activation="softmax"))
    model = keras.Sequential([layers.Input((6,)), layers.Rescaling(2.0), inner])
    expected = numpy(keras.Model(inner.inputs[0], inner.get_layer("features").output)(2 * X))
    for layer in ("penultimate", "features"):
        np.testing.assert_allclose(
            forward(cut(model, layer), X, batch_size=8), expected, rtol=1e-5, atol=1e-6
        )


def test_backbone_inside_another_model():
    inputs = layers.Input((6,))
    backbone = keras.Sequential([layers.Input((6,)), layers.Dense(4, name="deep")], name="backbone")
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(backbone(inputs)))
    expected = numpy(backbone(X))
    for layer in ("penultimate", "backbone", "deep"):
        np.testing.assert_allclose(
            forward(cut(model, layer), X, batch_size=8), expected, rtol=1e-5, atol=1e-6
        )


def test_unknown_layer_lists_the_layers():
    with pytest.raises(ValueError, match=r"no layer 'fc'.*'features'"):
        cut(sequential(layers.Dense(3, name="last")), "fc")
    with pytest.raises(ValueError, match=r"no layer 'feature'. Did you mean 'features'\?"):
        cut(sequential(layers.Dense(3, name="last")), "feature")


def test_subclassed_model_has_no_graph():
    class Plain(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="subclassed model"):
        cut(Plain(), "penultimate")


def test_probabilities_are_recognized():
    model = sequential(layers.Dense(3, activation="softmax", name="last"))
    assert make_cut(model, "last").gives_probabilities
    assert not make_cut(model, "features").gives_probabilities
    assert not make_cut(model, "penultimate").gives_probabilities
    other = sequential(layers.Dense(3), layers.Softmax(name="p"))
    assert make_cut(other, "p").gives_probabilities
    nested = keras.Sequential([layers.Input((6,)), model])
    assert make_cut(nested, "last").gives_probabilities
    assert make_cut(nested, model.name).gives_probabilities


def test_features_do_not_depend_on_other_samples_in_the_batch():
    model = sequential(layers.Dense(3))
    whole = forward(model, X[:4], batch_size=4)
    for i in range(4):
        others = np.random.default_rng(i).normal(size=(4, *X.shape[1:])).astype(np.float32)
        others[i] = X[i]
        np.testing.assert_array_equal(forward(model, others, batch_size=4)[i], whole[i])
        # Of another number of samples the rounding may differ, by processor and backend.
        alone = forward(model, X[i : i + 1], batch_size=4)
        np.testing.assert_allclose(alone[0], whole[i], rtol=1e-5)


def test_maps_are_flattened():
    model = keras.Sequential([layers.Input((4, 4, 1)), layers.Conv2D(2, 3)])
    assert forward(model, np.zeros((3, 4, 4, 1)), batch_size=2).shape == (3, 8)


def test_no_samples():
    with pytest.raises(ValueError, match="no samples"):
        forward(sequential(), X[:0], batch_size=2)


def test_bfloat16_stops_before_the_last_weights_and_ends_with_its_block():
    inner = sequential(layers.Dense(3), layers.Softmax())
    model = keras.Sequential([layers.Input((6,)), layers.Rescaling(2.0), inner])
    leaves = [model.layers[0], *inner.layers]

    def precisions():
        return [layer.compute_dtype for layer in leaves]

    def fail():
        with computing_in_bfloat16(model):
            raise RuntimeError

    with computing_in_bfloat16(model):
        assert precisions() == ["bfloat16", "bfloat16", "float32", "float32"]
    with pytest.raises(RuntimeError):
        fail()
    assert precisions() == ["float32"] * 4


@pytest.mark.parametrize(
    ("shape", "first", "expected"),
    [
        ((8, 8, 1), layers.Rescaling(1 / 255), True),
        ((8, 8, 3), layers.Rescaling(1 / 127.5, offset=-1), True),
        ((8, 8, 3), layers.Rescaling(2.0), False),
        ((8, 8, 5), layers.Rescaling(1 / 255), False),
        ((8, 8, 1), layers.Conv2D(2, 3), False),
        ((8,), layers.Rescaling(1 / 255), False),
    ],
)
def test_networks_that_take_pixels(shape, first, expected):
    model = keras.Sequential([layers.Input(shape), first])
    nested = keras.Sequential([layers.Input(shape), model, layers.Flatten()])
    assert takes_pixels(model) == takes_pixels(nested) == expected


def test_models_without_a_graph_do_not_take_pixels():
    assert not takes_pixels("compact")
    assert not takes_pixels(keras.Sequential([layers.Dense(3)]))


@pytest.mark.parametrize(
    "last",
    [
        [layers.Dense(3, activation="softmax")],
        [layers.Dense(3, activation="sigmoid")],
        [layers.Dense(3), layers.Softmax()],
        [layers.Dense(3), layers.Activation("softmax")],
        [layers.Dense(3)],
        [sequential(layers.Dense(3, activation="softmax"))],
    ],
)
def test_scores_are_those_that_the_probabilities_were_made_from(last):
    first = [layers.Dense(6)] if hasattr(last[0], "layers") else []
    model = sequential(*first, *last)
    leaf = classifying_layer(model)
    kernel, bias = leaf.get_weights()
    scores = giving_scores(model)
    expected = forward(cut(scores, "penultimate"), X, batch_size=2) @ kernel + bias
    np.testing.assert_allclose(forward(scores, X, batch_size=2), expected, rtol=1e-4, atol=1e-5)
    assert classifying_layer(scores) is leaf


def test_a_network_with_another_activation_at_its_end_has_no_scores():
    with pytest.raises(ValueError, match="ends in 'tanh'. End it in a layer without activation"):
        giving_scores(sequential(layers.Dense(3, activation="tanh")))


def test_class_indices_from_outputs():
    assert predicted_codes(np.array([[0.2, 0.1], [-3, -1]])).tolist() == [0, 1]
    assert predicted_codes(np.array([[-0.2], [0.1]])).tolist() == [0, 1]
