"""The computation of a Keras model as one graph, with nested models opened and calls kept apart.

The attribute `output` of a layer is that of its *first* call, which may belong to another model:
the one that was trained before its layers were called again, or a backbone by itself. So it is not
used here. Each tensor refers to the call that made it, and each call to its input tensors;
following these back from a model's outputs yields what this model computes, and nothing else.

A nested model is a single operation of the outer one. It is opened: its inputs are the values that
it was called on, and `Graph.tensor` turns a tensor inside it into an outer one, by calling the
inner model up to that tensor on the same values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from penultimate._common.protocols import Layer, Network, Tensor
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.frozen import no_such_layer

if TYPE_CHECKING:
    import keras


class Arguments(Protocol):
    """The arguments of a call, with tensors among them."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Call(Protocol):
    """A call of an operation: a node of Keras's."""

    operation: Layer
    arguments: Arguments
    input_tensors: list[Tensor]
    outputs: list[Tensor]


# Without `eq`, values are compared by identity: a comparison by fields would follow the graph back
# to its inputs, and take two calls of a layer on one tensor for the same.
@dataclass(frozen=True, eq=False)
class Nested:
    """A call of a model inside another model."""

    model: Network
    inputs: tuple["Value", ...]
    outer: "Nested | None"


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph, with the call that made it.

    Attributes
    ----------
    operation : keras.Operation
        What was called: a layer or a function of ``keras.ops``, but never a model with a graph.
    inputs : tuple of Value
        Inputs of the call.
    tensor : keras.KerasTensor
        The tensor in the model that contains the call.
    nested : Nested or None
        The call of that model, if it is nested.
    path : str
        Names of the enclosing models and of the operation, joined by ``/``.
    """

    operation: "keras.Operation"  # of any class, each with attributes of its own
    inputs: tuple["Value", ...]
    tensor: Tensor
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
        The calls of each operation and nested model, by path, in execution order, with the outputs
        of each call.

    Raises
    ------
    ValueError
        If the model has no graph.
    """

    def __init__(self, model: Network) -> None:
        if not has_graph(model):
            raise ValueError(
                f"The network {getattr(model, 'name', model)!r} is a subclassed model, or was not "
                "built, and has no graph to cut. Pass a functional or Sequential model with a "
                "known input shape."
            )
        self.model = model
        self.calls: dict[str, list[list[Value]]] = {}
        self._outside: dict[int, Value] = {}  # outputs of a nested model to the same outside it
        self.inputs = []
        for tensor in model.inputs:
            layer = _call_that_made(tensor).operation
            self.inputs.append(Value(layer, (), tensor, None, layer.name))
        self.outputs = self._open(model, self.inputs, None, "")

    def _open(
        self, model: Network, inputs: Sequence[Value], nested: Nested | None, prefix: str
    ) -> list[Value]:
        """Add the values that a model computes from its inputs; return its outputs."""
        known = {id(tensor): value for tensor, value in zip(model.inputs, inputs)}
        for call in _calls_before(model.outputs, set(known)):
            operation = call.operation
            path = prefix + operation.name
            given = tuple(known[id(tensor)] for tensor in _tensors_given(call))
            # A model that was called with inputs of another structure than its own stays closed.
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
            A layer's name or, if several nested models have such a layer, its path; followed by
            ``:0``, ``:1``, ... if it is called several times.

        Returns
        -------
        Value

        Raises
        ------
        ValueError
            If there is no such layer, or the layer or the call is ambiguous.
        """
        path, colon, number = name.rpartition(":")
        # A name may contain a colon itself, so the whole of it is tried first.
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
            raise ValueError(no_such_layer(self.model.name, name, self.calls))
        return paths[0]

    def name(self, value: Value) -> str:
        """Return the name under which `find` returns a value."""
        calls = self.calls.get(value.path, [])
        if len(calls) < 2:
            return value.path
        number = next(k for k, call in enumerate(calls) if any(each is value for each in call))
        return f"{value.path}:{number}"

    def tensor(self, value: Value) -> Tensor:
        """Return a value as a tensor of the outermost model."""
        # Parts of the same model may occur in one graph, in which names must be unique.
        name = f"until_{self.name(value).replace('/', '_').replace(':', '_')}"
        needed = ancestors(value)
        # An output of a nested model exists outside, too: no part of it has to be called again.
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
        # The nested model up to the value, as one operation of the outer model. `tensor` recurses,
        # since the nested model may itself be nested.
        part = import_keras().Model(bare([tensor for tensor, _ in pairs]), value.tensor, name=name)
        # `predict` runs everything in inference mode, even a model called with `training=True`.
        return part(bare([self.tensor(given) for _, given in pairs]))

    def until(self, value: Value) -> Network:
        """Return the model from the inputs that a value depends on to that value."""
        needed = ancestors(value)
        inputs = [given.tensor for given in self.inputs if id(given) in needed]
        return import_keras().Model(bare(inputs), self.tensor(value))


def arguments_of(value: Value) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of the call that made a value, with the values that it was given."""
    call = _call_that_made(value.tensor)
    given = {id(tensor): each for tensor, each in zip(_tensors_given(call), value.inputs)}
    args, kwargs = import_keras().tree.map_structure(
        lambda each: given.get(id(each), each), (call.arguments.args, call.arguments.kwargs)
    )
    return args, kwargs


def has_graph(model: object) -> TypeGuard[Network]:
    """Return whether a layer is a model that computes exactly its graph of layers."""
    if not isinstance(model, import_keras().Model) or not getattr(model, "inputs", None):
        return False
    return type(model).call.__module__.split(".")[0] == "keras"  # else a subclass overrides it


def ancestors(value: Value) -> dict[int, Value]:
    """Return a value and everything it is computed from, by identity."""
    found: dict[int, Value] = {}
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if id(each) not in found:
            found[id(each)] = each
            waiting += each.inputs
    return found


def bare(items: list[Tensor]) -> Tensor | list[Tensor]:
    """Return the arguments of a model call: a single one bare, as Keras warns otherwise."""
    return items[0] if len(items) == 1 else items


def _calls_before(outputs: Sequence[Tensor], known: set[int]) -> Iterator[Call]:
    """Yield the calls that lead from known tensors to `outputs`, each after those it needs."""
    done: set[int] = set()
    waiting = [(tensor, False) for tensor in reversed(outputs)]
    while waiting:  # not recursive: networks can be deeper than Python's recursion limit
        tensor, ready = waiting.pop()
        call = _call_that_made(tensor)
        if id(tensor) in known or id(call) in done:
            continue
        # Second visit: all inputs are done. Depth-first, so the order is that of execution.
        if ready:
            done.add(id(call))
            yield call
        else:
            waiting.append((tensor, True))
            waiting += [(each, False) for each in reversed(call.input_tensors)]


def _call_that_made(tensor: Tensor) -> Call:
    """Return the call, a node of Keras's, that a tensor came from.

    Keras has no public API for this: `_keras_history` (operation, node index, tensor index) and
    `_inbound_nodes` are what its own models are built on. They are used only here.
    """
    history = tensor._keras_history  # type: ignore[attr-defined]
    return history.operation._inbound_nodes[history.node_index]


def _tensors_given(call: Call) -> list[Tensor]:
    """Return the input tensors of a call; those of a dict in the order of the model's inputs."""
    first = call.arguments.args[0] if call.arguments.args else None
    if isinstance(first, Mapping) and has_graph(call.operation):
        names = [tensor.name for tensor in call.operation.inputs]
        if set(names) <= set(first):
            return [first[name] for name in names]
    return list(call.input_tensors)
