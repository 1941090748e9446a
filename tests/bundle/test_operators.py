"""What graphs must not have, each by its name."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import penultimate
from penultimate.bundle import BundleError
from penultimate.bundle.archive import pack
from penultimate.bundle.operators import OPERATORS, check_graph
from penultimate.bundle.wire import MESSAGES, REFUSED

from .handmade import OF_IMAGES, OPSET, OUTPUTS, make_parts, of_features, of_images, value

X = value("x", TensorProto.FLOAT, ["N", 4])
COUNTS = value("k", TensorProto.INT64, ["N"])
Y = value("y", TensorProto.FLOAT, None)


def graph_of(*nodes, constants=None, inputs=(X, COUNTS), **more):
    tensors = [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "g", list(inputs), [Y], tensors)
    opsets = more.pop("opset_imports", [OPSET])
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, **more)


def refused(model, message):
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(BundleError, match=message):
        check_graph(content)


def node(kind, *inputs, outputs=("y",), **attributes):
    return helper.make_node(kind, list(inputs), list(outputs), **attributes)


def test_what_a_graph_has():
    found = check_graph(of_images().SerializeToString())
    assert found.inputs == ("images", "features")
    assert found.outputs == ("label", "scores", "probabilities")
    assert found.tensors["W"] == {"dtype": "float32", "shape": [3, 3]}
    assert found.tensors["three"] == {"dtype": "int64", "shape": [4]}


def test_all_operators_are_of_the_opset():
    for name in OPERATORS:
        assert not onnx.defs.get_schema(name, OPSET.version).deprecated


def test_the_tables_are_those_of_onnx():
    """Each field of ONNX's messages is read, with its name, or refused, or unknown."""
    names = {
        "model": onnx.ModelProto,
        "graph": onnx.GraphProto,
        "node": onnx.NodeProto,
        "attribute": onnx.AttributeProto,
        "tensor": onnx.TensorProto,
        "value": onnx.ValueInfoProto,
        "type": onnx.TypeProto,
        "entry": onnx.StringStringEntryProto,
        "opset": onnx.OperatorSetIdProto,
        "shape": onnx.TensorShapeProto,
    }
    for kind, message in names.items():
        theirs = {each.number: each for each in message.DESCRIPTOR.fields}
        for number, ours in MESSAGES[kind].items():
            assert theirs[number].name == ours.name
            assert theirs[number].is_repeated == ours.many
        assert not {number for name, number in REFUSED if name == kind} - set(theirs)
        assert not set(MESSAGES[kind]) & {number for name, number in REFUSED if name == kind}


@pytest.mark.parametrize("kind", ["If", "Loop", "Scan"])
def test_loops_and_branches(kind):
    inner = helper.make_graph([node("Identity", "x")], "inner", [], [Y])
    key = "then_branch" if kind == "If" else "body"
    attributes = {key: inner} | ({"else_branch": inner} if kind == "If" else {})
    refused(graph_of(node(kind, "x", **attributes)), "a graph within the graph")
    refused(graph_of(node(kind, "x")), f"the operator '{kind}', which is not run")


@pytest.mark.parametrize(
    "kind", ["RandomNormal", "StringNormalizer", "Optional", "SequenceMap", "NonExistent", "GRU"]
)
def test_operators_that_are_not_in_the_list(kind):
    refused(graph_of(node(kind, "x")), f"the operator '{kind}', which is not run")


@pytest.mark.parametrize("domain", ["ai.onnx.ml", "com.microsoft", "evil"])
def test_custom_domains(domain):
    kind = "SVMClassifier" if domain == "ai.onnx.ml" else "Attention"
    refused(graph_of(node(kind, "x", domain=domain)), "only standard operators are run")
    opsets = [OPSET, helper.make_opsetid(domain, 1)]
    refused(graph_of(node("Relu", "x"), opset_imports=opsets), "opset 18 of ai.onnx alone")


@pytest.mark.parametrize("version", [0, 8, 17, 19, 99])
def test_other_opsets(version):
    opsets = [helper.make_opsetid("", version)]
    refused(graph_of(node("Relu", "x"), opset_imports=opsets), "opset 18 of ai.onnx alone")
    refused(graph_of(node("Relu", "x"), opset_imports=[]), "no opset")


@pytest.mark.parametrize("version", [0, 2, 11, -1])
def test_other_versions_of_the_format(version):
    model = graph_of(node("Relu", "x"))
    model.ir_version = version
    refused(model, "IR version")


def test_functions():
    model = graph_of(node("Relu", "x"))
    function = helper.make_function("evil", "F", ["x"], ["y"], [node("Relu", "x")], [OPSET])
    model.functions.append(function)
    refused(model, "has functions")


