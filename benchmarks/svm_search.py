"""The exact grid search against scikit-learn's, in turns, on the same features.

The job is the seeds' own: GridSearchCV(SVC(), {"kernel": ["rbf"], "C": [1, 10, 100, 1000],
"gamma": [1e-3, 1e-4]}), five folds, refit included. Scikit-learn gets one warm process a core. Then
single fits at default arguments, and predictions. Prints a Markdown table; ``--out`` keeps it.

Run it with: python benchmarks/svm_search.py --data FEATURES [--sizes 5000] [--rounds 2]
FEATURES is a folder with ``mnist_cnn128.npz`` (easy) and ``cifar_cnn128.npz`` (hard), each with the
arrays X_train, y_train and X_test.
"""

import argparse
import os
import resource
import time
from pathlib import Path

import numpy as np
from sklearn import svm
from sklearn.model_selection import GridSearchCV

from penultimate import SVC, SVCSearchCV
from penultimate.svm import _native

GRID = {"kernel": ["rbf"], "C": [1, 10, 100, 1000], "gamma": [1e-3, 1e-4]}
NAMES = {"mnist": "easy", "cifar": "hard"}


def embed(X, width):
    """Turn features without changing their distances into as many as a wide backbone has."""
    if width == X.shape[1]:
        return X
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(width, X.shape[1])))
    return np.ascontiguousarray(X @ basis.T.astype(X.dtype))


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def search_row(X, y, rounds, cores):
    """Median of the ratios of a few rounds, each side in turn."""
    times = []
    for _ in range(rounds):
        theirs_s, theirs = timed(lambda: GridSearchCV(svm.SVC(), GRID, n_jobs=cores).fit(X, y))
        ours_s, ours = timed(lambda: SVCSearchCV(param_grid=GRID).fit(X, y))
        times.append((theirs_s, ours_s))
    difference = ours.cv_results_["mean_test_score"] - theirs.cv_results_["mean_test_score"]
    return times, ours.best_params_ == theirs.best_params_, np.abs(difference).max()


def fit_row(X, y, X_test, rounds):
    """Times of single fits at default arguments, and of predictions with them."""
    fits, predictions = [], []
    for _ in range(rounds):
        pair = [timed(lambda make=make: make().fit(X, y)) for make in (svm.SVC, SVC)]
        fits.append([seconds for seconds, _ in pair])
        predictions.append([timed(lambda m=model: m.predict(X_test))[0] for _, model in pair])
    return fits, predictions


def describe(times):
    theirs, ours = np.median(times, axis=0)
    ratios = [a / b for a, b in times]
    spread = f"{np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    return f"{theirs:.3f} | {ours:.3f} | {spread}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000])
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cores = os.cpu_count()
    lines = [
        f"{cores} cores, {_native.core.variants()[0]}; seconds, medians of {arguments.rounds} "
        "rounds in turns; ratios: median (least to most).",
        "",
        "| grid search | scikit-learn | this | ratio | same best | largest score difference |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    loaded = {}
    for name, label in NAMES.items():
        with np.load(arguments.data / f"{name}_cnn128.npz") as data:
            loaded[label] = data["X_train"], data["y_train"], data["X_test"]
    warm = loaded["easy"][0][:300], loaded["easy"][1][:300]
    GridSearchCV(svm.SVC(), {"C": [1, 2]}, n_jobs=cores).fit(*warm)
    SVCSearchCV(param_grid=GRID).fit(*warm)
    for label, (X, y, _) in loaded.items():
        for n in arguments.sizes:
            for width in arguments.widths:
                samples = embed(X[:n], width)
                times, same, difference = search_row(samples, y[:n], arguments.rounds, cores)
                lines.append(
                    f"| {label} {n} x {width} | {describe(times)} | {'yes' if same else 'no'} | "
                    f"{difference:.4f} |"
                )
                print(lines[-1], flush=True)
    lines += ["", "| one fit, or prediction | scikit-learn | this | ratio |", "| --- " * 4 + "|"]
    for label, (X, y, X_test) in loaded.items():
        for n in sorted({1000, *arguments.sizes}):
            fits, predictions = fit_row(X[:n], y[:n], X_test, arguments.rounds)
            lines.append(f"| fit {label} {n} | {describe(fits)} |")
            lines.append(f"| predict {len(X_test)} ({label} {n}) | {describe(predictions)} |")
            print(*lines[-2:], sep="\n", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    lines += ["", f"Peak memory of this process: {peak:.1f} GiB."]
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
