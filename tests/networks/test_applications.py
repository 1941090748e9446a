"""All families of ``keras.applications``, without their weights, which would be downloaded."""

import tempfile

import numpy as np
import pytest

from penultimate import FeatureExtractor
from penultimate.networks import export_network
from penultimate.networks.frameworks.backend import import_keras

keras = import_keras()
layers = keras.layers

# The smallest of each family, at (nearly) its smallest size.
FAMILIES = {
    "MobileNet": 32,
    "VGG16": 32,
    **dict.fromkeys(["ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0"], 32),
    **dict.fromkeys(["MobileNetV2", "MobileNetV3Small", "NASNetMobile", "ResNet50"], 32),
    **dict.fromkeys(["ResNet50V2"], 32),
    **dict.fromkeys(["InceptionResNetV2", "InceptionV3"], 75),
    "Xception": 71,
}
QUICK = ("MobileNet", "VGG16")
# How often the graph turns maps: at the beginning, and where a layer needs the channels last.
EXPORTED = {
    **dict.fromkeys(["DenseNet121", "EfficientNetB0", "MobileNetV2", "ResNet50V2"], 1),
    "ConvNeXtTiny": 43,
}
# Whose backbones are put into other networks: small ones, and one that begins by scaling pixels
# itself. There a backbone is one layer, whatever is in it.
NESTED = (*QUICK, "MobileNetV3Small")
# Whose headless forms are those that Keras builds: to build a large network takes longer than all
# else that is done with it. Of the others, they are made of the layers that are there.
BUILT = ("VGG16",)
# Whose nested form is also saved and loaded, which no family does in a way of its own.
SAVED = ("VGG16",)
# The last layer is not a Dense layer: the input of the scores lies further back.
BEFORE_TOP = {"MobileNet": "conv_preds", "MobileNetV3Small": "logits"}


def build(family, **options):
    size = FAMILIES[family]
    make = getattr(keras.applications, family)
    return make(weights=None, input_shape=(size, size, 3), **options)


def check(network, X, expected):
    features = FeatureExtractor(network).fit(X).transform(X)
    expected = keras.ops.convert_to_numpy(expected).reshape(len(X), -1)
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5 * scale)


def build_headless(family, top):
    """Yield the backbone as it is, and with each pooling, which is one more layer."""
    if family in BUILT:
        backbone = build(family, include_top=False)
    else:
        # What the family makes of include_top=False, on the layers that are there.
        pooled = [each for each in top.layers if isinstance(each, layers.GlobalAveragePooling2D)]
        maps = pooled[-1].input
        if family == "ConvNeXtTiny":
            maps = layers.LayerNormalization(epsilon=1e-6)(maps)
        backbone = keras.Model(top.inputs[0], maps)
    yield backbone
    for pooling, layer in (
        ("max", layers.GlobalMaxPooling2D),
        ("avg", layers.GlobalAveragePooling2D),
    ):
        if family == "VGG16":
            yield build(family, include_top=False, pooling=pooling)
        else:
            # What the family makes of pooling=..., on the layers that are there.
            yield keras.Model(backbone.inputs[0], layer(name=f"{pooling}_pool")(backbone.output))


def without_activation(family, top):
    """Return the network with its last scores as they are."""
    if family in BUILT or family == "MobileNet":
        return build(family, classes=7, classifier_activation=None)
    # What the family makes of classifier_activation=None, on the layers that are there.
    last = top.layers[-1]
    is_activation = family in BEFORE_TOP
    plain = layers.Activation("linear") if is_activation else layers.Dense(7, name=last.name)
    return keras.Model(top.inputs[0], plain(last.input))


pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.mark.slow
@pytest.mark.parametrize("family", QUICK)
def test_features_equal_those_of_a_manual_forward_pass(family):
    check_family(family)


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(QUICK)))
def test_features_of_large_families_equal_those_of_a_manual_forward_pass(family):
    if family == "NASNetMobile" and keras.backend.backend() == "torch":
        pytest.skip("Keras has no NASNet on torch")
    check_family(family)


def check_family(family):
    size = FAMILIES[family]
    X = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    top = build(family, classes=7)
    last = top.get_layer(BEFORE_TOP.get(family, top.layers[-1].name))
    check(top, X, keras.Model(top.inputs[0], last.input)(X, training=False))
    if family in EXPORTED:
        pytest.importorskip("onnxruntime")
        # What does not compute the same is no graph.
        graph = export_network(FeatureExtractor(top).fit()).graph
        turned = [node.op_type for node in graph.node].count("Transpose")
        assert turned == EXPORTED[family]
    logits = without_activation(family, top)
    assert FeatureExtractor(logits).fit().cut_at_ == f"the input of {last.name!r}"
    for backbone in build_headless(family, top):
        assert FeatureExtractor(backbone, pooling=None).fit().cut_at_ == "the network's output"
    if family in NESTED:
        check_nested(backbone, X, saved=family in SAVED)


def check_nested(backbone, X, *, saved):
    shape = X.shape[1:]
    image = keras.Input(shape)
    scaled = layers.Rescaling(1 / 255)(layers.RandomFlip()(image))
    pooled = layers.Dropout(0.2)(backbone(scaled, training=False))
    model = keras.Model(image, layers.Dense(5, activation="softmax")(pooled))
    # Called, not predicted with: nothing has to be compiled for a single batch.
    expected = backbone(X / 255, training=False)
    check(model, X, expected)
    before = [layers.Input(shape), layers.RandomRotation(0.1), layers.Rescaling(1 / 255)]
    check(keras.Sequential([*before, backbone, layers.Dropout(0.1), layers.Dense(5)]), X, expected)
    if saved:
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            check(keras.models.load_model(f"{folder}/model.keras"), X, expected)
