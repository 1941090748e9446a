"""What is read of ONNX models: messages of protobuf, whose classes are made when onnx is imported.

A field that was not set has an empty value or message, so that `HasField` tells whether there is
one.
"""

from collections.abc import MutableSequence, Sequence
from typing import Protocol


class Message(Protocol):
    """A message of protobuf."""

    # Names as protobuf has them.
    def HasField(self, field_name: str, /) -> bool:  # noqa: N802
        """Return whether a field was set."""

    def SerializeToString(self, *, deterministic: bool = False) -> bytes:  # noqa: N802
        """Return the message as it is written to a file."""


class OnnxDim(Protocol):
    """The size of an axis, or its name."""

    # One of the two is set; both are empty where nothing is known.
    dim_value: int
    dim_param: str


class OnnxShape(Protocol):
    """The axes of a tensor."""

    dim: Sequence[OnnxDim]


class OnnxTensorType(Message, Protocol):
    """The type of a tensor: of its elements, and its shape."""

    elem_type: int
    shape: OnnxShape


class OnnxType(Message, Protocol):
    """The type of a value, which may also be a sequence."""

    tensor_type: OnnxTensorType


class OnnxValue(Protocol):
    """The declaration of an input or output."""

    name: str
    type: OnnxType


class OnnxEntry(Protocol):
    """A key and its value, in the place of weights in another file."""

    key: str
    value: str


class OnnxTensor(Protocol):
    """Weights, or a constant."""

    name: str
    data_type: int
    dims: Sequence[int]
    data_location: int
    # Where the values are, if they are not in the message.
    external_data: Sequence[OnnxEntry]


class OnnxSparseTensor(Message, Protocol):
    """Weights that are mostly zeros."""

    values: OnnxTensor
    indices: OnnxTensor


class OnnxAttribute(Message, Protocol):
    """A setting of a node: a number, a tensor, or a graph of its own."""

    name: str
    t: OnnxTensor
    tensors: Sequence[OnnxTensor]
    g: "OnnxGraphMessage"
    graphs: Sequence["OnnxGraphMessage"]


class OnnxNode(Protocol):
    """A call of an operator, with the names of the tensors that it reads and makes."""

    name: str
    domain: str
    op_type: str
    # Empty names stand for optional tensors that are left out.
    input: MutableSequence[str]
    output: MutableSequence[str]
    attribute: Sequence[OnnxAttribute]


class OnnxGraphMessage(Protocol):
    """The nodes of a model, in an order in which they can run, and its weights."""

    name: str
    node: Sequence[OnnxNode]
    input: Sequence[OnnxValue]
    output: Sequence[OnnxValue]
    initializer: Sequence[OnnxTensor]
    sparse_initializer: Sequence[OnnxSparseTensor]


class OnnxOpset(Protocol):
    """The version of a set of operators."""

    domain: str
    version: int


class OnnxModel(Message, Protocol):
    """An ``onnx.ModelProto``."""

    ir_version: int
    opset_import: Sequence[OnnxOpset]
    graph: OnnxGraphMessage
    # Inlined before anything else is asked of the model.
    functions: Sequence["OnnxFunction"]

    def ByteSize(self) -> int:  # noqa: N802
        """Return the size that it would have in a file."""


class OnnxFunction(Protocol):
    """A function of a model's own, which nodes call like an operator."""

    node: Sequence[OnnxNode]
