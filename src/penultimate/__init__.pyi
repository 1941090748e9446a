from penultimate._common.warnings import PerformanceWarning as PerformanceWarning
from penultimate.bundle import load as load
from penultimate.bundle import save as save
from penultimate.classifiers import AbstainingClassifier as AbstainingClassifier
from penultimate.classifiers import DeepSVC as DeepSVC
from penultimate.classifiers import MarginClassifier as MarginClassifier
from penultimate.classifiers import Specialists as Specialists
from penultimate.comparison import Comparison as Comparison
from penultimate.comparison import Protocol as Protocol
from penultimate.comparison import compare as compare
from penultimate.datasets import Dataset as Dataset
from penultimate.datasets import load_data as load_data
from penultimate.datasets import load_mnist_5k as load_mnist_5k
from penultimate.evaluation import interval_across_splits as interval_across_splits
from penultimate.networks import Augmentation as Augmentation
from penultimate.networks import FeatureExtractor as FeatureExtractor
from penultimate.networks import Training as Training
from penultimate.networks.margins import RandomFeatureNetwork as RandomFeatureNetwork
from penultimate.splits import Holdout as Holdout
from penultimate.splits import split_test as split_test
from penultimate.store import FeatureStore as FeatureStore
from penultimate.svm import SVC as SVC
from penultimate.svm import StreamedSVC as StreamedSVC
from penultimate.svm import SVCHalvingSearchCV as SVCHalvingSearchCV
from penultimate.svm import SVCRandomizedSearchCV as SVCRandomizedSearchCV
from penultimate.svm import SVCSearchCV as SVCSearchCV

__version__: str
