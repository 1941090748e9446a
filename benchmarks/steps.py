"""Cost of a training step: overhead of augmentation, savings by bfloat16, the original recipe.

Four training runs of a network, with and without augmentation in both precisions, take turns after
each short epoch. On a busy machine, the CPU time of all threads is more reliable than the wall
time: both are printed. Run it with: python benchmarks/steps.py [--out RESULTS.md]
"""

import argparse
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).parents[1] / "examples"))

import numpy as np
from article_networks import devanagari_cnn

from penultimate.datasets import load_mnist_5k
from penultimate.networks import Augmentation, Training, build_network
from penultimate.networks.frameworks.keras_models import computing_in_bfloat16
from penultimate.networks.training.epochs import epochs, run_epoch
from penultimate.networks.training.optimization import compile_network, default_loss

N_CLASSES = 58
NETWORKS = {"wide": "wide", "devanagari-cnn": devanagari_cnn}
BATCHES = {"wide": 128, "devanagari-cnn": 400}
PRECISIONS = ("float32", "bfloat16")
SEED_RECIPE = 9_000, 150  # images, epochs
AUGMENTATIONS = {
    "the default": Augmentation(),
    "without elastic deformation": Augmentation(elastic=0),
    "rotation and zoom, as in the original code": Augmentation(15, 0.2, 0, 0, 0, 0),
}


class Trainee:
    """A network that is trained one epoch at a time."""

    def __init__(self, network, X, codes, precision, augmentation, n_epochs):
        batch = BATCHES[network]
        n_samples = len(X) // batch * batch
        self.X, self.codes, self.batch = X[:n_samples], codes[:n_samples], batch
        self.model = build_network(NETWORKS[network], X.shape[1:], N_CLASSES)
        recipe = Training(batch_size=batch)
        loss = default_loss(self.model, recipe)
        compile_network(self.model, recipe, loss, recipe.learning_rate)
        self.bfloat16 = precision == "bfloat16"
        self.epochs = epochs(self.X, augmentation, seed=0, first=0, last=n_epochs)

    def epoch(self):
        """Train for one more epoch; return its wall and CPU time in microseconds per image."""
        start, start_processors = time.perf_counter(), time.process_time()
        _, order, images = next(self.epochs)
        with computing_in_bfloat16(self.model) if self.bfloat16 else nullcontext():
            run_epoch(self.model, images, self.codes, None, order, self.batch)
        times = time.perf_counter() - start, time.process_time() - start_processors
        return 1e6 * np.array(times) / len(self.X)


def spread(values):
    """Return the median and the quartiles."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def measure_steps(network, X, codes, rounds):
    trainees = {
        (precision, augmentation is not None): Trainee(
            network, X, codes, precision, augmentation, rounds + 1
        )
        for precision in PRECISIONS
        for augmentation in (None, Augmentation())
    }
    turns = {key: [] for key in trainees}
    for turn in range(rounds + 1):
        for key, trainee in trainees.items():
            times = trainee.epoch()
            if turn:  # the first epoch compiles
                turns[key].append(times)
    turns = {key: np.array(times) for key, times in turns.items()}
    rows = []
    for precision in PRECISIONS:
        plain, warped = turns[precision, False], turns[precision, True]
        added = 100 * (warped / plain - 1)
        speed = turns["float32", False] / plain
        n_images, n_epochs = SEED_RECIPE
        wall, processors = n_images * n_epochs * np.median(warped, axis=0) / 60e6
        rows.append(
            f"| {network} | {precision} | {np.median(plain[:, 0]):.0f} "
            f"| {np.median(plain[:, 1]):.0f} | {spread(added[:, 0])} | {spread(added[:, 1])} "
            f"| {spread(speed[:, 0])} | {spread(speed[:, 1])} "
            f"| {wall:.0f} | {processors / os.cpu_count():.0f} |"
        )
        print(rows[-1], flush=True)
    return rows


def measure_warps(X):
    rows = []
    for name, augmentation in AUGMENTATIONS.items():
        seconds = []
        for epoch in range(20):
            start = time.thread_time()
            augmentation.warp(X, seed=0, epoch=epoch)
            seconds.append(time.thread_time() - start)
        rows.append(f"| {name} | {1e6 * np.median(seconds) / len(X):.1f} |")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--samples", type=int, default=1200, help="Samples per epoch.")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data = load_mnist_5k()
    X, codes = data.images[: arguments.samples], data.labels[: arguments.samples]
    lines = [
        f"Images of 28 x 28, {N_CLASSES} classes, {os.cpu_count()} cores, {arguments.rounds} short "
        "epochs of each training run, in turns: medians (and quartiles of the ratios). Batch "
        "sizes: "
        f"{', '.join(f'{batch} ({name})' for name, batch in BATCHES.items())}. Wall time far above "
        "CPU time divided by the number of cores means that the machine was busy.",
        "",
        "| network | precision | wall, us per image | CPU, us per image | augmentation adds, "
        "% of wall | % of CPU | speed-up over float32, wall | CPU | "
        f"{SEED_RECIPE[1]} epochs of {SEED_RECIPE[0]:,} augmented images, wall minutes "
        "| the same on an idle machine |",
        "| --- " * 10 + "|",
    ]
    for network in BATCHES:
        lines += measure_steps(network, X, codes, arguments.rounds)
    lines += [
        "",
        "| warp alone | us per image, one thread |",
        "| --- | --- |",
        *measure_warps(X),
    ]
    print(*lines, sep="\n")
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
