"""A network that is cut at one or several layers, and what it computes from one prepared batch.

The adapter of the framework runs the part before each cut, all cuts in one pass where it can. What
comes after is the same for all frameworks: maps are pooled to rows, and these may be averaged with
those of the mirrored images.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate._common.data_objects import as_samples
from penultimate._common.image_items import Images, first_readable
from penultimate._common.protocols import Inputs
from penultimate.networks.frameworks.frozen import Cut, Example, FrozenNetwork, Input, Shape
from penultimate.networks.pooling import pool, pooled_size
from penultimate.networks.preprocessing import Preprocessing


@dataclass(frozen=True)
class CutNetwork:
    """A network up to one or several of its values.

    Attributes
    ----------
    frozen : FrozenNetwork
    cuts : tuple of Cut
    pooling : str or None
        How maps become rows.
    mirrored : int or None
        Axis of the width in a batch of images, if their mirror images count as well.
    """

    frozen: FrozenNetwork
    cuts: tuple[Cut, ...]
    pooling: str | None = None
    mirrored: int | None = None

    @classmethod
    def again(cls, frozen: FrozenNetwork, layers: Sequence[str], inputs: Sequence[Input]) -> Self:
        """Cut a network where it was cut before, by the names of the layers."""
        example = blank_example(inputs)
        return cls(frozen, tuple(frozen.cut(layer, None, example) for layer in layers))

    @property
    def layers(self) -> list[str]:
        """The name of each cut."""
        return [cut.layer for cut in self.cuts]

    @property
    def place(self) -> str:
        """Where the network is cut, in words."""
        return " and ".join(dict.fromkeys(cut.place for cut in self.cuts))

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs that the values depend on; those of the network that they do not, are not."""
        # By name, as cuts may share inputs; in the order in which they come up.
        return tuple({each.name: each for cut in self.cuts for each in cut.inputs}.values())

    @property
    def maps(self) -> list[str]:
        """The layers whose values have several axes."""
        return [cut.layer for cut in self.cuts if len(self._shape_of(cut) or ()) > 1]

    def at(self, layer: str) -> Self:
        """Return the network cut at one of the layers alone."""
        return replace(self, cuts=(self.cuts[self.layers.index(layer)],))

    def count_features(self, shapes: Sequence[Shape | None] = ()) -> int | None:
        """Return the number of features for inputs of these shapes; None if it is not known."""
        total = 0
        for cut in self.cuts:
            shape = self._shape_of(cut, shapes)
            count = None if shape is None else pooled_size(shape, self.pooling, cut.channel_axis)
            # One layer of unknown size makes the sum unknown.
            if count is None:
                return None
            total += count
        return total

    def _shape_of(self, cut: Cut, shapes: Sequence[Shape | None] = ()) -> Shape | None:
        given = dict(zip((each.name for each in self.inputs), shapes))
        of_cut = [given.get(each.name, each.shape) for each in cut.inputs]
        known = [shape for shape in of_cut if shape is not None]
        return cut.output_shape(known) if len(known) == len(of_cut) else None

    def compute(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Compute the features of a batch, one array of rows per cut."""
        features = self._pooled(batch)
        if self.mirrored is None:
            return features
        axis = self.mirrored
        # Copied, as the strides of a flip are negative, which torch does not take.
        mirrored = self._pooled([np.ascontiguousarray(np.flip(each, axis)) for each in batch])
        return [(one + other) * np.float32(0.5) for one, other in zip(features, mirrored)]

    def _pooled(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        names = [each.name for each in self.inputs]
        # With the same inputs, the framework may compute all values in one pass.
        if all(cut.inputs == self.inputs for cut in self.cuts):
            values = self.frozen.run_all(self.cuts, batch)
        else:  # each takes its own inputs
            values = [
                cut.run([batch[names.index(each.name)] for each in cut.inputs]) for cut in self.cuts
            ]
        # What float32 does not hold becomes infinite, which is reported with the sample.
        with np.errstate(over="ignore", invalid="ignore"):
            return [
                pool(np.asarray(value), self.pooling, cut.channel_axis).astype(
                    np.float32, copy=False
                )
                for value, cut in zip(values, self.cuts)
            ]


def check_layer(layer: object) -> list[str]:
    """Return the layers that `layer` names.

    Raises
    ------
    TypeError, ValueError
        If it is neither a name nor a list of different names.
    """
    layers = [layer] if isinstance(layer, str) else layer
    if not isinstance(layers, (list, tuple)) or not all(isinstance(each, str) for each in layers):
        raise TypeError(
            "The 'layer' parameter of FeatureExtractor must be the name of a layer, or a list of "
            f"names; got {layer!r}."
        )
    if not layers or len(set(layers)) < len(layers):
        raise ValueError(
            "The 'layer' parameter of FeatureExtractor must name at least one layer, and each only "
            f"once; got {layer!r}."
        )
    return list(layers)


def completed(prepare: Preprocessing, frozen: FrozenNetwork) -> Preprocessing:
    """Return a preprocessing with what the network states: the order of axes, and the size."""
    # What the user stated stands, even if the network seems to say something else.
    if prepare.channels_first is None:
        prepare = replace(prepare, channels_first=frozen.channels_first())
    shape = next((each.shape for each in frozen.inputs()), None) if frozen.states_shapes else None
    if prepare.size is None and shape is not None and len(shape) == 3:
        height, width = shape[1:] if prepare.channels_first else shape[:2]
        # A size that the network leaves open is left to the user, or to the images.
        if height is not None and width is not None:
            prepare = replace(prepare, size=(height, width))
    return prepare


def blank_example(inputs: Sequence[Input]) -> Example | None:
    """Return a sample of zeros, which shows the layers as well; None if a size is not known."""
    if not inputs or any(each.shape is None or None in each.shape for each in inputs):
        return None
    zeros = {
        each.name: np.zeros((1, *filter(None, each.shape or ())), each.dtype) for each in inputs
    }
    return zeros if len(zeros) > 1 else list(zeros.values())


def example_of(
    frozen: FrozenNetwork,
    prepare: Preprocessing | None,
    X: Inputs | None,
    images: Images | None,
) -> Example | None:
    """Return a sample as the network takes it, for what only a pass can show; None without one."""
    if prepare is not None:
        if images is not None:
            # A file that cannot be read is an error, or left out, when features are computed.
            first = None
            if prepare.size is None:
                first = first_readable(images)
            else:
                with suppress(ValueError, OSError):
                    first = images[0]
            if first is None and prepare.size is None:
                first = images[0]  # raises its error
            if first is not None:
                return [prepare.apply(first)[np.newaxis]]
        # A blank image will do: only its size counts.
        blank = np.zeros((1, 1, 3), np.uint8)
        return None if prepare.size is None else [prepare.apply(blank)[np.newaxis]]
    # Where shapes are stated, samples of another shape are refused later, with advice.
    if X is None or frozen.states_shapes:
        return None
    if isinstance(X, Mapping):
        return {name: np.asarray(each)[:1] for name, each in X.items()}
    if not isinstance(X, (list, tuple)):
        X = as_samples(X, "FeatureExtractor")
    # A list of such arrays is one per input; a list of rows is the only input.
    if isinstance(X, (list, tuple)) and all(np.ndim(each) > 1 for each in X):
        return [np.asarray(each)[:1] for each in X]
    return [np.asarray(X)[:1]]
