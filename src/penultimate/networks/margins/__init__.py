"""Margin losses in Keras, with their metrics, layers and the networks that end in them."""

from penultimate._common.lazy import load_lazily

_WHERE = {
    "BinaryHinge": "losses",
    "CrammerSinger": "losses",
    "OneVsRestHinge": "losses",
    "WestonWatkins": "losses",
    "MarginViolationRate": "metrics",
    "MeanMargin": "metrics",
    "SignAccuracy": "metrics",
    "RandomFourierFeatures": "layers",
    "build_margin_network": "builders",
    "linear": "builders",
}

__all__ = list(_WHERE)
# Lazy: these are Keras classes, which start a backend when they are imported.
__getattr__ = load_lazily(__name__, _WHERE)
