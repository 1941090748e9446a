"""The samples that a network is fed: arrays of numbers, of the shapes that its inputs have."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.protocols import Inputs
from penultimate._common.validation import refuse_masked
from penultimate.networks.frameworks.frozen import Input, Shape


def as_inputs(inputs: Sequence[Input], X: Inputs) -> NDArray[Any] | list[NDArray[Any]]:
    """Return samples in the form for a network: an array or, for several inputs, a list.

    Parameters
    ----------
    inputs : sequence of Input
        Those of the network; empty if it does not state them, which counts as one.
    X : array-like, or list or dict of array-like
        A list in the order of the inputs, or a dict with their names as keys.

    Raises
    ------
    TypeError
        If `X` is not numeric.
    ValueError
        If inputs are missing or too many, or differ in their numbers of samples.
    """
    if isinstance(X, Mapping) and inputs:
        names = [each.name for each in inputs]
        # A dict may hold more than that, as a data set for several networks does.
        if set(names) - set(X):
            raise ValueError(_wrong_inputs(inputs, f"a dict of {list(X)}"))
        given: Sequence[object] = [X[name] for name in names]
    elif len(inputs) <= 1:  # also of a list, which then holds samples
        return _as_numbers(X)
    elif isinstance(X, (list, tuple)):
        given = X
    else:
        raise ValueError(_wrong_inputs(inputs, f"one {type(X).__name__}"))
    if len(given) != len(inputs):
        raise ValueError(_wrong_inputs(inputs, f"{len(given)} arrays"))
    arrays = [_as_numbers(each) for each in given]
    if len({len(each) for each in arrays}) > 1:
        raise ValueError(
            f"The inputs of a network must have one row per sample; got {[len(a) for a in arrays]} "
            "rows."
        )
    return arrays[0] if len(arrays) == 1 else arrays


def _wrong_inputs(inputs: Sequence[Input], got: str) -> str:
    listed = ", ".join(
        repr(each.name) if each.shape is None else f"{each.name!r} {each.shape}" for each in inputs
    )
    return (
        f"The network takes {len(inputs)} inputs, {listed}; got {got}. Pass a list of arrays in "
        "this order, or a dict by these names, to FeatureExtractor. Penultimate's "
        "classifiers take one array: fit them on the extracted features."
    )


def _as_numbers(X: object) -> NDArray[Any]:
    refuse_masked(X, "X")
    try:
        array = np.asarray(X)
    except ValueError as error:  # rows of different lengths
        raise ValueError(
            f"X cannot be converted to an array ({error}): resize all images to one size first."
        ) from error
    # Object arrays (batched datasets, lists of tensors) would be cast element by element, or fail
    # deep inside the backend.
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise TypeError(
            f"X must be an array of numbers, (n_samples, ...); got {type(X).__name__}"
            f"{f' of dtype {array.dtype}' if array.ndim else ''}. Collect data that comes in "
            "batches with numpy.concatenate."
        )
    return array


def check_inputs(inputs: Sequence[Input], X: Inputs) -> list[NDArray[Any]]:
    """Return the arrays that a network takes, one per input, after checking each."""
    given = as_inputs(inputs, X)
    arrays = given if isinstance(given, list) else [given]
    shapes = [each.shape for each in inputs] or [None]
    return [_check_array(each, shape) for each, shape in zip(arrays, shapes, strict=True)]


def _check_array(X: NDArray[Any], shape: Shape | None) -> NDArray[Any]:
    """Return one input with samples of this shape, after checking its values."""
    X = X if shape is None else check_shape(X, shape)
    # Otherwise NaN would come out as features, and a head would refuse them far from the cause.
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        raise ValueError("X contains NaN or infinity; drop or fix these samples.")
    return X


def check_shape(X: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Return an array with the channel axis that the network needs, or raise if it does not fit."""
    # Grayscale images are often stored without the axis of their one channel.
    if X.ndim == len(shape) and not _fits(X.shape, shape):
        if shape[-1:] == (1,):
            X = X[..., np.newaxis]
        elif len(shape) == 3 and shape[0] == 1 and _fits(X.shape[1:], shape[1:]):
            X = X[:, np.newaxis]
    if not _fits(X.shape[1:], shape):
        raise ValueError(_wrong_shape(X, shape))
    return X


def _fits(given: tuple[int, ...], shape: Shape) -> bool:
    return len(given) == len(shape) and all(want in (None, n) for want, n in zip(shape, given))


def _wrong_shape(X: NDArray[Any], shape: Shape) -> str:
    if _fits(X.shape, shape) or (shape[-1:] == (1,) and _fits(X.shape, shape[:-1])):
        return f"X is one sample, of shape {X.shape}; pass X[None], an array with one sample."
    if len(shape) == 3 and X.ndim in (3, 4):
        return (
            f"The images are {_times(X.shape[1:])}; the network takes {_times(shape)}: "
            f"{_how_to_fit(X.shape, shape)}."
        )
    return f"The network takes samples of shape {shape}; got X of shape {X.shape}."


def _how_to_fit(given: tuple[int, ...], shape: Shape) -> str:
    """Say how images of a shape, the number of samples included, come to fit a network."""
    # ONNX and torch have the channels before height and width.
    is_first = shape[0] in (1, 3) and shape[-1] not in (1, 3)
    axis, wanted = (1, shape[0]) if is_first else (-1, shape[-1])
    if len(given) == 3:  # without an axis for the channels
        with_axis = "X[:, None]" if is_first else "X[..., None]"
        repeated = f"numpy.repeat({with_axis}, {wanted}, axis={axis})"
        return f"they have no channels; make {wanted} of the gray one with {repeated}"
    # The likeliest mistake first: the channels where another framework has them.
    if _fits((given[2], given[3], given[1]), shape):
        return "move their channels last, as with numpy.moveaxis(X, 1, -1)"
    if _fits((given[3], given[1], given[2]), shape):
        return (
            "move their channels first, as with numpy.moveaxis(X, -1, 1), or state what the "
            "network takes: FeatureExtractor(network, preprocessing=Preprocessing(...))"
        )
    by_network = (
        ", or let Preprocessing(size=...) do it: FeatureExtractor(network, preprocessing=...)"
    )
    own, other = given[axis], given[-1 if is_first else 1]
    if own not in (1, 2, 3, 4) and other in (1, 3, 4) and wanted is not None:
        order, axes = ("first", "-1, 1") if is_first else ("last", "1, -1")
        moved = f"move their channels {order}, as with numpy.moveaxis(X, {axes})"
        return f"{moved}, and resize them{by_network}"
    # The order of the axes is right, so the sizes or the channels are not.
    match given[axis], wanted:
        case n, _ if wanted in (None, n):
            return "resize them" + by_network * is_first
        case 1, _:
            return f"repeat their gray channel, as with numpy.repeat(X, {wanted}, axis={axis})"
        case 4, 3:
            without = "X[:, :3]" if is_first else "X[..., :3]"
            return f"drop their alpha channel, as with {without}"
        case _:
            return f"give them {wanted} channel{'' if wanted == 1 else 's'}"


def _times(shape: Shape) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)
