"""Overhead of training and feature extraction compared with the backend's own loops.

Prints ratios of time, ours divided by the backend's: training compared with ``keras.Model.fit``,
for the same network, samples, batch size and determinism setting, with the cross-entropy, and as
`MarginClassifier` compared with Keras's own squared hinge; and extraction compared with the
backend's raw forward pass. Below 1, ours is faster. The two take turns, after a first pass that
compiles (cold, printed separately). Run it with: python benchmarks/training.py [--deterministic]
"""

import argparse
import os
import time
from functools import partial
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from penultimate import FeatureExtractor, Training
from penultimate.classifiers import margin
from penultimate.datasets import load_mnist_5k
from penultimate.networks import Augmentation, build_network, make_deterministic, train
from penultimate.networks.frameworks.keras_models import cut

EPOCHS, BATCH = 3, 64


class EpochTimes(keras.callbacks.Callback):
    """Records the time of each epoch."""

    def on_train_begin(self, logs=None):
        self.times = [time.perf_counter()]

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.perf_counter())


class ProgressTimes:
    """Records the time of each epoch of our loop."""

    def __init__(self):
        self.times = [time.perf_counter()]

    def update(self, step, done, total):
        if done and done == int(done):  # not within an epoch
            self.times.append(time.perf_counter())


def compact_scores(shape, n_classes):
    """Build the network with linear outputs, which Keras's hinge requires."""
    model = build_network("compact", shape, n_classes)
    model.layers[-1].activation = keras.activations.linear
    return model


def linear(shape, n_classes):
    layers = keras.layers
    return keras.Sequential(
        [layers.Input(shape), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(n_classes)]
    )


def epochs_of_fit(X, targets, network=None, loss=None):
    model = (network or partial(build_network, "compact"))(X.shape[1:], 10)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=1e-2)
    loss = loss or keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(optimizer, loss, jit_compile=False)
    watch = EpochTimes()
    model.fit(X, targets, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[watch])
    return np.diff(watch.times)


def epochs_of_ours(X, codes, augmentation):
    model = build_network("compact", X.shape[1:], 10)
    watch = ProgressTimes()
    recipe = Training(EPOCHS, BATCH, augmentation=augmentation)
    train(model, X, codes, None, recipe, progress=watch)
    return np.diff(watch.times)


def epochs_of_margin(X, codes, network):
    """Time the epochs of a `MarginClassifier` through its progress reports."""
    watch = ProgressTimes()
    recipe = Training(EPOCHS, BATCH, augmentation=None, validation_size=0)
    observed = patch.object(margin, "train", partial(train, progress=watch))
    with observed:
        margin.MarginClassifier(network, loss="squared_hinge", training=recipe).fit(X, codes)
    return np.diff(watch.times)


def ratio(ours, theirs):
    """Return the median of the paired ratios, and their range."""
    ratios = np.asarray(ours) / np.asarray(theirs)
    return f"{np.median(ratios):.3f} ({ratios.min():.3f} to {ratios.max():.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deterministic", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.deterministic:
        make_deterministic()

    data = load_mnist_5k()
    # A whole number of batches, so that both loops take the same steps.
    X, codes = data.images[: 48 * BATCH], data.labels[: 48 * BATCH]
    targets = np.eye(10, dtype=np.float32)[codes]
    fit, plain, warped = [], [], []
    for _ in range(arguments.rounds):
        fit.append(epochs_of_fit(X, targets))
        plain.append(epochs_of_ours(X, codes, None))
        warped.append(epochs_of_ours(X, codes, Augmentation()))
    fit, plain, warped = map(np.array, (fit, plain, warped))

    margins = {}
    for name, network in {"compact": compact_scores, "linear": linear}.items():
        hinge = keras.losses.SquaredHinge()
        theirs, ours = [], []
        for _ in range(arguments.rounds):
            theirs.append(epochs_of_fit(X, 2 * targets - 1, network, hinge))
            ours.append(epochs_of_margin(X, codes, network))
        margins[name] = np.array(ours), np.array(theirs)

    import tensorflow as tf

    network = build_network("compact", X.shape[1:], 10)
    extractor = FeatureExtractor(network).fit()
    cut_network = cut(network, "penultimate")
    raw = tf.function(lambda batch: cut_network(batch, training=False))
    batches = [data.images[i : i + 250].astype(np.float32) for i in range(0, 5000, 250)]
    extractor.set_params(batch_size=250)
    forward, ours = [], []
    for turn in range(4 * arguments.rounds + 1):
        start = time.perf_counter()
        for batch in batches:
            raw(batch).numpy()
        middle = time.perf_counter()
        extractor.transform(data.images)
        end = time.perf_counter()
        if turn:  # the first turn compiles both
            forward.append(middle - start)
            ours.append(end - middle)

    print(
        f"keras {keras.__version__} on {keras.backend.backend()}, {os.cpu_count()} cores, "
        f"deterministic: {arguments.deterministic}"
    )
    print(f"fit: {len(X) / fit[:, 1:].mean():,.0f} samples/s warm")
    print("training / fit, warm epochs:               ", ratio(plain[:, 1:], fit[:, 1:]))
    print("training / fit, first epoch (with compile):", ratio(plain[:, 0], fit[:, 0]))
    print("training with warps / fit without, warm:   ", ratio(warped[:, 1:], fit[:, 1:]))
    for name, (ours_of, theirs_of) in margins.items():
        print(f"MarginClassifier / fit, {name} network, warm:  ", end="")
        print("  ", ratio(ours_of[:, 1:], theirs_of[:, 1:]))
    print(f"raw forward pass: {5000 / np.mean(forward):,.0f} samples/s")
    print("extraction / raw forward pass, warm:       ", ratio(ours, forward))


if __name__ == "__main__":
    main()
