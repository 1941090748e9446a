"""Niu and Suen's setting on MNIST: how many digits are recognized without an error.

X.-X. Niu and C. Y. Suen, "A novel hybrid CNN-SVM classifier for recognizing handwritten digits",
Pattern Recognition 45(4), 2012, recognize 94.40 % of the test set without an error. Here thresholds
are set on development images, and the test set is used once. Run it with:

    python benchmarks/abstention.py --data ../shared/data/mnist.tar
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from devanagari_tables import table
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator

from penultimate import AbstainingClassifier, DeepSVC, Training
from penultimate.datasets import load
from penultimate.evaluation import (
    area_under_risk_coverage,
    brier_score,
    calibrated,
    confidence_scores,
    error_free_samples,
    expected_calibration_error,
    log_loss,
    risk_coverage_curve,
)

RISKS = 0.001, 0.002, 0.005
LEVEL = 0.95
N_HELDOUT, N_CALIBRATION = 10_000, 5_000
N_DEVELOPMENT = 60_000
SEED = 1


class Softmax(ClassifierMixin, BaseEstimator):
    """The network's own softmax as a classifier of images with values from 0 to 255."""

    def __init__(self, network, classes):
        self.network = network
        self.classes_ = classes

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return self.network.predict(X, batch_size=1000, verbose=0).astype(np.float64)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class ByMargins(ClassifierMixin, BaseEstimator):
    """An SVM whose decision values measure its confidence instead of counting votes."""

    def __init__(self, model):
        self.model = model
        self.classes_ = model.classes_

    def fit(self, X, y):
        return self

    def decision_function(self, X):
        return self.model.class_margins(X)

    def predict(self, X):
        return self.classes_[self.decision_function(X).argmax(axis=1)]


def make_classifiers(images, labels, arguments):
    """Fit on development images only; return classifiers by the name of their confidence."""
    order = np.random.default_rng(SEED).permutation(len(labels))
    calibration, fit = np.split(order[: N_CALIBRATION + arguments.samples], [N_CALIBRATION])
    training = Training(epochs=arguments.epochs)
    model = DeepSVC("compact", training=training, random_state=SEED)
    model.fit(images[fit], labels[fit])
    y = labels[calibration]
    probable = calibrated(FrozenEstimator(ByMargins(model)), y, method="temperature")
    return {
        "softmax": Softmax(model.network_, model.classes_),
        "SVM, margin": model,
        "SVM, calibrated probability": probable.fit(images[calibration], y),
    }


def look(classifier, images, labels, arguments):
    """Return for each image whether it is classified correctly, and the confidence."""
    parts = np.array_split(np.arange(len(labels)), 10)
    correct = np.concatenate([classifier.predict(images[k]) == labels[k] for k in parts])
    confidence = np.concatenate([confidence_scores(classifier, images[k]) for k in parts])
    return correct, confidence


def thresholds(name, classifier, heldout, test):
    """Set a threshold for each risk on held-out images, and evaluate it on the test set."""
    correct, confidence = test
    rows = []
    for risk in RISKS:
        model = AbstainingClassifier(FrozenEstimator(classifier), risk=risk, level=LEVEL)
        model.fit(*heldout)
        accepted = confidence > model.threshold_
        n_accepted, n_errors = int(accepted.sum()), int((~correct[accepted]).sum())
        rate, low, high = "", "", ""
        if n_accepted:
            found = binomtest(n_errors, n_accepted)
            low, high = (f"{100 * end:.3f}" for end in found.proportion_ci(0.95))
            rate = f"{100 * found.statistic:.3f} ({low} to {high})"
        cells = [f"{100 * model.coverage_:.1f}", model.n_errors_]
        cells += [f"{100 * n_accepted / len(correct):.2f}", n_errors, rate]
        rows.append([name, f"{100 * risk:.1f}", *cells])
    return rows


def summary(name, correct, confidence):
    coverage, risk, _ = risk_coverage_curve(correct, confidence)
    at_no_error = coverage[risk == 0].max(initial=0)
    error = f"{100 * np.mean(~correct):.2f}"
    area = f"{1e4 * area_under_risk_coverage(correct, confidence):.2f}"
    return [name, error, f"{100 * at_no_error:.2f}", area]


def judge(name, probabilities, codes):
    scores = [f"{f(probabilities, codes):.4f}" for f in (brier_score, log_loss)]
    return [name, *scores, f"{100 * expected_calibration_error(probabilities, codes):.2f}"]


