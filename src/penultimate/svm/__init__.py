"""The max-margin half: support vector classifiers and hyper-parameter searches for them."""

from penultimate.svm.search import SVCHalvingSearchCV, SVCRandomizedSearchCV, SVCSearchCV
from penultimate.svm.streamed import StreamedSVC
from penultimate.svm.svc import SVC

__all__ = ["SVC", "SVCHalvingSearchCV", "SVCRandomizedSearchCV", "SVCSearchCV", "StreamedSVC"]
