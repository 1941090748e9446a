"""Keras models as frozen networks, by the graph questions of ``keras_models.py``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from penultimate._common.faults import is_from_input
from penultimate._common.protocols import Network
from penultimate.networks._forward import only_output, several_outputs
from penultimate.networks.frameworks import keras_models
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.frozen import (
    Candidate,
    Cut,
    Example,
    FrozenNetwork,
    Input,
    Shape,
)
from penultimate.networks.frameworks.graph import Graph, has_graph

if TYPE_CHECKING:
    import onnx


# Modules of layers that treat each sample by itself in inference, and layers there that run others'
# code. (Operations outside layers may reduce over the samples.)
_ROWWISE = ("keras.src.layers.", "keras.src.applications.", "keras.src.models.", "penultimate.")
_FOREIGN = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")


@dataclass(frozen=True)
class KerasCut(Cut):
    """A Keras model up to one of its values.

    Attributes
    ----------
    model : keras.Model
        From the inputs that the value depends on to the value.
    """

    model: Network = field(kw_only=True)

    def run(self, batch: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Compute the value for a batch."""
        return only_output(_predict(self.model, batch), self.model)

    def output_shape(self, shapes: Sequence[Shape]) -> Shape | None:
        """Return the value's shape; Keras infers it without running the model."""
        # Inferred only where a size is open, as it depends on the samples then.
        declared = tuple(self.model.outputs[0].shape[1:])
        if None not in declared:
            return declared
        # One sample stands for any number of them.
        given = [(1, *shape) for shape in shapes]
        shape = self.model.compute_output_shape(given if len(given) > 1 else given[0])
        return tuple(shape[1:])


