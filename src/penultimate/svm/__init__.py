"""The max-margin half: support vector classifiers and the search for their parameters."""

from penultimate.svm.search import SVCSearchCV
from penultimate.svm.svc import SVC

__all__ = ["SVC", "SVCSearchCV"]
