"""Features from a layer of a trained network, as a scikit-learn transformer.

`FeatureExtractor` cuts the network at the layer (``frameworks/keras_models.py``) and runs the rest
in batches (``_forward.py``). Only the shape of the samples matters to `fit`.
"""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from penultimate._common.frames import level_outside
from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Inputs, Network
from penultimate._common.scales import InputScale
from penultimate._common.validation import check_number
from penultimate.networks._forward import as_inputs, forward
from penultimate.networks.arguments import advise_on_module
from penultimate.networks.frameworks import keras_models as _keras
from penultimate.networks.frameworks.backend import is_keras_model

_ROUNDING = 1e-3  # bound on the rounding of the sum of a softmax's outputs, even in bfloat16


class FeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The activations of a trained network at one of its layers.

    The network is frozen: its weights do not change, and dropout is off. It receives `X` unchanged
    except for a cast to float32, so preprocess `X` as for its training.

    Parameters
    ----------
    network : keras.Model
        A trained network, functional or Sequential; models may be nested in it.
    layer : str, default="penultimate"
        The name of a layer, or ``"penultimate"``: the input of the classifying layer, before
        dropout. Without a classifying layer, as in a headless backbone or an embedding network,
        that is the network's output. A layer of a nested model is found by its name, too, or as
        ``"backbone/pooled"`` if several models have such a layer; a layer that is called several
        times as ``"relu:0"``, ``"relu:1"``, in the order of the calls.
    batch_size : int, default=256
        Maximum number of samples per pass, which determines the memory. A smaller batch is padded
        to the next power of two, a single sample to two. The features of a sample do not depend on
        the other samples in its batch; their number may change the rounding, if a backend has
        several routines.

    Attributes
    ----------
    layer_ : str
        Name of the layer that outputs the features, in the form that `layer` takes.
    cut_at_ : str
        Position of the cut: ``"the input of 'predictions'"``, ``"the network's output"`` or ``"the
        output of 'block_3'"``.
    n_features_out_ : int or None
        Number of features; activations with more dimensions are flattened. If it depends on the
        size of the images, which the network leaves open, it is that of the images passed to
        `fit`, or None.
    input_shape_ : tuple of int, or dict of str to tuple of int
        Shape of one sample; with several inputs, a dict by their names.

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

    def __init__(self, network: Network, layer: str = "penultimate", batch_size: int = 256) -> None:
        self.network = network
        self.layer = layer
        self.batch_size = batch_size

    def fit(self, X: Inputs | None = None, y: ArrayLike | None = None) -> Self:
        """Cut the network; nothing is learned from the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), optional
            Samples whose shape is checked. For a network with several inputs, a list in their order
            or a dict by their names; if the features depend on only one input, it suffices.
        y : array-like of shape (n_samples,), optional
            Labels. They decide where it is unclear whether the network ends in classes (a tanh, a
            custom layer): it does if it has one output per label.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the network is not a Keras model, or `X` is not numeric.
        ValueError
            If the layer does not exist or is ambiguous; if the shape of `X` does not match the
            network's input, or `X` contains NaN or infinity.

        Warns
        -----
        UserWarning
            If the layer outputs probabilities, which are poor features for an SVM.
        """
        if not is_keras_model(self.network):
            raise TypeError(
                "The 'network' parameter of FeatureExtractor must be a trained Keras model; got "
                f"{self.network!r}. "
                + (advise_on_module(self.network) or "To train a network by name, use DeepSVC.")
            )
        if not isinstance(self.layer, str):
            raise TypeError(
                "The 'layer' parameter of FeatureExtractor must be the name of a layer; got "
                f"{self.layer!r}."
            )
        check_number(self.batch_size, "batch_size", "FeatureExtractor", low=1, integer=True)
        labels = np.asarray([] if y is None else y)
        # One-hot rows and missing labels leave the number of classes open.
        n_classes = len(set(labels.tolist())) if labels.ndim == 1 and len(labels) else None
        cut = _keras.make_cut(self.network, self.layer, n_classes)
        self.cut_network_, self.layer_, self.cut_at_ = cut.network, cut.layer, cut.place
        if cut.gives_probabilities:
            warnings.warn(
                f"The layer {cut.layer!r} outputs probabilities: softmax output fed to an SVM has "
                "lost most of the information in the network. Cut it before its classifying layer.",
                UserWarning,
                stacklevel=2,
            )
        # Of the cut network: inputs that the features do not depend on are not required.
        shapes = {each.name: tuple(each.shape[1:]) for each in self.cut_network_.inputs}
        self.input_shape_ = shapes if len(shapes) > 1 else next(iter(shapes.values()))
        self.n_features_out_ = self._declared_features()
        self._scale: InputScale | None = None
        if X is not None:
            samples = self._check_input(X)
            self.n_features_out_ = self._count_features(samples)
            if not isinstance(samples, list) and len(samples):
                self._scale = InputScale.of(samples)
        return self

    def transform(self, X: Inputs) -> NDArray[np.float32]:
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
            If the shape of `X` does not match the network's input or, where the number of features
            depends on it, the shape in `fit`; if `X` contains NaN or infinity.

        Warns
        -----
        UserWarning
            If `X` is on another scale than the samples in `fit`, or than the pixels from 0 to 255
            of a network that begins by rescaling them.
        """
        check_is_fitted(self)
        self._warn_of_scale(X)
        return self.extract(X)

    def _warn_of_scale(self, X: Inputs) -> None:
        samples = self._check_input(X)
        if isinstance(samples, list) or not len(samples):
            return
        words = ""
        low, high = samples.min(), samples.max()
        if _keras.takes_pixels(self.network) and (low < 0 or 0 < high <= 1):
            words = (
                f"The network begins by rescaling pixels from 0 to 255, but X has values from "
                f"{low:g} to {high:g}: its features will be nearly the same for all samples. "
                f"{'Multiply by 255' if low >= 0 else 'Undo the standardization'}, or pass the "
                "images as they were before scaling."
            )
        elif self._scale is not None:
            try:
                self._scale.check(samples, "FeatureExtractor")
            except ValueError as error:  # the features exist, so who wants them may have them
                words = str(error)
        if words:
            warnings.warn(words, UserWarning, stacklevel=level_outside())

    def extract(self, X: Inputs, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Do the same as `transform`, and report every batch to `progress`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs of the network.
        progress : Progress, optional
            Observer of every batch.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32
        """
        check_is_fitted(self)
        samples = self._check_input(X)
        if self.n_features_out_ is not None:
            count = self._count_features(samples)
            if count != self.n_features_out_:
                raise ValueError(
                    "Images of this size, X of shape "
                    f"{np.shape(samples)}, have {count} features at "
                    f"{self.layer_!r}, but those passed to fit had {self.n_features_out_}: resize "
                    "them to one size, or cut the network after a global pooling."
                )
        return forward(self.cut_network_, samples, batch_size=self.batch_size, progress=progress)

    def _check_input(self, X: Inputs) -> NDArray[Any] | list[NDArray[Any]]:
        """Return the array that the cut network takes, or a list of arrays."""
        return _check_inputs(self.cut_network_, self._chosen_inputs(X))

    def _chosen_inputs(self, X: Inputs) -> Inputs:
        """Select the inputs of the network that the features depend on."""
        names = [tensor.name for tensor in self.network.inputs]
        chosen = [tensor.name for tensor in self.cut_network_.inputs]
        # Only a list is reduced: a dict is read by name, and a single array is the one input.
        if not (isinstance(X, (list, tuple)) and len(X) == len(names) > len(chosen)):
            return X
        inputs = [X[names.index(name)] for name in chosen]
        return inputs[0] if len(inputs) == 1 else inputs

    def _declared_features(self) -> int | None:
        """Return the number of features, or None if it depends on the size of the images."""
        sizes = tuple(self.cut_network_.outputs[0].shape[1:])
        return None if None in sizes else int(np.prod(sizes))

    def _count_features(self, X: NDArray[Any] | list[NDArray[Any]]) -> int:
        declared = self._declared_features()
        if declared is not None:  # the rest would take longer than passing a single image
            return declared
        arrays = X if isinstance(X, list) else [X]
        # Keras infers the shape without running the network.
        shapes = [(1, *each.shape[1:]) for each in arrays]
        shape = self.cut_network_.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])
        return int(np.prod(shape[1:]))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Networks take images more often than rows; features are float32 whatever they are given.
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        if self.n_features_out_ is None:
            raise ValueError(
                f"The number of features of {self.layer_!r} depends on the images' size: pass "
                "images to fit."
            )
        return self.n_features_out_


