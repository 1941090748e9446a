"""What a Keras model computes, as one graph: nested models opened, repeated calls kept apart.

A layer that is asked for its `output` gives that of its *first* call, which may stand in another
model: in the one that was trained before its layers were called again, or in a backbone by itself.
So no layer is asked here. Each tensor knows the call that made it, and a call the tensors it was
made on; going back from a model's outputs one meets what this model computes, and nothing else.

A nested model is one operation of the outer one. It is opened: its inputs are the values that it
was called on, and `Graph.tensor` makes an outer tensor of one inside it, by calling the inner model
up to there on the same values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from penultimate.networks.frameworks.backend import import_keras

_LISTED = 30  # names in an error message


@dataclass(frozen=True, eq=False)
class Nested:
    """A call of a model inside another one."""

    model: Any
    inputs: tuple["Value", ...]
    outer: "Nested | None"


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph, with the call that made it.

    Attributes
    ----------
    operation : keras.Operation
        What was called: a layer or a function of ``keras.ops``; no model that has a graph.
    inputs : tuple of Value
        What it was called on.
    tensor : keras.KerasTensor
        In the model in which the call stands.
    nested : Nested or None
        The call of that model, where it is a nested one.
    path : str
        The names of the models around it and of the operation, joined by ``/``.
    """

    operation: Any
    inputs: tuple["Value", ...]
    tensor: Any
    nested: Nested | None
    path: str


class Graph:
    """The values that a model computes.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential.

    Attributes
    ----------
    inputs, outputs : list of Value
    calls : dict of str to list of list of Value
        For the path of each operation and nested model its calls, in the order in which they run,
        and the outputs of each.

    Raises
    ------
    ValueError
        If the model has no graph.
    """

    def __init__(self, model: Any) -> None:
        if not has_graph(model):
            raise ValueError(
                f"The network {getattr(model, 'name', model)!r} is a subclassed model, or was not "
                "built, and has no graph to cut. Pass a functional or Sequential model that has "
                "its input shape."
            )
        self.model = model
        self.calls: dict[str, list[list[Value]]] = {}
        self._outside: dict[int, Value] = {}  # for the outputs of a nested model, the same outside
        self.inputs = []
        for tensor in model.inputs:
            layer = _call_that_made(tensor).operation
            self.inputs.append(Value(layer, (), tensor, None, layer.name))
        self.outputs = self._open(model, self.inputs, None, "")

    def _open(
        self, model: Any, inputs: Sequence[Value], nested: Nested | None, prefix: str
    ) -> list[Value]:
        """Add what a model computes from its inputs; return its outputs."""
        known = {id(tensor): value for tensor, value in zip(model.inputs, inputs)}
        for call in _calls_before(model.outputs, set(known)):
            operation = call.operation
            path = prefix + operation.name
            given = tuple(known[id(tensor)] for tensor in _tensors_given(call))
            # A model called in another form than its own inputs have stays closed.
            if has_graph(operation) and len(given) == len(operation.inputs):
                inner = Nested(operation, given, nested)
                values = self._open(operation, given, inner, path + "/")
                for value, tensor in zip(values, call.outputs):
                    self._outside[id(value)] = Value(operation, given, tensor, nested, path)
            else:
                values = [Value(operation, given, each, nested, path) for each in call.outputs]
            self.calls.setdefault(path, []).append(values)
            known.update(zip(map(id, call.outputs), values))
        return [known[id(tensor)] for tensor in model.outputs]

    def find(self, name: str) -> Value:
        """Return the output of a layer.

        Parameters
        ----------
        name : str
            A layer's name or, where several nested models have such a layer, its path; with
            ``:0``, ``:1``, ... after it where it is called several times.

        Returns
        -------
        Value

        Raises
        ------
        ValueError
            If there is no such layer, or it is not clear which one or which call is meant.
        """
        path, colon, number = name.rpartition(":")
        if name not in self.calls and colon and number.isdigit():
            calls = self.calls[self._find_path(path)]
            if int(number) >= len(calls):
                raise ValueError(
                    f"The layer {path!r} is called {len(calls)} times in the network "
                    f"{self.model.name!r}, counted from 0; got {name!r}."
                )
            call = calls[int(number)]
        else:
            calls = self.calls[self._find_path(name)]
            if len(calls) > 1:
                raise ValueError(
                    f"The layer {name!r} is called {len(calls)} times in the network "
                    f"{self.model.name!r}: choose one of "
                    f"{[f'{name}:{k}' for k in range(len(calls))]}, in the order in which they run."
                )
            call = calls[0]
        if len(call) > 1:
            raise ValueError(
                f"The layer {name!r} of the network {self.model.name!r} has {len(call)} outputs; "
                "name a layer that has one."
            )
        return call[0]

    def _find_path(self, name: str) -> str:
        if name in self.calls:
            return name
        paths = [path for path in self.calls if path.endswith(f"/{name}")]
        if len(paths) > 1:
            raise ValueError(
                f"Several nested models of the network {self.model.name!r} have a layer {name!r}: "
                f"choose one of {paths}."
            )
        if not paths:
            raise ValueError(
                f"The network {self.model.name!r} has no layer {name!r}; choose 'penultimate' or "
                f"one of {self._names(name)}."
            )
        return paths[0]

    def _names(self, wanted: str) -> str:
        names = list(self.calls)
        if len(names) <= _LISTED:
            return str(names)
        close = get_close_matches(wanted, names, 5)
        listed = [*close, *(name for name in names[-_LISTED:] if name not in close)]
        return f"{listed} and {len(names) - len(listed)} others"

    def name(self, value: Value) -> str:
        """Return the name by which `find` finds a value."""
        calls = self.calls.get(value.path, [])
        if len(calls) < 2:
            return value.path
        number = next(k for k, call in enumerate(calls) if any(each is value for each in call))
        return f"{value.path}:{number}"

    def tensor(self, value: Value) -> Any:
        """Return a value as a tensor of the outermost model."""
        # Parts of one model may meet in a graph, where names must differ.
        name = f"until_{self.name(value).replace('/', '_').replace(':', '_')}"
        needed = ancestors(value)
        if value.nested is not None:
            value = self._outside.get(id(value), value)
        if value.nested is None:
            return value.tensor
        nested = value.nested
        pairs = [
            (tensor, given)
            for tensor, given in zip(nested.model.inputs, nested.inputs)
            if id(given) in needed
        ]
        part = import_keras().Model(bare([tensor for tensor, _ in pairs]), value.tensor, name=name)
        # Keras's predict runs all in inference mode, whatever `training` a model was called with.
        return part(bare([self.tensor(given) for _, given in pairs]))

    def until(self, value: Value) -> Any:
        """Return the model from the inputs that a value depends on to this value."""
        needed = ancestors(value)
        inputs = [given.tensor for given in self.inputs if id(given) in needed]
        return import_keras().Model(bare(inputs), self.tensor(value))


