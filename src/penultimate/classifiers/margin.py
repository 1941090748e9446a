"""A network, or a linear machine, trained end to end with a margin loss.

The SVM objective is divided by C and the number of samples: the mean of the margin loss plus an L2
penalty of 1 / (2 C n) on the last layer. The mean over a mini-batch then estimates the loss term
without further scaling, and C keeps the meaning that it has in `SVC`.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from penultimate._common.images import warn_if_unscaled
from penultimate._common.labels import check_labels, from_one_hot
from penultimate._common.protocols import Builder, RandomState
from penultimate._common.seeds import draw_seed
from penultimate._common.validation import check_choice, check_number, check_per_sample
from penultimate.classifiers._base import NetworkClassifier
from penultimate.classifiers._margin_training import Stream, choose_loss, linear_recipe
from penultimate.evaluation.calibration import CALIBRATIONS, as_columns, calibrate_scores
from penultimate.networks import Training, check_network, train, train_further
from penultimate.networks.margins.builders import (
    build_margin_network,
    linear,
    predict_scores,
    predicted_codes,
)
from penultimate.networks.margins.losses import LOSSES, BinaryHinge, MarginLoss, OneVsRestHinge
from penultimate.networks.training.fit import validation_split
from penultimate.networks.training.recipe import suited_to
from penultimate.provenance.fingerprints import copy_prints
from penultimate.provenance.records import Provenance


class MarginClassifier(NetworkClassifier):
    r"""A neural network trained with the loss of a support vector machine.

    With scores :math:`s(x)` and the weights W of the last layer, minimizes over all weights

    .. math:: \tfrac12 \lVert W \rVert^2 + C \sum_i w_i\, \ell(y_i, s(x_i))

    by AdamW, for a margin loss :math:`\ell` and sample weights w. Without hidden layers this is a
    linear SVM whose intercept is not penalized.

    Parameters
    ----------
    network : str, callable or None, default=None
        The network: a name in ``networks.NETWORKS``, or a function of (input_shape, n_classes) that
        returns a Keras model, whose final softmax is removed. None stands for a linear machine.
    loss : str or MarginLoss, default="squared_hinge"
        The margin loss: ``"hinge"`` or ``"squared_hinge"``, one-vs-rest (a single machine for two
        classes); ``"crammer_singer"`` or ``"weston_watkins"``, also with the prefix
        ``"squared_"``; or a loss from ``networks.margins``, which may have a different margin.
    C : float, default=1.0
        Inverse regularization strength, as in `SVC`: the smaller, the smaller the last layer's
        weights.
    class_weight : dict or "balanced", optional
        The factor of C for each class, as in `SVC`.
    standardize : bool, default=True
        Whether to scale each feature to mean 0 and standard deviation 1, if samples are vectors.
        Images are not changed.
    training : Training, optional
        How the network is trained; its `patience` sets early stopping, and its `validation_size`
        the validation slice that chooses the best weights. By default ``Training()``, or about
        3,000 steps on all samples for a linear machine. Label smoothing, and weight decay on the
        last layer, are not used.
    calibration : {"sigmoid", "isotonic", "temperature"}, optional
        How `predict_proba` turns scores into probabilities; fitted on the validation slice by
        scikit-learn's `CalibratedClassifierCV` (for a linear machine the slice is by default a
        fifth of the samples). With None there are no probabilities.
    random_state : int, RandomState instance or None, default=None
        Controls the initial weights, the validation slice and the training.
    batch_size : int, default=256
        Batch size for inference, which determines its memory use. The mini-batch size of training
        is set in `training`.

    Attributes
    ----------
    network_ : keras.Model
        The trained network; its outputs are scores.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    class_weight_ : ndarray of shape (n_classes,)
        The factor of C for each class; absent after `partial_fit`.
    history_ : History or None
        The training history; None after `partial_fit`.
    scaler_ : StandardScaler or None
        The fitted standardization; None if there is none.
    loss_ : MarginLoss
        The loss in use.
    n_features_in_ : int
        Length of the second axis of `X`.
    provenance_ : Provenance
        Fingerprints of the samples that it was fitted on.

    References
    ----------
    Y. Tang, "Deep learning using linear support vector machines", ICML workshop on challenges in
    representation learning, 2013.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import MarginClassifier, Training
    >>> X, y = load_iris(return_X_y=True)
    >>> training = Training(epochs=20, batch_size=16, learning_rate=0.1)
    >>> model = MarginClassifier(C=10, training=training, random_state=0).fit(X, y)
    >>> bool((model.predict(X) == y).mean() > 0.9)
    True
    """

    def __init__(
        self,
        network: str | Builder | None = None,
        *,
        loss: str | MarginLoss = "squared_hinge",
        C: float = 1.0,
        class_weight: Mapping[Any, float] | str | None = None,
        standardize: bool = True,
        training: Training | None = None,
        calibration: str | None = None,
        random_state: RandomState = None,
        batch_size: int = 256,
    ) -> None:
        self.network = network
        self.loss = loss
        self.C = C
        self.class_weight = class_weight
        self.standardize = standardize
        self.training = training
        self.calibration = calibration
        self.random_state = random_state
        self.batch_size = batch_size

    def fit(
        self, X: ArrayLike, y: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Feature vectors; images, as in `DeepSVC`, for a named network; or the input of a
            builder's network.
        y : array-like of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
            Labels of any type, or one-hot rows, whose classes are the column numbers from 0.
        sample_weight : array-like of shape (n_samples,), optional
            The factor of C for each sample.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter, the samples or the labels are invalid; raised before any training.

        Warns
        -----
        UserWarning
            If features have very different scales, or scales far from 1, and are not standardized.
        """
        self._check_parameters()
        X, y, codes, prints = self._check_fit(X, None if y is None else from_one_hot(y))
        self._check_loss()
        factors = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        weight = self._weight_of(sample_weight, len(X)) * factors[codes].astype(np.float32)
        if np.any(empty := np.bincount(codes, weight) == 0):
            raise ValueError(
                "Invalid input - sample_weight (or class_weight) leaves class "
                f"{self.classes_[empty].tolist()[0]!r} without any weight."
            )
        self._forget_results()
        seed, training = draw_seed(self.random_state), self._recipe(X)
        split = validation_split(codes, None, training, seed, copy_prints(X, prints))
        first = np.arange(len(X)) if split is None else split.train
        if self.calibration is not None and split is not None:
            self._check_can_calibrate(codes[split.held_out], training)
        # The validation slice stands for new data, so it must not influence the scale.
        self._scale(X[first], weight[first])
        X = self._prepare(X)
        self._build(X, len(first), seed)
        validation = None
        if split is not None:
            validation = (X[split.held_out], codes[split.held_out], weight[split.held_out])
        self.history_ = train(
            self.network_,
            X[first],
            codes[first],
            validation,
            training,
            loss=self.loss_,
            sample_weight=None if np.all(weight == 1) else weight[first],
            seed=seed,
        )
        self.class_weight_ = factors
        if split is not None and self.calibration is not None:
            self.calibrator_ = calibrate_scores(
                self._decide(X[split.held_out]),
                y[split.held_out],
                method=self.calibration,
                sample_weight=weight[split.held_out],
            )
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on `X`, at `training.learning_rate`.

        The more samples have been seen, the smaller the relative weight of the penalty, so that C
        has the same meaning as in `fit`. Features are standardized by all samples seen so far.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.
        y : array-like of shape (n_samples,)
            Labels, as in `fit`.
        classes : array-like of shape (n_classes,), optional
            All classes that will ever occur; required in the first call, unless `fit` came first.
        sample_weight : array-like of shape (n_samples,), optional
            Weights, as in `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the input is invalid, as in `fit`, or if a label is not among the classes.
        """
        self._check_parameters()
        first = not hasattr(self, "network_")
        if self.class_weight is not None or self.calibration is not None:
            name = "class_weight" if self.class_weight is not None else "calibration"
            raise ValueError(
                f"{name}={getattr(self, name)!r} is for fit only: partial_fit does not have all "
                "samples. Pass sample_weight, or wrap the fitted classifier in "
                "CalibratedClassifierCV(FrozenEstimator(...))."
            )
        self._check_training()
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        X = self._check_samples(X, reset=first)
        codes = self._check_further_labels(y, len(X), classes, first)
        if first:
            self.provenance_ = Provenance()
        self._record_training_samples(X)
        weight = self._weight_of(sample_weight, len(X))
        if first:
            self._forget_results()
            self.history_ = None
        self._scale(X, weight)
        X = self._prepare(X)
        if first:
            self._build(X, len(X), draw_seed(self.random_state))
        else:
            self._stream.n_seen += len(X)
        train_further(
            self.network_,
            X,
            codes,
            self._recipe(X),
            loss=self.loss_,
            sample_weight=weight * self._stream.growth,
            seed=self._stream.seed,
            epoch=self._stream.n_passes,
        )
        self._stream.n_passes += 1
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Compute the scores of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            The scores. Two classes have a single value, positive for the second, with the margin
            at -1 and 1.
        """
        check_is_fitted(self)
        return self._decide(self._prepare(self._check_samples(X)))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self._predict(self._check_samples(X))

    def _predict(self, X: NDArray[Any]) -> NDArray[Any]:
        codes = predicted_codes(as_columns(self._decide(self._prepare(X))))
        return self.classes_[codes]

    @available_if(lambda self: self.calibration is not None)
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute calibrated probabilities; available only with `calibration`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        decision = self.decision_function(X)
        return self.calibrator_.predict_proba(as_columns(decision))

    def _check_parameters(self) -> None:
        owner = type(self).__name__
        check_number(self.C, "C", owner, low=0, open_low=True)
        if not isinstance(self.standardize, (bool, np.bool_)):
            raise TypeError(
                f"The 'standardize' parameter of {owner} must be True or False; "
                f"got {self.standardize!r}."
            )
        check_choice(self.calibration, "calibration", owner, (*CALIBRATIONS, None))
        no_slice = self.training is not None and getattr(self.training, "validation_size", 1) == 0
        if self.calibration is not None and no_slice:
            raise ValueError(
                f"calibration={self.calibration!r} is fitted on the validation slice, and "
                "Training(validation_size=0) leaves none. Set a validation_size."
            )
        self._check_network()
        if not isinstance(self.loss, MarginLoss):
            check_choice(self.loss, "loss", owner, LOSSES)

    def _check_network(self) -> None:
        if self.network is not None:
            check_network(self.network, type(self).__name__, takes_trained=False)

    def _check_further_labels(
        self, y: ArrayLike, n_samples: int, classes: ArrayLike | None, first: bool
    ) -> NDArray[np.int64]:
        """Return class indices, by the classes passed in this or in an earlier call."""
        y = check_labels(from_one_hot(y, whole=False), n_samples, n_classes=1)
        if first:
            self.classes_ = np.unique(np.asarray(classes))
            if len(self.classes_) < 2:
                raise ValueError(f"classes must name at least two; got {self.classes_.tolist()}.")
            self._check_loss()
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={np.unique(classes).tolist()} is not the same as in the first call: "
                f"{self.classes_.tolist()}."
            )
        if unseen := sorted(set(y.tolist()) - set(self.classes_.tolist())):
            raise ValueError(
                f"y holds labels that are not among the classes: {unseen[:5]}. The network has one "
                f"output per class of {self.classes_.tolist()[:20]}; pass all classes in the first "
                "call."
            )
        return np.searchsorted(self.classes_, y)

    def _check_loss(self) -> None:
        self.loss_ = choose_loss(self.loss, self.classes_, is_linear=self.network is None)

    def _weight_of(self, sample_weight: ArrayLike | None, n_samples: int) -> NDArray[np.float32]:
        weights = check_per_sample(sample_weight, n_samples, "sample_weight", type(self).__name__)
        return np.ones(n_samples, np.float32) if weights is None else weights.astype(np.float32)

    def _recipe(self, X: NDArray[Any]) -> Training:
        if self.training is not None or self.network is not None:
            return suited_to(X, self.training)
        return linear_recipe(len(X), calibrates=self.calibration is not None)

    def _forget_results(self) -> None:
        """Remove the results of an earlier fit."""
        for name in ("scaler_", "calibrator_", "class_weight_"):
            self.__dict__.pop(name, None)

    def _scale(self, X: NDArray[Any], weight: NDArray[np.float32]) -> None:
        """Update the scale of the features, or warn if they are poorly scaled and stay so."""
        if X.ndim != 2:
            self.scaler_ = None
        elif self.standardize:
            scaler = getattr(self, "scaler_", None)
            if scaler is None:
                scaler = StandardScaler().set_output(transform="default")
            self.scaler_ = scaler
            self.scaler_.partial_fit(X, sample_weight=weight)
        else:
            self.scaler_ = None
            warn_if_unscaled(X)

    def _prepare(self, X: NDArray[Any]) -> NDArray[Any]:
        return X if self.scaler_ is None else self.scaler_.transform(X).astype(np.float32)

    def _build(self, X: NDArray[Any], n_samples: int, seed: int) -> None:
        network = linear if self.network is None else self.network
        self.network_ = build_margin_network(
            network,
            X.shape[1:],
            1 if isinstance(self.loss_, BinaryHinge) else len(self.classes_),
            penalty=1 / (2 * self.C * n_samples),
            seed=seed,
        )
        self._stream = Stream(seed, n_penalized=n_samples, n_seen=n_samples)

    def _decide(self, X: NDArray[Any]) -> NDArray[np.float32]:
        scores = predict_scores(self.network_, X, batch_size=self.batch_size)
        if scores.shape[1] == 1:
            return scores[:, 0]
        if len(self.classes_) > 2:
            return scores
        # With one-vs-rest, both scores reach the full margin with opposite signs, so that their
        # difference is twice the margin; the other losses put the margin on the difference itself.
        share = np.float32(0.5 if isinstance(self.loss_, OneVsRestHinge) else 1)
        return share * (scores[:, 1] - scores[:, 0])

    def _check_can_calibrate(self, codes: NDArray[np.int64], training: Training) -> None:
        missing = np.setdiff1d(np.arange(len(self.classes_)), codes)
        if len(missing):
            name = self.classes_[missing].tolist()[0]
            raise ValueError(
                f"The validation slice has no sample of class {name!r} to calibrate with "
                f"(validation_size={training.validation_size:g}, {len(codes)} samples). Set a "
                "larger validation_size."
            )
