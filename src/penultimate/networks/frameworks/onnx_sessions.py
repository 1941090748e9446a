"""Running part of an ONNX network on batches of any size.

Many networks are exported for batches of one size, often 1. Often only the declared shape says so;
but the size may also be an operand within the graph, as in ``Reshape(x, [1, 512])``, and then
another size fails, or mixes samples. So before the first batch of another size, a few samples of
noise are run both together and in batches of the declared size (one by one, if none is declared).
If the results differ, all batches are divided, and the last part is padded.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.imports import import_optional
from penultimate.networks.frameworks.frozen import Shape
from penultimate.networks.frameworks.onnx_messages import OnnxModel

if TYPE_CHECKING:
    import onnxruntime

# Rounding depends on the size of a batch; anything that mixes samples changes more than this
# share of the largest value.
_ROUNDING = 2e-3
# A file of the runtime's sources and the signature of the function there, up to the words.
_PLACE = re.compile(r"/\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z])")


def open_session(model: OnnxModel, name: str) -> "onnxruntime.InferenceSession":
    """Return a session of ONNX Runtime on the CPU.

    Raises
    ------
    ValueError
        If ONNX Runtime does not take the model; the message says why.
    """
    runtime = import_optional("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; there is no need to print them as well
    content = model.SerializeToString()
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base class of their own
        raise ValueError(
            f"ONNX Runtime {runtime.__version__} cannot load {name!r}: {_reason(error)}"
        ) from error


def noise(
    shapes: Sequence[Shape], types: Sequence[str], n_samples: int, size: int = 32
) -> list[NDArray[Any]]:
    """Return samples of noise; axes that are left open get this size."""
    # The same noise each time: an answer must not depend on chance.
    rng = np.random.default_rng(0)
    found = []
    for shape, kind in zip(shapes, types):
        full = (n_samples, *(each or size for each in shape))
        if np.issubdtype(np.dtype(kind), np.floating):
            # Of different sizes, as many networks give almost the same for all noise.
            values = rng.random(full) / np.arange(1, n_samples + 1).reshape(-1, *[1] * len(shape))
        else:
            # Tokens, masks and types of tokens may all be 0 or 1; pixels may be anything.
            values = rng.integers(0, 256 if kind == "uint8" else 2, full).astype(float)
        found.append(values.astype(kind))
    return found


class Session:
    """A part of a network, for batches of any size.

    Parameters
    ----------
    model : onnx.ModelProto
        With open sizes of batches.
    name : str
        Name of the network in messages.
    rows : int or None
        Size of batches that the network was exported for; None if it is open.
    apart : bool
        Whether samples influence each other in a batch, so that it is always divided.
    """

    def __init__(self, model: OnnxModel, name: str, rows: int | None, apart: bool) -> None:
        self.name = name
        self._session = open_session(model, name)
        self._names = [each.name for each in self._session.get_inputs()]
        self._step, self._is_declared = rows or 1, rows is not None
        self._divided: bool | None = True if apart else None

    def run(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the values for a batch.

        Raises
        ------
        ValueError
            If the network does not take samples of this shape, or a value cannot be divided into
            samples.
        """
        n_samples = len(batch[0])
        if n_samples != self._step or self._divided:
            return self._in_parts(batch) if self.divides(batch) else self._at_once(batch)
        return self._at_once(batch)

    def divides(self, batch: Sequence[NDArray[Any]]) -> bool:
        """Return whether batches of another size than declared have to be divided."""
        if self._divided is None:
            self._divided = self._needs_division(batch)
        return self._is_declared if self._divided is None else self._divided

    def values(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the values, whether or not they have one row per sample."""
        try:
            return self._session.run(None, dict(zip(self._names, batch)))
        except Exception as error:  # its exceptions have no base class of their own
            shapes = " and ".join(str(each.shape) for each in batch)
            raise ValueError(
                f"The network {self.name!r} does not take a batch of shape {shapes}: "
                f"{_reason(error)}"
            ) from error

    def _needs_division(self, batch: Sequence[NDArray[Any]]) -> bool | None:
        """Return whether a batch of another size gives other values; None if noise cannot say."""
        n_samples = 3 if self._step == 2 else 2
        shapes, types = [each.shape[1:] for each in batch], [each.dtype.name for each in batch]
        samples = noise(shapes, types, n_samples)
        try:
            apart = self._in_parts(samples)
        except ValueError:  # samples of this shape fail in any case, or noise does
            return None
        try:
            together = self._at_once(samples)
        except ValueError:
            return True
        return not all(map(_agree, together, apart))

    def _in_parts(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        n_samples, step = len(batch[0]), self._step
        parts = []
        for start in range(0, n_samples, step):
            part = [each[start : start + step] for each in batch]
            missing = step - len(part[0])
            full = [np.concatenate([each, *[each[-1:]] * missing]) for each in part]
            parts.append([each[: step - missing] for each in self._at_once(full)])
        return [np.concatenate(each) for each in zip(*parts)]

    def _at_once(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        values, n_samples = self.values(batch), len(batch[0])
        for value in values:
            if value.ndim == 0 or len(value) != n_samples:
                raise ValueError(
                    f"A layer of the network {self.name!r} gives values of shape {value.shape} for "
                    f"{n_samples} samples, not one row per sample. Name another layer."
                )
        return values


def _agree(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.shape != other.shape:
        return False
    scale = float(np.nan_to_num(np.abs(other)).max(initial=0)) if one.dtype.kind == "f" else 0.0
    return bool(np.allclose(one, other, rtol=0, atol=_ROUNDING * scale, equal_nan=True))


def _reason(error: Exception) -> str:
    """Return the words of an error of the runtime, without its code and places in its sources."""
    text = " ".join(str(error).split())
    for mark in ("Status Message: ", ": FAIL : ", ": INVALID_ARGUMENT : ", ": INVALID_GRAPH : "):
        text = text.partition(mark)[2] or text
    return _PLACE.sub("", text).rstrip(".")
