"""Base of the classifiers with a network: validation of samples and labels."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from penultimate._common.data_objects import as_samples
from penultimate._common.frames import level_outside
from penultimate._common.images import note_black
from penultimate._common.labels import check_labels, check_not_one_hot, typed_labels
from penultimate._common.protocols import Network
from penultimate._common.validation import (
    as_array,
    check_number,
    check_per_sample,
    check_same_order,
)
from penultimate.classifiers._sample_form import SampleForm
from penultimate.networks import (
    History,
    Training,
    check_network,
    is_frozen,
    takes_pixels,
)
from penultimate.networks._inputs import check_shape
from penultimate.networks.adapting import open_network, stated_shape
from penultimate.networks.arguments import check_one_input, names_builder
from penultimate.networks.single_images import as_sequence, prints_of, takes_one_by_one
from penultimate.provenance.leakage import report_leak, warn_if_unknown
from penultimate.provenance.records import Provenance, provenance_of


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """Base class of classifiers with a network: checks of parameters, samples and labels."""

    network: Any
    training: Training | None
    batch_size: int
    network_: Network
    _form: SampleForm
    history_: History | None
    provenance_: Provenance

    # The attribute that `fit` sets last: without it there was no fit, or it failed half-way.
    _SET_LAST = "network_"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, self._SET_LAST)

    def _check_fit(
        self, X: ArrayLike, y: ArrayLike | None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64], NDArray[np.uint64]]:
        """Check the input; return samples, labels, class indices and fingerprints."""
        self._check_network()
        self._check_training()
        X, y = self._check_labeled(X, y, reset=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.provenance_ = Provenance()
        return X, y, codes, self._record_training_samples(X)

    def _check_weights(
        self, sample_weight: ArrayLike | None, codes: NDArray[np.int64]
    ) -> NDArray[np.float64] | None:
        """Check sample weights; every class must have a positive total weight."""
        weights = check_per_sample(sample_weight, len(codes), "sample_weight", type(self).__name__)
        if weights is not None and np.any(empty := np.bincount(codes, weights) == 0):
            raise ValueError(
                "Invalid input - sample_weight leaves class "
                f"{self.classes_[empty].tolist()[0]!r} without any weight."
            )
        return weights

    def _forget(self) -> None:
        """Count as unfitted until this fit is complete; called after all checks of the input."""
        self.__dict__.pop(self._SET_LAST, None)

    def _record_training_samples(self, X: NDArray[Any]) -> NDArray[np.uint64]:
        """Record the samples that the classifier is fitted on, and those of a frozen network."""
        prints = prints_of(X)
        self.provenance_ = self.provenance_ | Provenance.of(prints, "trained")
        if is_frozen(self.network):
            self.provenance_ = self.provenance_ | provenance_of(open_network(self.network))
        return prints

    def _warn_if_unknown(self) -> None:
        """Warn, once per fit, if a frozen network may have seen some of the samples."""
        if is_frozen(self.network):
            warn_if_unknown(
                open_network(self.network),
                "the selection score, and any score on samples that it has seen, is too optimistic",
                stacklevel=level_outside() + 1,
            )

    def fingerprint(self, X: ArrayLike) -> NDArray[np.uint64]:
        """Compute the fingerprints that identify samples in `provenance_`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), uint64
        """
        check_is_fitted(self)
        return prints_of(self._check_samples(X))

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute the accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples in the accuracy.

        Returns
        -------
        float

        Warns
        -----
        LeakageWarning
            If some of the samples were seen in training, according to `provenance_`.
        """
        check_is_fitted(self)
        X = self._check_samples(X)
        seen = self.provenance_.holds(prints_of(X))
        weights = check_per_sample(sample_weight, len(X), "sample_weight", type(self).__name__)
        advice = "This accuracy says little about new data: score on other samples."
        report_leak(
            np.flatnonzero(seen),
            len(seen),
            on_leak="warn",
            advice=advice,
            stacklevel=level_outside() + 1,
        )
        return float(accuracy_score(typed_labels(y), self._predict(X), sample_weight=weights))

    def _predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """Predict the classes of samples returned by `_check_samples`."""
        raise NotImplementedError

    def _check_network(self) -> None:
        check_network(self.network, type(self).__name__)

    def _check_training(self) -> None:
        owner = type(self).__name__
        check_number(self.batch_size, "batch_size", owner, low=1, integer=True)
        if self.training is not None and not isinstance(self.training, Training):
            raise TypeError(
                f"The 'training' parameter of {owner} must be a Training or None; "
                f"got {self.training!r}."
            )

    def _check_labeled(
        self, X: ArrayLike, y: ArrayLike | None, *, reset: bool
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Check samples and labels; return the samples as the network takes them, and labels."""
        check_one_input(self.network, X, type(self).__name__)
        if takes_one_by_one(self, X):
            return self._check_images(X, y, reset)
        X = as_samples(X, type(self).__name__)
        if y is not None:
            check_not_one_hot(y)
            check_same_order(X, y, type(self).__name__)
            y = typed_labels(y)
            shape = as_array(X).shape
            if len(shape) == 3 and as_array(y).shape == (1,) != shape[:1]:
                raise ValueError(
                    f"X has shape {shape} and y one label: if X is one image, pass X[None]."
                )
        samples, labels = self._validate(X, y, reset=reset)
        samples = self._convert(samples, reset)
        return samples, check_labels(labels, len(samples))

    def _check_samples(self, X: ArrayLike, *, reset: bool = False) -> NDArray[Any]:
        """Check samples; return them as the network takes them."""
        if takes_one_by_one(self, X):
            return as_sequence(X)
        X = as_samples(X, type(self).__name__)
        return self._convert(self._validate(X, "no_validation", reset=reset), reset)

    def _check_images(
        self, X: ArrayLike, y: ArrayLike | None, reset: bool
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Check images that come one by one, at any size, and their labels."""
        images = as_sequence(X)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but y is None.")
        check_not_one_hot(y)
        labels = column_or_1d(typed_labels(y), warn=True)
        check_consistent_length(images, labels)
        if reset:
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)  # of an earlier fit on arrays
            # Whatever comes later is pixels, on the scale that its type states.
            self._form = SampleForm.of(np.array([[[0, 255]]], np.uint8), takes_pixels=True)
        return images, check_labels(labels, len(images))

    def _validate(self, X: ArrayLike, y: ArrayLike | None, *, reset: bool) -> Any:
        self._check_shape(X, reset)
        return validate_data(
            self,
            X,
            y,
            reset=reset,
            allow_nd=True,
            # Else images' rows of pixels are counted as features; the network knows their shape.
            ensure_2d=reset or np.asarray(X).ndim <= 2,
            dtype="numeric",
            ensure_min_samples=1,
        )

    def _convert(self, X: NDArray[Any], reset: bool) -> NDArray[Any]:
        if not reset:
            self._form.check(X, type(self).__name__)
            return self._form.convert(X)
        form = SampleForm.of(X, names_builder(self.network) or takes_pixels(self.network))
        images = form.convert(X)
        if form.takes_pixels and (note := note_black(X, "X")) is not None:
            warnings.warn(note, UserWarning, stacklevel=level_outside())
        self._form = form
        return images

    def _check_shape(self, X: object, reset: bool) -> None:
        """Raise if these are not samples, such as images, of the shape that the network takes."""
        shape = stated_shape(self.network if reset else self.network_)
        if shape is None or len(shape) <= 1:
            return  # the widths of vectors are for scikit-learn to check, and to name
        samples = np.asarray(X)
        if samples.ndim:  # a sparse matrix has none, and is refused by scikit-learn
            check_shape(samples, shape)