def test_training_steps():
    model = graph_of(node("Relu", "x"))
    model.training_info.add()
    refused(model, "has training steps")


@pytest.mark.parametrize("place", ["../../etc/passwd", "/dev/zero", "model.data"])
def test_external_data(place):
    """Its path could name any file, or a link to one; attributes were set from it, too."""
    model = graph_of(node("Add", "x", "W"), constants={"W": np.ones(4, np.float32)})
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, place)
    tensor.ClearField("raw_data")
    refused(model, "has weights in other files")
    tensor.ClearField("external_data")
    refused(model, "is in another file")


def test_external_data_of_an_attribute():
    tensor = numpy_helper.from_array(np.ones(4, np.float32))
    onnx.external_data_helper.set_external_data(tensor, "__class__")
    refused(graph_of(node("Constant", value=tensor)), "has weights in other files")


def test_sparse_tensors_text_and_other_types():
    model = graph_of(node("Relu", "x"))
    model.graph.sparse_initializer.add()
    refused(model, "has sparse tensors")
    text = helper.make_tensor("s", TensorProto.STRING, [1], [b"a"])
    refused(graph_of(node("Constant", value=text)), "has tensors of text")
    refused(graph_of(node("Cast", "x", to=TensorProto.STRING)), "makes text, or no known type")
    strings = value("x", TensorProto.STRING, ["N"])
    refused(graph_of(node("Identity", "x"), inputs=[strings]), "takes 'x' of no known type")
    sequence = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)
    refused(graph_of(node("Relu", "x"), inputs=[sequence]), "has sequences")


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ([5], "other values than its shape"),
        ([3], "other values than its shape"),
        ([], "other values than its shape"),
        ([2**32, 2**32], "other values than its shape"),  # 0, where products overflow at 64 bits
        ([2**62, 2**2], "other values than its shape"),  # 1, there
        ([2**63 - 1, 2], "other values than its shape"),
        ([-4], "no valid shape"),
        ([-2, -2], "no valid shape"),
        ([1] * 9, "no valid shape"),
    ],
)
@pytest.mark.parametrize("is_attribute", [False, True])
def test_shapes_that_are_not_those_of_the_bytes(dims, message, is_attribute):
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "W")
    del tensor.dims[:]
    tensor.dims.extend(dims)
    model = graph_of(node("Constant", value=tensor) if is_attribute else node("Add", "x", "W"))
    if not is_attribute:
        model.graph.initializer.append(tensor)
    refused(model, message)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TensorProto.FLOAT, [1.0, 2.0, 3.0, 4.0]),
        (TensorProto.DOUBLE, [1.0, 2.0, 3.0, 4.0]),
        (TensorProto.INT64, [1, -2, 3, 2**40]),
        (TensorProto.INT32, [1, -2, 3, 4]),
        (TensorProto.UINT8, [1, 2, 3, 255]),
        (TensorProto.BOOL, [1, 0, 1, 0]),
        (TensorProto.UINT64, [1, 0, 1, 2**63]),
        (TensorProto.FLOAT16, [1, 0, 1, 0]),
    ],
)
def test_values_in_the_field_of_their_type(kind, values):
    tensor = helper.make_tensor("W", kind, [4], values)
    check_graph(graph_of(node("Constant", value=tensor)).SerializeToString())
    tensor.dims[0] = 3
    refused(graph_of(node("Constant", value=tensor)), "other values than its shape")
    tensor.dims[0] = 4
    tensor.raw_data = bytes(16)
    refused(graph_of(node("Constant", value=tensor)), "other values than its shape")


def test_an_unknown_type_of_tensor():
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "W")
    for code in (0, 8, 14, 15, 99, -1):
        tensor.data_type = code
        refused(graph_of(node("Constant", value=tensor)), "no known type")


HUGE = np.array([2**20, 2**20])


@pytest.mark.parametrize(
    "bad",
    [
        graph_of(node("ConstantOfShape", "n"), constants={"n": HUGE}),
        graph_of(node("Expand", "x", "n"), constants={"n": HUGE}),
        graph_of(node("Tile", "x", "n"), constants={"n": HUGE}),
        graph_of(node("Resize", "x", "", "", "n"), constants={"n": HUGE}),
        graph_of(node("Resize", "x", "", "n"), constants={"n": HUGE.astype(np.float32)}),
        graph_of(node("Pad", "x", "n"), constants={"n": HUGE}),
        graph_of(node("CenterCropPad", "x", "n"), constants={"n": HUGE}),
        graph_of(node("OneHot", "k", "n", "k"), constants={"n": np.array(2**40)}),
        graph_of(
            node("Range", "a", "n", "s"),
            constants={"a": np.array(0), "n": np.array(2**40), "s": np.array(1)},
        ),
        graph_of(
            node("Constant", outputs=("n",), value_ints=[2**20, 2**20]), node("Expand", "x", "n")
        ),
        graph_of(
            node("Constant", outputs=("n",), value=numpy_helper.from_array(HUGE)),
            node("Expand", "x", "n"),
        ),
    ],
)
def test_results_whose_stated_size_is_huge(bad):
    refused(bad, r"makes a tensor of .* values with")


