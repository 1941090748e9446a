"""Image classifiers: one SVM head, one per subset of classes, margin losses, and abstention."""

from penultimate.classifiers.abstaining import AbstainingClassifier
from penultimate.classifiers.deep_svc import DeepSVC
from penultimate.classifiers.margin import MarginClassifier
from penultimate.classifiers.specialists import Specialists

__all__ = ["AbstainingClassifier", "DeepSVC", "MarginClassifier", "Specialists"]
