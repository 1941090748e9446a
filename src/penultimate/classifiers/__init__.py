"""Classifiers of images: an SVM head, one per subset of classes, a margin loss, and abstention."""

from penultimate._common.lazy import load_lazily

# Lazy: a margin loss is a Keras class, and importing a classifier must not start a backend.
__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)
