"""The methods of a comparison, by name: what each is fitted on, and with which classifier.

Besides the SVM heads there are controls, which separate the possible causes of a gain: a converged
logistic head (refitting, without a margin), the softmax masked to a subset (knowing the subset),
and networks trained from scratch (fewer classes).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.neighbors import KNeighborsClassifier

from penultimate._common.threads import single_threaded_blas
from penultimate._common.validation import check_choice
from penultimate.networks import Training
from penultimate.svm import SVC, SVCSearchCV

N_COMPONENTS = 50


@dataclass(frozen=True)
class Method:
    """Definition of a method of the comparison.

    Attributes
    ----------
    inputs : {"probabilities", "features", "pixels", "network"}
        What it works on: the outputs of the shared network, its features, or the flattened images;
        ``"network"`` trains a separate network.
    make_head : callable or None
        A function of (n_jobs, seed) that returns an unfitted search or classifier; None if a
        network itself classifies.
    make_preprocessing : callable or None
        A function of (n_samples, n_features) that returns the preprocessing of the head's input;
        None stands for standardization.
    control : bool
        Whether the method serves to explain the others rather than to win.
    subsets : {"optional", "ignored", "needed", "routed", "head-routed"}
        How it handles subsets of classes. ``"needed"`` fits one classifier per subset, and takes
        the subset of each sample as known; ``"optional"`` does the same, or fits one classifier for
        all classes if there are no subsets; ``"ignored"`` always fits one for all classes. With
        ``"routed"`` the shared network first predicts the subset of each sample, with
        ``"head-routed"`` a further head on its features.
    augmented : bool
        Whether a separate network is trained with the augmentation of the shared one, or without.
    loss : str or None
        The margin loss of a separate network, a name in ``networks.losses.LOSSES``; None stands
        for cross-entropy.
    on_request : bool
        Whether it runs only if named, because it is slow or answers a separate question.
    """

    inputs: Literal["probabilities", "features", "pixels", "network"]
    make_head: Callable[[int | None, int], Any] | None
    make_preprocessing: Callable[[int, int], Any] | None = None
    control: bool = False
    subsets: Literal["optional", "ignored", "needed", "routed", "head-routed"] = "optional"
    augmented: bool = True
    loss: str | None = None
    on_request: bool = False

    @property
    def needs_shared_network(self) -> bool:
        """Whether it uses the network that the comparison trains for all classes."""
        return self.inputs in ("probabilities", "features")


class OneThreadSearchCV(GridSearchCV):
    """GridSearchCV whose matrix products run on one thread.

    Those of a logistic regression are too small to parallelize: threads gain nothing on an idle
    machine, and spin while they wait for each other on a busy one (24 s instead of 0.7 s).
    """

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Search, as GridSearchCV does."""
        with single_threaded_blas():
            return super().fit(X, y, **params)


class ByFeaturesSearchCV(GridSearchCV):
    """GridSearchCV whose grid values are in units of 1 / n_features."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Search, as GridSearchCV does."""
        self._n_features = X.shape[1]
        return super().fit(X, y, **params)

    def _run_search(self, evaluate_candidates: Callable[[Any], Any]) -> None:
        grid = {n: np.divide(v, self._n_features).tolist() for n, v in self.param_grid.items()}
        evaluate_candidates(ParameterGrid(grid))


def logistic(n_jobs: int | None, seed: int) -> Any:
    """Make a multinomial logistic regression, trained to convergence, with a search over C."""
    return OneThreadSearchCV(
        LogisticRegression(max_iter=3000), {"C": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0]}
    )


def svm_rbf(n_jobs: int | None, seed: int) -> Any:
    """Make an SVM with an RBF kernel, with a search over C and gamma."""
    return SVCSearchCV(n_jobs=n_jobs)


def svm_linear(n_jobs: int | None, seed: int) -> Any:
    """Make an SVM with a linear kernel, with a search over C."""
    return SVCSearchCV(SVC(kernel="linear"), n_jobs=n_jobs)


def random_forest(n_jobs: int | None, seed: int) -> Any:
    """Make a random forest of 200 trees, with a search over the minimum leaf size."""
    forest = RandomForestClassifier(200, n_jobs=n_jobs, random_state=seed)
    return GridSearchCV(forest, {"min_samples_leaf": [1, 3]})


def nearest_neighbors(n_jobs: int | None, seed: int) -> Any:
    """Make a nearest-neighbor classifier, with a search over number and weighting."""
    return GridSearchCV(
        KNeighborsClassifier(),
        {"n_neighbors": [1, 3, 5, 9, 15], "weights": ["uniform", "distance"]},
    )


