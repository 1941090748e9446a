"""A trained network, cut at a layer, as a scikit-learn transformer."""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from penultimate._progress import SILENT, Progress
from penultimate._validation import check_number
from penultimate.networks import _keras
from penultimate.networks._backend import is_keras_model


class FeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The activations of a trained network at one of its layers.

    The network is frozen: its weights stay as they are, and its dropout is off. It gets `X` as it
    is given, cast to float32, so pass what it was trained on.

    Parameters
    ----------
    network : keras.Model
        A trained network, functional or Sequential.
    layer : str, default="penultimate"
        The name of a layer, or ``"penultimate"``: the input of the last classifying layer, with
        dropout and softmax removed.
    batch_size : int, default=256
        Samples in a pass. The last batch is padded to this size, so that the features of a sample
        do not depend on the samples beside it.

    Attributes
    ----------
    n_features_out_ : int
        Units of the layer; activations of more dimensions are flattened.
    input_shape_ : tuple of int
        The shape of one sample.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import FeatureExtractor
    >>> from penultimate.networks import build_network
    >>> network = build_network("compact", (16, 16, 1), 10)
    >>> images = np.zeros((3, 16, 16, 1), np.uint8)
    >>> FeatureExtractor(network).fit_transform(images).shape
    (3, 128)
    """

    def __init__(self, network: Any, layer: str = "penultimate", batch_size: int = 256) -> None:
        self.network = network
        self.layer = layer
        self.batch_size = batch_size

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Cut the network; nothing is learnt from `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), optional
            Only its shape is checked.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the network is not a Keras model.
        ValueError
            If the layer does not exist, or `X` has another shape than the network's input.

        Warns
        -----
        UserWarning
            If the layer gives probabilities, which are poor features for an SVM.
        """
        if not is_keras_model(self.network):
            raise TypeError(
                "The 'network' parameter of FeatureExtractor must be a trained Keras model; got "
                f"{self.network!r}. To train a network by name, use DeepSVC."
            )
        check_number(self.batch_size, "batch_size", "FeatureExtractor", low=1, integer=True)
        self.cut_network_ = _keras.cut(self.network, self.layer)
        if _keras.gives_probabilities(self.network, self.layer):
            warnings.warn(
                f"The layer {self.layer!r} gives probabilities: softmax output fed to an SVM has "
                "lost most of what the network knows. Cut it at layer='penultimate'.",
                UserWarning,
                stacklevel=2,
            )
        self.input_shape_ = tuple(self.cut_network_.inputs[0].shape[1:])
        self.n_features_out_ = int(np.prod(self.cut_network_.outputs[0].shape[1:]))
        if X is not None:
            self._check_input(X)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Compute features.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs of the network.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32

        Raises
        ------
        ValueError
            If `X` has another shape than the network's input, or holds NaN.
        """
        return self.extract(X)

    def extract(self, X: Any, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Do as `transform`, and tell `progress` of every batch.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs of the network.
        progress : Progress, optional
            Hears of every batch.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32
        """
        check_is_fitted(self)
        X = self._check_input(X)
        return _keras.forward(self.cut_network_, X, batch_size=self.batch_size, progress=progress)

    def _check_input(self, X: Any) -> NDArray[Any]:
        X = np.asarray(X)
        if self.input_shape_[-1:] == (1,) and X.ndim == len(self.input_shape_):
            X = X[..., np.newaxis]
        fits = X.ndim == len(self.input_shape_) + 1 and all(
            want in (None, got) for want, got in zip(self.input_shape_, X.shape[1:])
        )
        if not fits:
            raise ValueError(
                f"The network takes samples of shape {self.input_shape_}; got X of shape {X.shape}."
            )
        if X.dtype.kind == "f" and not np.isfinite(X).all():
            raise ValueError("X holds NaN or infinity; drop or mend these samples.")
        return X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.n_features_out_


def predict_probabilities(
    network: Any, X: NDArray[Any], *, batch_size: int = 256, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Compute the network's own probabilities, in inference mode.

    Parameters
    ----------
    network : keras.Model
        A trained network; the softmax of its outputs is taken where it ends in linear units.
    X : ndarray of shape (n_samples, ...)
        Inputs of the network.
    batch_size : int, default=256
        Samples in a pass.
    progress : Progress, optional
        Hears of every batch.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float32

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import build_network, predict_probabilities
    >>> network = build_network("compact", (8, 8, 1), 3)
    >>> predict_probabilities(network, np.zeros((2, 8, 8, 1))).sum(axis=1).round(3).tolist()
    [1.0, 1.0]
    """
    outputs = _keras.forward(
        network, X, batch_size=batch_size, progress=progress, step="predict with the network"
    )
    return softmax(outputs, axis=1) if _keras.ends_in_logits(network) else outputs
