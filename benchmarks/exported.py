"""Features of a Keras network by its backend, and by ONNX Runtime (`networks.exported`).

Both extract the same images alternately; the best of several rounds counts, as the machine may be
busy with other things. Run it with ``python benchmarks/exported.py``; KERAS_BACKEND chooses.
"""

import time

import numpy as np

from penultimate import FeatureExtractor
from penultimate.networks import build_network, exported
from penultimate.networks.frameworks.backend import import_keras

ROUNDS = 7


def measure(name, network, batch_size, n_images):
    """Print images per second of both, and how far the features are apart."""
    shape = network.input_shape[1:]
    images = np.random.default_rng(0).integers(0, 256, (n_images, *shape)).astype(np.float32)
    own = FeatureExtractor(network, batch_size=batch_size).fit()
    ours = exported(own)
    features = [each.transform(images[: 2 * batch_size]) for each in (own, ours)]
    seconds = [np.inf, np.inf]
    for _ in range(ROUNDS):
        for k, each in enumerate((own, ours)):
            start = time.perf_counter()
            each.transform(images)
            seconds[k] = min(seconds[k], time.perf_counter() - start)
    apart = np.abs(features[0] - features[1]).max() / np.abs(features[0]).max()
    rates = [n_images / each for each in seconds]
    print(
        f"| {name} | {batch_size} | {rates[0]:,.0f} | {rates[1]:,.0f} | "
        f"{rates[1] / rates[0]:.2f} | {apart:.0e} |",
        flush=True,
    )


def main():
    """Measure a small network and a pretrained one's architecture."""
    keras = import_keras()
    backend = keras.backend.backend()
    print(f"| network | batch | {backend}, images/s | ONNX Runtime | ratio | apart |")
    print("| --- | --- | --- | --- | --- | --- |")
    compact = build_network("compact", (28, 28, 1), 10)
    mobile = keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3), classes=10)
    measure("compact, 28 pixels", compact, 256, 1024)
    measure("compact, 28 pixels", compact, 1, 50)
    measure("MobileNetV2, 96 pixels", mobile, 64, 64)
    measure("MobileNetV2, 96 pixels", mobile, 1, 12)


if __name__ == "__main__":
    main()
