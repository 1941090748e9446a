"""Random Fourier features compared with the exact kernel machine: accuracy and time.

The exact search selects C and gamma on a part of the training samples. With these values,
scikit-learn's SVC and a linear machine on random features take turns: fit on all training samples,
predict the test samples. The Keras side runs in a new process each time, so that its compilation is
included; imports are excluded on both sides. A plot shows how the decision function approaches the
exact one as the number of features grows, on two moons. Run it with:

    python benchmarks/random_features.py --data ../shared/data/features/cifar_cnn128.npz
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from devanagari_tables import table
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from penultimate import SVCSearchCV, Training
from penultimate.evaluation import compare_accuracies

# Chosen on the same part of the training samples as C and gamma.
RECIPE = Training(8, 256, learning_rate=0.1, augmentation=None, validation_size=0)
LOSS = "crammer_singer"
SELECTION = 4000
SIZES = 256, 1024, 4096
DRAWN_SIZES, DRAWN_SEEDS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096), 5


def read(path):
    with np.load(path) as file:
        X, y, X_test, y_test = (file[n] for n in ("X_train", "y_train", "X_test", "y_test"))
    scaler = StandardScaler().fit(X[:-SELECTION])
    return scaler.transform(X), y, scaler.transform(X_test), y_test


def time_exact(path, C, gamma):
    X, y, X_test, _ = read(path)
    start = time.perf_counter()
    machine = SVC(C=C, gamma=gamma, cache_size=2000).fit(X, y)
    fitted = time.perf_counter()
    predictions = machine.predict(X_test)
    return predictions, fitted - start, time.perf_counter() - fitted


def time_features(path, C, gamma, n_features, seed):
    import keras  # noqa: F401

    from penultimate import MarginClassifier
    from penultimate.networks.margins.builders import RandomFeatureNetwork

    X, y, X_test, _ = read(path)
    start = time.perf_counter()
    machine = MarginClassifier(
        RandomFeatureNetwork(n_features, gamma=gamma, random_state=seed),
        loss=LOSS,
        C=C,
        standardize=False,
        training=RECIPE,
        random_state=seed,
    ).fit(X, y)
    fitted = time.perf_counter()
    predictions = machine.predict(X_test)
    return predictions, fitted - start, time.perf_counter() - fitted


def elsewhere(path, *arguments):
    """Call `time_features` in a new process."""
    command = [sys.executable, __file__, "--data", path, "--only", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    predictions, fit, predict = json.loads(done.stdout.splitlines()[-1])
    return np.array(predictions), fit, predict


def draw_convergence(out):
    """Plot the distance between the decision functions on random features and of the exact SVM."""
    import matplotlib.pyplot as plt
    from sklearn.datasets import make_moons

    from penultimate import MarginClassifier
    from penultimate.networks.margins.builders import RandomFeatureNetwork
    from penultimate.networks.margins.losses import BinaryHinge

    X, y = make_moons(300, noise=0.2, random_state=0)
    exact = SVC(C=1, gamma=1).fit(X, y).decision_function(X)
    recipe = Training(2000, 256, learning_rate=0.05, augmentation=None, validation_size=0)
    distances = np.empty((len(DRAWN_SIZES), DRAWN_SEEDS))
    for i, size in enumerate(DRAWN_SIZES):
        for seed in range(DRAWN_SEEDS):
            machine = MarginClassifier(
                RandomFeatureNetwork(size, gamma=1.0, random_state=seed),
                loss=BinaryHinge(),
                standardize=False,
                training=recipe,
                random_state=seed,
            )
            decision = machine.fit(X, y).decision_function(X)
            distances[i, seed] = np.sqrt(np.mean((decision - exact) ** 2))
    figure, ax = plt.subplots(figsize=(5.5, 4))
    ax.plot(DRAWN_SIZES, distances, "o", color="0.7", markersize=4)
    middle = np.median(distances, axis=1)
    ax.plot(DRAWN_SIZES, middle, "o-", label=f"median of {DRAWN_SEEDS} draws")
    falling = middle[0] * np.sqrt(DRAWN_SIZES[0] / np.array(DRAWN_SIZES))
    ax.plot(DRAWN_SIZES, falling, "k--", linewidth=1, label=r"$\propto 1/\sqrt{D}$")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set(xlabel="random features D", ylabel="RMS distance to SVC's decision function")
    ax.set_title("Hinge loss on random features approaches SVC(kernel='rbf')")
    ax.legend()
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    return dict(zip(DRAWN_SIZES, middle.round(4).tolist()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/random_features.md"))
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        predictions, *seconds = time_features(options.data, *json.loads(options.only))
        print(json.dumps([predictions.tolist(), *seconds]))
        return

    picture = options.out.with_suffix(".png")
    print(draw_convergence(picture))
    X, y, _, y_test = read(options.data)
    fold = np.full(len(X), -1)
    fold[-SELECTION:] = 0
    search = SVCSearchCV(cv=PredefinedSplit(fold), refit=False).fit(X, y)
    C, gamma = search.best_params_["C"], search.best_params_["gamma"]

    exact, turns = [], {size: [] for size in SIZES}
    for seed in range(options.rounds):
        exact.append(time_exact(options.data, C, gamma))
        for size in SIZES:
            turns[size].append(elsewhere(options.data, C, gamma, size, seed))
    right = np.array([predictions == y_test for predictions, *_ in exact])
    total = np.array([fit + predict for _, fit, predict in exact])
    rows = [
        ["scikit-learn's SVC", f"{100 * right.mean():.2f}", "",
         *(f"{np.median([turn[k] for turn in exact]):.2f}" for k in (1, 2)), "1"]
    ]  # fmt: skip
    for size, found in turns.items():
        ours = np.array([predictions == y_test for predictions, *_ in found])
        behind = compare_accuracies(ours, right)
        share = np.array([fit + predict for _, fit, predict in found]) / total
        rows.append(
            [f"{size:,} random features", f"{100 * ours.mean():.2f}",
             f"{100 * behind.value:+.2f} ({100 * behind.low:+.2f} to {100 * behind.high:+.2f})",
             *(f"{np.median([turn[k] for turn in found]):.2f}" for k in (1, 2)),
             f"{np.median(share):.2f} ({share.min():.2f} to {share.max():.2f})"]
        )  # fmt: skip
    header = ["machine", "test accuracy, %", "vs exact (percentage points)", "fit, s", "predict, s"]
    names = "penultimate", "scikit-learn", "keras", "tensorflow-cpu", "numpy"
    text = f"""# Random Fourier features compared with the exact kernel machine

Made by `python benchmarks/random_features.py --data {Path(options.data).name}`; \
{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, \
{", ".join(f"{name} {version(name)}" for name in names)}.

{len(X):,} training and {len(y_test):,} test samples with {X.shape[1]} features. The exact search \
selected C = {C:g} and gamma = {gamma:.3g} on the last {SELECTION:,} training samples, with a \
score of {100 * search.best_score_:.2f} %; the recipe of the random features ({LOSS}, \
{RECIPE.epochs} epochs, batch size {RECIPE.batch_size}, peak learning rate \
{RECIPE.learning_rate:g}) was also chosen there. {options.rounds} rounds in turn, each with \
different random directions; medians, and the range of the ratios. Times of the random features \
are cold: a new process each, including the compilation of its steps, excluding imports.

{table([*header, "time / exact"], rows)}

![Distance of the decision function from the exact one by number of features]({picture.name})
"""
    options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
