"""The torch adapter: any ``torch.nn.Module``, cut at what one of its modules gives or takes.

A forward pass on a few samples shows what the module computes (``torch_recording.py``), and the
rules of ``torch_classifying.py`` find the penultimate layer in it. A cut runs the module with one
hook, which takes the value and ends the pass.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from penultimate.networks.frameworks import torch_classifying as classifying
from penultimate.networks.frameworks.frozen import (
    Candidate,
    Cut,
    Example,
    FrozenNetwork,
    Input,
    Shape,
)
from penultimate.networks.frameworks.torch_graph import Graph, Place, Value
from penultimate.networks.frameworks.torch_recording import record
from penultimate.networks.frameworks.torch_running import (
    arguments,
    as_array,
    checked,
    explained,
    float_type,
    inference,
    is_torch_module,
    possible_types,
    rows,
    shapes_of,
    until,
    weights_of,
)

if TYPE_CHECKING:  # torch is loaded by whoever passes a module of it
    import onnx
    import torch

__all__ = ["TorchCut", "TorchNetwork", "is_torch_module"]

_ROWS = (0, 1, 2, 3, 4)  # of the example that is run: a number that few other axes have
# Some of them, with others before and after each, as recurrent layers see only one side.
_OTHER_ROWS = (2, 1)
# What another routine, for another size of the batch, may change: relative to the largest value.
# Batch statistics or dropout change far more.
_ROUNDING, _ROUNDING_HALF = 0.01, 0.1


@dataclass(frozen=True, kw_only=True)
class TorchCut(Cut):
    """A torch module up to one of its values.

    Attributes
    ----------
    module : torch.nn.Module
    found_at : Place
    by_name : bool
        Whether the inputs are keyword arguments.
    """

    module: "torch.nn.Module"
    found_at: Place
    by_name: bool
    _shapes: dict[tuple[Shape, ...], Shape] = field(default_factory=dict, repr=False, compare=False)

    def run(self, batch: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Compute the value for a batch, as float32.

        Raises
        ------
        ValueError
            If the module cannot take the batch.
        """
        return _run([self], batch)[0]

    def output_shape(self, shapes: Sequence[Shape]) -> Shape | None:
        """Return the value's shape for one sample, from a pass on zeros."""
        key = tuple(map(tuple, shapes))
        if any(size is None for shape in key for size in shape):
            return None
        if key not in self._shapes:
            zeros = [
                np.zeros((2, *(size or 0 for size in shape)), each.dtype)
                for shape, each in zip(key, self.inputs, strict=True)
            ]
            self._shapes[key] = self.run(zeros).shape[1:]
        return self._shapes[key]


