"""What classifiers with a network share: reading samples and labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from penultimate._validation import check_images, check_labels, check_not_one_hot, pixel_scale
from penultimate.networks import History, Training, is_keras_model, takes_pixels
from penultimate.provenance import Provenance, fingerprint, provenance_of, report_leak


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """What classifiers with a network share: checking parameters, samples and labels."""

    network: Any
    training: Training | None
    network_: Any
    history_: History | None
    provenance_: Provenance

    def _check_fit(self, X: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
        """Check parameters, samples and labels; return these and the labels' class indices."""
        self._check_training()
        X, y = self._check_samples(X, y, reset=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.provenance_ = Provenance()
        self._note_seen(X)
        return X, y, codes

    def _note_seen(self, X: NDArray[Any]) -> None:
        """Add samples to those that the classifier was fitted on, a frozen network's included."""
        self.provenance_ = self.provenance_ | Provenance.of(fingerprint(X), "trained")
        if is_keras_model(self.network):
            self.provenance_ = self.provenance_ | provenance_of(self.network)

    def fingerprint(self, X: Any) -> NDArray[np.uint64]:
        """Compute the fingerprints by which `provenance_` knows samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), uint64
        """
        check_is_fitted(self)
        return fingerprint(self._check_samples(X, reset=False))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float

        Warns
        -----
        LeakageWarning
            If some of the samples were seen in training; `provenance_` knows which.
        """
        seen = self.provenance_.holds(self.fingerprint(X))
        advice = "This accuracy says little about new data: score other samples."
        report_leak(np.flatnonzero(seen), len(seen), on_leak="warn", advice=advice)
        return super().score(X, y, sample_weight)

    def _check_training(self) -> None:
        owner = type(self).__name__
        if self.training is not None and not isinstance(self.training, Training):
            raise TypeError(
                f"The 'training' parameter of {owner} must be a Training or None; "
                f"got {self.training!r}."
            )

    def _check_samples(self, X: Any, y: Any = "no_validation", *, reset: bool) -> Any:
        if not isinstance(y, str):
            check_not_one_hot(y)
        checked = validate_data(
            self, X, y, reset=reset, allow_nd=True, dtype="numeric", ensure_min_samples=1
        )
        X = checked if isinstance(y, str) else checked[0]
        if reset:
            self._takes_pixels = isinstance(self.network, str) or takes_pixels(self.network)
        if self._takes_pixels:
            # One dark image must mean what it means among others: floats keep the scale of `fit`.
            if reset:
                self._pixel_scale = pixel_scale(X) if X.dtype.kind == "f" else None
            X = check_images(X, scale=self._pixel_scale)
        return X if isinstance(y, str) else (X, check_labels(checked[1], len(X)))
