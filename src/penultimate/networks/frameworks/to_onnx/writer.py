"""Writing an ONNX graph node by node, where Keras has channels last and ONNX channels first.

ONNX's convolutions and poolings take the channels on axis 1. A tensor is therefore held in one of
two layouts, *plain*, as Keras has it, or *moved*, with the last axis on axis 1, and is transposed
only where an operation needs the other one: once at the beginning and once at the end of most
networks. Elementwise operations take what comes.

Names are numbers in the order of writing, so that the same network gives the same bytes: Keras's
own names count the layers of the process. Equal constants are stored once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import onnx

OPSET = 18
IR_VERSION = 10
INPUT = "prepared"

# With the axis of the samples; None is a size that the network leaves open.
FullShape = tuple[int | None, ...]


@dataclass(frozen=True)
class Ref:
    """A tensor of the graph.

    Attributes
    ----------
    name : str
    shape : tuple of int or None
        As Keras has it, with the axis of the samples.
    moved : bool
        Whether the graph holds it with the last axis on axis 1.
    """

    name: str
    shape: FullShape
    moved: bool = False

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def axis(self, axis: int) -> int:
        """Return where the graph has an axis of Keras's."""
        axis %= self.rank
        if not self.moved or axis == 0:
            return axis
        # The channels were put in front, which moved all others by one.
        return 1 if axis == self.rank - 1 else axis + 1


Operand = Ref | str | float | NDArray[Any]


def ints(values: Sequence[int]) -> NDArray[np.int64]:
    """Return sizes or axes as ONNX takes them."""
    return np.asarray(values, np.int64)


class Writer:
    """Nodes and constants of a graph that is being written.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.frameworks.to_onnx.writer import Writer
    >>> graph = Writer()
    >>> doubled = graph.node("Mul", "x", 2.0)
    >>> doubled, graph.nodes[0].op_type, list(graph.constants)
    ('mul_0', 'Mul', ['constant_0'])
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._known: dict[tuple[Any, ...], str] = {}
        self._counts: dict[str, int] = {}
        self._transposed: dict[str, str] = {}

    def node(self, op: str, *operands: Operand, **attributes: object) -> str:
        """Add a node with one output, and return the output's name.

        Parameters
        ----------
        op : str
            Type of a standard operator.
        *operands : Ref, str, float or ndarray
            Tensors, by name; ``""`` for one that is left out; or constants.
        **attributes : object
            Those of the operator.
        """
        from onnx import helper

        number = self._counts.get(op, 0)
        self._counts[op] = number + 1
        name = f"{op.lower()}_{number}"
        self.nodes.append(
            helper.make_node(op, [self._name(each) for each in operands], [name], **attributes)
        )
        return name

    def same(self, op: str, x: Ref, *operands: Operand, **attributes: object) -> Ref:
        """Add a node whose output has the shape and layout of `x`, and return it."""
        return replace(x, name=self.node(op, x, *operands, **attributes))

    def _name(self, operand: Operand) -> str:
        if isinstance(operand, Ref):
            return operand.name
        if isinstance(operand, str):
            return operand
        array = np.asarray(operand, None if isinstance(operand, np.ndarray) else np.float32)
        # `ascontiguousarray` makes a vector of a number.
        array = np.ascontiguousarray(array).reshape(array.shape)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"constant_{len(self.constants)}"
            self.constants[self._known[key]] = array
        return self._known[key]

    def plain(self, x: Ref) -> Ref:
        """Return a tensor in the layout of Keras."""
        if not x.moved:
            return x
        return Ref(self._transpose(x.name, (0, *range(2, x.rank), 1)), x.shape)

    def moved(self, x: Ref) -> Ref:
        """Return a tensor with its last axis on axis 1."""
        if x.moved:
            return x
        if x.rank < 3:  # both layouts are the same, and it is called plain
            raise ValueError(f"A tensor of {x.rank} axes has no maps.")
        return Ref(self._transpose(x.name, (0, x.rank - 1, *range(1, x.rank - 1))), x.shape, True)

    def _transpose(self, name: str, order: Sequence[int]) -> str:
        if name not in self._transposed:
            other = self.node("Transpose", name, perm=list(order))
            # Both ways: to turn back costs no node.
            self._transposed[name], self._transposed[other] = other, name
        return self._transposed[name]

    def together(self, tensors: Sequence[Ref]) -> list[Ref]:
        """Return tensors in one layout: moved, if one of them is and all have as many axes."""
        # Which layout does not matter to elementwise operations, as long as it is the same.
        if any(each.moved for each in tensors) and len({each.rank for each in tensors}) == 1:
            return [self.moved(each) for each in tensors]
        return [self.plain(each) for each in tensors]

    def laid_out(self, constant: ArrayLike, x: Ref) -> NDArray[np.float32]:
        """Return a constant that Keras would broadcast against `x`, in the layout of `x`."""
        array = np.asarray(constant, np.float32)
        if array.ndim == 0 or not x.moved:
            return array
        # Keras broadcasts from the last axis on, so that missing axes come first.
        array = array.reshape((1,) * (x.rank - array.ndim) + array.shape)
        return np.moveaxis(array, -1, 1)

    def model(
        self, inputs: dict[str, FullShape], outputs: dict[str, FullShape]
    ) -> "onnx.ModelProto":
        """Return the graph as an ``onnx.ModelProto``, with float inputs and outputs."""
        from onnx import TensorProto, helper, numpy_helper

        def declared(values: dict[str, FullShape]) -> "list[onnx.ValueInfoProto]":
            return [
                # A name leaves the number of samples open.
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ("N", *shape[1:]))
                for name, shape in values.items()
            ]

        weights = [numpy_helper.from_array(each, name) for name, each in self.constants.items()]
        graph = helper.make_graph(
            self.nodes, "network", declared(inputs), declared(outputs), weights
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="penultimate"
        )
