"""Labelled images: reading them, and splitting them without leaks."""

from penultimate.datasets.dataset import Dataset, natural_order
from penultimate.datasets.draws import count_copies
from penultimate.datasets.mnist import load_mnist_5k
from penultimate.datasets.readers import load
from penultimate.datasets.splits import (
    Holdout,
    Split,
    split_development,
    split_folds,
    split_test,
)
from penultimate.datasets.subsets import check_subsets

__all__ = [
    "Dataset",
    "Holdout",
    "Split",
    "check_subsets",
    "count_copies",
    "load",
    "load_mnist_5k",
    "natural_order",
    "split_development",
    "split_folds",
    "split_test",
]
