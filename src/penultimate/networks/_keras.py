"""The Keras adapter: cutting a model at a layer, and its forward pass in fixed-size batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._progress import SILENT, Progress
from penultimate.networks._backend import import_keras, is_keras_model

_PROBABILITIES = {"softmax", "sigmoid"}
_SCALES_PIXELS = 1 / 100  # 1 / 255 and 1 / 127.5 do


def cut(model: Any, layer: str) -> Any:
    """Return the part of `model` from its inputs to the output of a layer.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, possibly with such models nested in it.
    layer : str
        A layer's name, or ``"penultimate"``: the input of the last classifying layer, with the
        dropout and activations around it removed.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        If the model has no graph of layers, or no such layer; the message lists the layers.
    """
    keras = import_keras()
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"The network {model.name!r} is a subclassed model, or was not built, and has no graph "
            "to cut. Pass a functional or Sequential model that has its input shape."
        )
    if layer != "penultimate":
        for candidate in model.layers:
            if candidate.name == layer:
                return keras.Model(_inputs(model), candidate.output)
    elif not is_model(model.layers[-1]):
        return keras.Model(_inputs(model), _penultimate_tensor(model))
    for inner in reversed([candidate for candidate in model.layers if is_model(candidate)]):
        if layer == "penultimate" or layer in _names(inner):
            part = cut(inner, layer)
            return keras.Model(_inputs(model), part(inner.input))
    raise ValueError(
        f"The network {model.name!r} has no layer {layer!r}; choose 'penultimate' or one of "
        f"{_names(model)}."
    )


def is_model(layer: Any) -> bool:
    """Say whether a layer is a model nested in another."""
    return isinstance(layer, import_keras().Model)


def gives_probabilities(model: Any, layer: str) -> bool:
    """Say whether the layer that `cut` would end with is a softmax or a sigmoid."""
    if layer == "penultimate":
        return False
    for candidate in model.layers:
        if candidate.name == layer:
            if is_model(candidate):
                return gives_probabilities(candidate, candidate.layers[-1].name)
            return _activation(candidate) in _PROBABILITIES
        if is_model(candidate) and layer in _names(candidate):
            return gives_probabilities(candidate, layer)
    return False


def takes_pixels(model: Any) -> bool:
    """Say whether `model` takes images with pixels from 0 to 255, and begins by scaling them down.

    Parameters
    ----------
    model : object

    Returns
    -------
    bool
        False for what is no Keras model with a graph of layers.

    Examples
    --------
    >>> from penultimate.networks import build_network, takes_pixels
    >>> takes_pixels(build_network("compact", (8, 8, 1), 2))
    True
    """
    if not is_keras_model(model) or not getattr(model, "inputs", None):
        return False
    layer, shape = model, tuple(model.inputs[0].shape)
    while hasattr(layer, "layers"):
        inner = (part for part in layer.layers if type(part).__name__ != "InputLayer")
        layer = next(inner, None)
    is_scaling = type(layer).__name__ == "Rescaling" and np.max(layer.scale) <= _SCALES_PIXELS
    return is_scaling and len(shape) == 4 and shape[-1] in (1, 3)


def ends_in_logits(model: Any) -> bool:
    """Say whether the outputs of `model` are those of linear units, not probabilities."""
    last = model.layers[-1]
    while hasattr(last, "layers"):
        last = last.layers[-1]
    return getattr(getattr(last, "activation", None), "__name__", "") == "linear"


def giving_scores(model: Any) -> Any:
    """Return `model` without the softmax or sigmoid at its end, its outputs scores of any sign.

    Raises
    ------
    ValueError
        If it ends in another activation.
    """
    last = model.layers[-1]
    while is_model(last):
        last = last.layers[-1]
    activation = _activation(last)
    if activation in (None, "linear"):
        return model
    if activation in _PROBABILITIES:
        if getattr(last, "kernel", None) is not None:
            last.activation = import_keras().activations.linear
            return model
        if last is model.layers[-1]:
            return import_keras().Model(_inputs(model), last.input, name=model.name)
    raise ValueError(
        f"A margin loss takes scores of either sign, and the network {model.name!r} ends in "
        f"{activation!r}. End it in a layer without activation, or in a softmax, which is removed."
    )


def classifying_layer(model: Any) -> Any:
    """Return the last layer with a weight matrix.

    Raises
    ------
    ValueError
        If there is none.
    """
    for layer in reversed(list(_leaves(model))):
        if getattr(layer, "kernel", None) is not None:
            return layer
    raise ValueError(f"The network {model.name!r} has no layer with a weight matrix.")


def predicted_codes(outputs: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the class indices that outputs stand for: the largest, or the sign of a single one."""
    return (outputs[:, 0] > 0).astype(np.int64) if outputs.shape[1] == 1 else outputs.argmax(axis=1)


