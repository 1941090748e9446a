"""A trained network, cut at a layer, as a scikit-learn transformer."""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from penultimate._common.progress import SILENT, Progress
from penultimate._common.validation import check_number
from penultimate.networks._forward import as_inputs, forward
from penultimate.networks.frameworks import keras_models as _keras
from penultimate.networks.frameworks.backend import is_keras_model

_ROUNDING = 1e-3  # of the sum of a softmax's outputs, in bfloat16, too


class FeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The activations of a trained network at one of its layers.

    The network is frozen: its weights stay as they are, and its dropout is off. It gets `X` as it
    is given, cast to float32, so pass what it was trained on.

    Parameters
    ----------
    network : keras.Model
        A trained network, functional or Sequential; models may be nested in it.
    layer : str, default="penultimate"
        The name of a layer, or ``"penultimate"``: what the last classifying layer is given,
        dropout removed. Where nothing classifies, as in a headless backbone or an embedding, that
        is the network's output. A layer of a nested model is found by its name too or, where
        several models have such a layer, as ``"backbone/pooled"``; one that is called several
        times as ``"relu:0"``, ``"relu:1"``, in the order of the calls.
    batch_size : int, default=256
        The most samples in a pass; memory follows it. A smaller batch is filled up to the next
        power of two, a single sample to two. A sample's features do not depend on the samples
        beside it; at most on their number, by rounding, where a backend has several routines.

    Attributes
    ----------
    layer_ : str
        The layer whose output the features are, by a name that `layer` takes.
    cut_at_ : str
        Where that is: ``"the input of 'predictions'"``, ``"the network's output"`` or ``"the output
        of 'block_3'"``.
    n_features_out_ : int or None
        Units of the layer; activations of more dimensions are flattened. Where their number depends
        on the images' size, which the network leaves open, it is that of the images given to
        `fit`, or None.
    input_shape_ : tuple of int, or dict of str to tuple of int
        The shape of one sample; of several inputs by their names.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import FeatureExtractor
    >>> from penultimate.networks import build_network
    >>> network = build_network("compact", (16, 16, 1), 10)
    >>> images = np.zeros((3, 16, 16, 1), np.uint8)
    >>> extractor = FeatureExtractor(network).fit(images)
    >>> extractor.transform(images).shape
    (3, 128)
    >>> extractor.layer_, extractor.cut_at_
    ('features', "the input of 'probabilities'")
    """

    def __init__(self, network: Any, layer: str = "penultimate", batch_size: int = 256) -> None:
        self.network = network
        self.layer = layer
        self.batch_size = batch_size

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Cut the network; nothing is fitted to the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), optional
            Only its shape is checked. Of a network with several inputs a list of them, in its
            order, or a dict by name; if the features depend on one of them, this one will do.
        y : array-like of shape (n_samples,), optional
            Labels. Where it is not clear whether a network ends in classes (a tanh, a layer of your
            own), it does if it has an output for each label.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the network is not a Keras model, or `X` does not hold numbers.
        ValueError
            If the layer does not exist, or it is not clear which one is meant; if `X` has another
            shape than the network's input, or holds NaN.

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
        if not isinstance(self.layer, str):
            raise TypeError(
                "The 'layer' parameter of FeatureExtractor must be the name of a layer; got "
                f"{self.layer!r}."
            )
        check_number(self.batch_size, "batch_size", "FeatureExtractor", low=1, integer=True)
        labels = np.asarray([] if y is None else y)
        n_classes = len(set(labels.tolist())) if labels.ndim == 1 and len(labels) else None
        cut = _keras.make_cut(self.network, self.layer, n_classes)
        self.cut_network_, self.layer_, self.cut_at_ = cut.network, cut.layer, cut.place
        if cut.gives_probabilities:
            warnings.warn(
                f"The layer {cut.layer!r} gives probabilities: softmax output fed to an SVM has "
                "lost most of what the network knows. Cut it before its classifying layer.",
                UserWarning,
                stacklevel=2,
            )
        shapes = {each.name: tuple(each.shape[1:]) for each in self.cut_network_.inputs}
        self.input_shape_ = shapes if len(shapes) > 1 else next(iter(shapes.values()))
        self.n_features_out_ = self._declared_features()
        if X is not None:
            self.n_features_out_ = self._count_features(self._check_input(X))
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
            If `X` has another shape than the network's input or, where the number of features
            depends on it, than in `fit`; or holds NaN.
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
        if self.n_features_out_ is not None:
            count = self._count_features(X)
            if count != self.n_features_out_:
                raise ValueError(
                    f"Images of this size, X of shape {np.shape(X)}, have {count} features at "
                    f"{self.layer_!r}, and those given to fit had {self.n_features_out_}: resize "
                    "them to one size, or cut behind a global pooling."
                )
        return forward(self.cut_network_, X, batch_size=self.batch_size, progress=progress)

    def _check_input(self, X: Any) -> Any:
        """Return the array that the cut network takes, or the list of them."""
        X = as_inputs(self.cut_network_, self._chosen_inputs(X))
        if not isinstance(X, list):
            return _check_array(X, tuple(self.cut_network_.inputs[0].shape[1:]))
        tensors = self.cut_network_.inputs
        return [_check_array(each, tuple(t.shape[1:])) for each, t in zip(X, tensors)]

    def _chosen_inputs(self, X: Any) -> Any:
        """Of all inputs of the network choose those that the features depend on."""
        names = [tensor.name for tensor in self.network.inputs]
        chosen = [tensor.name for tensor in self.cut_network_.inputs]
        if not (isinstance(X, (list, tuple)) and len(X) == len(names) > len(chosen)):
            return X
        inputs = [X[names.index(name)] for name in chosen]
        return inputs[0] if len(inputs) == 1 else inputs

    def _declared_features(self) -> int | None:
        """Return the number of features, or None where it depends on the images' size."""
        sizes = tuple(self.cut_network_.outputs[0].shape[1:])
        return None if None in sizes else int(np.prod(sizes))

    def _count_features(self, X: Any) -> int:
        declared = self._declared_features()
        if declared is not None:  # what follows would take longer than the pass of a single image
            return declared
        arrays = X if isinstance(X, list) else [X]
        shapes = [(1, *each.shape[1:]) for each in arrays]
        shape = self.cut_network_.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])
        return int(np.prod(shape[1:]))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        if self.n_features_out_ is None:
            raise ValueError(
                f"How many features {self.layer_!r} has depends on the images' size: pass images "
                "to fit."
            )
        return self.n_features_out_


