"""A network's features under a max-margin head, as one scikit-learn classifier."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from penultimate._common.progress import SILENT, Progress
from penultimate._common.validation import check_choice, check_per_sample
from penultimate.classifiers._cut_network import CutNetworkClassifier, Samples
from penultimate.networks import FeatureExtractor, Training, is_keras_model
from penultimate.selection.crossfit import check_candidates, fit_crossfit
from penultimate.selection.heads import chosen_search
from penultimate.selection.heldout import LayerHead, Splits, fit_layers
from penultimate.splits.draw import split_folds
from penultimate.splits.parts import Split

SELECTIONS = ("heldout", "crossfit", "resubstitution")


def _head_has(method: str) -> Any:
    """Whether the head has a method, for ``available_if``: the fitted one, where there is one."""

    def check(self: "DeepSVC") -> bool:
        head = self.head_["head"] if hasattr(self, "head_") else self._make_head()
        return hasattr(head, method)

    return check


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
    batch_size : int, default=256
        Samples that pass through the network at once, when it is used; memory follows it. Training
        has its own, in `training`.

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

    _SET_LAST = "extractor_"

    def __init__(
        self,
        network: Any = "compact",
        layer: str | list[str] = "penultimate",
        head: Any = None,
        selection: str = "heldout",
        training: Training | None = None,
        random_state: Any = None,
        batch_size: int = 256,
    ) -> None:
        self.network = network
        self.layer = layer
        self.head = head
        self.selection = selection
        self.training = training
        self.random_state = random_state
        self.batch_size = batch_size

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        **fit_params: Any,
    ) -> Self:
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
        sample_weight : array-like of shape (n_samples,), optional
            The factor of each sample's loss: of the network, if it is trained here (weights of any
            mean count as if it were 1), of the standardization and of the head, whose scores they
            weight where it does so itself, as `SVCSearchCV`. With metadata routing the head gets
            them if it asks for them.
        **fit_params : dict
            For the head's `fit`.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` is no array but a data object, such as a ``tf.data.Dataset`` or a path.
        ValueError
            If a parameter, the samples or the labels are unusable; before any training.

        Warns
        -----
        LeakageWarning
            If a frozen network has seen some of the samples: it says on how many others the head
            is selected, or that there are too few.
        UnknownProvenanceWarning
            If nobody said what a frozen network has seen; see `provenance.record`.
        """
        check_choice(self.selection, "selection", "DeepSVC", SELECTIONS)
        head, frozen = self._make_head(), is_keras_model(self.network)
        if self.selection == "crossfit" and not frozen:
            check_candidates(head)
        X, y, codes, prints = self._check_fit(X, y)
        groups = check_per_sample(groups, len(X), "groups", "DeepSVC")
        samples = Samples(X, y, codes, prints, groups, self._check_weights(sample_weight, codes))
        params = self._head_params(samples.weights, {"groups": groups, **fit_params})
        seed = int(check_random_state(self.random_state).randint(2**31))
        self._forget()
        self._warn_if_unknown()
        with config_context(transform_output="default"):
            if self.selection == "crossfit" and not frozen:
                return self._fit_crossfit(samples, params, seed)
            split: Splits = None
            if self.selection != "resubstitution":
                split = self._split_unseen(samples, self.selection == "crossfit", seed)
            elif groups is not None:
                split = split_folds(y, groups=groups, fingerprints=samples.copies, seed=seed)
            fit_part = split.train if isinstance(split, Split) else np.arange(len(X))
            extractors = self._fit_network(samples, fit_part, seed)
            features = {layer: extractor.extract(X) for layer, extractor in extractors.items()}
            return self._fit_head(extractors, features, y, split, samples.weights, params)

    def _fit_crossfit(self, samples: Samples, params: dict[str, Any], seed: int) -> Self:
        folds = split_folds(
            samples.y, groups=samples.groups, fingerprints=samples.copies, seed=seed
        )
        if not folds:
            raise ValueError(
                "selection='crossfit' needs at least 2 samples (with groups, 2 groups) of each "
                "class to train networks on; use a frozen network, or more samples."
            )
        extractors: dict[str, FeatureExtractor] = {}

        def cut_network(part: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
            extractors.update(self._fit_network(samples, part, seed))
            return {layer: extractor.extract(samples.X) for layer, extractor in extractors.items()}

        chosen = fit_crossfit(
            self._make_head(),
            ((fold, cut_network(fold.train)) for fold in folds),
            lambda: cut_network(np.arange(len(samples.codes))),
            samples.y,
            sample_weight=samples.weights,
            params=params,
        )
        return self._take_head(extractors, chosen)

    def _fit_head(
        self,
        extractors: Mapping[str, FeatureExtractor],
        features: Mapping[str, NDArray[np.float32]],
        y: NDArray[Any],
        split: Splits,
        weights: NDArray[np.float64] | None,
        params: Mapping[str, Any],
    ) -> Self:
        head = self._make_head()
        chosen = fit_layers(head, features, y, split, sample_weight=weights, params=params)
        return self._take_head(extractors, chosen)

    def _take_head(self, extractors: Mapping[str, FeatureExtractor], chosen: LayerHead) -> Self:
        self.layer_, self.layer_scores_, self.head_ = chosen.layer, chosen.scores, chosen.head
        search = chosen_search(self.head_["head"])
        for name in ("best_score_", "best_params_"):
            self.__dict__.pop(name, None)  # of an earlier fit, with another head
            if hasattr(search, name):
                setattr(self, name, getattr(search, name))
        self.extractor_ = extractors[chosen.layer]
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`, and on the same scale.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If the samples have another shape or scale than in `fit`.

        Warns
        -----
        UserWarning
            If it cannot be told whether they are on the same scale.
        """
        check_is_fitted(self)
        return self._predict(self._check_samples(X, reset=False))

    def _predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return self._ask_head("predict", self.extractor_.extract(X))

    @available_if(_head_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the head's decision values; only where it has some.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._ask_head("decision_function", self.extract(X))

    @available_if(_head_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Compute the head's probabilities; only where it has some.

        An SVM has none. ``head=CalibratedClassifierCV(SVC(), ensemble=False)`` gives it some; they
        are learned on samples that a network trained here has seen, and so are too sure.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._ask_head("predict_proba", self.extract(X))

    @available_if(_head_has("class_margins"))
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
        return self._ask_head("class_margins", self.extract(X))

    def _ask_head(self, method: str, features: NDArray[np.float32]) -> NDArray[Any]:
        # Transformers in the head give arrays, as they did in `fit`, whatever is set by now.
        with config_context(transform_output="default"):
            values = self.head_["preprocessing"].transform(features)
            return getattr(self.head_["head"], method)(values)

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