def _run(cuts: Sequence[TorchCut], batch: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Compute the values of cuts of one module, with the same inputs, in one pass."""
    module, inputs = cuts[0].module, cuts[0].inputs
    # A single sample is passed twice: a network with a bare squeeze() would lose its axis, and one
    # row is multiplied by another routine than several.
    n_samples = len(batch[0])
    batch = [np.repeat(each, 2, axis=0) for each in batch] if n_samples == 1 else batch
    with inference(module):
        args, kwargs = arguments(module, batch, inputs, cuts[0].by_name)
        try:
            values = until(module, [cut.found_at for cut in cuts], args, kwargs)
        except Exception as error:
            raise explained(error, module, batch, inputs) from error
    # A module may branch on the shape or the values of its input.
    missing = [cut.layer for cut, value in zip(cuts, values) if value is None]
    if missing:
        raise ValueError(
            f"The layer {missing[0]!r} of the network {type(module).__name__!r} did not run for "
            f"samples of shape {shapes_of(batch)}, though it did when it was found. Name a layer "
            "that always runs."
        )
    arrays = [as_array(value) for value in values]
    return [array[:1] for array in arrays] if n_samples == 1 else arrays


class TorchNetwork(FrozenNetwork):
    """A ``torch.nn.Module``.

    A layer is the dotted name of a submodule (``"backbone.layer4"``); what it takes instead of what
    it gives is ``"input of fc"``. If it is called several times, ``"relu:0"``, ``"relu:1"`` choose
    a call; if it gives several tensors, ``"lstm[0]"``, ``"encoder[last_hidden_state]"`` choose one.
    The network's own are ``"output of the network"`` and ``"input of the network"``.

    Parameters
    ----------
    module : torch.nn.Module
        On any device, of any float type, in any mode.

    Raises
    ------
    TypeError
        If it is no module, or one whose submodules cannot be observed.
    ValueError
        If its weights are not there.

    Examples
    --------
    >>> import numpy as np
    >>> torch = __import__("pytest").importorskip("torch")
    >>> from penultimate.networks.frameworks.torch_modules import TorchNetwork
    >>> nn = torch.nn
    >>> network = TorchNetwork(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    >>> cut = network.cut("penultimate", example=[np.zeros((2, 4))])
    >>> cut.layer, cut.place, cut.run([np.zeros((5, 4))]).shape
    ('1', "the input of '2'", (5, 8))
    """

    framework = "torch"
    states_shapes = False

    def __init__(self, module: "torch.nn.Module") -> None:
        self.module = checked(module)
        self.name = type(self.module).__name__
        # What the last example showed: for `gives_logits`, which is asked without one.
        self._graph: Graph | None = None
        # A few of its samples: for `whole`, where an export has none.
        self._example: Example | None = None

    def inputs(self, example: Example | None = None) -> tuple[Input, ...]:
        """Return its inputs; without an example, the required ones of its ``forward``."""
        if example is not None:
            return self._record(example)[1]
        required = [each.name for each in self._parameters() if each.default is each.empty]
        return tuple(Input(name, None) for name in required or ["input"])

    def cut(
        self, layer: str, n_classes: int | None = None, example: Example | None = None
    ) -> TorchCut:
        """Cut the module at a layer; see `FrozenNetwork.cut`."""
        graph, inputs = self._record(example)
        if layer == "penultimate":
            return self._cut(graph, inputs, example, *classifying.penultimate(graph, n_classes))
        # As `Graph.text` names what a module takes.
        is_input = layer.startswith("input of ")
        place = f"the {'input' if is_input else 'output'} of {layer.removeprefix('input of ')!r}"
        return self._cut(graph, inputs, example, layer, place)

    def whole(self, example: Example | None = None) -> TorchCut:
        """Return the module up to its only output, by default as the last example showed it."""
        example = self._example if example is None else example
        graph, inputs = self._record(example)
        self._output(graph)
        return self._cut(graph, inputs, example, "output of the network", "the network's output")

    def run_all(self, cuts: Sequence[Cut], batch: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the values of several cuts, in one pass."""
        own = [cut for cut in cuts if isinstance(cut, TorchCut)]
        same = len({(id(cut.module), cut.inputs, cut.by_name) for cut in own}) == 1
        return _run(own, batch) if same and len(own) == len(cuts) else super().run_all(cuts, batch)

    def to_onnx(self, cuts: Sequence[Cut]) -> "onnx.ModelProto":
        """Return the module up to several cuts, as torch exports it."""
        from penultimate.networks.frameworks.to_onnx.torch_export import to_onnx

        own = [cut for cut in cuts if isinstance(cut, TorchCut)]
        places = [cut.found_at for cut in own]
        return to_onnx(self.module, places, own[0].inputs[0], own[0].by_name)

    def candidates(self, example: Example | None = None) -> list[Candidate]:
        """List what its modules give, in the order in which they end.

        What a module takes is listed, too, if no module gives it, as where a function flattens.
        """
        graph, _ = self._record(example)
        found: list[Candidate] = []
        for call in graph.calls:
            for tensors, is_input in ((call.inputs, True), (call.outputs, False)):
                for key, value in tensors.items():
                    layer = graph.text(call, key, is_input=is_input)
                    # What a module takes is listed where no module gives it: it comes from a
                    # function between them.
                    if value.shape[:1] == (len(_ROWS),) and (
                        not is_input or (graph.names_of(value)[0] == layer and value.inputs)
                    ):
                        kind = value.kind if is_input else call.kind
                        found.append(Candidate(layer, kind, value.shape[1:]))
        return found

    def gives_logits(
        self, outputs: NDArray[np.floating] | None = None, example: Example | None = None
    ) -> bool:
        """Return whether the output is scores, not probabilities.

        What makes the output says so. Where that cannot be seen, as after a clip, outputs that add
        up to one are probabilities. Logarithms of probabilities are scores.

        Parameters
        ----------
        outputs : ndarray of shape (n_samples, n_outputs), optional
            Those of samples.
        example : list or dict of ndarray, optional
            A few samples; by default those that the network was last cut with.

        Raises
        ------
        ValueError
            If the network has several outputs, or what there is has two readings.
        """
        made_of: set[str] = set()
        if example is not None or self._graph is not None:
            graph = self._record(example)[0] if example is not None else self._graph
            assert graph is not None
            output = self._output(graph)
            probabilities = classifying.gives_probabilities(output)
            if probabilities is not None:
                return not probabilities
            made_of = classifying.sources(output)
            if outputs is None and example is not None:
                outputs = self.whole(example).run(rows(example, _ROWS))
        if outputs is None:
            raise ValueError(
                f"It is not clear whether the outputs of the network {self.name!r} are scores or "
                "probabilities: pass outputs, or samples to run it on."
            )
        return classifying.are_scores(outputs.reshape(len(outputs), -1), made_of, self.name)

    def takes_pixels(self) -> bool:
        """Return False: torch has no layer that scales pixels."""
        return False

    def digest(self) -> str:
        """Return 32 hexadecimal digits that stand for its modules and weights.

        Classes count by their names and settings, not by the code of their ``forward``.
        """
        import torch

        digest = xxhash.xxh3_128()
        for name, module in self.module.named_modules():
            kind = f"{type(module).__module__}.{type(module).__qualname__}"
            # Not where objects are in memory, which functions among the settings show.
            settings = re.sub(r" at 0x[0-9a-f]+", "", module.extra_repr())
            digest.update(f"{name}\n{kind}\n{settings}\n".encode())
        for name, weights in weights_of(self.module):
            digest.update(f"{name}\n{tuple(weights.shape)}\n{weights.dtype}\n".encode())
            values = weights.detach().cpu()
            # Quantized values have no bytes that NumPy reads.
            values = values.dequantize() if values.is_quantized else values
            digest.update(values.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def channels_first(self, example: Example | None = None) -> bool:
        """Return True for images, as torch's convolutions take them so."""
        if example is None:
            return True
        arrays = list(example.values()) if isinstance(example, Mapping) else example
        # Rows and sequences have no such axis.
        return np.ndim(arrays[0]) == 4

    def _record(self, example: Example | None) -> tuple[Graph, tuple[Input, ...]]:
        """Run the module on an example; return what it computed, and its inputs."""
        # A module is Python code: nothing but a pass shows what it computes.
        if example is None or not len(example):
            raise ValueError(
                f"The torch module {self.name!r} does not state the shape of its input: pass X to "
                "fit, or a Preprocessing with a size."
            )
        batch, names = rows(example, _ROWS), self._input_names(example)
        errors: list[Exception] = []
        # Types are tried, because a module does not say which it takes.
        for kinds in possible_types(batch):
            inputs = tuple(
                Input(name, each.shape[1:], kind) for name, each, kind in zip(names, batch, kinds)
            )
            with inference(self.module):
                args, kwargs = arguments(self.module, batch, inputs, self._is_by_name(example))
                try:
                    self._graph = record(self.module, args, kwargs)
                    by_name = isinstance(example, Mapping)
                    self._example = dict(zip(names, batch)) if by_name else batch
                    return self._graph, inputs
                except Exception as error:
                    errors.append(error)
        # Of several, one that is not about the type that was tried says more.
        cause = next((each for each in errors if "type" not in str(each)), errors[0])
        raise explained(cause, self.module, batch, inputs) from cause

    def _input_names(self, example: Example) -> list[str]:
        return list(example) if isinstance(example, Mapping) else self._names(len(example))

    def _is_by_name(self, example: Example) -> bool:
        # A dict of the names that positions were given, as of a copy, is none of keywords.
        return isinstance(example, Mapping) and list(example) != self._names(len(example))

    def _names(self, count: int) -> list[str]:
        """Return the names of inputs that are given by position."""
        names = [each.name for each in self._parameters()]
        return [names[k] if k < len(names) else f"input {k}" for k in range(count)]

    def _parameters(self) -> list[inspect.Parameter]:
        """Return the parameters of its ``forward`` that may be given by position."""
        parameters = inspect.signature(self.module.forward).parameters.values()
        return [
            each
            for each in parameters
            if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        ]

    def _output(self, graph: Graph) -> Value:
        if len(graph.outputs) != 1:
            names = [graph.text(graph.root, key) for key in graph.outputs]
            raise ValueError(
                f"The network {self.name!r} has {len(names)} outputs that are computed from its "
                f"inputs, and one is needed{': ' if names else ''}{', '.join(names)}. Pass a "
                "module that returns that one alone."
            )
        return next(iter(graph.outputs.values()))

    def _cut(
        self,
        graph: Graph,
        inputs: tuple[Input, ...],
        example: Example | None,
        layer: str,
        place: str,
    ) -> TorchCut:
        assert example is not None  # `_record` raised without one
        found_at, value = graph.find(layer)
        axis = value.channel_axis
        if axis is None:  # torch's maps have their channels first, and rows have them last
            axis = 1 if len(value.shape) > 3 else -1
        cut = TorchCut(
            layer,
            place,
            bool(classifying.gives_probabilities(value)),
            inputs,
            -1 if axis == len(value.shape) - 1 else axis,
            module=self.module,
            found_at=found_at,
            by_name=self._is_by_name(example),
        )
        # Tried at once: whatever else is in its batch, a sample must have the same features.
        several, other = cut.run(rows(example, _ROWS)), cut.run(rows(example, _OTHER_ROWS))
        if several.shape[:1] != (len(_ROWS),) or other.shape[:1] != (len(_OTHER_ROWS),):
            raise ValueError(
                f"The value at {layer!r} of the network {self.name!r} has shape {several.shape} "
                f"for {len(_ROWS)} samples: its first axis is not that of the samples, as of "
                "recurrent layers without batch_first=True. Name a layer whose first axis is."
            )
        is_half = float_type(self.module) in ("float16", "bfloat16")
        rounding = _ROUNDING_HALF if is_half else _ROUNDING
        limit = rounding * np.abs(several[np.isfinite(several)]).max(initial=0)
        if not np.allclose(several[list(_OTHER_ROWS)], other, rtol=0, atol=limit, equal_nan=True):
            raise ValueError(
                f"The values of a sample at {layer!r} of the network {self.name!r} depend on the "
                "other samples in its batch, or change from call to call: batch normalization "
                "without running statistics, dropout that is on in evaluation mode, or an input "
                "whose first axis is not that of the samples (batch_first=False). Name a layer "
                "before it, or fix the module."
            )
        return cut
