"""Comparing heads and networks under one protocol: the methods, their fits, and the checks."""

from penultimate.comparison._compare import compare
from penultimate.comparison.comparison import Comparison
from penultimate.comparison.interrupted import ComparisonInterrupted
from penultimate.comparison.method import Method
from penultimate.comparison.methods import FEATURE_METHODS, METHODS
from penultimate.comparison.protocol import Protocol

__all__ = [
    "FEATURE_METHODS",
    "METHODS",
    "Comparison",
    "ComparisonInterrupted",
    "Method",
    "Protocol",
    "compare",
]
