"""Confidence intervals, calibration, selective classification, drift, and checks of an evaluation.

Public names load on first use, as those of the package: a process that serves a model watches what
comes in, and needs neither scikit-learn nor SciPy for that.
"""

from penultimate._common.lazy import load_lazily

_get, __dir__, __all__ = load_lazily(__name__, __file__)


def __getattr__(name: str) -> object:
    # It stood here before classifiers had a room of their own. The top level knows where it is now,
    # so that this room still imports none above it.
    if name == "AbstainingClassifier":
        import penultimate

        return penultimate.AbstainingClassifier
    return _get(name)
