"""What augmentation costs: epochs with it against epochs without, in turns.

Trains the network "wide" on 28 x 28 images in batches of 128, in both precisions, and prints the
share of the time of a step that augmentation adds, as the median over pairs of epochs; and what a
warp takes by itself. Run it with: python benchmarks/augmentation.py [--out RESULTS.md]
"""

import argparse
import os
import time
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from penultimate.datasets import load_mnist_5k
from penultimate.networks import Augmentation, Training, build_network
from penultimate.networks._keras import computing_in_bfloat16
from penultimate.networks.epochs import epochs, run_epoch
from penultimate.networks.training import _compile

BATCH, N_CLASSES = 128, 58
AUGMENTATIONS = {
    "the default": Augmentation(),
    "without bending": Augmentation(elastic=0),
    "rotation and zoom, as in the seed": Augmentation(15, 0.2, 0, 0, 0, 0),
}


class Trainee:
    """A network that trains an epoch at a time."""

    def __init__(self, X, codes, precision, augmentation, n_epochs):
        self.model = build_network("wide", X.shape[1:], N_CLASSES)
        _compile(self.model, Training(n_epochs, BATCH), len(X) // BATCH)
        self.codes, self.bfloat16 = codes, precision == "bfloat16"
        self.epochs = epochs(X, augmentation, seed=0, first=0, last=n_epochs)

    def epoch(self):
        """Return the seconds of one more epoch, the wait for its images included."""
        start = time.perf_counter()
        _, order, images = next(self.epochs)
        with computing_in_bfloat16(self.model) if self.bfloat16 else nullcontext():
            run_epoch(self.model, images, self.codes, order, BATCH, lambda share: None)
        return time.perf_counter() - start


def spread(values, form):
    """Median, and the middle half."""
    low, middle, high = (form.format(v) for v in np.percentile(values, [25, 50, 75]))
    return f"{middle} ({low} to {high})"


def measure_steps(X, codes, rounds):
    rows = []
    for precision in ("float32", "bfloat16"):
        plain, warped = (
            Trainee(X, codes, precision, augmentation, rounds + 1)
            for augmentation in (None, Augmentation())
        )
        plain.epoch(), warped.epoch()  # compile
        turns = np.array([(plain.epoch(), warped.epoch()) for _ in range(rounds)])
        shares = 100 * (turns[:, 1] / turns[:, 0] - 1)
        per_image = 1e6 * turns / len(X)
        rows.append(
            f"| {precision} | {spread(per_image[:, 0], '{:.0f}')} | "
            f"{spread(per_image[:, 1], '{:.0f}')} | {spread(shares, '{:.1f}')} |"
        )
    return rows


def measure_warps(X):
    rows = []
    for name, augmentation in AUGMENTATIONS.items():
        seconds = []
        for epoch in range(20):
            start = time.perf_counter()
            augmentation.warp(X, seed=0, epoch=epoch)
            seconds.append(time.perf_counter() - start)
        rows.append(f"| {name} | {1e6 * min(seconds) / len(X):.1f} |")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data = load_mnist_5k()
    X, codes = data.images[: 20 * BATCH], data.labels[: 20 * BATCH]
    lines = [
        f'The network "wide", {len(X)} images of 28 x 28, batch {BATCH}, {os.cpu_count()} cores, '
        f"{arguments.rounds} pairs of epochs in turns: median (middle half).",
        "",
        "| steps in | without, us an image | with augmentation | added, % of the step |",
        "| --- | --- | --- | --- |",
        *measure_steps(X, codes, arguments.rounds),
        "",
        "| a warp by itself | us an image, one thread |",
        "| --- | --- |",
        *measure_warps(X),
    ]
    print(*lines, sep="\n")
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
