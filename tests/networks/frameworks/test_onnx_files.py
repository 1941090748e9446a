"""What is refused when an ONNX file is read, and what is said then."""

import sys

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx

from penultimate.networks.frameworks import onnx_files
from penultimate.networks.frameworks.onnx_graphs import OnnxNetwork, is_onnx
from tests.networks.frameworks.onnx_models import images, network, run

VECTOR = "float[N,6] x"


def _dense(**arguments):
    return network("r = Relu(x) y = Gemm(r, v)", inputs=VECTOR, v=(6, 5), **arguments)


def test_a_file_and_its_model_are_the_same_network(tmp_path):
    path = tmp_path / "größer als zuvor.ONNX"
    onnx.save(_dense(), path)
    for given in (path, str(path)):
        frozen = OnnxNetwork(given)
        assert frozen.name == path.name
        assert frozen.digest() == OnnxNetwork(_dense()).digest()
        batch = images(3, (6,))
        np.testing.assert_array_equal(frozen.whole().run([batch]), run(_dense(), [batch]))


def test_what_is_onnx_is_known_without_reading_it():
    assert is_onnx("no/such/file.onnx")
    assert is_onnx(_dense())
    assert not is_onnx("compact")
    assert not is_onnx("onnx")
    assert not is_onnx(None)
    assert not is_onnx(_dense)


