import dataclasses

import numpy as np
import pytest

from penultimate import Training, compare
from penultimate.datasets import Dataset
from penultimate.results.method import HardCase, LearningCurve


@pytest.fixture(scope="session")
def comparison(shapes):
    """A comparison with errors to show: a tenth of the labels are wrong."""
    images, labels = shapes
    noisy = labels.copy()
    flip = np.random.default_rng(1).choice(60, 12, replace=False)
    noisy[flip] = np.where(labels[flip] == "lying", "standing", "lying")
    data = Dataset.from_arrays(images, noisy, name="bars <b>&", notes=("Made of 60 bars.",))
    data = dataclasses.replace(data, subsets={"flat": (0,)})
    return compare(data, seeds=2, training=Training(epochs=4, batch_size=8))


@pytest.fixture(scope="session")
def full(comparison):
    """The same with all that a report can show."""
    checks = [
        {"id": "balance", "level": "info", "message": "Classes are <balanced>."},
        {
            "id": "duplicates",
            "level": "warning",
            "message": "Two images are in both parts.",
            "why": "The network has memorized them.",
            "advice": "Drop them.",
        },
        {"id": "leak", "level": "error", "message": "The test set leaks."},
    ]
    return dataclasses.replace(
        comparison,
        checks=checks,
        hardest=[HardCase(7, 0, 1, -1.5), HardCase(3, 1, 0, -2.25)],
        learning_curves=[
            LearningCurve("cnn+svm-rbf", [10, 20, 40], [0.5, 0.7, 0.8]),
            LearningCurve("cnn+logistic", [10, 40], [0.5, 0.75]),
        ],
    )
