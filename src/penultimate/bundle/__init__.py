"""One file that holds a model: writing it, and reading it without the framework it came from."""

from penultimate._common.lazy import load_lazily

# Lazy: what writes a bundle needs far more than what reads one.
__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)
