"""The forward pass of a network, in batches of only a few different sizes.

A batch has `batch_size` samples; the last one, or the only one, is padded to the next power of two.
So the cost of few images is proportional to their number, memory follows `batch_size`, and a
backend that compiles once per size does so only a few times.

The outputs of a sample do not depend on the content of the other samples in its batch. Their number
may change the last digits of float32, since backends choose routines by size: JAX and torch do,
and TensorFlow does on AMD's processors, while on Intel's with AVX-512 batches of 2 to 256 agreed
bit for bit. A single sample is passed twice, because one row is multiplied by a different routine
than several, which rounds differently everywhere (by about 1e-6 of the outputs' deviation).
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Network, Tensor


def forward(
    model: Network,
    X: NDArray[Any] | list[NDArray[Any]],
    *,
    batch_size: int,
    progress: Progress = SILENT,
    step: str = "extract features",
) -> NDArray[np.float32]:
    """Compute the outputs of a Keras model, in inference mode.

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

    def run(batch: list[NDArray[Any]]) -> NDArray[Any]:
        # `predict` sets up a data pipeline in each call, which a single image would pay for.
        outputs = model.predict_on_batch(batch[0] if len(batch) == 1 else batch)
        return only_output(outputs, model)

    # A subclassed model that was never called has no declared inputs: those get float32.
    types = [_type_of(tensor) for tensor in getattr(model, "inputs", None) or []]
    batches = in_batches(arrays, types, batch_size=batch_size, padded=True)
    outputs = ((start, stop, run(batch)) for start, stop, batch in batches)
    return collect(outputs, len(arrays[0]), progress=progress, step=step)


# Where a batch starts and stops in the samples, and its arrays, which may be padded.
Batch = tuple[int, int, list[NDArray[Any]]]


def in_batches(
    arrays: Sequence[NDArray[Any]],
    types: Sequence[DTypeLike],
    *,
    batch_size: int,
    padded: bool,
) -> Generator[Batch, None, None]:
    """Yield samples in batches of at most `batch_size`, cast to the types of the inputs.

    Parameters
    ----------
    arrays : sequence of ndarray of shape (n_samples, ...)
        One per input.
    types : sequence of dtype
        One per input; float32 for those that are missing.
    batch_size : int
    padded : bool
        Whether a smaller batch is padded, for networks that are compiled for each size.
    """
    n_samples = len(arrays[0])
    types = [*types, *[np.float32] * (len(arrays) - len(types))]
    for start in range(0, n_samples, batch_size):
        stop = min(start + batch_size, n_samples)
        size = padded_size(stop - start, batch_size) if padded else stop - start
        yield (
            start,
            stop,
            [_padded(each[start:stop], size, kind) for each, kind in zip(arrays, types)],
        )


def padded_batches(
    batches: Generator[Batch, None, None], batch_size: int
) -> Generator[Batch, None, None]:
    """Pad batches that are smaller than `batch_size`, for networks compiled for each size."""
    with closing(batches):
        for start, stop, arrays in batches:
            size = padded_size(stop - start, batch_size)
            yield start, stop, [_padded(each, size, each.dtype) for each in arrays]


def collect(
    outputs: Iterable[tuple[int, int, NDArray[Any]]],
    n_samples: int,
    *,
    progress: Progress = SILENT,
    step: str = "extract features",
) -> NDArray[np.float32]:
    """Return the outputs of all batches, flattened, as one array.

    Raises
    ------
    ValueError
        If there are no samples.
    """
    if not n_samples:
        raise ValueError("There are no samples to pass through the network.")
    out: NDArray[np.float32] | None = None
    for start, stop, values in outputs:
        values = values[: stop - start].reshape(stop - start, -1)
        # The width may depend on the size of the images, so it is known after the first batch.
        if out is None:
            out = np.empty((n_samples, values.shape[1]), np.float32)
        out[start:stop] = values
        progress.update(step, stop, n_samples)
    assert out is not None
    return out


def only_output(outputs: object, model: Network) -> NDArray[Any]:
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
