"""The nodes of a head in ONNX Runtime, against scikit-learn's and our own `SVC.predict`.

All take turns in one run, and ratios are those of the times of one round: on a busy machine, ratios
within a round are more reliable than times. The smallest times of all rounds are given as well:
they are closest to those of an idle machine. The machine has an RBF kernel, 10 classes and about
2,000 support vectors; the graph puts out labels, scores and margins.

Run it with: python benchmarks/head_graph.py [--features 128] [--rounds 15] [--out RESULTS.md]
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import onnxruntime
import sklearn.svm

from penultimate import SVC
from penultimate.bundle.graph import _pairs, build_graph

N_CLASSES, N_SUPPORT = 10, 2000
BATCHES = {1: 60, 256: 2}  # and the calls in a round
C = 10.0


def fitted(n_features):
    """Return both machines, with the wanted number of support vectors, and new samples."""
    rng = np.random.default_rng(0)
    n_samples = N_SUPPORT + 200  # nearly all of these classes' samples are support vectors
    labels = np.arange(n_samples + max(BATCHES)) % N_CLASSES
    centers = 0.35 * rng.normal(size=(N_CLASSES, n_features))
    X = (centers[labels] + rng.normal(size=(len(labels), n_features))).astype(np.float32)
    fit = X[:n_samples], labels[:n_samples]
    settings = {"C": C, "gamma": 1 / n_features}
    theirs, ours = sklearn.svm.SVC(**settings).fit(*fit), SVC(**settings).fit(*fit)
    return theirs, ours, X[n_samples:]


def session_of(machine, *, double):
    """Return the machine as a graph in ONNX Runtime."""
    chosen = _pairs._float32_suffices
    try:
        if double:
            _pairs._float32_suffices = lambda *_: False
        content = build_graph(machine).SerializeToString()
    finally:
        _pairs._float32_suffices = chosen
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def take_turns(contestants, n_rounds, n_calls):
    """Return times per call, (rounds, contestants): the medians, and the smallest."""
    medians, least = np.empty((2, n_rounds, len(contestants)))
    runs = list(contestants.values())
    for number in range(n_rounds):
        for column in np.roll(np.arange(len(runs)), number):
            times = []
            for _ in range(n_calls + 1):
                start = time.perf_counter()
                runs[column]()
                times.append(time.perf_counter() - start)
            # Without the first, which finds the caches full of another contestant's data.
            medians[number, column], least[number, column] = np.median(times[1:]), min(times[1:])
    return medians, least


def compared(theirs, ours, X, n_rounds):
    """Return lines of a table for each batch size."""
    graphs = {
        "graph": session_of(ours, double=False),
        "graph, in float64": session_of(ours, double=True),
    }
    lines = [
        "| batch | | ms, smallest | ms, median | scikit-learn's time / its own | by smallest |",
        "| ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for size, n_calls in BATCHES.items():
        rows = X[:size]
        contestants = {
            "`sklearn.svm.SVC.predict`": lambda rows=rows: theirs.predict(rows),
            "`penultimate.SVC.predict`": lambda rows=rows: ours.predict(rows),
            **{
                name: lambda rows=rows, each=each: each.run(["label"], {"features": rows})
                for name, each in graphs.items()
            },
        }
        medians, least = take_turns(contestants, n_rounds, n_calls)
        ratios = medians[:, :1] / medians
        for column, name in enumerate(contestants):
            low, middle, high = np.quantile(ratios[:, column], [0.1, 0.5, 0.9])
            times = least[:, column].min(), np.median(medians[:, column])
            lines.append(
                f"| {size} | {name} | {1e3 * times[0]:.3f} | {1e3 * times[1]:.3f} | "
                f"{middle:.1f} ({low:.1f} to {high:.1f}) | "
                f"{least[:, 0].min() / times[0]:.1f} |"
            )
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, nargs="+", default=[128, 1280])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = [
        f"The nodes of a head: RBF, {N_CLASSES} classes; {os.cpu_count()} processors, onnxruntime "
        f"{onnxruntime.__version__}, scikit-learn {sklearn.__version__}; load average before the "
        f"run {os.getloadavg()[0]:.1f}."
    ]
    for n_features in given.features:
        theirs, ours, X = fitted(n_features)
        lines += ["", f"{n_features} features, {len(ours.support_):,} support vectors:", ""]
        lines += compared(theirs, ours, X, given.rounds)
    text = "\n".join(lines) + "\n"
    print(text)
    if given.out is not None:
        given.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
