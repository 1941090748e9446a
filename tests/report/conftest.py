import dataclasses

import numpy as np
import pytest

from penultimate import Training, compare
from penultimate.datasets import Dataset


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