def report(tables, arguments):
    needed = f"{error_free_samples(RISKS[0], level=LEVEL):,}"
    return f"""# Abstention: how many digits without an error?

Made by `python benchmarks/abstention.py --data mnist.tar --samples {arguments.samples} --epochs \
{arguments.epochs}`.

## Protocol

X.-X. Niu and C. Y. Suen, "A novel hybrid CNN-SVM classifier for recognizing handwritten digits", \
Pattern Recognition 45(4), 2012: a CNN with an SVM on its features, trained on all 60,000 \
development images of MNIST with distortions, has an error rate of 0.19 % on the 10,000 test \
images, and recognizes 94.40 % of them without an error if it may reject.

Here `DeepSVC("compact")` is fitted on {arguments.samples:,} development images (with \
{arguments.epochs} epochs of the network), a much smaller effort than the paper's; its temperature \
is fitted on {N_CALIBRATION:,} others; thresholds are set by `AbstainingClassifier` on \
{N_HELDOUT:,} more, which nothing was fitted on, for each risk with a confidence of \
{100 * LEVEL:g} % (a risk of {100 * RISKS[0]:g} % requires at least {needed} of them without an \
error). The guarantee holds for each threshold separately. One seed. The SVM's margin is the \
smallest decision value of the best class against any other. The test set was used twice: by a \
first run, with half the images, in which the margin came from the votes of `decision_function` \
(with these, the least error of the SVM was among its most confident images, and a risk of 0.1 % \
could not be certified), and by this one. The margin was chosen on training samples of other data, \
for its area under the risk-coverage curve; experiments before the first run used development \
images only.

## Thresholds set on development

Coverage and errors on the held-out images and on the test set; the last column is the error rate \
of the accepted test images, with its exact 95 % confidence interval.

{tables["thresholds"]}

## With hindsight

The coverage without a test error, as in the paper (94.40 %), is that of the best threshold on the \
test set itself: it depends on a single image, the most confident error, and a threshold that is \
set beforehand cannot be expected to reach it. AURC is the area under the risk-coverage curve, in \
units of 1e-4.

{tables["hindsight"]}

## Probabilities

On the test set; for the Brier score (0 to 2), the log loss and the expected calibration error \
(10 bins), lower is better. The network was trained with label smoothing, so its softmax is \
underconfident.

{tables["probabilities"]}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    place = os.environ.get("PENULTIMATE_DATA")
    default = None if place is None else str(Path(place, "mnist.tar"))
    parser.add_argument("--data", default=default, required=default is None)
    parser.add_argument("--out", default="benchmarks/results/abstention.md", type=Path)
    parser.add_argument("--samples", type=int, default=40_000, help="development images to fit on")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument(
        "--rehearse", action="store_true", help="use development images in place of the test set"
    )
    arguments = parser.parse_args()
    most = N_DEVELOPMENT - N_HELDOUT - N_CALIBRATION
    if not 100 <= arguments.samples <= most - N_HELDOUT * arguments.rehearse:
        parser.error(f"--samples must be from 100 to {most}, or {most - N_HELDOUT} to rehearse")
    data = load(arguments.data)
    names = np.array(data.classes)
    labels = names[data.labels]
    development = np.flatnonzero(~data.is_test)
    rest, heldout = development[:-N_HELDOUT], development[-N_HELDOUT:]
    test = np.flatnonzero(data.is_test)
    if arguments.rehearse:
        rest, test = rest[:-N_HELDOUT], rest[-N_HELDOUT:]
    classifiers = make_classifiers(data.images[rest], labels[rest], arguments)
    rows = {"thresholds": [], "hindsight": [], "probabilities": []}
    for name, classifier in classifiers.items():
        found = look(classifier, data.images[test], labels[test], arguments)
        rows["thresholds"] += thresholds(
            name, classifier, (data.images[heldout], labels[heldout]), found
        )
        rows["hindsight"].append(summary(name, *found))
        if hasattr(classifier, "predict_proba"):
            codes = np.searchsorted(classifier.classes_, labels[test])
            probabilities = classifier.predict_proba(data.images[test])
            rows["probabilities"].append(judge(name, probabilities, codes))
    headers = {
        "thresholds": [
            *("confidence", "risk, %", "held-out coverage, %", "errors"),
            *("test coverage, %", "errors", "error rate of accepted images, %"),
        ],
        "hindsight": ["confidence", "test error, %", "coverage without an error, %", "AURC, 1e-4"],
        "probabilities": ["", "Brier score", "log loss", "calibration error, %"],
    }
    tables = {key: table(headers[key], rows[key]) for key in headers}
    text = report(tables, arguments)
    if arguments.rehearse:
        text = text.replace("# Abst", "# REHEARSAL, on development images. Abst", 1)
    arguments.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
