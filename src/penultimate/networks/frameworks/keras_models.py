"""The Keras adapter: cutting a model at a layer, and properties of its inputs and outputs.

All questions are answered from the graph of the model (``graph.py``) by the rules in
``classifying.py``; only where that shows nothing is the model run, on noise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.protocols import Layer, Network, Tensor, Variable
from penultimate.networks._forward import forward, several_outputs
from penultimate.networks.frameworks import classifying
from penultimate.networks.frameworks.backend import import_keras, is_keras_model
from penultimate.networks.frameworks.frozen import scores_by_values
from penultimate.networks.frameworks.graph import Graph, Value, bare, has_graph

_TRIED = 8  # samples of noise
_SCALES_PIXELS = 1 / 100  # 1 / 255 and 1 / 127.5 do
# What may come before the pixels are scaled: it changes where they are, not what they mean.
_KEEPS_PIXELS = ("aug", "centercrop", "cropping", "identity", "rand", "resizing", "zeropadding")


@dataclass(frozen=True)
class Cut:
    """A network up to one of its values.

    Attributes
    ----------
    network : keras.Model
        From the inputs that the value depends on to the value.
    layer : str
        The layer that makes the value, by a name that finds it again.
    place : str
        Position of the value, in words.
    gives_probabilities : bool
    """

    network: Network
    layer: str
    place: str
    gives_probabilities: bool


def make_cut(model: Network, layer: str, n_classes: int | None = None) -> Cut:
    """Cut `model` at a layer.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, possibly with such models nested in it.
    layer : str
        A layer's name, or ``"penultimate"``: the input of the classifying layer, before dropout.
        Without a classifying layer, the output of the network.
    n_classes : int, optional
        Where it is unclear whether the outputs are classes, this number of outputs is taken as
        such.

    Returns
    -------
    Cut

    Raises
    ------
    ValueError
        If the model has no graph of layers or no such layer, or the layer is ambiguous; the message
        lists the layers.
    """
    graph = Graph(model)
    if layer == "penultimate":
        value, place = _penultimate(graph, n_classes)
    else:
        value = graph.find(layer)
        place = f"the output of {layer!r}"
    probabilities = bool(classifying.gives_probabilities(value))
    return Cut(graph.until(value), graph.name(value), place, probabilities)


def cut(model: Network, layer: str) -> Network:
    """Return the part of `model` from its inputs to the output of a layer, as `make_cut` does."""
    return make_cut(model, layer).network


def takes_pixels(model: object) -> bool:
    """Return whether `model` takes images with pixels from 0 to 255 and starts by rescaling them.

    Parameters
    ----------
    model : object

    Returns
    -------
    bool
        False for anything but a Keras model with a graph of layers.

    Examples
    --------
    >>> from penultimate.networks import build_network, takes_pixels
    >>> takes_pixels(build_network("compact", (8, 8, 1), 2))
    True
    """
    if not is_keras_model(model) or not has_graph(model):
        return False
    graph = Graph(model)
    # Images only: four axes, with one or three channels last.
    shape = tuple(graph.inputs[0].tensor.shape)
    if len(graph.inputs) > 1 or len(shape) != 4 or shape[-1] not in (1, 3):
        return False
    values = [value for calls in graph.calls.values() for call in calls for value in call]
    # Forward from the input, on all branches: each must reach a rescaling before anything else.
    known, waiting, scaled = {id(graph.inputs[0])}, list(graph.inputs), False
    while waiting:
        taken = waiting.pop()
        for value in values:
            if id(value) in known or taken not in value.inputs:
                continue
            known.add(id(value))
            operation = value.operation
            if type(operation).__name__ == "Rescaling":
                # A rescaling of something else, such as of inputs that are already in [0, 1].
                if np.max(operation.scale) > _SCALES_PIXELS:
                    return False
                scaled = True
            elif type(operation).__name__.lower().startswith(_KEEPS_PIXELS):
                waiting.append(value)
            else:
                return False
    return scaled


def ends_in_logits(model: Network, outputs: NDArray[np.floating] | None = None) -> bool:
    """Say whether the outputs of `model` are scores, not probabilities.

    What makes the output says so. Where that can't be seen, as in a layer of the user's own or a
    subclassed model, the model is tried on noise: outputs that add up to one are probabilities, and
    so are positive ones that are made of probabilities, as in a clip or a product.

    Parameters
    ----------
    model : keras.Model
    outputs : ndarray of shape (n_samples, n_outputs), optional
        Those of samples, which are looked at beside those of noise.

    Raises
    ------
    ValueError
        If there are several outputs, or what there is has two readings.
    """
    made_of: set[str] = set()
    if has_graph(model):
        graph = Graph(model)
        # Each may be something else: one question has no answer for all of them.
        if len(graph.outputs) > 1:
            raise ValueError(several_outputs(model, len(graph.outputs)))
        probabilities = classifying.gives_probabilities(graph.outputs[0])
        if probabilities is not None:
            return not probabilities
        made_of = classifying.sources(graph.outputs[0])
    of_noise = _outputs_of_noise(model)
    if of_noise is None:
        return True
    tried = of_noise if outputs is None else np.concatenate([of_noise, outputs])
    are_scores = scores_by_values(tried, made_of)
    if are_scores is None:
        raise ValueError(_two_readings(model, float(tried.min()), float(tried.max())))
    return are_scores


def giving_scores(model: Network) -> Network:
    """Return `model` without the softmax or sigmoid at its end; it then outputs signed scores.

    Raises
    ------
    ValueError
        If the model ends in another activation, or has no graph of layers.
    """
    # Scores are what enters the softmax: either a setting of the last layer, or a layer itself.
    graph = Graph(model)
    output = graph.outputs[0]
    end = classifying.end_of(output)
    name, function = classifying.kind_of(end.operation), _activation_of(end.operation)
    has_weights = bool(getattr(end.operation, "weights", []))
    if name in classifying.PROBABILITIES:
        # The activation is a setting of the layer: no layer has to be removed.
        if has_weights and function is not None:
            end.operation.activation = import_keras().activations.linear
            return model
        # A softmax that is an operation of its own is cut off.
        if end is output and len(end.inputs) == 1:
            scores = graph.tensor(end.inputs[0])
            return import_keras().Model(bare(model.inputs), scores, name=model.name)
    elif (has_weights and function is None) or name == "linear":
        return model
    raise ValueError(
        f"A margin loss takes scores of either sign, and the network {model.name!r} ends in "
        f"{name!r}. End it in a layer without activation, or in a softmax, which is then removed."
    )


def classifying_layer(model: Network) -> Layer:
    """Return the layer with the weight matrix that makes the outputs.

    Raises
    ------
    ValueError
        If there is no such layer, or several.
    """
    # By the layer: one that is called again, or has several outputs, counts once.
    found = {id(each.operation): each for each in classifying.makers(Graph(model).outputs[0])}
    if len(found) != 1:
        names = [each.path for each in found.values()]
        raise ValueError(
            f"The network {model.name!r} has no layer with a weight matrix."
            if not found
            else f"The outputs of the network {model.name!r} are made by several layers, {names}; "
            "end it in one."
        )
    return next(iter(found.values())).operation


def weight_matrix(layer: Layer) -> Variable:
    """Return the weight matrix of a classifying layer, without its bias.

    Raises
    ------
    ValueError
        If there is not exactly one matrix.
    """
    # Dense layers and convolutions name it; any other layer must have just one matrix.
    if (kernel := getattr(layer, "kernel", None)) is not None:
        return kernel
    weights = getattr(layer, "trainable_weights", [])  # a function has none
    matrices = [weight for weight in weights if len(weight.shape) > 1]
    if len(matrices) != 1:
        raise ValueError(
            f"The layer {layer.name!r} has {len(matrices)} weight matrices; the penalty of a "
            "margin loss is on one. End the network in a Dense layer."
        )
    return matrices[0]


def predicted_codes(outputs: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return class indices from outputs: the largest, or the sign of a single one."""
    return (outputs[:, 0] > 0).astype(np.int64) if outputs.shape[1] == 1 else outputs.argmax(axis=1)


