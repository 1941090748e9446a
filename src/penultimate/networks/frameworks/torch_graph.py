"""The calls and values of one forward pass of a torch module, and the names of its layers.

Values are found by the module that gives or takes them: ``"layer4"``, ``"relu:1"`` (its second
call), ``"lstm[0]"`` (a key), ``"input of fc"``. ``torch_recording.py`` fills the graph.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from penultimate.networks.frameworks.frozen import no_such_layer

Shape = tuple[int, ...]
# A module's name, which may hold anything; the number of a call; the keys of one of its tensors.
_LAYER = re.compile(r"(?P<name>.*?)(:(?P<call>\d+))?(?P<key>(\[[^\[\]]*\])*)")
# The network itself has no name. Names of modules may be single words such as "output".
_INPUT, _OUTPUT = "input of the network", "output of the network"


@dataclass(frozen=True, eq=False)  # compared by identity, as two calls may have equal fields
class Value:
    """A tensor that is computed from the inputs.

    Attributes
    ----------
    kind : str
        The function that made it, in lower case and without underscores; the class of a module that
        is opaque; ``"input"``.
    shape : tuple of int
        With the axis of the samples.
    inputs : tuple of Value
        Values that the function took, each once.
    weights, constants : tuple of tuple of int
        Shapes of the other tensors that it took.
    call : Call
        The module that ran.
    channel_axis : int or None
        Axis of the channels; None if it is not known.
    is_opaque : bool
        Whether a module is all that is known of it.
    """

    kind: str
    shape: Shape
    inputs: tuple["Value", ...]
    weights: tuple[Shape, ...]
    constants: tuple[Shape, ...]
    call: "Call"
    channel_axis: int | None = None
    is_opaque: bool = False


@dataclass(eq=False)
class Call:
    """A call of a module, with its tensors by their keys in what it takes and gives."""

    name: str
    kind: str
    number: int
    inputs: dict[str, Value] = field(default_factory=dict)
    outputs: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a hook finds a value.

    Attributes
    ----------
    name : str
        Dotted name of the module; empty for the network itself.
    number : int
        Number of the call.
    key : str
        Such as ``"[0]"``, ``"[hidden][1]"``; empty for a bare tensor.
    is_input : bool
        Whether the module takes it.
    """

    name: str
    number: int
    key: str
    is_input: bool


class Graph:
    """The calls and values of one forward pass.

    Parameters
    ----------
    network : str
        Name of the network in messages.
    calls : list of Call
        In the order in which they ended; the last one is that of the network.
    aliases : dict of str to str
        Every name of every module, to the name under which it is called here.
    """

    def __init__(self, network: str, calls: list[Call], aliases: Mapping[str, str]) -> None:
        self.network = network
        self.calls = calls
        self.root = calls[-1]  # the network itself is the last to return
        self._times = Counter(call.name for call in calls)
        # What a layer may be called, to the module and whether it is what that takes.
        self._known = {_OUTPUT: ("", False), _INPUT: ("", True)}
        for alias, name in aliases.items():
            if alias:
                self._known[f"input of {alias}"] = name, True
                self._known[alias] = name, False

    @property
    def outputs(self) -> dict[str, Value]:
        """The network's outputs."""
        return self.root.outputs

    def find(self, layer: str) -> tuple[Place, Value]:
        """Return where a layer's value is found, and the value.

        Raises
        ------
        ValueError
            If there is no such layer, it does not run, or a number or key is missing or wrong.
        """
        # Keys may be left out where there is one tensor, numbers where there is one call.
        parts = _LAYER.fullmatch(layer)
        name, number, key = (
            (parts["name"], parts["call"], parts["key"]) if parts else (layer, "", "")
        )
        # A name may contain a colon or a bracket itself, so the whole of it is tried first.
        if layer in self._known:
            name, number, key = layer, "", ""
        if name not in self._known:
            raise ValueError(no_such_layer(self.network, layer, self.names()))
        module, is_input = self._known[name]
        call = self._choose_call(module, name, number, layer)
        tensors = call.inputs if is_input else call.outputs
        key = self._choose_key(tensors, layer, key)
        return Place(module, call.number, key, is_input), tensors[key]

    def _choose_call(self, module: str, name: str, number: str | None, layer: str) -> Call:
        calls = [call for call in self.calls if call.name == module]
        if not calls:
            raise ValueError(
                f"The layer {name!r} of the network {self.network!r} does not run in its forward "
                "pass; FeatureExtractor(network).layers(X) lists those that do."
            )
        called = f"The layer {name!r} is called {len(calls)} times in the network {self.network!r}"
        if not number and len(calls) > 1:
            raise ValueError(
                f"{called}: choose one of {[f'{name}:{k}' for k in range(len(calls))]}, in the "
                "order in which they run."
            )
        if int(number or 0) >= len(calls):
            raise ValueError(f"{called}, counted from 0; got {layer!r}.")
        return calls[int(number or 0)]

    def _choose_key(self, tensors: Mapping[str, Value], layer: str, key: str) -> str:
        if key in tensors:
            return key
        if not key and len(tensors) == 1:  # nothing else can be meant
            return next(iter(tensors))
        if not tensors:
            raise ValueError(
                f"The layer {layer!r} of the network {self.network!r} has no tensor that is "
                "computed from the inputs; name another layer."
            )
        base = layer.removesuffix(key)
        named = [base + each for each in tensors]
        raise ValueError(
            f"The layer {base!r} of the network {self.network!r} has {len(tensors)} tensors"
            f"{f' and none at {key}' if key else ''}: choose one of {named}."
        )

    def names(self) -> list[str]:
        """Return the names of all values that modules give, in the order of the calls."""
        return [self.text(call, key) for call in self.calls for key in call.outputs]

    def names_of(self, value: Value) -> list[str]:
        """Return the names under which `find` returns a value, the best one first.

        A module that makes it comes before those that take it, and those that merely pass it on,
        such as dropout, come last.
        """
        # What a module makes is named best by it; then by who takes it. Last come modules that
        # pass on what they take, such as dropout at inference.
        given: list[str] = []
        taken: list[str] = []
        passed: list[str] = []
        for call in self.calls:
            keys = [key for key, each in call.outputs.items() if each is value]
            before = [key for key, each in call.inputs.items() if each is value]
            given += [self.text(call, key) for key in keys if not before]
            names = [self.text(call, key, is_input=True) for key in before]
            (passed if keys else taken).extend(names)
        return given + taken + passed

    def text(self, call: Call, key: str, *, is_input: bool = False) -> str:
        """Return the name under which `find` returns a tensor of a call."""
        tensors = call.inputs if is_input else call.outputs
        name = f"input of {call.name}" if is_input else call.name
        if call is self.root:
            name = _INPUT if is_input else _OUTPUT
        number = f":{call.number}" if self._times[call.name] > 1 else ""
        return f"{name}{number}{key if len(tensors) > 1 else ''}"