def _check_array(X: NDArray[Any], shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return one input as the network takes it, of samples of this shape."""
    X = check_shape(X, shape)
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        raise ValueError("X holds NaN or infinity; drop or repair these samples.")
    return X


def check_shape(X: NDArray[Any], shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return an array with the channel axis that a network may want, or raise if it won't fit."""
    if shape[-1:] == (1,) and X.ndim == len(shape) and not _fits(X.shape, shape):
        X = X[..., np.newaxis]
    if not _fits(X.shape[1:], shape):
        raise ValueError(_wrong_shape(X, shape))
    return X


def _fits(given: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(given) == len(shape) and all(want in (None, n) for want, n in zip(shape, given))


def _wrong_shape(X: NDArray[Any], shape: tuple[int | None, ...]) -> str:
    if _fits(X.shape, shape) or (shape[-1:] == (1,) and _fits(X.shape, shape[:-1])):
        return f"X is one sample, of shape {X.shape}; pass X[None], an array of one."
    if X.ndim == len(shape) + 1 == 4:
        channels = shape[-1]
        if _fits((X.shape[2], X.shape[3], X.shape[1]), shape):
            advice = "move their channels last, as with numpy.moveaxis(X, 1, -1)"
        elif channels not in (None, X.shape[-1]):
            advice = f"give them {channels} channels"
        else:
            advice = "resize them"
        return f"The images are {_times(X.shape[1:])}; the network takes {_times(shape)}: {advice}."
    return f"The network takes samples of shape {shape}; got X of shape {X.shape}."


def _times(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)


def predict_probabilities(
    network: Any, X: NDArray[Any], *, batch_size: int = 256, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Compute the network's own probabilities, in inference mode.

    Parameters
    ----------
    network : keras.Model
        A trained network.
    X : ndarray of shape (n_samples, ...)
        Inputs of the network; of several a list, or a dict by name.
    batch_size : int, default=256
        The most samples in a pass.
    progress : Progress, optional
        Hears of every batch.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float32
        The softmax is taken of logits, and of outputs some of which are negative; the sigmoid where
        there is one of these. A single output becomes two columns, the second one its own. Sigmoids
        of several classes are scaled to add up to one, which keeps their order.

    Raises
    ------
    ValueError
        If the network has several outputs, or it is not clear whether they are probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import build_network, predict_probabilities
    >>> network = build_network("compact", (8, 8, 1), 3)
    >>> predict_probabilities(network, np.zeros((2, 8, 8, 1))).sum(axis=1).round(3).tolist()
    [1.0, 1.0]
    """
    X = as_inputs(network, X)
    step = "predict with the network"
    outputs = forward(network, X, batch_size=batch_size, progress=progress, step=step)
    are_logits = _keras.ends_in_logits(network, outputs) or bool((outputs < 0).any())
    if outputs.shape[1] == 1:
        positive = expit(outputs) if are_logits else outputs
        return np.hstack([1 - positive, positive])
    if are_logits:
        return softmax(outputs, axis=1)
    total = outputs.sum(axis=1, keepdims=True)
    if np.allclose(total, 1, atol=_ROUNDING):
        return outputs  # a softmax already: another division would only round it once more
    return outputs / np.maximum(total, np.finfo(np.float32).tiny)


def numbers_classes(network: Any, n_classes: int) -> bool:
    """Say whether a network has one output for each class, or a single one for two classes."""
    outputs = getattr(network, "outputs", None) or []
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        return False
    return outputs[0].shape[-1] == n_classes or (outputs[0].shape[-1], n_classes) == (1, 2)
