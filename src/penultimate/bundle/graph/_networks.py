"""The network of a model in its graph: from images, or vectors, to features.

A network that is cut at several layers is added once for each, and computed once (`GraphBuilder`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.bundle.graph._images import beyond_none, first, prepare_images
from penultimate.bundle.graph._transformers import transform
from penultimate.classifiers._base import NetworkClassifier
from penultimate.networks.adapting import adapt
from penultimate.networks.exporting import export_network, export_whole
from penultimate.networks.extraction import FeatureExtractor
from penultimate.networks.frameworks.frozen import ExportError
from penultimate.networks.preprocessing import Preprocessing

FEATURES = "features"


@transform.register
def _(step: FeatureExtractor, graph: GraphBuilder, samples: str | None) -> str:
    if samples is not None or step.preprocessing_ is None:
        raise ExportError(
            "A FeatureExtractor in a pipeline must be its first step, and have a preprocessing "
            "that says what is done to images: FeatureExtractor(network, "
            "preprocessing=Preprocessing(...))."
        )
    return features_of(graph, step, step.preprocessing_)


def features_of(
    graph: GraphBuilder,
    extractor: FeatureExtractor,
    preprocessing: Preprocessing | None,
    *,
    alone: bool = True,
) -> str:
    """Return the features of images, followed by those that come in as such.

    Parameters
    ----------
    graph : GraphBuilder
    extractor : FeatureExtractor
        Fitted.
    preprocessing : Preprocessing or None
        What is done to images; None for a network that takes vectors, the input of the graph.
    alone : bool, default=True
        Whether these features are all that is computed of images, so that they may come in.
    """
    network = export_network(extractor)
    computed = computed_by(graph, network, "features", preprocessing)
    if preprocessing is None or not alone:
        return computed
    width = network.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    given = graph.input(FEATURES, TensorProto.FLOAT, ["rows", width or "features"])
    return graph.add("Concat", computed, given, axis=0)


def computed_by(
    graph: GraphBuilder, network: onnx.ModelProto, output: str, preprocessing: Preprocessing | None
) -> str:
    """Return what a network computes of the graph's images or, without a preprocessing, vectors."""
    dims = network.graph.input[0].type.tensor_type.shape.dim
    shape = [each.dim_value or None for each in dims][1:]
    if preprocessing is None:
        rows = graph.input(
            FEATURES, TensorProto.FLOAT, ["rows", *(each or "width" for each in shape)]
        )
        return graph.absorb(network, {network.graph.input[0].name: rows}, "network")[output]
    prepared, count = beyond_none(graph, prepare_images(graph, preprocessing), shape)
    found = graph.absorb(network, {network.graph.input[0].name: prepared}, "network")
    return first(graph, found[output], count)


def probabilities_of(
    graph: GraphBuilder,
    network: object,
    preprocessing: Preprocessing | None,
    samples: NDArray[Any] | None = None,
) -> str:
    """Return the probabilities of a whole network, as `predict_probabilities` does.

    Parameters
    ----------
    graph : GraphBuilder
    network : object
    preprocessing : Preprocessing or None
        As in `computed_by`.
    samples : ndarray of shape (n_samples, ...), optional
        Some as the network takes them, for one that states no shapes.

    Raises
    ------
    ExportError
        If it is not clear whether the network gives probabilities.
    """
    whole = export_whole(network, samples)
    outputs = computed_by(graph, whole, "outputs", preprocessing)
    try:
        are_logits = adapt(network).gives_logits()
    except ValueError as error:
        raise ExportError(str(error)) from error
    if whole.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 1:
        second = graph.add("Sigmoid", outputs) if are_logits else outputs
        first_class = graph.add("Sub", graph.constant(1, np.float32), second)
        return graph.add("Concat", first_class, second, axis=1)
    if are_logits:
        return graph.add("Softmax", outputs, axis=1)
    # Sigmoids of several classes are scaled to sum to one; a softmax does so already.
    total = graph.add("ReduceSum", outputs, graph.constant([1]), keepdims=1)
    least = graph.constant(np.finfo(np.float32).tiny, np.float32)
    return graph.add("Div", outputs, graph.add("Max", total, least))


def preprocessing_of(model: NetworkClassifier, extractor: FeatureExtractor) -> Preprocessing | None:
    """Return what a classifier with a network does to images; None if it takes vectors.

    Without a `Preprocessing` the classifier was fitted on arrays of one size. Images of this size
    are given to the network as they are; others are resized to it.

    Raises
    ------
    ExportError
        If it is not known how pixels become what the network takes.
    """
    if extractor.preprocessing_ is not None:
        return extractor.preprocessing_
    return prepared_for(model, extractor.input_shape_)


def prepared_for(model: NetworkClassifier, shape: object) -> Preprocessing | None:
    """Return what is done to images for a network of arrays of a shape; None of vectors."""
    if not isinstance(shape, tuple) or len(shape) != 3:
        return None
    return plain_preprocessing(model, shape)


def plain_preprocessing(model: NetworkClassifier, shape: Sequence[int | None]) -> Preprocessing:
    """Return what is done to images for a network of arrays of this shape."""
    first_axis = shape[0] in (1, 3) and shape[2] not in (1, 3)
    height, width, n_channels = (*shape[1:], shape[0]) if first_axis else shape
    if n_channels not in (1, 3):
        raise ExportError(
            f"The network of {type(model).__name__} takes {n_channels} channels: images have 1 "
            "or 3."
        )
    values = model._form.values
    unit = not model._form.takes_pixels and values.white == 1 and values.low >= 0
    if not (model._form.takes_pixels or unit or (values.white == 255 and values.low >= 0)):
        raise ExportError(
            f"This {type(model).__name__} was fitted on values from {values.low:g} to "
            f"{values.high:g}, and nothing says how pixels become these. State it: network="
            "FeatureExtractor(network, preprocessing=Preprocessing(scale=..., mean=..., std=...)), "
            "fitted on images."
        )
    return Preprocessing(
        size=None if height is None or width is None else (height, width),
        scale=1 / 255 if unit else 1.0,
        channels="gray" if n_channels == 1 else "rgb",
        interpolation="bicubic",
        channels_first=first_axis,
    )
