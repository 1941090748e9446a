from penultimate.classifiers.abstaining import AbstainingClassifier as AbstainingClassifier
from penultimate.classifiers.deep_svc import DeepSVC as DeepSVC
from penultimate.classifiers.margin import MarginClassifier as MarginClassifier
from penultimate.classifiers.softmax import SoftmaxClassifier as SoftmaxClassifier
from penultimate.classifiers.specialists import Specialists as Specialists
