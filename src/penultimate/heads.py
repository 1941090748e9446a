"""The methods of a comparison, by name: what each is fitted on, and with which classifier."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

from penultimate.svm import SVC, SVCSearchCV

N_COMPONENTS = 50


@dataclass(frozen=True)
class Method:
    """How a method of the comparison is made.

    Attributes
    ----------
    inputs : {"probabilities", "features", "pixels"}
        What it works on: the network's own outputs, its features, or the flattened images.
    make_head : callable or None
        A function of (n_jobs, seed) that returns an unfitted search or classifier; None where the
        network itself classifies.
    make_preprocessing : callable or None
        A function of (n_samples, n_features) that returns what comes before the head; None stands
        for standardisation.
    control : bool
        Whether the method is there to explain the others rather than to win.
    """

    inputs: Literal["probabilities", "features", "pixels"]
    make_head: Callable[[int | None, int], Any] | None
    make_preprocessing: Callable[[int, int], Any] | None = None
    control: bool = False


def logistic(n_jobs: int | None, seed: int) -> Any:
    """Multinomial logistic regression, converged."""
    # The search is over few points, and each fit uses all cores through BLAS.
    return GridSearchCV(
        LogisticRegression(max_iter=3000), {"C": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0]}
    )


def svm_rbf(n_jobs: int | None, seed: int) -> Any:
    """SVM with an RBF kernel, over C and gamma."""
    return SVCSearchCV(n_jobs=n_jobs)


def svm_linear(n_jobs: int | None, seed: int) -> Any:
    """SVM with a linear kernel, over C."""
    return SVCSearchCV(SVC(kernel="linear"), n_jobs=n_jobs)


def random_forest(n_jobs: int | None, seed: int) -> Any:
    """Random forest of 200 trees, over the smallest leaf."""
    forest = RandomForestClassifier(200, n_jobs=n_jobs, random_state=seed)
    return GridSearchCV(forest, {"min_samples_leaf": [1, 3]})


def nearest_neighbours(n_jobs: int | None, seed: int) -> Any:
    """Nearest neighbours, over their number and weights."""
    return GridSearchCV(
        KNeighborsClassifier(),
        {"n_neighbors": [1, 3, 5, 9, 15], "weights": ["uniform", "distance"]},
    )


def principal_components(n_samples: int, n_features: int) -> Any:
    """Make the projection on the first 50 principal components, not rescaled."""
    return PCA(min(N_COMPONENTS, n_samples, n_features), random_state=0)


METHODS: dict[str, Method] = {
    "cnn-softmax": Method("probabilities", None),
    "cnn+logistic": Method("features", logistic, control=True),
    "cnn+svm-rbf": Method("features", svm_rbf),
    "cnn+svm-linear": Method("features", svm_linear),
    "cnn+rf": Method("features", random_forest),
    "cnn+knn": Method("features", nearest_neighbours),
    "pca+svm-rbf": Method("pixels", svm_rbf, principal_components),
}
