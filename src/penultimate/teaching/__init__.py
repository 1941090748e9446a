"""Teaching a saved model: a journal of taught samples, refitted heads, and new versions."""

from penultimate._common.lazy import load_lazily

# Lazy: the journal alone needs neither scikit-learn nor ONNX.
__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)
