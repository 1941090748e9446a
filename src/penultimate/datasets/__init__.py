"""Labeled images: reading them from folders, tables, arrays and archives."""

from penultimate._common.subsets import check_subsets
from penultimate.datasets.class_names import natural_order
from penultimate.datasets.dataset import Dataset
from penultimate.datasets.mnist import load_mnist_5k
from penultimate.datasets.readers import load

load_data = load  # its name at the top level, where `load` alone would not say what

__all__ = ["Dataset", "check_subsets", "load", "load_data", "load_mnist_5k", "natural_order"]
