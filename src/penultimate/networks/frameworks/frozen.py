"""A frozen network of any framework: what the rest of the library asks of it.

One adapter per framework implements `FrozenNetwork`. It answers where the network can be cut, and
`Cut` runs the part before the cut on one batch. Batching, preprocessing and pooling are the same
for all frameworks, and live in ``networks/extraction.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penultimate.networks.preprocessing import Preprocessing

if TYPE_CHECKING:
    import onnx

# Of one sample, without the axis of the samples; None is a size that the network leaves open.
Shape = tuple[int | None, ...]
# Enough to run a network that does not state its shapes: a few samples, one array per input.
Example = Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]]
_LISTED = 12  # layers in a message


class ExportError(ValueError):
    """A network cannot be written as an ONNX graph that computes the same."""


@dataclass(frozen=True)
class Input:
    """An input of a network.

    Attributes
    ----------
    name : str
    shape : tuple of int or None, or None
        Shape of one sample; None if the network does not state it, as in torch.
    dtype : str, default="float32"
        Type that batches are cast to.
    """

    name: str
    shape: Shape | None
    dtype: str = "float32"


@dataclass(frozen=True)
class Candidate:
    """A place where a network can be cut.

    Attributes
    ----------
    layer : str
        Name that the `layer` parameter of `FeatureExtractor` takes.
    kind : str
        What makes the value, such as ``"Conv2D"``.
    shape : tuple of int or None
        Shape of the value for one sample.
    n_values : int or None
        Number of values per sample; None if it depends on the size of the input.
    """

    layer: str
    kind: str
    shape: Shape
    n_values: int | None = field(init=False)

    def __post_init__(self) -> None:
        sizes = [size for size in self.shape if size is not None]
        n_values = prod(sizes) if len(sizes) == len(self.shape) else None
        object.__setattr__(self, "n_values", n_values)  # the only way into a frozen instance


@dataclass(frozen=True)
class Cut(ABC):
    """A network up to one of its values.

    Attributes
    ----------
    layer : str
        The layer that makes the value, by a name that finds it again.
    place : str
        Position of the value in words: ``"the input of 'predictions'"``, ``"the network's
        output"``, ``"the output of 'block_3'"``.
    gives_probabilities : bool
        Whether the value is a softmax or a sigmoid.
    inputs : tuple of Input
        The inputs that the value depends on.
    channel_axis : int, default=-1
        Axis of the channels in the value, counting that of the samples; for pooling.
    """

    layer: str
    place: str
    gives_probabilities: bool
    inputs: tuple[Input, ...]
    channel_axis: int = -1

    @abstractmethod
    def run(self, batch: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Compute the value for a batch: one array per input, of the input's type.

        The network is in inference mode, and is left as it was.
        """

    @abstractmethod
    def output_shape(self, shapes: Sequence[Shape]) -> Shape | None:
        """Return the value's shape for one sample of these shapes; None if it is not known."""