FILES = {
    "empty": (b"", "is empty. Export or download"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "git lfs pull"),
    "text": (b"<html>\n<title>Not found</title>\n", "is a text file, which begins '<html>"),
    "non-ASCII text": ("Größe, ".encode() * 400, "is a text file, which begins 'Größe"),
    "other bytes": (bytes(range(255, 0, -1)) * 4, "is not an ONNX model, or it is damaged"),
    "another message": (b"\x08\x0a", "has no graph"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_models(tmp_path, name):
    content, words = FILES[name]
    path = tmp_path / "net work.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        OnnxNetwork(path)
    assert "net work.onnx" in str(error.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files(tmp_path, share):
    content = _dense().SerializeToString()
    path = tmp_path / "cut.onnx"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="cut.onnx.*damaged"):
        OnnxNetwork(path)


def test_places_without_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*missing.onnx"):
        OnnxNetwork(tmp_path / "missing.onnx")
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match=r"is a folder. Pass the .onnx file in it"):
        OnnxNetwork(folder)


def test_external_data_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "large.onnx"
    onnx.save(_dense(), path, save_as_external_data=True, location="large.bin", size_threshold=0)
    with pytest.raises(ValueError, match="has its weights in 'large.bin'") as error:
        OnnxNetwork(path)
    assert "save_as_external_data=False" in str(error.value)
    # What it says works.
    single = tmp_path / "single.onnx"
    onnx.save(onnx.load(path), single, save_as_external_data=False)
    assert OnnxNetwork(single).digest() == OnnxNetwork(_dense()).digest()


def test_external_data_of_a_constant_within_a_branch():
    model = network(
        "y = If(flag) <then_branch = a () => (z) { k = Constant<value_float = 1.0>() "
        "z = Add(x, k) }, else_branch = b () => (o) { o = Identity(x) }>",
        inputs=VECTOR,
        flag=np.array(True),
    )
    branch = model.graph.node[0].attribute[0].g
    tensor = branch.node[0].attribute[0]
    tensor.Clear()
    tensor.name, tensor.type = "value", onnx.AttributeProto.TENSOR
    tensor.t.CopyFrom(onnx.numpy_helper.from_array(np.float32(1)))
    onnx.external_data_helper.set_external_data(tensor.t, "../../secret.bin")
    with pytest.raises(ValueError, match="has its weights in '../../secret.bin'"):
        OnnxNetwork(model)


VERSIONS = {
    "opset": ({"opset_import": 99}, r"opset 99, IR version 10\): onnx .* knows opsets up to \d+"),
    "IR": (
        {"ir_version": 99},
        r"opset 18, IR version 99\): ONNX Runtime [\d.]+ cannot load 'net': Unsupported model IR",
    ),
}


@pytest.mark.parametrize("name", VERSIONS)
def test_versions_of_the_future(name):
    changes, words = VERSIONS[name]
    model = _dense()
    model.ir_version = changes.get("ir_version", model.ir_version)
    model.opset_import[0].version = changes.get("opset_import", 18)
    with pytest.raises(ValueError, match=f"{words}.*pip install --upgrade onnx onnxruntime"):
        OnnxNetwork(model)


def test_custom_operators_are_named_also_within_branches():
    text = (
        "r = mine.Fancy(x) s = Wobble(r) y = If(flag) <then_branch = a () => (z) "
        "{ z = theirs.Odd(s) }, else_branch = b () => (o) { o = Identity(s) }>"
    )
    model = network(text, inputs=VECTOR, domains=("", "mine", "theirs"), flag=np.array(True))
    with pytest.raises(ValueError, match="does not have: Wobble, mine.Fancy, theirs.Odd. Export"):
        OnnxNetwork(model)


def test_operators_of_the_runtime_are_taken_and_their_shapes_measured():
    model = network(
        "r = com.microsoft.QuickGelu(x) y = com.microsoft.FusedMatMul(r, v)",
        domains=("", "com.microsoft"),
        inputs=VECTOR,
        v=(6, 5),
    )
    frozen = OnnxNetwork(model)
    cut = frozen.cut("penultimate")
    assert (cut.layer, cut.output_shape([(6,)])) == ("r", (6,))
    assert [each.shape for each in frozen.candidates()] == [(6,), (5,)]


@pytest.mark.parametrize("kind", ["TreeEnsembleClassifier", "SVMClassifier", "LinearRegressor"])
def test_classifiers_that_are_no_networks(kind):
    model = network(f"y = ai.onnx.ml.{kind}(x)", domains=("", "ai.onnx.ml"), inputs=VECTOR)
    with pytest.raises(ValueError, match=f"is a classifier or regressor itself \\({kind}\\)"):
        OnnxNetwork(model)


def test_local_functions_are_inlined():
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 18, "mine": 1]>
        net (float[N,6] x) => (float[N,6] y) { h = mine.block(x) y = mine.block(h) }
        <domain: "mine", opset_import: ["": 18]> block (a) => (b) { r = Relu(a) b = Add(r, r) }"""
    )
    kinds = [each.kind for each in OnnxNetwork(model).candidates()]
    assert kinds == ["Relu", "Add", "Relu", "Add"]
    assert len(model.functions) == 1, "the model that was passed is changed"


INPUTS = {
    "text": ("string[N] x", "y = Identity(x)", "is not an array of numbers"),
    "a sequence": ("seq(float[N,6]) x", "y = ConcatFromSequence<axis = 0>(x)", "array of numbers"),
    "bfloat16": ("bfloat16[N,6] x", "y = Relu(x)", "of a type that NumPy has"),
    "a number": ("float[N,6] a, float x", "y = Mul(a, x)", "'x' .* is a single number"),
    "none": ("", "y = Constant<value_float = 1.0>()", "has no input"),
    "different batches": (
        "float[2,6] x, float[3,6] z",
        "y = Add(x, z)",
        r"different sizes, \[2, 3\]",
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_that_no_samples_fit(name):
    inputs, text, words = INPUTS[name]
    with pytest.raises(ValueError, match=words):
        OnnxNetwork(network(text, inputs=inputs))


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_names_the_extra(monkeypatch, package):
    found = onnx_files.import_optional.__globals__["find_spec"]
    monkeypatch.setitem(
        onnx_files.import_optional.__globals__,
        "find_spec",
        lambda name: None if name == package else found(name),
    )
    with pytest.raises(ImportError, match=rf"'{package}' is not installed.*penultimate\[onnx\]"):
        OnnxNetwork("any.onnx")


def test_without_onnx_nothing_is_a_model(monkeypatch):
    model = _dense()
    monkeypatch.delitem(sys.modules, "onnx")
    assert not is_onnx(model)


def test_what_only_the_runtime_refuses_is_said_when_it_runs():
    model = _dense()
    model.graph.node[0].input[0] = "nowhere"
    with pytest.raises(ValueError, match="depends on its input"):
        OnnxNetwork(model).cut("penultimate")
    model = network("r = Relu(x, x) y = Gemm(r, v)", inputs=VECTOR, v=(6, 5))
    with pytest.raises(ValueError, match="ONNX Runtime .* cannot load 'net'"):
        OnnxNetwork(model).cut("penultimate").run([images(2, (6,))])
