"""A graph of ONNX, put together node by node.

Values are numbered: a node that computes what an earlier one computes (same operator, inputs and
attributes) is that node, and equal constants are one. So support vectors that several machines
share are stored once, and a network that is added twice, cut at two layers, is computed once.
Names are made here in order of creation: they never collide, and the same model gives the same
bytes.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike
from onnx import helper, inliner, numpy_helper, version_converter

from penultimate.networks.frameworks.frozen import ExportError

OPSET = 18  # the first whose Resize has antialiasing
# A value, its type and its shape.
Output = tuple[str, int, Sequence[str | int]]
_IR_VERSION = 10  # with which older runtimes load it, too


class GraphBuilder:
    """A graph that grows by nodes and by whole networks.

    Attributes
    ----------
    metadata : dict of str to str
        What is written into the model besides the graph.
    real : type
        Of scores: float32, or float64 within `in_double`.
    """

    def __init__(self) -> None:
        self.metadata: dict[str, str] = {}
        self.real: type[np.floating] = np.float32
        self._inputs: dict[str, onnx.ValueInfoProto] = {}
        self._constants: dict[bytes, str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._made: dict[tuple[Any, ...], list[str]] = {}
        self._renamed: dict[str, str] = {}

    @contextmanager
    def in_double(self, wanted: bool = True) -> Iterator[None]:
        """Compute scores in float64 meanwhile, for what is so steep that each digit counts."""
        before = self.real
        self.real = np.float64 if wanted else before
        try:
            yield
        finally:
            self.real = before

    def as_real(self, value: str) -> str:
        """Return a value as scores are computed."""
        return self.add("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(self.real)))

    def input(self, name: str, kind: int, shape: Sequence[str | int]) -> str:
        """Declare an input of the graph, once; return its name."""
        given = helper.make_tensor_value_info(name, kind, shape)
        if self._inputs.setdefault(name, given) != given:
            raise ExportError(f"The parts of this model take different inputs named {name!r}.")
        return name

    @property
    def inputs(self) -> list[str]:
        """Names of its inputs."""
        return list(self._inputs)

    def constant(self, values: ArrayLike, dtype: DTypeLike | None = None) -> str:
        """Add a constant; return the name of its value."""
        array = np.asarray(values, dtype, order="C")
        digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
        key = digest.digest()
        if key not in self._constants:
            name = self._constants[key] = f"constant_{len(self._initializers)}"
            self._initializers.append(numpy_helper.from_array(array, name))
        return self._constants[key]

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        """Add a node with one output; return the name of its value."""
        return self.add_several(operator, inputs, 1, **attributes)[0]

    def add_several(
        self, operator: str, inputs: Sequence[str], n_outputs: int, **attributes: object
    ) -> list[str]:
        """Add a node with several outputs; return the names of their values."""
        node = helper.make_node(operator, inputs, [""] * n_outputs, **attributes)
        return self._numbered(node, inputs)

    def absorb(self, model: onnx.ModelProto, inputs: Mapping[str, str], of: str) -> dict[str, str]:
        """Add all nodes of a model.

        Parameters
        ----------
        model : onnx.ModelProto
        inputs : dict of str to str
            The values here that its inputs are given.
        of : str
            What the model is, for messages and the names of nodes.

        Returns
        -------
        dict of str to str
            The values here of its outputs, by their names there.

        Raises
        ------
        ExportError
            If it cannot be brought to this opset, or has graphs within a node.
        """
        model = self._adapted(model, of)
        values = dict(inputs)
        for each in model.graph.initializer:
            values[each.name] = self.constant(numpy_helper.to_array(each))
        for node in model.graph.node:
            if any(each.type == onnx.AttributeProto.GRAPH for each in node.attribute):
                raise ExportError(
                    f"The {of} has the operator {node.op_type} ({node.name!r}), which branches or "
                    "loops: a bundle's graph has none. Export the network without it."
                )
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                values[node.output[0]] = self.constant(numpy_helper.to_array(node.attribute[0].t))
                continue
            copied = onnx.NodeProto()
            copied.CopyFrom(node)
            copied.name = f"{of}/{node.name or node.op_type}"
            outputs = self._numbered(copied, [values[each] if each else "" for each in node.input])
            values.update(zip(node.output, outputs))
        return {each.name: values[each.name] for each in model.graph.output}

    def name(self, value: str, name: str) -> None:
        """Give a value a name of its own in the finished graph, unless it has one."""
        if value not in self._inputs:
            self._renamed.setdefault(value, name)

    def mark(self, value: str, kind: str) -> None:
        """Name a value after what it is and a number, so that `prove` finds it."""
        taken = sum(name.startswith(kind) for name in self._renamed.values())
        self.name(value, f"{kind}{taken}")

    def finish(
        self, outputs: Mapping[str, tuple[str, int, Sequence[str | int]]]
    ) -> onnx.ModelProto:
        """Return the model, checked.

        Parameters
        ----------
        outputs : dict of str to (value, type, shape)
            By their names.
        """
        nodes, renamed = list(self._nodes), dict(self._renamed)
        computed = {each for node in nodes for each in node.output}
        for name, (value, _, _) in outputs.items():
            if value in computed and value not in renamed:
                renamed[value] = name
            else:  # it has a name already, or is an input or a constant
                nodes.append(helper.make_node("Identity", [value], [name], f"Identity_{name}"))
        for node in nodes:
            for names in (node.input, node.output):
                names[:] = [renamed.get(each, each) for each in names]
        made = [
            helper.make_tensor_value_info(name, kind, shape)
            for name, (_, kind, shape) in outputs.items()
        ]
        used = {each for node in nodes for each in node.input}
        kept = [each for each in self._initializers if each.name in used]
        graph = helper.make_graph(nodes, "penultimate", list(self._inputs.values()), made, kept)
        model = helper.make_model(
            graph,
            producer_name="penultimate",
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, dict(sorted(self.metadata.items())))
        onnx.checker.check_model(model)
        return model

    def _numbered(self, node: onnx.NodeProto, inputs: Sequence[str]) -> list[str]:
        """Return the outputs of an equal node, or add this one."""
        attributes = sorted(each.SerializeToString(deterministic=True) for each in node.attribute)
        key = (node.domain, node.op_type, tuple(inputs), tuple(attributes), len(node.output))
        if key not in self._made:
            number = len(self._nodes)
            outputs = [f"{node.op_type}_{number}_{k}" for k in range(len(node.output))]
            node.input[:], node.output[:] = inputs, outputs
            node.name = f"{node.name or node.op_type}_{number}"
            self._nodes.append(node)
            self._made[key] = outputs
        return self._made[key]

    def _adapted(self, model: onnx.ModelProto, of: str) -> onnx.ModelProto:
        """Return a model of an opset that can be joined with this graph."""
        if model.functions:
            model = inliner.inline_local_functions(model)
        versions = {each.domain: each.version for each in model.opset_import}
        if foreign := {node.domain for node in model.graph.node} - {"", "ai.onnx"}:
            raise ExportError(
                f"The {of} has operators of {', '.join(sorted(foreign))}, which not every runtime "
                "has: export it with standard operators only."
            )
        version = versions.get("", versions.get("ai.onnx", OPSET))
        if version == OPSET:
            return model
        try:
            return version_converter.convert_version(model, OPSET)
        except Exception as error:  # its exceptions have no base class of their own
            reason = " ".join(str(error).split())
            raise ExportError(
                f"The {of} is of opset {version} and cannot be brought to {OPSET}: {reason}. "
                f"Export it with opset {OPSET}."
            ) from error
