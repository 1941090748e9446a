"""Max-margin heads for neural networks.

Cut a network at its penultimate layer, put an SVM on top, and know whether it helped.
Public names load on first use (PEP 562), so that ``import penultimate`` is quick and loads
neither Keras nor scikit-learn.
"""

from typing import TYPE_CHECKING

from penultimate._common.lazy import load_lazily

__version__ = "0.1.0"

_WHERE = {
    "SVC": "svm",
    "SVCHalvingSearchCV": "svm",
    "SVCRandomizedSearchCV": "svm",
    "SVCSearchCV": "svm",
    "FeatureExtractor": "networks",
    "Training": "networks",
    "Augmentation": "networks",
    "AbstainingClassifier": "classifiers",
    "DeepSVC": "classifiers",
    "MarginClassifier": "classifiers",
    "Specialists": "classifiers",
    "Comparison": "comparison",
    "Protocol": "comparison",
    "compare": "comparison",
    "Dataset": "datasets",
    "Holdout": "splits",
    "split_test": "splits",
    "PerformanceWarning": "_common.warnings",
}

__all__ = ["__version__", *_WHERE]
__getattr__ = load_lazily(__name__, _WHERE)


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:  # for editors and type checkers, which do not run the line above
    from penultimate._common.warnings import PerformanceWarning as PerformanceWarning
    from penultimate.classifiers.abstaining import AbstainingClassifier as AbstainingClassifier
    from penultimate.classifiers.deep_svc import DeepSVC as DeepSVC
    from penultimate.classifiers.margin import MarginClassifier as MarginClassifier
    from penultimate.classifiers.specialists import Specialists as Specialists
    from penultimate.comparison import Comparison as Comparison
    from penultimate.comparison import Protocol as Protocol
    from penultimate.comparison import compare as compare
    from penultimate.datasets import Dataset as Dataset
    from penultimate.networks import Augmentation as Augmentation
    from penultimate.networks import FeatureExtractor as FeatureExtractor
    from penultimate.networks import Training as Training
    from penultimate.splits import Holdout as Holdout
    from penultimate.splits import split_test as split_test
    from penultimate.svm import SVC as SVC
    from penultimate.svm import SVCHalvingSearchCV as SVCHalvingSearchCV
    from penultimate.svm import SVCRandomizedSearchCV as SVCRandomizedSearchCV
    from penultimate.svm import SVCSearchCV as SVCSearchCV
