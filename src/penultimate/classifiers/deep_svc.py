"""A max-margin head on a network's features, as one scikit-learn classifier.

The network supplies the representation, trained with its usual loss; only the last layer is
replaced, by a head whose margin is maximal. The delicate part is the selection of the head, see
`selection`: on samples that the network was trained on, almost any setting looks perfect.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from penultimate._common.callbacks import CallbackSupportMixin, Task, TaskProgress, with_callbacks
from penultimate._common.progress import observer
from penultimate._common.protocols import Builder, Head, Network, RandomState
from penultimate._common.seeds import draw_seed
from penultimate._common.validation import check_choice, check_per_sample
from penultimate.classifiers._calibrating import (
    ask_calibrated,
    calibrate_or_warn,
    check_calibration,
    head_has,
)
from penultimate.classifiers._cut_network import CutNetworkClassifier, Samples
from penultimate.evaluation.head_calibration import Parts
from penultimate.networks import FeatureExtractor, Training, is_frozen
from penultimate.networks.remembered import extracted, extracted_each
from penultimate.selection.crossfit import check_candidates, fit_crossfit
from penultimate.selection.heads import chosen_search
from penultimate.selection.heldout import FittedHead, Splits, fit_layers
from penultimate.selection.normalization import Normalization
from penultimate.splits.draw import split_folds
from penultimate.splits.parts import SELECTIONS, Split


class DeepSVC(CallbackSupportMixin, CutNetworkClassifier):
    """An SVM on the features of a neural network.

    The network is trained on the fit part of the samples (or used as it is, if frozen) and cut at a
    layer, and its features are normalized. The head's hyper-parameters are chosen on the
    selection part, which the network has not seen; then the head is refitted on the features of all
    samples.

    Parameters
    ----------
    network : str, callable, trained network or FeatureExtractor, default="compact"
        The network. A name in ``networks.NETWORKS``, or a function of (input_shape, n_classes) that
        returns a Keras model, is trained. What `FeatureExtractor` takes is frozen (a Keras model, a
        torch module, an ONNX file, a pretrained network by name), and is fed `X` unchanged, or
        pixels from 0 to 255 if it begins by scaling them down, as the named networks do. With a
        preprocessing or a pooling, pass a `FeatureExtractor`, whose `layer` and `batch_size` count.
    layer : str or list of str, default="penultimate"
        Where the network is cut; see `FeatureExtractor`. From a list, the layer with the best
        selection score is used.
    head : classifier, optional
        The classifier on the features; by default ``SVCSearchCV()``.
    selection : {"heldout", "crossfit", "resubstitution"}, default="heldout"
        How the head is selected. ``"heldout"`` uses the selection part.
        ``"crossfit"`` uses 5 stratified folds, or as many as the smallest class has samples. For
        each fold a network is trained on the other folds, and every candidate is scored on that
        network's features of the fold; scores are averaged over folds. One network and one head are
        then fitted on all samples. This makes the best use of few samples, at about five times the
        training cost. A frozen network, which has not seen these samples, serves all folds; if a
        class then has a single sample, nothing can be selected: the first layer and normalization
        are used, with the search's estimator as it was passed (by default ``SVC()``).
        ``"resubstitution"`` trains the network on all samples and chooses the head's
        hyper-parameters by cross-validation on the features of the same samples. That is what most
        published code does; its `best_score_` is optimistic, the more so the longer the network is
        trained.
    training : Training, optional
        How the network is trained; by default ``Training()``.
    random_state : int, RandomState instance or None, default=None
        Controls the split, the initial weights and the training. An integer gives the same
        classifier on every call, if the backend's operations are deterministic.
    batch_size : int, default=256
        Batch size for inference, which determines its memory use. The mini-batch size of training
        is set in `training`.
    normalization : {"standardize", "l2", "sqrt-l2", None} or list, default="standardize"
        What is done to the features before the head sees them. ``"standardize"`` gives every
        feature mean 0 and variance 1; ``"l2"`` gives every sample the same length;
        ``"sqrt-l2"`` does so after a signed square root; None does nothing. From a list, the one
        with the best selection score is used, together with the layer. With few samples of a large
        pretrained network, ``["standardize", "l2"]`` is worth its time.
    calibration : {"temperature", None}, default=None
        ``"temperature"`` gives an SVM head probabilities (`predict_proba`): the softmax of its
        class margins, scaled by a number that is fitted on held-out samples, those of the selection
        part or of the folds. Predictions stay as they are, by votes. Other heads keep their own
        probabilities.

    Attributes
    ----------
    network_ : object
        The trained network; its outputs follow the order of `classes_`.
    layer_ : str
        The selected layer.
    layer_scores_ : dict of str to float
        The selection score of each layer; empty if nothing was selected.
    normalization_ : str or None
        The selected normalization.
    selection_scores_ : dict of (str, str or None) to float
        The selection score of each pair of layer and normalization; `layer_scores_` has the best of
        each layer.
    extractor_ : FeatureExtractor
        The network, cut at `layer_`.
    head_ : Pipeline
        The fitted steps ``"preprocessing"``, the normalization, and ``"head"``.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    best_score_ : float
        The head's selection score, if it is a search.
    best_params_ : dict
        The head's selected hyper-parameters, if it is a search.
    calibrator_ : CalibratedClassifierCV or None
        The calibration of its class margins (with two classes, of its decision values).
    history_ : History or None
        The training history; None for a frozen network.
    n_features_in_ : int
        Length of the second axis of `X`, if it is an array.
    provenance_ : Provenance
        Fingerprints of the samples that the network and the head were fitted on.

    Notes
    -----
    With scikit-learn 1.9 or newer, ``set_callbacks`` takes its callbacks, such as
    ``sklearn.callback.ProgressBar()``: each epoch of the network and
    each fit of a head's search is a task.

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
        network: str | Builder | Network = "compact",
        *,
        layer: str | list[str] = "penultimate",
        head: Head | None = None,
        selection: str = "heldout",
        training: Training | None = None,
        random_state: RandomState = None,
        batch_size: int = 256,
        normalization: Normalization | list[Normalization] = "standardize",
        calibration: str | None = None,
    ) -> None:
        self.network = network
        self.layer = layer
        self.head = head
        self.selection = selection
        self.training = training
        self.random_state = random_state
        self.batch_size = batch_size
        self.normalization = normalization
        self.calibration = calibration

    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **fit_params: object,
    ) -> Self:
        """Train the network, then select and fit the head.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Images of shape (height, width) or (height, width, channels), with pixels in [0, 255]
            or [0, 1]; or any samples that a builder's or frozen network accepts. For a network with
            a preprocessing, a sequence of paths, contents of files, Pillow images or arrays, at any
            size.
        y : array-like of shape (n_samples,)
            Labels of any type.
        groups : array-like of shape (n_samples,), optional
            Groups, such as writers; none is in both the fit part and the selection part.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples: in the loss of the network, if it is trained here (normalized to
            mean 1), in the standardization and in the head. A head that weights its selection
            scores, such as `SVCSearchCV`, uses them there, too. With metadata routing the head
            receives them if it requests them.
        **fit_params : dict
            Parameters of the head's `fit`.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` is a data object instead of an array, such as a ``tf.data.Dataset`` or a path.
        ValueError
            If a parameter, the samples or the labels are invalid; raised before any training.

        Warns
        -----
        LeakageWarning
            If a frozen network has seen some of the samples. The message states on how many
            others the head is selected, or that there are too few.
        UnknownProvenanceWarning
            If the training samples of a frozen network are not recorded; see `provenance.record`.
        """
        check_choice(self.selection, "selection", "DeepSVC", SELECTIONS)
        check_calibration(self.calibration, self.selection)
        head, frozen = self._make_head(), is_frozen(self.network)
        if self.selection == "crossfit" and not frozen:
            check_candidates(head)
        X, y, codes, prints = self._check_fit(X, y)
        groups = check_per_sample(groups, len(X), "groups", "DeepSVC")
        samples = Samples(X, y, codes, prints, groups, self._check_weights(sample_weight, codes))
        params = self._head_params(samples.weights, {"groups": groups, **fit_params})
        # One seed for the split, the initial weights and the training.
        seed = draw_seed(self.random_state)
        self._forget()
        self._warn_if_unknown()
        task = self._init_callback_context(max_subtasks=None)
        weights = None if sample_weight is None else {"sample_weight": samples.weights}
        reported = {"estimator": self, "X": X, "y": y, "metadata": weights}
        task.call_on_fit_task_begin(**reported)
        self._fit_samples(samples, params, seed, task)
        task.call_on_fit_task_end(**reported, reconstruction_attributes={})
        return self

    def _fit_samples(self, samples: Samples, params: dict[str, Any], seed: int, task: Task) -> Self:
        X, y, groups = samples.X, samples.y, samples.groups
        frozen = is_frozen(self.network)
        # The head is always fitted on arrays, whatever output is configured for transformers.
        with config_context(transform_output="default"):
            if self.selection == "crossfit" and not frozen:
                return self._fit_crossfit(samples, params, seed, task)
            split: Splits = None
            if self.selection != "resubstitution":
                split = self._split_unseen(samples, self.selection == "crossfit", seed)
            # With resubstitution the search's own folds would divide groups.
            elif groups is not None:
                split = split_folds(y, groups=groups, fingerprints=samples.copies, seed=seed)
            # Without a single fit part the network is frozen, or trained on all (resubstitution).
            fit_part = split.train if isinstance(split, Split) else np.arange(len(X))
            extractors = self._train(samples, fit_part, seed, task)
            features = extracted_each(extractors, X, observer())
            observer().update("fit the head", 0, 1)
            chosen = fit_layers(
                self._make_head(),
                features,
                y,
                split,
                preprocessing=self._choices(),
                sample_weight=samples.weights,
                params=params,
                task=(task, self),
            )
            parts = [split] if isinstance(split, Split) else split or []
            held_out = [(part, features[chosen.layer]) for part in parts]
            return self._set_head(chosen, extractors, self._calibrate(chosen, held_out, samples))

    def _train(
        self, samples: Samples, fit_part: NDArray[np.int64], seed: int, task: Task
    ) -> dict[str, FeatureExtractor]:
        """Train the network and cut it, and report each epoch to callbacks."""
        if is_frozen(self.network):
            return self._fit_network(samples, fit_part, seed)
        epochs = (self.training or Training()).epochs
        with TaskProgress(self, task, "train-network", "epoch", epochs) as progress:
            return self._fit_network(samples, fit_part, seed, progress)

    def _fit_crossfit(
        self, samples: Samples, params: dict[str, Any], seed: int, task: Task
    ) -> Self:
        folds = split_folds(
            samples.y, groups=samples.groups, fingerprints=samples.copies, seed=seed
        )
        if not folds:
            raise ValueError(
                "selection='crossfit' needs at least 2 samples (with groups, 2 groups) of each "
                "class to train networks on; use a frozen network, or more samples."
            )
        extractors: dict[str, FeatureExtractor] = {}
        of_folds: list[dict[str, NDArray[np.float32]]] = []

        def cut_network(part: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
            extractors.update(self._train(samples, part, seed, task))
            features = extracted_each(extractors, samples.X, observer())
            if self.calibration is not None:
                of_folds.append(features)  # the last ones are those of all samples
            return features

        chosen = fit_crossfit(
            self._make_head(),
            ((fold, cut_network(fold.train)) for fold in folds),
            lambda: cut_network(np.arange(len(samples.codes))),
            samples.y,
            preprocessing=self._choices(),
            sample_weight=samples.weights,
            params=params,
        )
        held_out = [(fold, values[chosen.layer]) for fold, values in zip(folds, of_folds)]
        return self._set_head(chosen, extractors, self._calibrate(chosen, held_out, samples))

    def _calibrate(
        self, fitted: FittedHead, parts: Parts, samples: Samples
    ) -> CalibratedClassifierCV | None:
        """Calibrate a head on held-out samples, if that is asked for."""
        if self.calibration is None:
            return None
        return calibrate_or_warn(fitted.pipeline, parts, samples.y, samples.weights)

    def _set_head(
        self,
        fitted: FittedHead,
        extractors: Mapping[str, FeatureExtractor],
        calibrator: CalibratedClassifierCV | None,
    ) -> Self:
        """Take over a head that was fitted on the features of one of these extractors."""
        self.calibrator_ = calibrator
        self.layer_, self.normalization_ = fitted.layer, fitted.normalization
        self.layer_scores_, self.selection_scores_ = fitted.scores, fitted.selection_scores
        self.head_ = fitted.pipeline
        search = chosen_search(self.head_["head"])
        for name in ("best_score_", "best_params_"):
            self.__dict__.pop(name, None)  # left by an earlier fit with another head
            if hasattr(search, name):
                setattr(self, name, getattr(search, name))
        self._fitted, self.extractor_ = fitted, extractors[fitted.layer]
        return self

    def _on_network_of(
        self,
        other: CutNetworkClassifier,
        fitted: FittedHead,
        extractors: Mapping[str, FeatureExtractor],
        classes: NDArray[Any],
        calibrator: CalibratedClassifierCV | None,
    ) -> Self:
        """Become the classifier of a head that was fitted on another classifier's network."""
        self.network_, self.history_, self.classes_ = other.network_, None, classes
        self.provenance_, self._form = other.provenance_, other._form
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(other, name):  # images of several sizes have neither
                setattr(self, name, getattr(other, name))
        return self._set_head(fitted, extractors, calibrator)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit` and on the same scale.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If the samples differ in shape or scale from those in `fit`.

        Warns
        -----
        UserWarning
            If it cannot be determined whether they are on the same scale.
        """
        check_is_fitted(self)
        return self._predict(self._check_samples(X))

    def _predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return self._fitted.ask("predict", extracted(self.extractor_, X))

    @available_if(head_has("decision_function"))
    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the head's decision values; available only if the head has them.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._ask("decision_function", X)

    @available_if(head_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the head's probabilities; available only if the head has them.

        An SVM has none, unless `calibration` is set. ``head=CalibratedClassifierCV(SVC(),
        ensemble=False)`` adds them, too, but they are calibrated on samples that a network trained
        here has seen, and so are overconfident.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._ask("predict_proba", X)

    @available_if(head_has("class_margins"))
    def class_margins(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the smallest decision value of each class, like `SVC.class_margins`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._ask("class_margins", X)

    def _ask(self, method: str, X: ArrayLike) -> NDArray[Any]:
        features = self.extract(X)  # first, because it checks that there was a fit
        return self._ask_head(method, features)

    def _ask_head(self, method: str, features: NDArray[Any]) -> NDArray[Any]:
        """Ask the head for values of features that were computed for several heads."""
        return ask_calibrated(self._fitted, self.calibrator_, method, features)

    def extract(self, X: ArrayLike) -> NDArray[np.float32]:
        """Compute the features that are the head's input, before standardization.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32
        """
        check_is_fitted(self)
        return extracted(self.extractor_, self._check_samples(X))
