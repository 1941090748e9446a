"""The max-margin half: support vector classifiers and the search for their parameters."""

from penultimate.svm.search import SVCHalvingSearchCV, SVCRandomizedSearchCV, SVCSearchCV
from penultimate.svm.svc import SVC

__all__ = ["SVC", "SVCHalvingSearchCV", "SVCRandomizedSearchCV", "SVCSearchCV"]