@contextmanager
def computing_in_bfloat16(model: Network) -> Iterator[None]:
    """Make the layers of `model` compute in bfloat16, on weights that stay float32.

    The layer that makes the outputs and everything after it keep their precision, and with them the
    outputs and the loss. A function that the backend compiles in this context keeps computing in
    bfloat16; compile all others outside.
    """
    layers = list(leaves(model))
    # Without a graph, the last layer is taken for the one that makes the outputs.
    kept = _makes_outputs(model) if has_graph(model) else {id(each) for each in layers[-1:]}
    inner = [layer for layer in layers if id(layer) not in kept]
    policies = [layer.dtype_policy for layer in inner]
    try:
        for layer in inner:
            layer.dtype_policy = "mixed_bfloat16"
        yield
    finally:
        for layer, policy in zip(inner, policies):
            layer.dtype_policy = policy


def _penultimate(graph: Graph, n_classes: int | None) -> tuple[Value, str]:
    found: dict[int, tuple[Value, str]] = {}
    for output in graph.outputs:
        reading = classifying.read(output, graph)
        shape = tuple(graph.tensor(output).shape[1:])
        # The labels decide an unclear case, provided that only one tensor could be meant.
        numbers_classes = shape == (n_classes,) or (shape, n_classes) == ((1,), 2)
        if reading.kind == "unclear" and not (numbers_classes and len(reading.given) == 1):
            raise ValueError(_unclear(graph, output, reading))
        if reading.kind == "features":
            value, place = classifying.without_dropout(output), "the network's output"
        else:
            value = reading.given[0]
            names = [graph.name(maker) for maker in classifying.makers(output)]
            place = f"the input of {' and '.join(map(repr, names))}"
        found.setdefault(id(value), (value, place))
    if len(found) > 1:
        names = [graph.name(value) for value, _ in found.values()]
        raise ValueError(
            f"The network {graph.model.name!r} has {len(graph.outputs)} outputs, with different "
            f"penultimate layers. Name one: layer={_either(names)}."
        )
    return next(iter(found.values()))