def forward(
    model: Any,
    X: NDArray[Any],
    *,
    batch_size: int,
    progress: Progress = SILENT,
    step: str = "extract features",
) -> NDArray[np.float32]:
    """Compute the outputs of `model`, in inference mode.

    Every batch has the same size, the last one padded: the compiled pass is traced once, and
    a sample's outputs do not depend on how many others come with it.

    Parameters
    ----------
    model : keras.Model
        With one output.
    X : ndarray of shape (n_samples, ...)
        Inputs, cast to float32 batch by batch.
    batch_size : int
        Samples in a pass.
    progress : Progress
        Hears of every batch, under the name `step`.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), float32
        Outputs of more dimensions are flattened.
    """
    n_samples = len(X)
    out: NDArray[np.float32] | None = None
    batch = np.zeros((batch_size, *X.shape[1:]), np.float32)
    for start in range(0, n_samples, batch_size):
        part = X[start : start + batch_size]
        batch[: len(part)] = part
        outputs = np.asarray(model.predict_on_batch(batch))[: len(part)].reshape(len(part), -1)
        if out is None:
            out = np.empty((n_samples, outputs.shape[1]), np.float32)
        out[start : start + len(part)] = outputs
        progress.update(step, start + len(part), n_samples)
    if out is None:
        raise ValueError("There are no samples to pass through the network.")
    return out


@contextmanager
def computing_in_bfloat16(model: Any) -> Iterator[None]:
    """Let the layers of `model` compute in bfloat16, on weights that stay float32.

    The last layer with weights, and what follows it, keeps its precision, and so do the outputs
    and the loss. What a backend compiles in here goes on computing so; compile the rest outside.
    """
    layers = list(_leaves(model))
    weighted = [i for i, layer in enumerate(layers) if getattr(layer, "kernel", None) is not None]
    inner = layers[: weighted[-1]] if weighted else []
    policies = [layer.dtype_policy for layer in inner]
    try:
        for layer in inner:
            layer.dtype_policy = "mixed_bfloat16"
        yield
    finally:
        for layer, policy in zip(inner, policies):
            layer.dtype_policy = policy


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if is_model(layer):
            yield from _leaves(layer)
        else:
            yield layer


def _inputs(model: Any) -> Any:
    """The inputs as the model is called with them: a single one bare, for Keras warns otherwise."""
    return model.inputs[0] if len(model.inputs) == 1 else model.inputs


def _names(model: Any) -> list[str]:
    names = []
    for layer in model.layers:
        names += [layer.name, *(_names(layer) if is_model(layer) else [])]
    return names


def _activation(layer: Any) -> str | None:
    if type(layer).__name__ == "Softmax":
        return "softmax"
    return getattr(getattr(layer, "activation", None), "__name__", None)


def _penultimate_tensor(model: Any) -> Any:
    """Walk from the output to the last layer with a weight matrix, and take its input."""
    tensor = model.outputs[0]
    while True:
        layer = tensor._keras_history.operation
        if type(layer).__name__ == "InputLayer":
            raise ValueError(
                f"The network {model.name!r} has no classifying layer to cut before; name a layer: "
                f"one of {_names(model)}."
            )
        if getattr(layer, "kernel", None) is not None:
            break
        tensor = layer.input
    tensor = layer.input
    while type(tensor._keras_history.operation).__name__ in ("Dropout", "GaussianDropout"):
        tensor = tensor._keras_history.operation.input
    return tensor