@pytest.mark.parametrize("name", ["pads", "strides", "output_shape", "output_padding"])
def test_attributes_that_make_huge_images(name):
    for number in (4097, -4097, 2**63 - 1):
        bad = graph_of(node("ConvTranspose", "x", "x", **{name: [1, number]}))
        refused(bad, f"has {name} of [0-9,]+ in ConvTranspose")


def test_a_size_that_is_no_size():
    long = graph_of(node("Expand", "x", "n"), constants={"n": np.ones(99, np.int64)})
    refused(long, "gives Expand no plain size")
    for each in (np.nan, np.inf):
        scales = {"n": np.array([each], np.float32)}
        refused(graph_of(node("Resize", "x", "", "n"), constants=scales), "no plain size")


def test_images_may_be_as_large_as_the_manifest_says():
    graph = of_images()
    tensor = numpy_helper.from_array(np.array([2048, 1024]), "size")
    graph.graph.initializer[2].CopyFrom(tensor)
    with pytest.raises(BundleError, match="makes a tensor of 2,097,152 values with Resize"):
        penultimate.load(pack(make_parts(graph, **OF_IMAGES)))
    large = OF_IMAGES | {"input": OF_IMAGES["input"] | {"size": [2048, 1024]}}
    penultimate.load(pack(make_parts(graph, **large)))


@pytest.mark.parametrize("kind", ["Div", "Mod"])
@pytest.mark.parametrize("divisor", [0, -1])
def test_divisions_that_end_the_process(kind, divisor):
    bad = graph_of(node(kind, "k", "d"), constants={"d": np.array([3, divisor])})
    refused(bad, "divides integers by 0 or -1")
    computed = graph_of(
        node("Shape", "x", outputs=("s",)),
        node("Sub", "s", "d", outputs=("t",)),
        node(kind, "k", "t"),
        constants={"d": np.array([4])},
    )
    refused(computed, "divides integers by computed ones")
    cast = graph_of(node("Cast", "x", outputs=("i",), to=TensorProto.INT32), node(kind, "k", "i"))
    refused(cast, "divides integers by computed ones")


@pytest.mark.parametrize("kind", ["Div", "Mod"])
def test_a_divisor_that_is_left_out(kind):
    """An omitted input has an empty name, which is that of no value."""
    graph = of_features()
    graph.graph.node.insert(0, node(kind, "features", "", outputs=("quotient",)))
    with pytest.raises(BundleError, match="does not take the graph"):
        penultimate.load(pack(make_parts(graph)))


def test_divisions_that_do_not():
    fine = graph_of(
        node("Cast", "k", outputs=("f",), to=TensorProto.FLOAT),
        node("Div", "x", "f", outputs=("z",)),
        node("Shape", "x", outputs=("s",)),
        node("Div", "s", "two", outputs=("h",)),
        node("Identity", "z"),
        constants={"two": np.array([2])},
    )
    check_graph(fine.SerializeToString())


def test_nodes_out_of_order_and_values_that_are_made_twice():
    relu = node("Relu", "z"), node("Relu", "x", outputs=("z",))
    refused(graph_of(*relu), "uses 'z' before it is made")
    refused(graph_of(node("Relu", "nowhere")), "uses 'nowhere' before")
    refused(graph_of(node("Relu", "x"), node("Relu", "x")), "makes 'y' twice")
    refused(graph_of(node("Relu", "k", outputs=("x",))), "makes 'x' twice")


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, wire, value=b""):
    return varint(number << 3 | wire) + value


