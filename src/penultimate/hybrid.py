"""A network's features under a max-margin head, as one scikit-learn classifier."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from penultimate._network_classifier import NetworkClassifier
from penultimate._progress import SILENT, Progress
from penultimate._validation import check_choice
from penultimate.crossfit import fit_crossfit
from penultimate.datasets.splits import Split, split_development, split_folds
from penultimate.networks import (
    FeatureExtractor,
    Training,
    build_network,
    fit_network,
    is_keras_model,
)
from penultimate.networks._keras import cut
from penultimate.selection import LayerHead, Splits, check_layers, fit_layers
from penultimate.svm import SVCSearchCV

SELECTIONS = ("heldout", "crossfit", "resubstitution")


class CutNetworkClassifier(NetworkClassifier):
    """What classifiers on a network's features share: training the network, and cutting it."""

    layer: str | list[str]

    def _check_fit(self, X: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
        layers = check_layers(self.layer, type(self).__name__)
        X, y, codes = super()._check_fit(X, y)
        named = [layer for layer in layers if layer != "penultimate"]
        if named and not is_keras_model(self.network):
            # A misspelt name should not be found out after the training.
            untrained = build_network(self.network, X.shape[1:], len(self.classes_))
            for layer in named:
                cut(untrained, layer)
        return X, y, codes

    def _take_inputs_of(self, other: "CutNetworkClassifier") -> None:
        """Take over the network of a fitted classifier, and how it reads samples."""
        self.network_, self.history_ = other.network_, None
        for name in (
            "n_features_in_",
            "feature_names_in_",
            "provenance_",
            "_takes_pixels",
            "_pixel_scale",
        ):
            if hasattr(other, name):
                setattr(self, name, getattr(other, name))

    def _fit_network(
        self,
        X: NDArray[Any],
        codes: NDArray[np.int64],
        fit_part: NDArray[np.int64],
        groups: NDArray[Any] | None,
        seed: int,
    ) -> dict[str, FeatureExtractor]:
        """Train the network on the fit part, or take it as it is; return it cut at each layer."""
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
        layers = check_layers(self.layer, type(self).__name__)
        return {layer: FeatureExtractor(self.network_, layer).fit(X) for layer in layers}


class DeepSVC(CutNetworkClassifier):
    """An SVM on the features of a neural network.

    The network is trained on the fit part of the samples (or is taken as it is), cut at a layer,
    and its features are standardised. The head's parameters are chosen on the selection part, which
    the network has not seen; then the head is refitted on the features of all samples.

    Parameters
    ----------
    network : str, callable or keras.Model, default="compact"
        A name in ``networks.NETWORKS`` or a function of (input_shape, n_classes) that returns a
        Keras model is trained. A Keras model is frozen, and gets `X` as it is given; or pixels from
        0 to 255, if it begins by scaling these down, as the named ones do.
    layer : str or list of str, default="penultimate"
        Where the network is cut; see `FeatureExtractor`. Of a list, the layer with the best
        selection score is taken.
    head : classifier, optional
        By default ``SVCSearchCV()``.
    selection : {"heldout", "crossfit", "resubstitution"}, default="heldout"
        ``"crossfit"`` trains a network for each of 5 stratified folds, or as many as the smallest
        class has samples, on the others; a candidate's score is the mean of what it scores on the
        fold's features by that network. One network and one head are then fitted on all samples:
        the best use of few samples, for about five times the training. A frozen network, which has
        not seen these samples, serves all folds; with one sample of a class nothing can then be
        selected: the first layer is taken, and the head is what its search would search over, as
        it is (``SVC()``).
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
    layer_ : str
        The layer that was selected.
    layer_scores_ : dict of str to float
        The selection score on each layer; empty if there was nothing to select.
    extractor_ : FeatureExtractor
        The network, cut there.
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
    provenance_ : Provenance
        Fingerprints of the samples that network and head have seen.

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
        layer: str | list[str] = "penultimate",
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
        X, y, codes = self._check_fit(X, y)
        groups = None if groups is None else np.asarray(groups)
        seed = int(check_random_state(self.random_state).randint(2**31))
        if self.selection == "crossfit" and not is_keras_model(self.network):
            return self._fit_crossfit(X, y, codes, groups, seed)
        split: Splits = None
        if self.selection == "heldout":
            split = split_development(y, groups=groups, seed=seed)
        elif self.selection == "crossfit" or groups is not None:
            split = split_folds(y, groups=groups, seed=seed)
        fit_part = split.first if isinstance(split, Split) else np.arange(len(X))
        extractors = self._fit_network(X, codes, fit_part, groups, seed)
        features = {layer: extractor.transform(X) for layer, extractor in extractors.items()}
        return self._fit_head(extractors, features, y, split)

    def _fit_crossfit(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        codes: NDArray[np.int64],
        groups: NDArray[Any] | None,
        seed: int,
    ) -> Self:
        folds = split_folds(y, groups=groups, seed=seed)
        if not folds:
            raise ValueError(
                "selection='crossfit' needs at least 2 samples (with groups, 2 groups) of each "
                "class to train networks on; use a frozen network, or more samples."
            )
        extractors: dict[str, FeatureExtractor] = {}

        def cut_network(part: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
            extractors.update(self._fit_network(X, codes, part, groups, seed))
            return {layer: extractor.transform(X) for layer, extractor in extractors.items()}

        chosen = fit_crossfit(
            SVCSearchCV() if self.head is None else self.head,
            ((fold, cut_network(fold.first)) for fold in folds),
            lambda: cut_network(np.arange(len(X))),
            y,
        )
        return self._take_head(extractors, chosen)

    def _fit_head(
        self,
        extractors: Mapping[str, FeatureExtractor],
        features: Mapping[str, NDArray[np.float32]],
        y: NDArray[Any],
        split: Splits,
    ) -> Self:
        head = SVCSearchCV() if self.head is None else self.head
        return self._take_head(extractors, fit_layers(head, features, y, split))

    def _take_head(self, extractors: Mapping[str, FeatureExtractor], chosen: LayerHead) -> Self:
        self.layer_, self.layer_scores_, self.head_ = chosen.layer, chosen.scores, chosen.head
        self.extractor_ = extractors[chosen.layer]
        fitted = self.head_["head"]
        for name in ("best_score_", "best_params_"):
            self.__dict__.pop(name, None)  # of an earlier fit, with another head
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

    @available_if(lambda self: hasattr(self.head_["head"], "class_margins"))
    def class_margins(self, X: Any) -> NDArray[Any]:
        """Compute for each class its least decision value, as `SVC.class_margins` does.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        features = self.extract(X)
        return self.head_["head"].class_margins(self.head_["preprocessing"].transform(features))

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