def random_features(n_jobs: int | None, seed: int) -> Any:
    """Make a linear SVM on 4,096 random Fourier features, with a search over gamma."""
    from penultimate.classifiers.margin import MarginClassifier
    from penultimate.networks.margins.builders import RandomFeatureNetwork

    machine = MarginClassifier(
        RandomFeatureNetwork(seed=seed),
        "crammer_singer",
        C=10.0,
        standardize=False,
        training=Training(20, 256, learning_rate=0.1, validation_size=0),
        random_state=seed,
    )
    # The classifier's own `score` would warn about duplicates in the data; this scorer does not.
    return ByFeaturesSearchCV(machine, {"network__gamma": [0.03, 0.1, 0.3]}, scoring="accuracy")


def principal_components(n_samples: int, n_features: int) -> Any:
    """Make the projection onto the first 50 principal components, without whitening."""
    return PCA(min(N_COMPONENTS, n_samples, n_features), random_state=0)


def _with_margin_loss(loss: str) -> Method:
    return Method("network", None, subsets="ignored", loss=loss, on_request=True)


_MARGIN_LOSSES = {
    "cnn-hinge": "hinge",
    "cnn-squared-hinge": "squared_hinge",
    "cnn-crammer-singer": "crammer_singer",
    "cnn-weston-watkins": "weston_watkins",
}
METHODS: dict[str, Method] = {
    "cnn-softmax": Method("probabilities", None, subsets="ignored"),
    "cnn-softmax-masked": Method("probabilities", None, subsets="needed"),
    "cnn+logistic": Method("features", logistic, control=True),
    "cnn+svm-rbf": Method("features", svm_rbf),
    "cnn+svm-linear": Method("features", svm_linear),
    "cnn+svm-rbf-routed": Method("features", svm_rbf, subsets="routed"),
    "cnn+svm-rbf-head-routed": Method("features", svm_rbf, subsets="head-routed"),
    "cnn+rf": Method("features", random_forest),
    "cnn+knn": Method("features", nearest_neighbors),
    "cnn-scratch": Method("network", None, control=True, subsets="needed"),
    "cnn-scratch-plain": Method("network", None, control=True, subsets="needed", augmented=False),
    "pca+svm-rbf": Method("pixels", svm_rbf, principal_components),
    **{name: _with_margin_loss(loss) for name, loss in _MARGIN_LOSSES.items()},
    "cnn+rff": Method("features", random_features, on_request=True),
}
_NOT_ON_SUBSETS = ("cnn+rf", "cnn+knn")


def choose_methods(
    names: Sequence[str] | None, *, by_subset: bool, frozen: bool, classifies: bool = True
) -> dict[str, Method]:
    """Return the named methods, or those that suit a comparison.

    Parameters
    ----------
    names : sequence of str, optional
        Names in `METHODS`; by default all suitable ones that are not on request.
    by_subset : bool
        Whether the comparison is by subset.
    frozen : bool
        Whether the shared network is pre-trained; none can then be trained from scratch.
    classifies : bool, default=True
        Whether the shared network has one output per class, and thus its own softmax.

    Returns
    -------
    dict of str to Method

    Raises
    ------
    ValueError
        If there are no names, one is unknown, or a method is impossible in such a comparison.
    """
    if names is None:
        return {
            name: method
            for name, method in METHODS.items()
            if not (method.on_request or _reason_against(method, by_subset, frozen, classifies))
            and not (by_subset and name in _NOT_ON_SUBSETS)
        }
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"The 'methods' parameter of compare must be a list of names, such as "
            f"{[*METHODS][:2]}; got {names!r}."
        )
    names = list(dict.fromkeys(names))
    if not names:
        raise ValueError("methods is empty; name at least one, or pass None for all of them.")
    for name in names:
        check_choice(name, "methods", "compare", METHODS)
        if reason := _reason_against(METHODS[name], by_subset, frozen, classifies):
            raise ValueError(f"The method {name!r} {reason}")
    return {name: METHODS[name] for name in names}


def _reason_against(method: Method, by_subset: bool, frozen: bool, classifies: bool) -> str:
    if method.subsets not in ("optional", "ignored") and not by_subset:
        return "is for comparisons by subset; pass subsets=True (--subsets), or drop the method."
    if frozen and method.inputs == "network":
        return (
            "needs a network that is trained here; got a pre-trained one. Pass a name or a "
            "builder, or drop the method."
        )
    if not classifies and (method.inputs == "probabilities" or method.subsets == "routed"):
        return (
            "needs a network whose graph shows one output per class, softmax or logits; that of "
            "this network does not. Use 'cnn+logistic', a logistic head on its features."
        )
    return ""
