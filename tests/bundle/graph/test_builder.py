"""Graphs are put together without duplicates, and of any opset."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from penultimate.bundle.graph import ExportError
from penultimate.bundle.graph._builder import OPSET, GraphBuilder


def network(opset=OPSET, operator="Relu", **attributes):
    """Return a network of one node and a product."""
    weights = numpy_helper.from_array(np.eye(2, dtype=np.float32), "weights")
    nodes = [
        helper.make_node(operator, ["prepared"], ["hidden"], "same", **attributes),
        helper.make_node("MatMul", ["hidden", "weights"], ["features"], "same too"),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2])
        for name in ("prepared", "features")
    ]
    graph = helper.make_graph(nodes, "network", values[:1], values[1:], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def joined(*models):
    graph = GraphBuilder()
    rows = graph.input("rows", TensorProto.FLOAT, ["n", 2])
    found = [graph.absorb(each, {"prepared": rows}, "network")["features"] for each in models]
    total = graph.add("Sum", *found)
    return graph.finish({"total": (total, TensorProto.FLOAT, ["n", 2])})


def test_what_is_computed_twice_is_computed_once():
    model = joined(network(), network())
    assert [each.op_type for each in model.graph.node] == ["Relu", "MatMul", "Sum"]
    assert len(model.graph.initializer) == 1
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert session.run(None, {"rows": np.float32([[-1, 2]])})[0].tolist() == [[0, 4]]


def test_names_never_collide():
    model = joined(network(), network(operator="Abs"))
    names = [each for node in model.graph.node for each in node.output]
    assert len(set(names)) == len(names) == 5
    assert len({node.name for node in model.graph.node}) == 5


def test_older_and_newer_opsets_become_one():
    assert joined(network(13), network(20)).opset_import[0].version == OPSET


def test_a_value_may_be_put_out_under_several_names():
    graph = GraphBuilder()
    rows = graph.input("rows", TensorProto.FLOAT, ["n", 2])
    double = graph.add("Add", rows, rows)
    graph.name(double, "inside")
    shape = ["n", 2]
    wanted = {"as_given": rows, "doubled": double, "again": double}
    model = graph.finish({name: (each, TensorProto.FLOAT, shape) for name, each in wanted.items()})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = session.run(["as_given", "doubled", "again"], {"rows": np.float32([[1, 2]])})
    assert [each.tolist() for each in found] == [[[1, 2]], [[2, 4]], [[2, 4]]]
    assert "inside" in [each for node in model.graph.node for each in node.output]


def test_what_does_not_belong_into_a_bundle_is_refused():
    foreign = network()
    foreign.graph.node[0].domain = "com.microsoft"
    with pytest.raises(ExportError, match=r"The network has operators of com\.microsoft"):
        joined(foreign)
    branch = helper.make_graph([], "branch", [], [])
    with pytest.raises(ExportError, match="the operator If .*branches or loops"):
        joined(network(operator="If", then_branch=branch, else_branch=branch))
    graph = GraphBuilder()
    graph.input("x", TensorProto.FLOAT, [1])
    with pytest.raises(ExportError, match="parts of this model take different inputs named 'x'"):
        graph.input("x", TensorProto.FLOAT, [2])


def test_an_opset_that_cannot_be_raised_is_named():
    broken = network(9, operator="Upsample", mode="nearest", scales=[1.0, 1.0])
    with pytest.raises(ExportError, match="The network is of opset 9 and cannot be brought to 18"):
        joined(broken)


def test_functions_are_inlined():
    body = helper.make_node("Relu", ["x"], ["y"])
    opsets = [helper.make_opsetid("", OPSET)]
    function = helper.make_function("own", "Clipped", ["x"], ["y"], [body], opsets)
    model = network(operator="Clipped")
    model.graph.node[0].domain = "own"
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    assert [each.op_type for each in joined(model).graph.node] == ["Relu", "MatMul", "Sum"]
    assert isinstance(model, onnx.ModelProto)
