import pytest

from penultimate.networks.frameworks.frozen import ExportError

from .comparing import compare, layers, model_of, ops, to_onnx

IMAGE, ROW, CUBE = (9, 8, 4), (9, 4), (5, 6, 4, 2)

LAYERS = {
    "conv": (layers.Conv2D(5, 3), IMAGE),
    "conv same": (layers.Conv2D(5, (3, 2), padding="same", activation="relu"), IMAGE),
    "conv stride": (layers.Conv2D(5, 3, strides=2, padding="same", use_bias=False), IMAGE),
    "conv strides": (layers.Conv2D(5, (2, 4), strides=(3, 2), padding="same"), IMAGE),
    "conv dilated": (layers.Conv2D(5, 3, dilation_rate=(2, 1), padding="same"), IMAGE),
    "conv groups": (layers.Conv2D(6, 3, groups=2), IMAGE),
    "conv 1D": (layers.Conv1D(5, 3, strides=2, padding="same"), ROW),
    "conv causal": (layers.Conv1D(5, 3, dilation_rate=2, padding="causal"), ROW),
    "conv 3D": (layers.Conv3D(3, 2, padding="same"), CUBE),
    "depthwise": (layers.DepthwiseConv2D(3, strides=2, padding="same"), IMAGE),
    "depthwise 2": (layers.DepthwiseConv2D(3, depth_multiplier=2, activation="silu"), IMAGE),
    "depthwise 1D": (layers.DepthwiseConv1D(3, depth_multiplier=2), ROW),
    "separable": (layers.SeparableConv2D(5, 3, strides=2, padding="same"), IMAGE),
    "separable 1D": (layers.SeparableConv1D(5, 3, depth_multiplier=2), ROW),
    "transpose": (layers.Conv2DTranspose(5, 3), IMAGE),
    "transpose 2": (layers.Conv2DTranspose(5, 3, strides=2, padding="same"), IMAGE),
    "transpose 3": (layers.Conv2DTranspose(5, 2, strides=3), IMAGE),
    "transpose 4": (layers.Conv2DTranspose(5, 4, strides=2, padding="same"), IMAGE),
    "transpose 1D": (layers.Conv1DTranspose(5, 3, strides=2, padding="same"), ROW),
    "max": (layers.MaxPooling2D(), IMAGE),
    "max same": (layers.MaxPooling2D(3, strides=2, padding="same"), IMAGE),
    "max 1D": (layers.MaxPooling1D(2), ROW),
    "average": (layers.AveragePooling2D((2, 3), strides=1), IMAGE),
    "average same": (layers.AveragePooling2D(3, strides=2, padding="same"), IMAGE),
    "average 3D": (layers.AveragePooling3D(2), CUBE),
    "global": (layers.GlobalAveragePooling2D(), IMAGE),
    "global kept": (layers.GlobalAveragePooling2D(keepdims=True), IMAGE),
    "global max": (layers.GlobalMaxPooling2D(), IMAGE),
    "global 1D": (layers.GlobalAveragePooling1D(), ROW),
    "up": (layers.UpSampling2D((2, 3)), IMAGE),
    "up bilinear": (layers.UpSampling2D(2, interpolation="bilinear"), IMAGE),
    "up bicubic": (layers.UpSampling2D(2, interpolation="bicubic"), IMAGE),
    "up 1D": (layers.UpSampling1D(2), ROW),
    "pad": (layers.ZeroPadding2D(((1, 2), (0, 3))), IMAGE),
    "pad 1D": (layers.ZeroPadding1D(2), ROW),
    "crop": (layers.Cropping2D(((1, 2), (0, 3))), IMAGE),
    "crop 1D": (layers.Cropping1D((0, 2)), ROW),
    "resize": (layers.Resizing(13, 5), IMAGE),
    "resize nearest": (layers.Resizing(13, 5, interpolation="nearest"), IMAGE),
    "resize bicubic": (layers.Resizing(5, 14, interpolation="bicubic", antialias=True), IMAGE),
    "resize ratio": (layers.Resizing(18, 16, crop_to_aspect_ratio=True), IMAGE),
    "center": (layers.CenterCrop(6, 5), IMAGE),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_maps(name):
    compare(*LAYERS[name])


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(5, 3, strides=2, padding="same"),
        layers.MaxPooling2D(2, padding="same"),
        layers.AveragePooling2D(3, strides=2),
        layers.UpSampling2D(2),
        layers.Resizing(7, 5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_maps_of_any_size(layer):
    compare(layer, (None, None, 3), sizes=[(9, 8, 3), (6, 7, 3)])


def test_channels_first():
    def network(x):
        x = layers.Permute((3, 1, 2))(x)
        x = layers.ZeroPadding2D(1, data_format="channels_first")(x)
        x = layers.BatchNormalization(axis=1)(x)
        return layers.Flatten(data_format="channels_first")(x)

    compare(network, IMAGE)


def test_maps_are_turned_once_at_the_beginning_and_once_at_the_end():
    def network(x):
        for _ in range(3):
            y = layers.Conv2D(4, 3, padding="same")(x)
            y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
            x = layers.Add()([x, y])
        return layers.Flatten()(layers.MaxPooling2D()(ops.relu(x) * 2.0))

    assert compare(network, IMAGE).count("Transpose") == 2


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (layers.Resizing(4, 8, crop_to_aspect_ratio=True), "aspect ratio"),
        (layers.RandomCrop(4, 4), "no conversion"),
        (layers.CenterCrop(20, 20), "enlarges"),
    ],
)
def test_what_does_not_convert_is_refused_by_name(layer, words):
    with pytest.raises(ExportError, match=words) as error:
        to_onnx(model_of(layer, IMAGE))
    assert f"{layer.name!r} ({type(layer).__name__})" in str(error.value)
    assert "Export the network to ONNX yourself" in str(error.value)
