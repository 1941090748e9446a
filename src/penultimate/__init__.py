"""Max-margin heads for neural networks.

Cut a network at its penultimate layer, put an SVM on top, and measure whether it helped.
Public names are imported on first use (PEP 562), so that ``import penultimate`` is fast and loads
neither Keras nor scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "SVC": "penultimate.svm",
    "SVCHalvingSearchCV": "penultimate.svm",
    "SVCRandomizedSearchCV": "penultimate.svm",
    "SVCSearchCV": "penultimate.svm",
    "FeatureExtractor": "penultimate.networks",
    "Training": "penultimate.networks",
    "Augmentation": "penultimate.networks",
    "AbstainingClassifier": "penultimate.classifiers.abstaining",
    "DeepSVC": "penultimate.classifiers.deep_svc",
    "MarginClassifier": "penultimate.classifiers.margin",
    "Specialists": "penultimate.classifiers.specialists",
    "Comparison": "penultimate.comparison",
    "PerformanceWarning": "penultimate._common.warnings",
    "compare": "penultimate.comparison",
}

__all__ = [
    "SVC",
    "AbstainingClassifier",
    "Augmentation",
    "Comparison",
    "DeepSVC",
    "FeatureExtractor",
    "MarginClassifier",
    "PerformanceWarning",
    "SVCHalvingSearchCV",
    "SVCRandomizedSearchCV",
    "SVCSearchCV",
    "Specialists",
    "Training",
    "__version__",
    "compare",
]

if TYPE_CHECKING:
    from penultimate._common.warnings import PerformanceWarning
    from penultimate.classifiers.abstaining import AbstainingClassifier
    from penultimate.classifiers.deep_svc import DeepSVC
    from penultimate.classifiers.margin import MarginClassifier
    from penultimate.classifiers.specialists import Specialists
    from penultimate.comparison import Comparison, compare
    from penultimate.networks import Augmentation, FeatureExtractor, Training
    from penultimate.svm import SVC, SVCHalvingSearchCV, SVCRandomizedSearchCV, SVCSearchCV


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'penultimate' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