def _check_inputs(network: Network, X: Inputs) -> Any:
    """Return the array that a network takes, or a list of arrays, after checking each."""
    given: Any = as_inputs(network, X)
    shapes = [tuple(tensor.shape[1:]) for tensor in network.inputs]
    if not isinstance(given, list):
        return _check_array(given, shapes[0])
    return [_check_array(each, shape) for each, shape in zip(given, shapes, strict=True)]


def _check_array(X: NDArray[Any], shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return one input with samples of this shape, after checking its values."""
    X = check_shape(X, shape)
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        raise ValueError("X contains NaN or infinity; drop or fix these samples.")
    return X


def check_shape(X: NDArray[Any], shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return an array with the channel axis that the network needs, or raise if it does not fit."""
    # Grayscale images are often stored without the channel axis that Keras needs.
    if shape[-1:] == (1,) and X.ndim == len(shape) and not _fits(X.shape, shape):
        X = X[..., np.newaxis]
    if not _fits(X.shape[1:], shape):
        raise ValueError(_wrong_shape(X, shape))
    return X


def _fits(given: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(given) == len(shape) and all(want in (None, n) for want, n in zip(shape, given))


def _wrong_shape(X: NDArray[Any], shape: tuple[int | None, ...]) -> str:
    if _fits(X.shape, shape) or (shape[-1:] == (1,) and _fits(X.shape, shape[:-1])):
        return f"X is one sample, of shape {X.shape}; pass X[None], an array with one sample."
    if len(shape) == 3 and X.ndim in (3, 4):
        return (
            f"The images are {_times(X.shape[1:])}; the network takes {_times(shape)}: "
            f"{_how_to_fit(X.shape, shape)}."
        )
    return f"The network takes samples of shape {shape}; got X of shape {X.shape}."


def _how_to_fit(given: tuple[int, ...], shape: tuple[int | None, ...]) -> str:
    """Say how images of a shape, the number of samples included, come to fit a network."""
    if len(given) == 3:  # without an axis for the channels
        repeated = f"numpy.repeat(X[..., None], {shape[-1]}, axis=-1)"
        return f"they have no channels; make {shape[-1]} of the gray one with {repeated}"
    # The likeliest mistake first: torch's order, with the channels before height and width.
    if _fits((given[2], given[3], given[1]), shape):
        return "move their channels last, as with numpy.moveaxis(X, 1, -1)"
    match given[-1], shape[-1]:
        case n, wanted if wanted in (None, n):
            return "resize them"
        case 1, wanted:
            return f"repeat their gray channel, as with numpy.repeat(X, {wanted}, axis=-1)"
        case 4, 3:
            return "drop their alpha channel, as with X[..., :3]"
        case _, wanted:
            return f"give them {wanted} channel{'' if wanted == 1 else 's'}"


def _times(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)


def predict_probabilities(
    network: Network, X: Inputs, *, batch_size: int = 256, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Compute the probabilities of a network, in inference mode.

    Parameters
    ----------
    network : keras.Model
        A trained network.
    X : ndarray of shape (n_samples, ...)
        Inputs of the network; with several, a list or a dict by name.
    batch_size : int, default=256
        Maximum number of samples per pass.
    progress : Progress, optional
        Observer of every batch.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float32
        Logits, and outputs with negative values among them, pass through a softmax, or through a
        sigmoid if there is a single output. A single output becomes two columns, and is the second.
        Sigmoids of several classes are scaled to sum to one, which keeps their order.

    Raises
    ------
    ValueError
        If the samples do not have the shape that the network takes, if it has several outputs, or
        if it is not clear whether they are probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import build_network, predict_probabilities
    >>> network = build_network("compact", (8, 8, 1), 3)
    >>> predict_probabilities(network, np.zeros((2, 8, 8, 1))).sum(axis=1).round(3).tolist()
    [1.0, 1.0]
    """
    inputs = _check_inputs(network, X)
    step = "predict with the network"
    outputs = forward(network, inputs, batch_size=batch_size, progress=progress, step=step)
    # A negative value is no probability, whatever the graph says.
    are_logits = _keras.ends_in_logits(network, outputs) or bool((outputs < 0).any())
    if outputs.shape[1] == 1:
        positive = expit(outputs) if are_logits else outputs
        return np.hstack([1 - positive, positive])
    if are_logits:
        return softmax(outputs, axis=1)
    total = outputs.sum(axis=1, keepdims=True)
    if np.allclose(total, 1, atol=_ROUNDING):
        return outputs  # already a softmax: dividing would only round it again
    # All sigmoids may be zero at once.
    return outputs / np.maximum(total, np.finfo(np.float32).tiny)


def numbers_classes(network: Network, n_classes: int) -> bool:
    """Return whether a network has one output per class, or a single one for two classes."""
    outputs = getattr(network, "outputs", None) or []
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        return False
    return outputs[0].shape[-1] == n_classes or (outputs[0].shape[-1], n_classes) == (1, 2)
