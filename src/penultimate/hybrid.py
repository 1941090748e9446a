"""A network's features under a max-margin head, as one scikit-learn classifier."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from penultimate._progress import SILENT, Progress
from penultimate._validation import (
    check_choice,
    check_images,
    check_labels,
    check_not_one_hot,
    pixel_scale,
)
from penultimate.datasets.splits import Split, split_development
from penultimate.networks import FeatureExtractor, Training, fit_network, is_keras_model
from penultimate.svm import SVCSearchCV

SELECTIONS = ("heldout", "resubstitution")


def fit_head(
    head: Any,
    features: NDArray[Any],
    y: NDArray[Any],
    split: Split | None,
    *,
    preprocessing: Any = None,
) -> Pipeline:
    """Select a head's parameters on held-out samples, then fit it on all of development.

    The preprocessing learns from the fit part only. Every candidate is fitted on the fit part and
    scored on the selection part; the best is refitted on both.

    Parameters
    ----------
    head : classifier
        A search with a `cv` parameter is given the split; any other classifier is just fitted.
    features : ndarray of shape (n_samples, n_features)
        Of the development samples.
    y : ndarray of shape (n_samples,)
        Their labels.
    split : Split or None
        Fit part (first) and selection part (second). None leaves a search its own folds, and fits
        the preprocessing on all samples.
    preprocessing : transformer, optional
        By default ``StandardScaler()``.

    Returns
    -------
    Pipeline
        The fitted steps ``"preprocessing"`` and ``"head"``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVCSearchCV
    >>> from penultimate.datasets import split_development
    >>> from penultimate.hybrid import fit_head
    >>> X, y = load_iris(return_X_y=True)
    >>> fit_head(SVCSearchCV(), X, y, split_development(y)).score(X, y) > 0.9
    True
    """
    preprocessing = StandardScaler() if preprocessing is None else clone(preprocessing)
    head = clone(head)
    preprocessing.fit(features if split is None else features[split.first])
    if split is not None and "cv" in head.get_params(deep=False):
        fold = np.full(len(y), -1)
        fold[split.second] = 0
        head.set_params(cv=PredefinedSplit(fold))
    head.fit(preprocessing.transform(features), y)
    return Pipeline([("preprocessing", preprocessing), ("head", head)])


class DeepSVC(ClassifierMixin, BaseEstimator):
    """An SVM on the features of a neural network.

    The network is trained on the fit part of the samples (or is taken as it is), cut at a layer,
    and its features are standardised. The head's parameters are chosen on the selection part, which
    the network has not seen; then the head is refitted on the features of all samples.

    Parameters
    ----------
    network : str, callable or keras.Model, default="compact"
        A name in ``networks.NETWORKS`` or a function of (input_shape, n_classes) that returns a
        Keras model is trained. A Keras model is frozen, and gets `X` as it is given.
    layer : str, default="penultimate"
        Where the network is cut; see `FeatureExtractor`.
    head : classifier, optional
        By default ``SVCSearchCV()``.
    selection : {"heldout", "resubstitution"}, default="heldout"
        ``"resubstitution"`` trains the network on all samples and chooses the head's parameters by
        cross-validation on the features of these same samples. That is what most published code
        does; its `best_score_` is optimistic, the more so the longer the network is trained.
    training : Training, optional
        How a network is trained; by default ``Training()``.
    random_state : int, RandomState instance or None, default=None
        Of the split, the initial weights and the training. An integer gives the same classifier
        on every call, if the backend's operations are deterministic.

    Attributes
    ----------
    network_ : keras.Model
        The trained network; predicts the class indices of `classes_`.
    extractor_ : FeatureExtractor
    head_ : Pipeline
        Fitted standardisation and head.
    classes_ : ndarray of shape (n_classes,)
    best_score_ : float
        The head's selection score, where it searches.
    best_params_ : dict
        The head's chosen parameters, where it searches.
    history_ : History or None
        The course of the training; None for a frozen network.
    n_features_in_ : int
        Length of the second axis of `X`.

    References
    ----------
    Y. Tang, "Deep learning using linear support vector machines", ICML workshop on challenges in
    representation learning, 2013.
    F. J. Huang and Y. LeCun, "Large-scale learning with SVM and convolutional nets for generic
    object categorization", CVPR 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import DeepSVC, Training
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["dark", "light"], 20)
    >>> X = rng.integers(0, 100, (40, 8, 8), dtype=np.uint8)
    >>> X[20:] += 100
    >>> model = DeepSVC(training=Training(epochs=4, augmentation=None), random_state=0).fit(X, y)
    >>> model.predict(X[[0, -1]])
    array(['dark', 'light'], dtype='<U5')
    """

    def __init__(
        self,
        network: Any = "compact",
        layer: str = "penultimate",
        head: Any = None,
        selection: str = "heldout",
        training: Training | None = None,
        random_state: Any = None,
    ) -> None:
        self.network = network
        self.layer = layer
        self.head = head
        self.selection = selection
        self.training = training
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Train the network, select and fit the head.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Images of shape (height, width) or (height, width, channels), pixels in [0, 255] or
            [0, 1]; or whatever samples the builder's network, or the frozen one, takes.
        y : array-like of shape (n_samples,)
            Labels of any type.
        groups : array-like of shape (n_samples,), optional
            No group is in both the fit part and the selection part.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter, the samples or the labels are unusable.
        """
        check_choice(self.selection, "selection", "DeepSVC", SELECTIONS)
        if self.training is not None and not isinstance(self.training, Training):
            raise TypeError(
                "The 'training' parameter of DeepSVC must be a Training or None; "
                f"got {self.training!r}."
            )
        X, y = self._check_samples(X, y, reset=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        groups = None if groups is None else np.asarray(groups)
        seed = int(check_random_state(self.random_state).randint(2**31))
        split = None
        if self.selection == "heldout":
            split = split_development(codes, groups=groups, seed=seed)
        fit_part = np.arange(len(X)) if split is None else split.first
        if is_keras_model(self.network):
            self.network_, self.history_ = self.network, None
        else:
            self.network_, self.history_ = fit_network(
                self.network,
                X[fit_part],
                codes[fit_part],
                self.training,
                groups=None if groups is None else groups[fit_part],
                seed=seed,
            )
        self.extractor_ = FeatureExtractor(self.network_, self.layer).fit(X)
        head = SVCSearchCV() if self.head is None else self.head
        self.head_ = fit_head(head, self.extractor_.transform(X), y, split)
        fitted = self.head_["head"]
        for name in ("best_score_", "best_params_"):
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        features = self.extract(X)
        return self.head_.predict(features)

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the head's decision values.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        features = self.extract(X)
        return self.head_.decision_function(features)

    def extract(self, X: Any, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Compute the features that the head sees, before they are standardised.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.
        progress : Progress, optional
            Hears of every batch.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32
        """
        check_is_fitted(self)
        return self.extractor_.extract(self._check_samples(X, reset=False), progress)

    def _check_samples(self, X: Any, y: Any = "no_validation", *, reset: bool) -> Any:
        if not isinstance(y, str):
            check_not_one_hot(y)
        checked = validate_data(
            self, X, y, reset=reset, allow_nd=True, dtype="numeric", ensure_min_samples=1
        )
        X = checked if isinstance(y, str) else checked[0]
        if isinstance(self.network, str):
            # One dark image must mean what it means among others: floats keep the scale of `fit`.
            if reset:
                self._pixel_scale = pixel_scale(X) if X.dtype.kind == "f" else None
            X = check_images(X, scale=self._pixel_scale)
        return X if isinstance(y, str) else (X, check_labels(checked[1], len(X)))
