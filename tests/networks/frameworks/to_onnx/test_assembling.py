import numpy as np
import pytest

from penultimate.networks.frameworks.frozen import ExportError
from penultimate.networks.frameworks.to_onnx.assembling import Value, assembled, standardized

from ..onnx_models import network, onnx


def assembled_of(model, rank=2):
    value = Value(rank, -1)
    return assembled(model, "net", (None, 3), [value], output="features", width=None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y = com.microsoft.Gelu(x)", r"uses com\.microsoft\.Gelu"),
        ("r = RandomUniformLike(x) y = Add(x, r)", "uses RandomUniformLike"),
    ],
)
def test_what_not_every_runtime_computes_is_refused(text, words):
    model = network(text, domains=("", "com.microsoft"), inputs="float[N,3] x")
    with pytest.raises(ExportError, match=words):
        standardized(model, "net")


def test_an_opset_that_cannot_be_lowered_is_refused():
    model = network("y = RotaryEmbedding(x, c, s)", 23, inputs="float[N,3] x", c=(1, 1), s=(1, 1))
    with pytest.raises(ExportError, match="'net' is in opset 23, and cannot be converted to 18"):
        standardized(model, "net")


def test_functions_are_inlined():
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 18, "own": 1]>
        net (float[N, 3] x) => (float[N, 3] y) { y = own.twice(x) }
        <domain: "own", opset_import: ["": 18]> twice (a) => (b) { b = Add(a, a) }"""
    )
    made = assembled_of(model)
    assert [node.op_type for node in made.graph.node] == ["Add"]
    assert not made.functions


def test_what_tells_of_the_machine_is_dropped_and_weights_are_stored_once():
    model = network(
        "a = MatMul(x, v) i = Identity(a) k = Constant<value_floats=[1.0]>() b = MatMul(i, w) "
        "y = Add(b, k)",
        inputs="float[N,3] x",
        v=np.ones((3, 3), np.float32),
        w=np.ones((3, 3), np.float32),
        unused=(2, 2),
    )
    model.doc_string, model.producer_version = "/home/somebody", "1.2"
    model.metadata_props.add(key="path", value="/home/somebody")
    model.graph.node[0].name = model.graph.node[0].doc_string = "/home/somebody"
    made = assembled_of(model)
    assert b"somebody" not in made.SerializeToString()
    assert [list(each.dims) for each in made.graph.initializer] == [[3, 3]]
    assert "Identity" not in [node.op_type for node in made.graph.node]
    onnx.checker.check_model(made, full_check=True)


def test_a_network_that_does_nothing():
    made = assembled_of(network("y = Identity(x)", inputs="float[N,3] x"))
    assert [(node.op_type, node.input[0], node.output[0]) for node in made.graph.node] == [
        ("Identity", "prepared", "features")
    ]
