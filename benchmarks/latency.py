"""Latency of a prediction of one, ten and a thousand rows, and of one image compared with 256.

`SVC` and scikit-learn's, fitted on the same samples with random labels (nearly all of which become
support vectors), predict the same rows in turns, each with its defaults. Ratios are those of the
two medians of a turn, and are given with their spread over the turns: on a busy machine, ratios
within a turn are more reliable than times. Then `DeepSVC` on images of digits: one compared with
256. Run it with: python benchmarks/latency.py [--out RESULTS.md]
"""

import argparse
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import sklearn.svm

from penultimate import SVC

TURNS = 7
CALLS = {1: 40, 10: 20, 1000: 2}  # predictions per turn, by the number of rows
KERNELS = ("rbf", "linear", "poly", "precomputed")
SIZES = ((1000, 128, 2), (2000, 128, 10), (2000, 512, 2), (1000, 1280, 10), (2000, 1280, 10))
IMAGES = (1, 256)


def milliseconds(functions, n_calls):
    """Return the time per call, of shape (turns, functions): medians of alternating turns."""
    found = np.empty((TURNS, len(functions)))
    for turn in range(TURNS):
        for column in np.roll(np.arange(len(functions)), turn):
            times = []
            for _ in range(n_calls):
                start = time.perf_counter()
                functions[column]()
                times.append(time.perf_counter() - start)
            found[turn, column] = 1000 * np.median(times)
    return found


def ratio(found):
    """Return the ratio of the first to the second, with its minimum and maximum, as text."""
    ratios = found[:, 0] / found[:, 1]
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"


def classifiers(kernel, n, d, n_classes):
    """Return both fitted classifiers and the samples."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, d)), rng.integers(0, n_classes, n)
    if kernel == "precomputed":
        X = X @ X.T / d
    return SVC(kernel=kernel).fit(X, y), sklearn.svm.SVC(kernel=kernel).fit(X, y), X


def of_svc(kernels=KERNELS, sizes=SIZES):
    """Yield the lines of the table about `SVC`."""
    yield (
        "| kernel | support vectors | features | classes | method | "
        + " | ".join(f"{n} row{'s' * (n > 1)}, ms | ratio" for n in CALLS)
        + " |"
    )
    yield "| --- |" + " ---: |" * 3 + " --- |" + " ---: |" * 2 * len(CALLS)
    for kernel in kernels:
        for n, d, n_classes in sizes:
            ours, theirs, X = classifiers(kernel, n, d, n_classes)
            for method in ("predict", "decision_function"):
                cells = []
                for n_rows, n_calls in CALLS.items():
                    rows = X[:n_rows]
                    calls = [
                        lambda m=machine, r=rows, name=method: getattr(m, name)(r)
                        for machine in (ours, theirs)
                    ]
                    found = milliseconds(calls, n_calls)
                    cells += [f"{np.median(found[:, 0]):.3g}", ratio(found)]
                yield (
                    f"| {kernel} | {len(ours.support_):,} | {X.shape[1]:,} | {n_classes} | "
                    f"`{method}` | " + " | ".join(cells) + " |"
                )


def of_deep_svc():
    """Yield the lines of the table about `DeepSVC`."""
    from penultimate import DeepSVC
    from penultimate.datasets import load_mnist_5k
    from penultimate.networks import Training

    data = load_mnist_5k()
    X, y = data.images[:1000], data.labels[:1000]
    yield "| network | one image, ms | 256 images, ms | ratio |"
    yield "| --- | ---: | ---: | ---: |"
    for network in ("compact", "wide"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a poorly trained network is as slow as a good one
            fitted = DeepSVC(network, head=SVC(), training=Training(epochs=1), random_state=0)
            fitted.fit(X, y)
        calls = [lambda f=fitted, n=n: f.predict(X[:n]) for n in IMAGES]
        for call in calls:
            call()  # traces the graph for each size
        found = milliseconds(calls, 5)
        yield (
            f"| {network} | {np.median(found[:, 0]):.3g} | {np.median(found[:, 1]):.3g} | "
            f"{ratio(found)} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a Markdown file to write")
    parser.add_argument("--quick", action="store_true", help="one kernel and size")
    arguments = parser.parse_args()
    few = {"kernels": KERNELS[:1], "sizes": SIZES[:1]} if arguments.quick else {}
    lines = [
        "# Latency of a prediction",
        "",
        "`python benchmarks/latency.py --out benchmarks/results/latency.md`",
        "",
        f"{os.cpu_count()} processors, scikit-learn {sklearn.__version__}. Medians of {TURNS} "
        "turns, and ratios with their minimum and maximum over turns.",
        "",
        "## `SVC` compared with scikit-learn's",
        "",
        "Below a ratio of 1, `SVC` is faster than `sklearn.svm.SVC` on the same rows.",
        "",
    ]
    for line in lines:
        print(line, flush=True)
    for line in of_svc(**few):
        print(line, flush=True)
        lines.append(line)
    lines += ["", "## `DeepSVC`: one image compared with 256", ""]
    for line in of_deep_svc():
        print(line, flush=True)
        lines.append(line)
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
