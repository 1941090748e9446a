"""Classifiers of images: an SVM head, one per subset of classes, a margin loss, and abstention."""

from penultimate._common.lazy import load_lazily

_WHERE = {
    "AbstainingClassifier": "abstaining",
    "DeepSVC": "deep_svc",
    "MarginClassifier": "margin",
    "Specialists": "specialists",
}

__all__ = list(_WHERE)
# Lazy: a margin loss is a Keras class, and importing a classifier must not start a backend.
__getattr__ = load_lazily(__name__, _WHERE)
