"""A head on features that were computed elsewhere, selected and calibrated like that of a network.

What `DeepSVC` does after its network: the normalization and the hyper-parameters are chosen on
held-out samples, the best setting is refitted on all, and its margins become probabilities.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from penultimate._common.labels import check_labels, check_not_one_hot, typed_labels
from penultimate._common.protocols import Head, RandomState
from penultimate._common.seeds import draw_seed
from penultimate._common.validation import (
    check_choice,
    check_per_sample,
    check_same_order,
    refuse_masked,
)
from penultimate.classifiers._calibrating import (
    ask_calibrated,
    calibrate_or_warn,
    check_calibration,
    head_has,
)
from penultimate.provenance.fingerprints import copy_prints, fingerprint
from penultimate.provenance.records import Provenance
from penultimate.selection.heads import check_head, weight_params
from penultimate.selection.heldout import Splits, fit_layers
from penultimate.selection.normalization import Normalization, check_normalizations, choices
from penultimate.splits.draw import split_development, split_folds
from penultimate.splits.parts import Split
from penultimate.svm import SVCSearchCV

_FEATURES = "features"  # what stands for the layer


class FeatureClassifier(ClassifierMixin, BaseEstimator):
    """A head on features, such as embeddings: normalized, selected, and calibrated.

    Parameters
    ----------
    head : classifier, optional
        The classifier; by default ``SVCSearchCV()``.
    normalization : {"standardize", "l2", "sqrt-l2", None} or list, default="standardize"
        What is done to the features, as in `DeepSVC`; from a list, the best one is used.
    selection : {"heldout", "crossfit"}, default="heldout"
        Whether hyper-parameters are chosen on one selection part, or on 5 stratified folds.
    calibration : {"temperature", None}, default=None
        Whether an SVM head gets probabilities, as in `DeepSVC`.
    random_state : int, RandomState instance or None, default=None
        Controls the split.

    Attributes
    ----------
    head_ : Pipeline
        The fitted steps ``"preprocessing"``, the normalization, and ``"head"``.
    normalization_ : str or None
        The selected normalization.
    calibrator_ : CalibratedClassifierCV or None
        The calibration of its class margins (with two classes, of its decision values).
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    n_features_in_ : int
    provenance_ : Provenance
        Fingerprints of the samples that it was fitted on.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate.classifiers.on_features import FeatureClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = FeatureClassifier(calibration="temperature", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9, model.predict_proba(X).shape
    (True, (150, 3))
    """

    def __init__(
        self,
        head: Head | None = None,
        *,
        normalization: Normalization | list[Normalization] = "standardize",
        selection: str = "heldout",
        calibration: str | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.head = head
        self.normalization = normalization
        self.selection = selection
        self.calibration = calibration
        self.random_state = random_state

    def _make_head(self) -> Head:
        return SVCSearchCV() if self.head is None else self.head

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Select, fit and calibrate the head.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels of any type.
        groups : array-like of shape (n_samples,), optional
            Groups, none of which is in two parts.
        sample_weight : array-like of shape (n_samples,), optional
            Weights, for the normalization and the head.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter, the features or the labels are invalid.

        Warns
        -----
        UserWarning
            If too few samples are held out to calibrate the head.
        """
        owner = type(self).__name__
        check_choice(self.selection, "selection", owner, ("heldout", "crossfit"))
        check_calibration(self.calibration, self.selection)
        normalizations = check_normalizations(self.normalization, owner)
        head = self._make_head()
        check_head(head, owner)
        if y is None:
            raise ValueError(f"{owner} requires y to be passed, but the target y is None.")
        check_not_one_hot(y)
        check_same_order(X, y, owner)
        refuse_masked(X, "X")
        samples, y = validate_data(self, X, typed_labels(y), dtype=[np.float64, np.float32])
        labels = check_labels(y, len(samples))
        check_classification_targets(labels)
        groups = check_per_sample(groups, len(labels), "groups", owner)
        weights = check_per_sample(sample_weight, len(labels), "sample_weight", owner)
        prints = fingerprint(samples)
        make = split_development if self.selection == "heldout" else split_folds
        split: Splits = make(
            labels,
            groups=groups,
            fingerprints=copy_prints(samples, prints),
            seed=draw_seed(self.random_state),
        )
        with config_context(transform_output="default"):
            fitted = fit_layers(
                head,
                {_FEATURES: samples},
                labels,
                split,
                preprocessing=choices([_FEATURES], normalizations),
                sample_weight=weights,
                params=weight_params(head, weights),
            )
            self.calibrator_ = None
            if self.calibration is not None:
                parts = [split] if isinstance(split, Split) else split or []
                held_out = [(part, samples) for part in parts]
                self.calibrator_ = calibrate_or_warn(fitted.pipeline, held_out, labels, weights)
        self.classes_, self.normalization_ = np.unique(labels), fitted.normalization
        self.provenance_ = Provenance.of(prints, "trained")
        self._fitted, self.head_ = fitted, fitted.pipeline
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._ask("predict", X)

    @available_if(head_has("decision_function"))
    def decision_function(self, X: ArrayLike) -> NDArray[np.generic]:
        """Compute the head's decision values; available only if the head has them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._ask("decision_function", X)

    @available_if(head_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> NDArray[np.generic]:
        """Compute probabilities; available if the head has them, or is calibrated.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._ask("predict_proba", X)

    @available_if(head_has("class_margins"))
    def class_margins(self, X: ArrayLike) -> NDArray[np.generic]:
        """Compute the smallest decision value of each class, like `SVC.class_margins`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._ask("class_margins", X)

    def _ask(self, method: str, X: ArrayLike) -> NDArray[np.generic]:
        check_is_fitted(self)
        refuse_masked(X, "X")
        features = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return self._ask_head(method, features)

    def _ask_head(self, method: str, features: NDArray[np.floating]) -> NDArray[np.generic]:
        return ask_calibrated(self._fitted, self.calibrator_, method, features)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "head_")
