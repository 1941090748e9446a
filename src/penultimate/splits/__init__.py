"""Splitting samples: development and test set, fit and selection part, folds, without leaks."""

from penultimate.splits.draw import split_development, split_folds, split_test
from penultimate.splits.parts import Holdout, Split
from penultimate.splits.units import count_copies

__all__ = ["Holdout", "Split", "count_copies", "split_development", "split_folds", "split_test"]