class KerasNetwork(FrozenNetwork):
    """A Keras model as a frozen network.

    Parameters
    ----------
    model : keras.Model
    """

    framework = "Keras"
    # A compiled function per shape: a few sizes of batches are enough (see ``_forward.py``).
    compiles_per_size = True

    def __init__(self, model: Network) -> None:
        self.model = model
        self.name = model.name

    @cached_property
    def may_mix_samples(self) -> bool:  # type: ignore[override]
        """Whether it has code that is not of Keras's own layers, which never do in inference."""
        if not has_graph(self.model):
            return True
        calls = Graph(self.model).calls.values()
        kinds = {type(values[0].operation) for each in calls for values in each}
        return any(
            not kind.__module__.startswith(_ROWWISE) or kind.__name__ in _FOREIGN for kind in kinds
        )

    def inputs(self, example: Example | None = None) -> tuple[Input, ...]:
        """Return its inputs; none of a subclassed model that was never called."""
        return _inputs_of(self.model)

    def cut(self, layer: str, n_classes: int | None = None, example: Example | None = None) -> Cut:
        """Cut the model at a layer; see `keras_models.make_cut`."""
        cut = keras_models.make_cut(self.model, layer, n_classes)
        return KerasCut(
            cut.layer,
            cut.place,
            cut.gives_probabilities,
            _inputs_of(cut.network),
            _channel_axis(cut.network),
            model=cut.network,
        )

    def whole(self, example: Example | None = None) -> Cut:
        """Return the model itself."""
        outputs = getattr(self.model, "outputs", None) or [None]
        if len(outputs) > 1:
            raise ValueError(several_outputs(self.model, len(outputs)))
        return KerasCut(
            self.name,
            "the network's output",
            False,  # what the outputs mean is asked of `gives_logits`
            _inputs_of(self.model),
            -1,
            model=self.model,
        )

    def run_all(self, cuts: Sequence[Cut], batch: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the values of several cuts, in one pass."""
        # Of different inputs, a joint model would need all of them.
        if len(cuts) == 1 or len({cut.inputs for cut in cuts}) > 1:
            return super().run_all(cuts, batch)
        joined = self._join(cuts)
        return [np.asarray(each) for each in _predict(joined, batch)]

    def _join(self, cuts: Sequence[Cut]) -> Network:
        """Return one model with the values of several cuts as outputs."""
        models = [cut.model for cut in cuts if isinstance(cut, KerasCut)]
        # Kept for the next batch: a new model would be traced and compiled once more.
        key = tuple(map(id, models))
        if self._joined is None or self._joined[0] != key:
            joined = import_keras().Model(models[0].inputs, [each.outputs[0] for each in models])
            self._joined = (key, joined)
        return self._joined[1]

    _joined: tuple[tuple[int, ...], Network] | None = None

    def to_onnx(self, cuts: Sequence[Cut]) -> "onnx.ModelProto":
        """Return the model up to several cuts, written layer by layer."""
        from penultimate.networks.frameworks.to_onnx.keras_layers import to_onnx

        return to_onnx(cuts[0].model if len(cuts) == 1 else self._join(cuts))  # type: ignore[attr-defined]

    def candidates(self, example: Example | None = None) -> list[Candidate]:
        """List the outputs of all layers, those of nested models, too."""
        graph = Graph(self.model)
        found = []
        for calls in graph.calls.values():
            for values in calls:
                # Of a call with several outputs (an LSTM with its states), a name means none.
                if len(values) == 1:
                    value = values[0]
                    kind = type(value.operation).__name__
                    shape = tuple(value.tensor.shape[1:])
                    found.append(Candidate(graph.name(value), kind, shape))
        return found

    def gives_logits(self, outputs: NDArray[np.floating] | None = None) -> bool:
        """Return whether the output is scores; see `keras_models.ends_in_logits`."""
        return keras_models.ends_in_logits(self.model, outputs)

    def takes_pixels(self) -> bool:
        """Return whether the model begins by rescaling pixels from 0 to 255."""
        return keras_models.takes_pixels(self.model)

    def digest(self) -> str:
        """Return 32 hexadecimal digits of its layers and weights."""
        digest = xxhash.xxh3_128(self.model.to_json().encode())
        for weights in self.model.get_weights():
            digest.update(np.ascontiguousarray(weights).tobytes())
        return digest.hexdigest()


def _predict(model: Network, batch: Sequence[NDArray[Any]]) -> Any:
    """Return the outputs for a batch; raise ``ValueError`` if Keras cannot compute them."""
    try:
        # `predict` sets up a data pipeline in each call, which a single image would pay for.
        return model.predict_on_batch(batch[0] if len(batch) == 1 else list(batch))
    except MemoryError:
        raise
    except Exception as error:  # of the backend, which have no base class in common
        if is_from_input(error):
            raise
        shapes = " and ".join(str(each.shape) for each in batch)
        raise ValueError(
            f"The network {model.name!r} cannot compute a batch of shape {shapes}: {_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    """Return what a backend says of a failure, without the traceback that TensorFlow puts there."""
    # The reason is its last paragraph, before a line on the node.
    said = re.split(r"\n\s*\n", str(error).strip())[-1].partition("[[{{")[0]
    return f"{type(error).__name__}: {said.strip()}"


def _inputs_of(model: Network) -> tuple[Input, ...]:
    tensors = getattr(model, "inputs", None) or []
    return tuple(
        Input(tensor.name, tuple(tensor.shape[1:]), _type_of(str(tensor.dtype)))
        for tensor in tensors
    )


def _type_of(kind: str) -> str:
    # float32, or the integer type, which holds larger tokens.
    return kind if kind in ("int32", "int64") else "float32"


def _channel_axis(model: Network) -> int:
    """Return the axis of the channels in the output, by the layer that made it."""
    if not has_graph(model):
        return -1
    value = Graph(model).outputs[0]
    # A normalization has no data format, and keeps that of what it normalizes.
    while value.inputs and not hasattr(value.operation, "data_format"):
        value = value.inputs[0]
    return 1 if getattr(value.operation, "data_format", None) == "channels_first" else -1
