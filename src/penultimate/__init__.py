"""Max-margin heads for neural networks.

Cut a network at its penultimate layer, put an SVM on top, and know whether it helped.
Public names load on first use (PEP 562), so that ``import penultimate`` is quick and loads
neither Keras nor scikit-learn; ``__init__.pyi`` lists them.
"""

from penultimate._common.lazy import load_lazily

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)