GOOD = graph_of(node("Relu", "x")).SerializeToString()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no graph"),
        (b"\x80", "cut short"),
        (GOOD[:-1], "cut short"),
        (b"<html>", "unknown field|cut short|another form|unknown form"),
        (GOOD + GOOD, "states model 'ir_version' twice"),
        (GOOD + field(7, 2, b"\0"), "states model 'graph' twice"),
        (GOOD + field(99, 0, b"\0"), "unknown field, model 99"),
        (GOOD + field(5, 2, b"\0"), "'model_version' in another form"),
        (GOOD + field(2, 0, b"\0"), "'producer_name' in another form"),
        (GOOD + field(2, 2, b"\1\xff"), "'producer_name' not in UTF-8|that is not in UTF-8"),
        (GOOD + field(2, 3), "unknown form"),
        (GOOD + field(2, 2, varint(2**40)), "cut short"),
        (GOOD + field(5, 0, b"\xff" * 9 + b"\x7f"), "more than 64 bits"),
        (GOOD + field(5, 0, b"\xff" * 11), "more than 64 bits"),
    ],
)
def test_bytes_that_other_parsers_read_differently(content, message):
    refused(content, message)


def test_more_fields_or_numbers_than_any_network_has(monkeypatch):
    monkeypatch.setattr("penultimate.bundle.wire._MAX_FIELDS", 1000)
    refused(field(14, 2, b"\0") * 1001, "more than 1,000 fields")
    dims = field(1, 2, varint(1001) + b"\1" * 1001)
    tensor = field(5, 2, varint(len(dims)) + dims)
    refused(field(7, 2, varint(len(tensor)) + tensor), "more than 1,000 values")


def test_more_nodes_than_any_network_has(monkeypatch):
    """The runtime takes seconds for 20,000 in a chain, though they fit into half a megabyte."""
    monkeypatch.setattr("penultimate.bundle.operators._MAX_NODES", 9)
    chain = [node("Abs", f"x{k}" if k else "x", outputs=(f"x{k + 1}",)) for k in range(10)]
    check_graph(graph_of(*chain[:9]).SerializeToString())
    refused(graph_of(*chain), "more than 9 nodes")


def test_two_initializers_of_one_name():
    model = graph_of(node("Add", "x", "W"), constants={"W": np.ones(4, np.float32)})
    model.graph.initializer.append(model.graph.initializer[0])
    refused(model, "two tensors of one name")


def test_a_graph_that_the_runtime_does_not_take():
    broken = of_features()
    broken.graph.node[1].op_type = "Conv"
    with pytest.raises(BundleError, match="does not take the graph of the bundle"):
        penultimate.load(pack(make_parts(broken)))


def test_a_graph_that_gives_or_takes_something_else():
    model = of_features()
    model.graph.output[0].name = "other"
    model.graph.node[2].output[0] = "other"
    with pytest.raises(BundleError, match="gives no 'label'"):
        penultimate.load(pack(make_parts(model)))
    model = of_features()
    model.graph.input.append(value("token", TensorProto.INT64, [1]))
    with pytest.raises(BundleError, match="takes"):
        penultimate.load(pack(make_parts(model)))


@pytest.mark.parametrize("index", [-1, 3, 2**40])
def test_a_class_that_there_is_not(index):
    model = of_features()
    model.graph.initializer.append(numpy_helper.from_array(np.array(index), "shift"))
    model.graph.node[2].output[0] = "best"
    model.graph.node.append(node("Add", "best", "shift", outputs=("label",)))
    predictor = penultimate.load(pack(make_parts(model)))
    with pytest.raises(BundleError, match="The graph gives class"):
        predictor.predict(np.eye(4)[:1])


def test_a_graph_of_other_classes():
    model = of_features()
    helper.set_model_props(model, {"classes": '["a", "b", "d"]'})
    with pytest.raises(BundleError, match="is of other classes than its manifest"):
        penultimate.load(pack(make_parts(model)))
    helper.set_model_props(model, {"classes": '["a", "b", "c"]'})
    penultimate.load(pack(make_parts(model)))


def test_a_result_that_grows_with_the_input_is_limited(monkeypatch):
    """The shape is computed, so that only the runtime knows it; its tensors have a limit."""
    nodes = [
        node("Shape", "features", outputs=("shape",)),
        node("Mul", "shape", "million", outputs=("large",)),
        node("Expand", "one", "large", outputs=("huge",)),
        node("ReduceSum", "huge", outputs=("sum",), keepdims=0),
        node("Mul", "features", "sum", outputs=("scores",)),
        node("ArgMax", "scores", outputs=("label",), axis=1, keepdims=0),
    ]
    constants = {"million": np.array(10**6), "one": np.ones((1, 1), np.float32)}
    tensors = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    inputs = [value("features", TensorProto.FLOAT, ["M", 4])]
    graph = helper.make_graph(nodes, "g", inputs, OUTPUTS[:2], tensors)
    model = helper.make_model(graph, opset_imports=[OPSET], ir_version=10)
    predictor = penultimate.load(pack(make_parts(model)))
    with pytest.raises(BundleError, match="cannot be run on features"):
        predictor.predict(np.eye(4))
