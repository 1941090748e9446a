"""Any function from a batch to features as a frozen network that can be cut only at its end."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from penultimate.networks.frameworks.frozen import (
    Candidate,
    Cut,
    Example,
    FrozenNetwork,
    Input,
    Shape,
)


def is_function(network: object) -> TypeGuard[Callable[..., Any]]:
    """Return whether `network` may be a function from a batch to features."""
    return callable(network) and not isinstance(network, (type, BaseEstimator))


@dataclass(frozen=True)
class _Value(Cut):
    """What the function returns."""

    function: Callable[..., Any] = field(kw_only=True)

    def run(self, batch: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Call the function on a batch."""
        # Called as it is: mode, device and gradients are its own business.
        try:
            given = self.function(*batch)
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(self._failed(batch, error)) from error
        if callable(getattr(given, "detach", None)):  # a torch tensor, perhaps with gradients
            given = given.detach().cpu()
        try:
            values = np.asarray(given)
        except Exception as error:
            raise ValueError(
                f"The function {self.layer!r} returned a {type(given).__name__}, which NumPy "
                f"cannot read ({error}); return an array."
            ) from error
        if values.ndim < 2 or len(values) != len(batch[0]) or values.dtype.kind not in "biuf":
            raise ValueError(
                f"The function {self.layer!r} must return one row of features per sample; for "
                f"{len(batch[0])} samples it returned {values.dtype} of shape {values.shape}."
            )
        return values

    def _failed(self, batch: Sequence[NDArray[Any]], error: Exception) -> str:
        shapes = " and ".join(str(each.shape) for each in batch)
        return (
            f"The function {self.layer!r} failed on a batch of shape {shapes}: "
            f"{type(error).__name__}: {error}. It must take a batch, and return one row of "
            "features per sample. (If it builds a network, pass what it returns.)"
        )

    def output_shape(self, shapes: Sequence[Shape]) -> Shape | None:
        """Return None: only a call shows it."""
        return None


class FunctionNetwork(FrozenNetwork):
    """A function from a batch to features, shape (n_samples, n_features).

    Parameters
    ----------
    function : callable
    """

    framework = "function"
    states_shapes = False

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def inputs(self, example: Example | None = None) -> tuple[Input, ...]:
        """Return one input of unknown shape."""
        # Any name will do, as a function is given arrays by position.
        return (Input("X", None),)

    def cut(self, layer: str, n_classes: int | None = None, example: Example | None = None) -> Cut:
        """Return the function's value, which is all that can be had of it."""
        if layer not in ("penultimate", self.name):
            raise ValueError(
                f"{self.name!r} is a function, which has no layers: leave out layer={layer!r}, or "
                "pass the network itself."
            )
        return self.whole(example)

    def whole(self, example: Example | None = None) -> Cut:
        """Return the function's value."""
        place = "the function's value"
        # False, as nobody knows what a function's values are: there is nothing to warn of.
        return _Value(self.name, place, False, self.inputs(), -1, function=self.function)

    def candidates(self, example: Example | None = None) -> list[Candidate]:
        """List the function's value; its size is known where there is an example."""
        shape: Shape = (None,)
        if example is not None:
            # Features are rows, so that one call on the example shows all there is to know.
            arrays = list(example.values() if isinstance(example, Mapping) else example)
            shape = self.whole().run(arrays).shape[1:]
        return [Candidate(self.name, "function", shape)]

    def gives_logits(self, outputs: NDArray[np.floating] | None = None) -> bool:
        """Raise ``ValueError``: features are neither."""
        raise ValueError(f"The function {self.name!r} gives features, not classes.")

    def takes_pixels(self) -> bool:
        """Return False: it is given what it was given."""
        return False

    def digest(self) -> str:
        """Raise ``ValueError``: what a function computes can't be seen from outside."""
        # Its source is not enough: it may read globals, files and a state of its own.
        where = inspect.getmodule(self.function)
        raise ValueError(
            f"The function {self.name!r}{f' of {where.__name__}' if where else ''} has no "
            "fingerprint, so that its features can't be kept under its name. Export the network to "
            "ONNX, or keep the features yourself, in an .npz file."
        )
