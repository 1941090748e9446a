"""The forward pass of a network, in batches of only a few different sizes.

A batch has `batch_size` samples; the last one, or the only one, is padded to the next power of two.
So the cost of few images is proportional to their number, memory follows `batch_size`, and a
backend that compiles once per size does so only a few times.

The outputs of a sample do not depend on the content of the other samples in its batch. With
TensorFlow on a CPU they do not depend on their number either: in all networks that were tried,
batches of 2 to 256 agree bit for bit. A single sample is passed twice, because one row is
multiplied by a different routine than several, which rounds differently (by about 1e-6 of the
outputs' deviation). JAX compiles for each size, and torch chooses its routines by size: with these
backends, the last digits of float32 depend on the batch size.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Inputs, Network, Tensor


def forward(
    model: Network,
    X: NDArray[Any] | list[NDArray[Any]],
    *,
    batch_size: int,
    progress: Progress = SILENT,
    step: str = "extract features",
) -> NDArray[np.float32]:
    """Compute the outputs of `model`, in inference mode.

    Parameters
    ----------
    model : keras.Model
        A model with one output.
    X : ndarray of shape (n_samples, ...), or list of these
        The input, or one array per input; cast batch by batch to float32 or, for an integer input,
        to its integer type.
    batch_size : int
        Maximum number of samples per pass.
    progress : Progress
        Reports every batch under the name `step`.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), float32
        Outputs with more dimensions are flattened.

    Raises
    ------
    ValueError
        If there are no samples, or several outputs.
    """
    arrays = list(X) if isinstance(X, (list, tuple)) else [X]
    n_samples = len(arrays[0])
    if not n_samples:
        raise ValueError("There are no samples to pass through the network.")
    # A subclassed model that was never called has no declared inputs: those get float32.
    types = [_type_of(tensor) for tensor in getattr(model, "inputs", None) or []]
    types += [np.float32] * (len(arrays) - len(types))
    out: NDArray[np.float32] | None = None
    for start in range(0, n_samples, batch_size):
        stop = min(start + batch_size, n_samples)
        size = padded_size(stop - start, batch_size)
        batches = [_padded(each[start:stop], size, kind) for each, kind in zip(arrays, types)]
        # `predict` sets up a data pipeline in each call, which a single image would pay for.
        outputs = model.predict_on_batch(batches[0] if len(batches) == 1 else batches)
        outputs = _only(outputs, model)[: stop - start].reshape(stop - start, -1)
        # The width may depend on the size of the images, so it is known after the first batch.
        if out is None:
            out = np.empty((n_samples, outputs.shape[1]), np.float32)
        out[start:stop] = outputs
        progress.update(step, stop, n_samples)
    assert out is not None
    return out


def _only(outputs: object, model: Network) -> NDArray[Any]:
    """Return the one output of a network, which may come in a dict or a list."""
    while isinstance(outputs, (Mapping, list, tuple)):
        if len(outputs) != 1:
            raise ValueError(several_outputs(model, len(outputs)))
        (outputs,) = outputs.values() if isinstance(outputs, Mapping) else outputs
    return np.asarray(outputs)


def several_outputs(model: Network, count: int) -> str:
    """Say that a network has several outputs where one is needed, and how to choose one."""
    return (
        f"The network {model.name!r} has {count} outputs, and one is needed: pass "
        "keras.Model(network.inputs, network.outputs[0]), or whichever gives classes."
    )


def padded_size(n_samples: int, batch_size: int) -> int:
    """Return the size of the batch for this number of samples."""
    # At least two: a single row is multiplied by a different routine (see above). At most
    # `batch_size`, which need not be a power of two itself.
    return min(batch_size, max(2, 1 << (n_samples - 1).bit_length()))


def as_inputs(model: Network, X: Inputs) -> NDArray[Any] | list[NDArray[Any]]:
    """Return samples in the form for `forward`: an array or, for several inputs, a list.

    Parameters
    ----------
    model : keras.Model
    X : array-like, or list or dict of array-like
        A list in the order of the model's inputs, or a dict with their names as keys.

    Raises
    ------
    TypeError
        If `X` is not numeric.
    ValueError
        If inputs are missing or too many, or differ in their numbers of samples.
    """
    tensors = getattr(model, "inputs", None) or [None]
    if isinstance(X, Mapping) and tensors[0] is not None:
        names = [tensor.name for tensor in tensors]
        if set(names) - set(X):
            raise ValueError(_wrong_inputs(tensors, f"a dict of {list(X)}"))
        given: Sequence[object] = [X[name] for name in names]
    elif len(tensors) == 1:
        return _as_numbers(X)
    elif isinstance(X, (list, tuple)):
        given = X
    else:
        raise ValueError(_wrong_inputs(tensors, f"one {type(X).__name__}"))
    if len(given) != len(tensors):
        raise ValueError(_wrong_inputs(tensors, f"{len(given)} arrays"))
    arrays = [_as_numbers(each) for each in given]
    if len({len(each) for each in arrays}) > 1:
        raise ValueError(
            f"The inputs of a network must have one row per sample; got {[len(a) for a in arrays]} "
            "rows."
        )
    return arrays[0] if len(arrays) == 1 else arrays


def _wrong_inputs(tensors: Sequence[Any], got: str) -> str:
    listed = ", ".join(f"{tensor.name!r} {tuple(tensor.shape[1:])}" for tensor in tensors)
    return (
        f"The network takes {len(tensors)} inputs, {listed}; got {got}. Pass a list of arrays in "
        "this order, or a dict by these names, to FeatureExtractor. Penultimate's "
        "classifiers take one array: fit them on the extracted features."
    )


def _as_numbers(X: object) -> NDArray[Any]:
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


def _type_of(tensor: Tensor) -> DTypeLike:
    """Return the dtype for an input: float32, or its integer type, which holds larger tokens."""
    kind = str(tensor.dtype)
    return kind if kind in ("int32", "int64") else np.float32


def _padded(part: NDArray[Any], size: int, kind: DTypeLike) -> NDArray[Any]:
    """Copy samples into a batch, padded with the last one, which is valid input by definition."""
    batch = np.empty((size, *part.shape[1:]), kind)
    # The assignment also casts, so that the whole input is never held as float32.
    batch[: len(part)] = part
    batch[len(part) :] = batch[len(part) - 1]
    return batch
