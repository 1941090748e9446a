"""Features from a layer of a trained network, as a scikit-learn transformer.

`FeatureExtractor` asks the adapter of the network's framework for a cut (``frameworks/frozen.py``)
and runs it in batches (``_forward.py``), on arrays as they are or, with a `Preprocessing`, on
images of any size that threads decode and prepare meanwhile (``_images.py``). Nothing is learned
from the samples.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import copy
from pathlib import PurePath
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from penultimate._common.data_objects import as_samples
from penultimate._common.frames import level_outside
from penultimate._common.image_items import Images
from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Inputs
from penultimate._common.scales import InputScale
from penultimate._common.validation import check_choice, check_number
from penultimate.networks._cutting import (
    CutNetwork,
    blank_example,
    check_layer,
    completed,
    example_of,
)
from penultimate.networks._forward import collect, in_batches, padded_batches
from penultimate.networks._images import images_per_pass, prepared_batches
from penultimate.networks._inputs import check_inputs
from penultimate.networks._own_features import check_finite, check_own
from penultimate.networks.adapting import HoldsNetwork, adapt
from penultimate.networks.arguments import check_extracted
from penultimate.networks.frameworks.frozen import Candidate, Cut, FrozenNetwork
from penultimate.networks.pooling import POOLINGS
from penultimate.networks.preprocessing import Preprocessing, warn_if_scaled_twice

# Features of a flattened map beyond which a head learns little from the usual number of samples.
_MANY = 10_000


class FeatureExtractor(
    HoldsNetwork, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """The activations of a trained network at one or several of its layers.

    The network is frozen: its weights do not change, dropout is off, and it is left in the mode in
    which it was. Without `preprocessing` it receives `X` unchanged except for a cast to float32, so
    preprocess `X` as for its training.

    Parameters
    ----------
    network : keras.Model, torch.nn.Module, str, Path, onnx.ModelProto or callable
        A trained network: a Keras model, functional or Sequential; a torch module; an ONNX model or
        the path of one (``.onnx``); the name of a pretrained network; or a function from a batch,
        an array, to features of shape (n_samples, n_features).
    layer : str or list of str, default="penultimate"
        The name of a layer, or ``"penultimate"``: the input of the last classifying layer, before
        dropout. Without a classifying layer, as in a headless backbone or an embedding network,
        that is the network's output. The features of a list of layers are concatenated.

        In Keras, a layer of a nested model is found by its name or as ``"backbone/pooled"``; in
        torch, a submodule by its dotted name, one of its outputs as ``"lstm[0]"`` or
        ``"encoder[last_hidden_state]"``, and what it is given as ``"input of fc"``; in ONNX, a
        tensor or a node. What is called several times is ``"relu:0"``, ``"relu:1"``, in the order
        of the calls. `layers` lists all.
    batch_size : int, default=256
        Maximum number of samples per pass, which determines the memory; large images that are
        prepared here are passed in smaller batches. For Keras a smaller batch
        is padded to the next power of two, a single sample to two. The features of a sample do not
        depend on the other samples in its batch; their number may change the rounding, if a backend
        has several routines.
    preprocessing : Preprocessing, optional
        What is done to images before the network sees them. With it, `X` may hold images of any
        size: arrays with pixels from 0 to 255 (floats from 0 to 1), Pillow images, or paths.
    pooling : {"auto", "avg", "max", "gem"} or None, default="auto"
        How feature maps and sequences become one row per sample: by the average, the maximum or the
        generalized mean of each channel; None flattens them. ``"auto"`` averages for networks that
        are pretrained by name, and flattens for others.
    mirror : bool, default=False
        Whether features are averaged with those of the image mirrored left to right, which takes
        twice as long. On photographs, selection within development parts sees no gain from it
        (benchmarks/results/photo_menus.md), so nothing chooses it by itself.

    Attributes
    ----------
    layer_ : str or list of str
        Name of the layer that outputs the features, in the form that `layer` takes.
    cut_at_ : str
        Position of the cut: ``"the input of 'predictions'"``, ``"the network's output"`` or ``"the
        output of 'block_3'"``.
    n_features_out_ : int or None
        Number of features. If it depends on the size of the images, which the network leaves open,
        it is that of the images passed to `fit`, or None.
    input_shape_ : tuple of int, or dict of str to tuple of int
        Shape of one sample; with several inputs, a dict by their names. None if the network does
        not state it.
    preprocessing_ : Preprocessing or None
        What is done to images: `preprocessing`, or what belongs to a network pretrained by name,
        with the size and the order of axes that the network takes.
    pooling_ : {"avg", "max", "gem"} or None
        How feature maps are pooled.

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

    def __init__(
        self,
        network: object,
        *,
        layer: str | list[str] = "penultimate",
        batch_size: int = 256,
        preprocessing: Preprocessing | None = None,
        pooling: str | None = "auto",
        mirror: bool = False,
    ) -> None:
        self.network = network
        self.layer = layer
        self.batch_size = batch_size
        self.preprocessing = preprocessing
        self.pooling = pooling
        self.mirror = mirror

    def fit(self, X: Inputs | None = None, y: ArrayLike | None = None) -> Self:
        """Cut the network; nothing is learned from the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or sequence of images, optional
            Samples whose shape is checked; a torch module does not state its own, and needs them
            or a preprocessing with a size. For a network with several inputs, a list in their order
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
            If the network is none of the above, or `X` is not numeric.
        ValueError
            If the layer does not exist or is ambiguous; if the shape of `X` does not match the
            network's input, or `X` contains NaN or infinity.

        Warns
        -----
        UserWarning
            If the layer outputs probabilities, which are poor features for an SVM; if a flattened
            feature map has very many features.
        """
        frozen, layers = self._check_parameters()
        labels = np.asarray([] if y is None else y)
        # One-hot rows and missing labels leave the number of classes open.
        n_classes = len(set(labels.tolist())) if labels.ndim == 1 and len(labels) else None
        # With a preprocessing, `X` is images of any size; without one, arrays as the network takes.
        images = None if X is None or self.preprocessing_ is None else Images.of(X)
        # Where a network does not state its shapes, what it computes from this shows them.
        example = example_of(frozen, self.preprocessing_, X, images)
        self._set_cut(frozen, [frozen.cut(layer, n_classes, example) for layer in layers])
        self._fitted_to = self.network
        network = self._network
        for each in network.cuts:
            if each.gives_probabilities:
                warnings.warn(
                    f"The layer {each.layer!r} outputs probabilities: softmax output fed to an SVM "
                    "has lost most of the information in the network. Cut it before its "
                    "classifying layer.",
                    UserWarning,
                    stacklevel=2,
                )
        shapes = {each.name: each.shape for each in network.inputs}
        # Nearly all networks have one input, whose shape is easier to use than a dict of one.
        self.input_shape_ = shapes if len(shapes) > 1 else next(iter(shapes.values()), None)
        self._scale: InputScale | None = None  # of arrays, so that `transform` warns of another
        self._factor = None if images is None else images.factor
        self.n_features_out_ = network.count_features()
        if X is not None and images is None:
            samples = self._check_input(X)
            self.n_features_out_ = network.count_features([each.shape[1:] for each in samples])
            if len(samples) == 1 and len(samples[0]):
                self._scale = InputScale.of(samples[0])
        elif isinstance(example, list):
            # Every image gets the size of the example.
            self.n_features_out_ = network.count_features([each.shape[1:] for each in example])
        count = self.n_features_out_
        # Who asks for no pooling by name gets none, without a word.
        unasked = self.pooling == "auto" and self.pooling_ is None
        if unasked and count is not None and count > _MANY and network.maps:
            warnings.warn(
                f"The feature map of {network.maps[0]!r} is flattened to {count:,} features. "
                "pooling='avg' gives one per channel.",
                UserWarning,
                stacklevel=2,
            )
        return self

    def fit_whole(self, X: Inputs | None) -> Self:
        """Cut nothing off: take the network's only output, whatever it means.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or sequence of images, or None
            Samples, as in `fit`; None if the network states what it takes.

        Returns
        -------
        self
        """
        frozen, _ = self._check_parameters()
        images = None if self.preprocessing_ is None else Images.of(X)
        self._factor = None if images is None else images.factor
        example = example_of(frozen, self.preprocessing_, X, images)
        self._set_cut(frozen, [frozen.whole(example)])
        # Neither is known of a subclassed model of Keras's.
        self.n_features_out_, self._scale = None, None
        return self

    def _check_parameters(self) -> tuple[FrozenNetwork, list[str]]:
        """Return the network's adapter and the layers, after checking all parameters."""
        owner = "FeatureExtractor"
        check_extracted(self.network, owner)
        layers = check_layer(self.layer)
        check_number(self.batch_size, "batch_size", owner, low=1, integer=True)
        if self.preprocessing is not None and not isinstance(self.preprocessing, Preprocessing):
            raise TypeError(
                "The 'preprocessing' parameter of FeatureExtractor must be a Preprocessing, such "
                f"as Preprocessing(size=224, scale=1 / 255); got {self.preprocessing!r}."
            )
        check_choice(self.pooling, "pooling", owner, ("auto", *POOLINGS, None))
        frozen = adapt(self.network)
        self.preprocessing_ = self.preprocessing or frozen.preprocessing
        if self.preprocessing_ is not None:
            self.preprocessing_ = completed(self.preprocessing_, frozen)
        if self.preprocessing is not None and frozen.takes_pixels():
            warn_if_scaled_twice(self.preprocessing)
        self.pooling_ = self.pooling
        if self.pooling == "auto":
            # Networks pretrained by name average their last map themselves; other maps of theirs
            # are treated alike. What a user's own network means by its maps is not known.
            self.pooling_ = None if frozen.preprocessing is None else "avg"
        return frozen, layers

    def _set_cut(self, frozen: FrozenNetwork, cuts: Sequence[Cut]) -> None:
        prepare = self.preprocessing_
        # What a mirror flips: the axis of the width, counting that of the samples.
        first = frozen.channels_first() if prepare is None else prepare.channels_first
        width = (3 if first else 2) if self.mirror else None
        self._cut: CutNetwork | None = CutNetwork(frozen, tuple(cuts), self.pooling_, width)
        self._are_own = False
        layers = self._cut.layers
        self.layer_ = layers if len(layers) > 1 else layers[0]
        self.cut_at_ = self._cut.place
        # Kept by copies, from which the rest is made anew.
        self._inputs = self._cut.inputs

    def layers(self, X: Inputs | None = None) -> list[Candidate]:
        """List where the network can be cut.

        Parameters
        ----------
        X : array-like, optional
            Samples, as in `fit`, for a network that does not state its shapes; a fitted extractor
            knows those that it was fitted with.

        Returns
        -------
        list of Candidate
            With the attributes `layer`, `kind`, `shape` and `n_values`, from the network's input to
            its output.

        Examples
        --------
        >>> from penultimate import FeatureExtractor
        >>> from penultimate.networks import build_network
        >>> network = build_network("compact", (16, 16, 1), 10)
        >>> candidate = FeatureExtractor(network).layers()[-3]
        >>> candidate.layer, candidate.kind, candidate.n_values
        ('features', 'ReLU', 128)
        """
        frozen, _ = self._check_parameters()
        images = None if X is None or self.preprocessing_ is None else Images.of(X)
        example = example_of(frozen, self.preprocessing_, X, images)
        # Of the network that was fitted, and not of one that was set since.
        if example is None and not frozen.states_shapes and self._fitted_to is self.network:
            example = blank_example(self._inputs)
        return frozen.candidates(example)

    def transform(self, X: Inputs) -> NDArray[np.float32]:
        """Compute features.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or sequence of images
            Inputs of the network; with a preprocessing, images as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32

        Raises
        ------
        ValueError
            If the shape of `X` does not match the network's input or, where the number of features
            depends on it, the shape in `fit`; if `X` or a feature is NaN or infinity; if the
            features of a sample depend on the other samples in its batch, or on chance.

        Warns
        -----
        UserWarning
            If `X` is on another scale than the samples in `fit`, or than the pixels from 0 to 255
            of a network that begins by rescaling them.
        """
        check_is_fitted(self)
        if self.preprocessing_ is None:
            self._warn_of_scale(X)
        return extracted(self, X)

    def _warn_of_scale(self, X: Inputs) -> None:
        arrays = self._check_input(X)
        if len(arrays) > 1 or not len(arrays[0]):
            return
        words, samples = "", arrays[0]
        low, high = samples.min(), samples.max()
        if self._network.frozen.takes_pixels() and (low < 0 or 0 < high <= 1):
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

    def stream(
        self,
        X: Inputs,
        rows: Sequence[int] | NDArray[np.int64] | None = None,
        on_error: Callable[[int, ValueError], None] | None = None,
    ) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """Compute features batch by batch, in memory that does not grow with their number.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or sequence of images
            Inputs of the network; with a preprocessing, images as in `fit`.
        rows : sequence of int, optional
            Which samples, in this order; all of them by default.
        on_error : callable, optional
            Called with the position in `rows` and the error of an image that can't be read, whose
            features are those of a black one; a batch in which none can be read is left out. By
            default the error is raised.

        Yields
        ------
        start, stop : int
            Positions in `rows`.
        features : ndarray of shape (stop - start, n_features), float32
        """
        for start, stop, each in self.stream_each(X, rows, on_error):
            yield start, stop, joined(each)

    def stream_each(
        self,
        X: Inputs,
        rows: Sequence[int] | NDArray[np.int64] | None = None,
        on_error: Callable[[int, ValueError], None] | None = None,
    ) -> Iterator[tuple[int, int, list[NDArray[np.float32]]]]:
        """Do the same as `stream`, with one array of features per layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or sequence of images
            Inputs of the network; with a preprocessing, images as in `fit`.
        rows : sequence of int, optional
            Which samples, in this order; all of them by default.
        on_error : callable, optional
            As in `stream`.

        Yields
        ------
        start, stop : int
            Positions in `rows`.
        features : list of ndarray of shape (stop - start, n_features), float32
        """
        check_is_fitted(self)
        network = self._network
        # Where each size of batch is compiled, there are a few; the padding is cut off below.
        padded = network.frozen.compiles_per_size
        if self.preprocessing_ is not None:
            images = Images.of(X, self._factor, self.preprocessing_.decoded_size)
            size = images_per_pass(images, self.preprocessing_, self.batch_size)
            batches = prepared_batches(
                images, self.preprocessing_, batch_size=size, rows=rows, on_error=on_error
            )
            if padded:
                batches = padded_batches(batches, size)
        else:
            samples = self._check_sizes(self._check_input(X))
            chosen = samples if rows is None else [each[np.asarray(rows)] for each in samples]
            batches = in_batches(
                chosen,
                [each.dtype for each in network.inputs],
                batch_size=self.batch_size,
                padded=padded,
            )
        # Threads decode ahead: they end with this generator, also if nobody reads it to its end.
        with closing(batches):
            for start, stop, batch in batches:
                n_samples = stop - start
                features = network.compute(batch)
                check_finite(network, features, start, n_samples)
                # Asked once, with the first batch of several samples.
                self._are_own = self._are_own or check_own(network, batch, n_samples)
                yield start, stop, [each[:n_samples] for each in features]

    def extract_each(self, X: Inputs, progress: Progress = SILENT) -> list[NDArray[np.float32]]:
        """Compute the features of every layer in one pass, without concatenating them.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or sequence of images
            Inputs of the network; with a preprocessing, images as in `fit`.
        progress : Progress, optional
            Observer of every batch.

        Returns
        -------
        list of ndarray of shape (n_samples, n_features), float32
            In the order of `layer`.
        """
        n_samples = self.count(X)
        found: list[NDArray[np.float32]] = []
        for start, stop, parts in self.stream_each(X):
            # The widths may depend on the size of the images.
            found = found or [np.empty((n_samples, each.shape[1]), np.float32) for each in parts]
            for whole, part in zip(found, parts):
                whole[start:stop] = part
            progress.update("extract features", stop, n_samples)
        return found

    def at(self, layer: str) -> "FeatureExtractor":
        """Return a fitted extractor of one of the layers.

        Parameters
        ----------
        layer : str
            One of `layer_`.

        Returns
        -------
        FeatureExtractor
        """
        check_is_fitted(self)
        cut = self._network.at(layer)
        # A shallow copy: it shares the network, and only the cut is another.
        single = copy(self).set_params(layer=layer)
        single._set_cut(cut.frozen, cut.cuts)
        single.n_features_out_ = cut.count_features()
        return single

    def each(self, names: Sequence[str]) -> "dict[str, FeatureExtractor]":
        """Return a fitted extractor of each layer; see `at`.

        Parameters
        ----------
        names : sequence of str
            What to call the layers, such as the names by which they were asked for: `layer_` has
            those of the network, in the same order.

        Returns
        -------
        dict of str to FeatureExtractor
        """
        return {name: self.at(own) for name, own in zip(names, self.layer_, strict=True)}

    def count(self, X: Inputs) -> int:
        """Return the number of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or sequence of images
            Inputs of the network.

        Returns
        -------
        int
        """
        check_is_fitted(self)
        if self.preprocessing_ is not None:
            return len(Images.of(X, self._factor))
        return len(self._check_input(X)[0])

    def _check_sizes(self, samples: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Raise ``ValueError`` for images that have another number of features than in `fit`."""
        if self.n_features_out_ is not None:
            count = self._network.count_features([each.shape[1:] for each in samples])
            if count is not None and count != self.n_features_out_:
                raise ValueError(
                    "Images of this size, X of shape "
                    f"{samples[0].shape}, have {count} features at "
                    f"{self.layer_!r}, but those passed to fit had {self.n_features_out_}: resize "
                    "them to one size, or cut the network after a global pooling."
                )
        return samples

    @property
    def _network(self) -> CutNetwork:
        """The network that is cut, made anew in a copy."""
        if self._cut is None:
            frozen = adapt(self.network) if self._kept is None else self._kept
            layers = [self.layer_] if isinstance(self.layer_, str) else self.layer_
            self._set_cut(frozen, CutNetwork.again(frozen, layers, self._inputs).cuts)
        assert self._cut is not None
        return self._cut

    # The parameter `network` when it was fitted.
    _fitted_to: object = None
    # The network of a path, in a copy that was pickled.
    _kept: FrozenNetwork | None = None
    # Whether it is known that the features of a sample do not depend on other samples.
    _are_own = False

    def __getstate__(self) -> dict[str, Any]:
        # Sessions and compiled functions stay behind; the network comes along.
        state = super().__getstate__()
        if "_cut" not in state:
            return state
        # Of a path the network itself comes along: the file may be another one by then.
        of_path = isinstance(self.network, (str, PurePath))
        return {**state, "_cut": None, "_kept": self._network.frozen if of_path else None}

    def _check_input(self, X: Inputs) -> list[NDArray[Any]]:
        """Return the arrays that the cut network takes, one per input."""
        return check_inputs(self._inputs, self._chosen_inputs(X))

    def _chosen_inputs(self, X: Inputs) -> Inputs:
        """Select the inputs of the network that the features depend on."""
        if not isinstance(X, (Mapping, list, tuple)):
            X = as_samples(X, "FeatureExtractor")
        names = [each.name for each in self._network.frozen.inputs()]
        chosen = [each.name for each in self._inputs]
        # Only a list is reduced: a dict is read by name, and a single array is the one input.
        if not (isinstance(X, (list, tuple)) and len(X) == len(names) > len(chosen)):
            return X
        inputs = [X[names.index(name)] for name in chosen]
        return inputs[0] if len(inputs) == 1 else inputs

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


def extracted(
    extractor: FeatureExtractor,
    X: Inputs,
    progress: Progress = SILENT,
    *,
    step: str = "extract features",
) -> NDArray[np.float32]:
    """Return what `transform` returns, and report every batch to `progress`.

    Without its warning of another scale: that is for data that a user passes, not for what an
    estimator has checked by its own rules.
    """
    return collect(extractor.stream(X), extractor.count(X), progress=progress, step=step)


def joined(features: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Concatenate the features of several layers."""
    return features[0] if len(features) == 1 else np.concatenate(features, axis=1)


def together(extractors: Sequence[FeatureExtractor]) -> FeatureExtractor:
    """Return the extractor of the layers of several, which are of one network and fitted alike."""
    first = extractors[0]._network
    cuts: list[Cut] = []
    for each in extractors:
        own = each._network
        # Extractors that were copied have each adapted the network once more.
        if own.frozen is not first.frozen:
            own = own.again(first.frozen, own.layers, own.inputs)
        cuts += own.cuts
    whole = copy(extractors[0]).set_params(layer=[cut.layer for cut in cuts])
    whole._set_cut(first.frozen, cuts)
    counts = [each.n_features_out_ for each in extractors]
    whole.n_features_out_ = None if None in counts else sum(counts)
    return whole
