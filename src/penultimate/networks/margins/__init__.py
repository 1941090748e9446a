"""Margin losses in Keras, with their metrics, layers and the networks that end in them."""

from penultimate._common.lazy import load_lazily

# Lazy: these are Keras classes, which start a backend when they are imported.
__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)