def has_graph(model: Any) -> bool:
    """Say whether a layer is a model that computes what its graph of layers says."""
    if not isinstance(model, import_keras().Model) or not getattr(model, "inputs", None):
        return False
    return type(model).call.__module__.split(".")[0] == "keras"  # not overridden by a subclass


def ancestors(value: Value) -> dict[int, Value]:
    """Return what a value is computed from, by identity, itself included."""
    found: dict[int, Value] = {}
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if id(each) not in found:
            found[id(each)] = each
            waiting += each.inputs
    return found


def bare(items: list[Any]) -> Any:
    """The inputs as a model is called with them: a single one bare, for Keras warns otherwise."""
    return items[0] if len(items) == 1 else items


def _calls_before(outputs: Sequence[Any], known: set[int]) -> Iterator[Any]:
    """Yield the calls that lead from known tensors to `outputs`, each after those it needs."""
    done: set[int] = set()
    waiting = [(tensor, False) for tensor in reversed(outputs)]
    while waiting:  # a loop: networks are deeper than Python's recursion
        tensor, ready = waiting.pop()
        call = _call_that_made(tensor)
        if id(tensor) in known or id(call) in done:
            continue
        if ready:
            done.add(id(call))
            yield call
        else:
            waiting.append((tensor, True))
            waiting += [(each, False) for each in reversed(call.input_tensors)]


def _call_that_made(tensor: Any) -> Any:
    """Return the call, a node of Keras's, that a tensor came from.

    Keras has no public name for this: `_keras_history` (operation, node index, tensor index) and
    `_inbound_nodes` are what its own models are built on. They are used here and nowhere else.
    """
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _tensors_given(call: Any) -> list[Any]:
    """Return the tensors of a call; to a model those of a dict in the order of its inputs."""
    first = call.arguments.args[0] if call.arguments.args else None
    if isinstance(first, Mapping) and has_graph(call.operation):
        names = [tensor.name for tensor in call.operation.inputs]
        if set(names) <= set(first):
            return [first[name] for name in names]
    return list(call.input_tensors)
