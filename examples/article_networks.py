"""Networks of three articles, as functions that build a Keras model.

A `network` of this library is a name, a trained model, or such a function of the shape of one
sample and the number of classes. Samples reach the model unchanged, so these begin by scaling
pixels; the layer before the last is named, so that `layer="features"` can refer to it.
"""

from keras import Sequential, layers


def mnist_cnn(input_shape, n_classes):
    """Build the MNIST network of the question in mnist_hybrid.py.

    Three 3 x 3 convolutions of 32 channels, the ``Flatten`` that was missing there, a dense layer
    of 128 units (the features) and softmax; no normalization, no dropout, no pooling.
    """
    return Sequential(
        [
            layers.Input(input_shape, name="pixels"),
            layers.Rescaling(1 / 255, name="rescaling"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="features"),
            layers.Dense(n_classes, activation="softmax", name="probabilities"),
        ],
        name="mnist_cnn",
    )


def devanagari_cnn(input_shape, n_classes):
    """Build the network that was trained on all 58 Devanagari characters, to be specialized.

    3 x 3 convolutions of 128 and 64 channels, 2 x 2 max pooling, dropout, a convolution of 32
    channels, two dense layers of 512 units (the second gives the features) and softmax, with
    dropout before each of these three. Its author does not give the dropout rates; here they are
    0.25 after the pooling and 0.5 elsewhere.
    """
    return Sequential(
        [
            layers.Input(input_shape, name="pixels"),
            layers.Rescaling(1 / 255, name="rescaling"),
            layers.Conv2D(128, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.5),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(512, activation="relu", name="features"),
            layers.Dropout(0.5),
            layers.Dense(n_classes, activation="softmax", name="probabilities"),
        ],
        name="devanagari_cnn",
    )


def devanagari_small_cnn(input_shape, n_classes):
    """Build the network that was trained from scratch on one set of Devanagari characters.

    3 x 3 convolutions of 32 and 64 channels, 2 x 2 max pooling, dropout of a quarter, a dense
    layer of 256 units (the features), dropout of 0.8 and softmax.
    """
    return Sequential(
        [
            layers.Input(input_shape, name="pixels"),
            layers.Rescaling(1 / 255, name="rescaling"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(name="flatten"),
            layers.Dense(256, activation="relu", name="features"),
            layers.Dropout(0.8),
            layers.Dense(n_classes, activation="softmax", name="probabilities"),
        ],
        name="devanagari_small_cnn",
    )