def _unclear(graph: Graph, output: Value, reading: classifying.Reading) -> str:
    names = [graph.name(value) for value in reading.given]
    before = f"layer={_either(names)} (the input of the scores), or " if names else ""
    return (
        f"It is not clear which layer of the network {graph.model.name!r} is the penultimate one: "
        f"{reading.why}. Name it: {before}layer={graph.name(output)!r} (the network's output)."
    )


def _either(names: list[str]) -> str:
    return " or ".join(map(repr, names))


def _activation_of(operation: Layer) -> Callable[..., Tensor] | None:
    return getattr(operation, "activation", None)


def _outputs_of_noise(model: Network) -> NDArray[np.float32] | None:
    """Return the outputs for a few samples of noise; None where the inputs are unknown."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    # The same noise each time: the answer must not depend on chance. Sizes that the network leaves
    # open become 32, which most poolings survive.
    rng = np.random.default_rng(0)
    samples = [rng.random((_TRIED, *(size or 32 for size in each.shape[1:]))) for each in inputs]
    return forward(model, samples, batch_size=_TRIED)


def _two_readings(model: Network, low: float, high: float) -> str:
    end = repr(model.name)
    if has_graph(model):
        end += f", which ends in {Graph(model).outputs[0].operation.name!r},"
    return (
        f"It is not clear whether the outputs of the network {end} are probabilities: they go from "
        f"{low:.3g} to {high:.3g}. End it in a softmax or sigmoid of Keras's for probabilities, or "
        "in a layer without activation for logits. Or pass a network that gives a probability for "
        "each class, adding up to one; of a single p: keras.Model(network.inputs, "
        "keras.ops.concatenate([1 - p, p], axis=1)), with p = network.outputs[0]."
    )


def _makes_outputs(model: Network) -> set[int]:
    """Return the operations from the outputs back to those that make them, by identity."""
    graph = Graph(model)
    found, waiting = set(), list(graph.outputs)
    # Whatever comes before the layer that makes the outputs may compute in bfloat16.
    stop = {id(maker) for output in graph.outputs for maker in classifying.makers(output)}
    while waiting:
        value = waiting.pop()
        found.add(id(value.operation))
        if id(value) not in stop:
            waiting += value.inputs
    return found


def leaves(model: Network) -> Iterator[Any]:
    """Yield the layers of a model, those of nested models, too."""
    for layer in model.layers:
        if isinstance(layer, import_keras().Model):
            yield from leaves(layer)
        else:
            yield layer
