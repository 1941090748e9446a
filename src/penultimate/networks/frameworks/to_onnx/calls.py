"""A call of a Keras layer or operation, as the converters see it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.protocols import Tensor
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.to_onnx.writer import FullShape, Ref, Writer

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Call:
    """A call of a layer or operation.

    Attributes
    ----------
    operation : keras.Operation
        Of any class, each with attributes of its own.
    args : tuple
        Arguments, with the tensors of the graph as `Ref`; keyword arguments follow.
    shape : tuple of int or None
        That of its output.
    """

    operation: "keras.Operation"
    args: tuple[Any, ...]
    shape: FullShape

    @property
    def tensors(self) -> list[Ref]:
        """The tensors among the arguments, also those in lists."""
        # Keras's own tree knows all nestings that its layers take.
        flat = import_keras().tree.flatten(self.args)
        return [each for each in flat if isinstance(each, Ref)]

    @property
    def x(self) -> Ref:
        """The first tensor."""
        return self.tensors[0]


Converter = Callable[[Writer, Call], Ref]


def weights(variable: Tensor) -> NDArray[np.float32]:
    """Return the values of a variable of any backend."""
    return np.asarray(import_keras().ops.convert_to_numpy(variable), np.float32)


def in_format(writer: Writer, x: Ref, data_format: str) -> Ref:
    """Return maps with their channels on axis 1, whatever Keras calls the last axis."""
    # Keras has them there itself if its format says so.
    return writer.plain(x) if data_format == "channels_first" else writer.moved(x)


def spatial(shape: FullShape, data_format: str) -> FullShape:
    """Return the sizes of maps."""
    return shape[2:] if data_format == "channels_first" else shape[1:-1]


def spatial_axes(rank: int, data_format: str) -> list[int]:
    """Return Keras's axes of the sizes of maps."""
    return list(range(2, rank) if data_format == "channels_first" else range(1, rank - 1))
