"""What a torch module computes, as seen in one forward pass.

A torch module has no graph: its ``forward`` is Python. So it is run on a few samples, while every
function of torch's is noted with the tensors that it took and gave (a ``TorchFunctionMode``), and
hooks note which module was running. Only tensors that are computed from the inputs are values of
the graph; all others are weights (parameters, and what is computed from nothing else, such as a
normalized weight) or constants. What torch's functions do not show, such as a scripted module, is
one opaque operation.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from penultimate.networks.frameworks.torch_graph import Call, Graph, Shape, Value

if TYPE_CHECKING:  # torch is loaded by whoever passes a module of it
    import torch

DROPOUTS = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alphadropout", "featurealphadropout"}
# Functions that do not change values. What they return may be what they were given.
SAME = DROPOUTS | {
    *("flatten", "reshape", "reshapeas", "view", "viewas", "squeeze", "unsqueeze", "unflatten"),
    *("permute", "transpose", "t", "mt", "swapaxes", "swapdims", "movedim", "moveaxis", "ravel"),
    *("to", "type", "typeas", "float", "half", "bfloat16", "double", "cpu", "cuda", "contiguous"),
    *("clone", "detach", "data", "alias", "identity", "requiresgrad"),
}
_MOVES_AXES = {"permute", "transpose", "t", "mt", "swapaxes", "swapdims", "movedim", "moveaxis"}
# Whose values have channels on the second axis, or on the last one.
_CHANNELS_FIRST = re.compile("conv|.*pool|batchnorm|instancenorm|groupnorm|interpolate|upsample")
_CHANNELS_LAST = re.compile("linear|layernorm|embedding|multihead|scaleddot|lstm|gru|rnn")
# Names in torch.special of the same functions.
_ALIASES = {
    "specialexpit": "sigmoid",
    "specialsoftmax": "softmax",
    "speciallogsoftmax": "logsoftmax",
}


def leaves(value: object, key: str = "") -> Iterator[tuple[str, "torch.Tensor"]]:
    """Yield the tensors in tuples, lists, dicts and dataclasses, each with its key."""
    import torch

    if isinstance(value, torch.Tensor):
        yield key, value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from leaves(each, f"{key}[{name}]")
    elif isinstance(value, (list, tuple)):
        for k, each in enumerate(value):
            yield from leaves(each, f"{key}[{k}]")
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from leaves(getattr(value, each.name, None), f"{key}[{each.name}]")


def tensors_taken(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, "torch.Tensor"]:
    """Return the tensors among the arguments of a call, by their keys."""
    return dict([*leaves(args), *leaves(kwargs)])


def record(module: "torch.nn.Module", args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Graph:
    """Run a module on a few samples, and return what it computed.

    The caller sees to it that nothing else changes: evaluation mode, no gradients.

    Parameters
    ----------
    module : torch.nn.Module
    args, kwargs
        Arguments of the call.

    Returns
    -------
    Graph
    """
    # While the mode is on, every function of torch's is passed to it instead of being called.
    from torch.overrides import TorchFunctionMode

    recorder = _Recorder(module)

    class Mode(TorchFunctionMode):
        def __torch_function__(
            self,
            func: Callable[..., Any],
            types: Collection[type],
            args: tuple[Any, ...] = (),
            kwargs: dict[str, Any] | None = None,
        ) -> object:
            return recorder.run(func, args, kwargs or {})

    handles = []
    try:
        for each in module.modules():
            handles.append(each.register_forward_pre_hook(recorder.enter, with_kwargs=True))
            handles.append(each.register_forward_hook(recorder.leave))
        with Mode():
            module(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    # All names of all modules, so that any of them finds the layer.
    aliases = {
        name: recorder.names[id(each)]
        for name, each in module.named_modules(remove_duplicate=False)
    }
    return Graph(type(module).__name__, recorder.calls, aliases)


class _Recorder:
    """Notes calls of modules and of torch's functions."""

    def __init__(self, module: "torch.nn.Module") -> None:
        # A module that is used in several places has its first name.
        self.names = {id(each): name for name, each in module.named_modules()}
        self.calls: list[Call] = []
        self._running: list[Call] = []
        self._times: Counter[str] = Counter()
        self._values: dict[int, Value] = {}
        self._from_weights: set[int] = set()
        # Tensors that were met: an identity is unique only among what is alive. At first those that
        # modules hold: parameters, buffers and plain attributes.
        held = (vars(each).values() for each in module.modules())
        self._met = {id(each): each for values in held for _, each in leaves(list(values))}
        self._latest: Value | None = None

    def enter(
        self, module: "torch.nn.Module", args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Note that a module is called (a hook)."""
        name = self.names[id(module)]
        call = Call(name, type(module).__name__, self._times[name])
        self._times[name] += 1
        taken = tensors_taken(args, kwargs)
        if not self._running:  # the network itself: here are its inputs
            for tensor in taken.values():
                self._add(tensor, Value("input", tuple(tensor.shape), (), (), (), call))
        self._running.append(call)
        self._meet(taken.values())
        call.inputs = self._known(taken)

    def leave(self, module: "torch.nn.Module", args: tuple[Any, ...], output: object) -> None:
        """Note that a module returns (a hook)."""
        call = self._running.pop()
        # A forward pass that caught an exception left calls that never returned.
        while call.name != self.names[id(module)]:
            call = self._running.pop()
        given = dict(leaves(output))
        taken = tuple({id(each): each for each in call.inputs.values()}.values())
        for tensor in given.values():
            # No function of torch's was seen to make it: the module as a whole did.
            if id(tensor) not in self._met and taken:
                weights = tuple(tuple(each.shape) for each in module.parameters())
                kind, shape = _plain(call.kind), tuple(tensor.shape)
                self._add(tensor, Value(kind, shape, taken, weights, (), call, is_opaque=True))
        call.outputs = self._known(given)
        self.calls.append(call)

    def run(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Run a function of torch's, and note what it took and gave."""
        if not self._running:  # a hook of the network itself
            return func(*args, **kwargs)
        kind = _kind_of(func, args, kwargs)
        tensors = [tensor for _, tensor in leaves((args, kwargs))]
        self._meet(tensors)
        # Read before the function runs, which may change them in place.
        taken = tuple(self._known({str(k): each for k, each in enumerate(tensors)}).values())
        taken = tuple({id(each): each for each in taken}.values())
        others = [each for each in tensors if id(each) not in self._values]
        result = func(*args, **kwargs)
        # An assignment returns nothing: what it gives is its first argument, changed.
        given = [each for _, each in leaves(args[0] if kind == "setitem" else result)]
        weights = [each for each in others if self._is_weight(each)]
        for tensor in given:
            if not taken:
                if weights:
                    self._from_weights.add(id(tensor))
                self._met[id(tensor)] = tensor
            elif not (kind in SAME and id(tensor) in self._values):
                value = Value(
                    kind,
                    tuple(tensor.shape),
                    taken,
                    tuple(tuple(each.shape) for each in weights),
                    tuple(tuple(each.shape) for each in others if not self._is_weight(each)),
                    self._running[-1],
                    _channel_axis(kind, func, args, kwargs, taken[0], tuple(tensor.shape)),
                )
                self._add(tensor, value)
        return result

    def _meet(self, tensors: Iterable["torch.Tensor"]) -> None:
        """Note tensors that came from nowhere: from a scripted function, or from NumPy.

        They have a row per sample, as few constants have, and are computed from what was last.
        """
        for tensor in tensors:
            if id(tensor) in self._met or self._latest is None or self._is_weight(tensor):
                continue
            self._met[id(tensor)] = tensor
            shape, latest = tuple(tensor.shape), self._latest
            if shape[:1] == latest.shape[:1]:
                call = self._running[-1]
                value = Value("function", shape, (latest,), (), (), call, is_opaque=True)
                self._add(tensor, value)

    def _add(self, tensor: "torch.Tensor", value: Value) -> None:
        self._met[id(tensor)] = tensor
        self._values[id(tensor)] = self._latest = value

    def _known(self, tensors: Mapping[str, "torch.Tensor"]) -> dict[str, Value]:
        return {
            key: self._values[id(each)] for key, each in tensors.items() if id(each) in self._values
        }

    def _is_weight(self, tensor: "torch.Tensor") -> bool:
        import torch

        return isinstance(tensor, torch.nn.Parameter) or id(tensor) in self._from_weights


def _plain(name: str) -> str:
    plain = name.replace("_", "").lower()
    return _ALIASES.get(plain, plain)


def _kind_of(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    name = getattr(func, "__name__", type(func).__name__)
    if name == "__get__":  # of an attribute, such as Tensor.T
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    kind = _plain(name)
    # ReLU6 is a hardtanh from 0 to 6, and a ReLU may be written as a clamp.
    if kind in ("hardtanh", "clamp", "clip", "clampmin"):
        low = kwargs.get("min_val", kwargs.get("min", args[1] if len(args) > 1 else None))
        return "relu" if isinstance(low, (int, float)) and low == 0 else kind
    return kind


def _channel_axis(
    kind: str,
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    taken: Value,
    shape: Shape,
) -> int | None:
    """Return the axis of the channels after a function; None if it is not known."""
    if _CHANNELS_FIRST.match(kind):
        return 1
    if _CHANNELS_LAST.match(kind):
        return len(shape) - 1
    axis = taken.channel_axis
    if axis is None:
        return None
    if kind in _MOVES_AXES and args:
        import torch

        # Where does the axis go? The only one of length 2 shows it, in a tensor without memory.
        marked = torch.empty([1 + (k == axis) for k in range(len(taken.shape))], device="meta")
        return list(func(marked, *args[1:], **kwargs).shape).index(2)
    if len(shape) == len(taken.shape):
        return axis
    # Flattened or pooled: the axis is still there if its length is.
    if axis == len(taken.shape) - 1 and shape and shape[-1] == taken.shape[-1]:
        return len(shape) - 1
    return axis if axis < len(shape) and shape[axis] == taken.shape[axis] else None