class FrozenNetwork(ABC):
    """A trained network, used as it is.

    Attributes
    ----------
    name : str
        Name of the network in messages.
    framework : str
        ``"Keras"``, ``"torch"`` or ``"ONNX"``; ``"function"`` for any other callable.
    """

    name: str
    framework: str
    # Whether a new size of batch costs a compilation, so that batches are padded to a few sizes.
    compiles_per_size = False
    # Whether the shapes of its inputs are known without a sample.
    states_shapes = True
    # Whether what it gives for a sample might depend on the other samples in its batch.
    may_mix_samples = True
    # What belongs to a network that is pretrained by name.
    preprocessing: Preprocessing | None = None

    @abstractmethod
    def inputs(self, example: Example | None = None) -> tuple[Input, ...]:
        """Return its inputs; `example` shows them where the network does not state them."""

    @abstractmethod
    def cut(self, layer: str, n_classes: int | None = None, example: Example | None = None) -> Cut:
        """Cut the network at a layer.

        Parameters
        ----------
        layer : str
            A layer's name, or ``"penultimate"``: the input of the last classifying layer, before
            dropout. Without a classifying layer, the output of the network.
        n_classes : int, optional
            Where it is unclear whether the outputs are classes, this number of outputs is.
        example : list or dict of ndarray, optional
            A few samples per input, for networks that do not state their shapes.

        Raises
        ------
        ValueError
            If there is no such layer, with the nearest names, or what is meant is not clear.
        """

    @abstractmethod
    def whole(self, example: Example | None = None) -> Cut:
        """Return the network up to its only output; raise ``ValueError`` if it has several."""

    def run_all(self, cuts: Sequence[Cut], batch: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the values of several cuts of this network, which take the same inputs.

        Overridden where the framework computes them all in one pass.
        """
        return [cut.run(batch) for cut in cuts]

    def to_onnx(self, cuts: Sequence[Cut]) -> "onnx.ModelProto":
        """Return the network up to several cuts as an ``onnx.ModelProto``.

        It has one input, and one output per cut, with any number of samples; see
        ``to_onnx/assembling.py`` for what is made of it.

        Raises
        ------
        ExportError
            If it cannot be written so.
        """
        raise ExportError(
            f"{self.name!r} is a {self.framework}, and only its Python code says what it computes. "
            "Pass the network itself, or export it to ONNX yourself, and pass the file."
        )

    @abstractmethod
    def candidates(self, example: Example | None = None) -> list[Candidate]:
        """List where the network can be cut, from its input to its output."""

    @abstractmethod
    def gives_logits(self, outputs: NDArray[np.floating] | None = None) -> bool:
        """Return whether the output is scores, not probabilities.

        Parameters
        ----------
        outputs : ndarray of shape (n_samples, n_outputs), optional
            Those of samples, where the graph does not say.
        """

    @abstractmethod
    def takes_pixels(self) -> bool:
        """Return whether the network itself scales pixels from 0 to 255, at its beginning."""

    @abstractmethod
    def digest(self) -> str:
        """Return 32 hexadecimal digits that stand for its layers and weights."""

    def channels_first(self, example: Example | None = None) -> bool:
        """Return whether it takes images with their channels before height and width."""
        shape = self.inputs(example)[0].shape
        return (
            shape is not None
            and len(shape) == 3
            # 3 x 224 x 224 is one; 3 x 224 x 3 may be three pixels high.
            and (shape[0] in (1, 3))
            and shape[2] not in (1, 3)
        )


def scores_by_values(outputs: NDArray[np.floating], made_of: Collection[str]) -> bool | None:
    """Decide by their values whether outputs are scores, where the graph does not say.

    Parameters
    ----------
    outputs : ndarray of shape (n_samples, n_outputs)
        Those of noise, and of samples if there are some.
    made_of : collection of str
        What the graph shows of their making: ``"probabilities"``, ``"logarithms"``.

    Returns
    -------
    bool or None
        False for probabilities; None if there are two readings. A guess could apply a softmax to
        probabilities, which looks right and is not.
    """
    low, high = float(outputs.min()), float(outputs.max())
    of_probabilities = set(made_of) == {"probabilities"}
    # Several probabilities show by their sum; of a single one there is only its range.
    if outputs.shape[1] > 1:
        adds_up = low >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=1e-3)
        if adds_up or (of_probabilities and low >= 0):
            return False
        return None if of_probabilities else True
    in_unit = low >= 0 and high <= 1
    if in_unit and of_probabilities:
        return False
    never_positive = "logarithms" in made_of and high <= 0
    return None if in_unit or of_probabilities or never_positive else True


def no_such_layer(network: str, layer: str, names: Iterable[str]) -> str:
    """Return the message for a layer that does not exist, with the nearest names first."""
    names = list(dict.fromkeys(names))
    # Lower than difflib's 0.6, as names of layers differ by prefixes and numbers.
    near = get_close_matches(layer, names, n=3, cutoff=0.5)
    guess = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    # The last ones, as a cut is usually close to the end.
    shown = ", ".join(map(repr, names[-_LISTED:]))
    some = f"Its last {_LISTED} layers are" if len(names) > _LISTED else "Its layers are"
    return (
        f"The network {network!r} has no layer {layer!r}.{guess} {some} {shown}; "
        "FeatureExtractor(network).layers(X) lists all of them."
    )
