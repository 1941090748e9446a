"""Three ways to use an SVM in Keras, two kernel machines, and when to use which.

Draws the decision boundary and the margin of each on two moons, then fits each on three datasets,
on five different splits, to show which one is worth its time.

Run it with: python examples/svm_in_keras.py [--out svm_in_keras.png] [--splits 5]
"""

import argparse
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, make_moons
from sklearn.decomposition import PCA
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from penultimate import (
    DeepSVC,
    MarginClassifier,
    RandomFeatureNetwork,
    SVCSearchCV,
    Training,
    interval_across_splits,
    load_mnist_5k,
)

TEST_SIZE = 0.3


def dense_network(shape, n_classes):
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape),
            layers.Dense(64, activation="relu"),
            layers.Dense(32, activation="relu"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


def approaches(of_images):
    """Return the models: the article's three approaches in order, then two kernel machines."""
    network = "compact" if of_images else dense_network
    recipe = Training(20) if of_images else Training(40, batch_size=32, learning_rate=0.01)
    machine = Training(epochs=100, batch_size=256, learning_rate=0.1, validation_size=0)
    scaled = [] if of_images else [StandardScaler()]
    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1) / 255)
    vectors = [flat, PCA(50)] if of_images else scaled
    return {
        "1 linear machine in Keras": make_pipeline(*vectors, MarginClassifier(loss="hinge")),
        "2 network, then an SVM": make_pipeline(*scaled, DeepSVC(network, training=recipe)),
        "3 network with a margin loss": make_pipeline(
            *scaled, MarginClassifier(network, loss="squared_hinge", training=recipe)
        ),
        "kernel SVM": make_pipeline(*vectors, SVCSearchCV()),
        "random features in Keras": make_pipeline(
            *vectors,
            MarginClassifier(RandomFeatureNetwork(1024), standardize=False, training=machine),
        ),
    }


def draw(out):
    """Fit each approach to two moons, and draw its decision boundary and margin."""
    X, y = make_moons(500, noise=0.2, random_state=0)
    train, test = next(StratifiedShuffleSplit(1, test_size=TEST_SIZE, random_state=0).split(X, y))
    models = approaches(of_images=False)
    figure, axes = plt.subplots(1, len(models), figsize=(3.2 * len(models), 3.5), sharey=True)
    for ax, (name, model) in zip(axes, models.items()):
        model = seeded(model, 0).fit(X[train], y[train])
        boundary = DecisionBoundaryDisplay.from_estimator(
            model, X, response_method="decision_function", plot_method="pcolormesh", ax=ax,
            cmap="RdBu", vmin=-2, vmax=2, alpha=0.5, rasterized=True,
        )  # fmt: skip
        at = boundary.xx0, boundary.xx1, boundary.response
        ax.contour(*at, levels=[-1, 0, 1], colors="k", linestyles=["--", "-", "--"], linewidths=1)
        ax.scatter(*X[test].T, c=y[test], cmap="RdBu", s=14, edgecolors="k", linewidths=0.4)
        ax.set_title(f"{name}\n{100 * model.score(X[test], y[test]):.1f} % test accuracy")
        ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
    figure.suptitle("Decision boundary (line) and margin (dashed) on two moons")
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    print(f"The boundaries: {out}\n")


def seeded(model, seed):
    """Return a new model whose last step, if it is random, uses this seed."""
    model = clone(model)
    if "random_state" in model[-1].get_params():
        model[-1].set_params(random_state=seed)
    return model


def measure(X, y, n_splits):
    """Measure the accuracy on each split, and the median time to fit."""
    splitter = StratifiedShuffleSplit(n_splits, test_size=TEST_SIZE, random_state=0)
    found = {}
    for name, model in approaches(X.ndim == 4).items():
        scores, seconds = [], []
        for seed, (train, test) in enumerate(splitter.split(X, y)):
            start = time.perf_counter()
            fitted = seeded(model, seed).fit(X[train], y[train])
            seconds.append(time.perf_counter() - start)
            scores.append(fitted.score(X[test], y[test]))
        found[name] = np.array(scores), float(np.median(seconds))
    return found


def advise(found):
    """Choose the fastest approach that is not significantly worse than the best one."""
    best = max(found, key=lambda name: found[name][0].mean())
    # Training sets of different splits overlap, so their scores are correlated: the corrected
    # t-test accounts for that by the ratio of test to training samples.
    ratio = TEST_SIZE / (1 - TEST_SIZE)
    lost = {
        name: interval_across_splits(found[best][0] - scores, ratio)
        for name, (scores, _) in found.items()
    }
    as_good = [name for name in found if name == best or not lost[name].low > 0]
    return min(as_good, key=lambda name: found[name][1]), lost


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="svm_in_keras.png")
    parser.add_argument("--splits", type=int, default=5)
    options = parser.parse_args()
    draw(options.out)
    mnist = load_mnist_5k()
    few = slice(None, None, 2)
    datasets = {
        "two moons, 500 x 2": make_moons(500, noise=0.2, random_state=0),
        "breast cancer, 569 x 30": load_breast_cancer(return_X_y=True),
        "MNIST, 2,500 images of 28 x 28": (mnist.images[few], mnist.labels[few]),
    }
    for title, (X, y) in datasets.items():
        found = measure(X, y, options.splits)
        advised, lost = advise(found)
        print(f"{title}: accuracy over {options.splits} splits, points behind the best, time")
        for name, (scores, seconds) in found.items():
            behind = lost[name]
            interval = f"({100 * behind.low:.1f} to {100 * behind.high:.1f})"
            mark = " <- use this" if name == advised else ""
            print(
                f"  {name:30}{100 * scores.mean():6.1f} %{100 * behind.value:6.1f} {interval:16}"
                f"{seconds:7.2f} s{mark}"
            )
        print()
    print("Use the fastest one that is not significantly worse than the best.")


if __name__ == "__main__":
    main()
