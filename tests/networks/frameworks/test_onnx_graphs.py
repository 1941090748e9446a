"""ONNX files as frozen networks: names, shapes, batches, copies, and exports of torch modules."""

import copy
import io
import multiprocessing
import os
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx

from penultimate import FeatureExtractor
from penultimate.networks.frameworks.frozen import Candidate, Input
from penultimate.networks.frameworks.onnx_graphs import OnnxNetwork
from penultimate.networks.preprocessing import Preprocessing
from tests.networks.frameworks.onnx_models import images, network, run

VECTOR = "float[N,6] x"
NET = (
    "c = Conv(x, w) r = Relu(c) d = Shape(r) p = GlobalAveragePool(r) f = Flatten(p) "
    "s = Gemm(f, v, b) y = Softmax(s)"
)
WEIGHTS = {"w": (4, 3, 3, 3), "v": (4, 5), "b": (5,)}


def _net(**arguments):
    return OnnxNetwork(network(NET, **{**WEIGHTS, **arguments}))


@pytest.mark.parametrize("layer", ["x", "c", "r", "p", "f", "s", "y"])
def test_any_tensor_can_be_cut(layer):
    model, batch = network(NET, **WEIGHTS), images(3)
    cut = OnnxNetwork(model).cut(layer)
    assert (cut.layer, cut.place) == (layer, f"the output of {layer!r}")
    whole = batch if layer == "x" else run(model, [batch], layer)
    np.testing.assert_allclose(cut.run([batch]), whole, rtol=1e-5, atol=1e-7)
    assert cut.output_shape([(3, 8, 8)]) == whole.shape[1:]
    assert cut.gives_probabilities == (layer == "y")


def test_several_cuts_in_one_pass():
    frozen, batch = _net(), images(3)
    cuts = [frozen.cut(layer) for layer in ("f", "r", "f")]
    for cut, value in zip(cuts, frozen.run_all(cuts, [batch]), strict=True):
        np.testing.assert_allclose(value, cut.run([batch]), rtol=1e-6)


def test_only_a_few_sessions_stay_open():
    frozen, batch = _net(), images(1)
    for layer in ("c", "r", "p", "f", "s", "y"):
        frozen.cut(layer).run([batch])
    assert [tensors for _, (tensors,) in frozen._sessions] == ["p", "f", "s", "y"]


def test_candidates_are_the_floats_that_depend_on_the_input():
    assert _net().candidates() == [
        Candidate("c", "Conv", (4, 6, 6)),
        Candidate("r", "Relu", (4, 6, 6)),
        Candidate("p", "GlobalAveragePool", (4, 1, 1)),
        Candidate("f", "Flatten", (4,)),
        Candidate("s", "Gemm", (5,)),
        Candidate("y", "Softmax", (5,)),
    ]
    # Open sizes are those of the example, where there is one.
    frozen = _net(inputs="float[N,3,H,W] x")
    assert frozen.candidates()[0] == Candidate("c", "Conv", (4, None, None))
    assert frozen.candidates([images(1, (3, 9, 5))])[0].shape == (4, 7, 3)
    assert frozen.candidates({"x": images(1, (3, 9, 5))})[0].shape == (4, 7, 3)


def test_sizes_that_the_graph_computes():
    text = "n = Size(x) h = Shape<start = 2, end = 4>(x) r = Resize(x, , scales) y = Relu(r)"
    frozen = OnnxNetwork(
        network(text, inputs="float[N,3,H,W] x", scales=np.float32([1, 1, 0.5, 2]))
    )
    assert frozen.cut("y").output_shape([(3, 8, 10)]) == (3, 4, 20)
    assert frozen.cut("y").output_shape([(3, None, None)]) == (3, None, None)
    # This one depends on values, which inference cannot know.
    text = "z = NonZero(x) k = Shape(z) y = Relu(x)"
    assert OnnxNetwork(network(text)).cut("y").output_shape([(3, 8, 8)]) == (3, 8, 8)


def test_open_sizes_behind_operators_that_only_the_runtime_knows():
    text = "r = com.microsoft.QuickGelu(x) p = GlobalAveragePool(r) y = com.microsoft.Gelu(r)"
    frozen = OnnxNetwork(
        network(text, domains=("", "com.microsoft"), inputs="float[N,3,H,W] x", outputs="p, y")
    )
    assert frozen.cut("y").output_shape([(3, None, None)]) == (3, None, None)
    assert frozen.cut("p").output_shape([(3, None, None)]) == (3, 1, 1)
    assert frozen.cut("y").output_shape([(3, 5, 7)]) == (3, 5, 7)


def test_inputs_without_a_shape():
    model = network("r = Relu(x) y = MatMul(r, v)", inputs=VECTOR, v=(6, 5))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    frozen, batch = OnnxNetwork(model), images(3, (6,))
    assert not frozen.states_shapes
    assert (frozen.inputs()[0].shape, frozen.inputs([batch])[0].shape) == (None, (6,))
    with pytest.raises(ValueError, match="the shape of what 'y' .MatMul. makes is not known"):
        frozen.cut("penultimate")
    cut = frozen.cut("penultimate", example=[batch])
    assert (cut.layer, cut.output_shape([(6,)])) == ("r", (6,))
    np.testing.assert_array_equal(cut.run([batch]), batch)
    assert [each.shape for each in frozen.candidates([batch])] == [(6,), (5,)]


NAMED = """
    ["fc/MatMul"] "fc/MatMul:0" = MatMul (x, v)
    ["/act/Relu"] "/act/Relu_output_0" = Relu ("fc/MatMul:0")
    [Gemm_2] "7" = Gemm ("/act/Relu_output_0", u)
    [drop] dropped, mask = Dropout ("7")
    [halves] left, right = Split <num_outputs = 2> (dropped)
    [left] swapped = Neg (right)
    [same] one = Relu (swapped)
    [same] two = Tanh (one)
    [maker] sum = Add (left, two)
    _output_0_output_0 = Relu (sum)
"""
FINDS = {
    "fc/MatMul": "fc/MatMul:0",
    "fc/MatMul:0": "fc/MatMul:0",
    "/act/Relu": "/act/Relu_output_0",
    "Gemm_2": "7",
    "7": "7",
    "drop": "dropped",
    "halves[1]": "right",
    "left[0]": "swapped",
    "swapped": "swapped",
    "maker": "sum",
    "_output_0": "_output_0_output_0",
}


def _named():
    outputs = "_output_0_output_0"
    return OnnxNetwork(network(NAMED, inputs=VECTOR, outputs=outputs, v=(6, 5), u=(5, 4)))


@pytest.mark.parametrize("layer", FINDS)
def test_names_of_tensors_and_of_nodes(layer):
    frozen = _named()
    cut = frozen.cut(layer)
    assert cut.tensor == FINDS[layer]
    assert frozen.cut(cut.layer).tensor == cut.tensor, "the name does not find it again"


def test_the_names_that_are_shown_find_their_layers():
    frozen = _named()
    shown = [each.layer for each in frozen.candidates()]
    assert shown == [
        *("fc/MatMul", "/act/Relu", "Gemm_2", "halves[0]", "right", "swapped"),
        *("one", "two", "sum", "_output_0_output_0"),
    ]
    assert len({frozen.cut(layer).tensor for layer in shown}) == len(shown)


AMBIGUOUS = {
    "halves": "'halves' has several outputs in .* 'net'. .* layer='halves\\[0\\]' or 'right'",
    "same": "'same' has several outputs .* layer='one' or 'two'",
    "left": "'left' is the name of a tensor .* makes 'swapped'.*'halves\\[0\\]'.*'swapped'",
    "u": "'u' is a constant",
    "halves[2]": "no layer 'halves\\[2\\]'",
    "fc/MatMull": "no layer 'fc/MatMull'. Did you mean 'fc/MatMul'",
    "": "no layer ''",
}


@pytest.mark.parametrize("layer", AMBIGUOUS)
def test_names_that_stand_for_nothing_or_for_two_things(layer):
    with pytest.raises(ValueError, match=AMBIGUOUS[layer]):
        _named().cut(layer)


def test_branches_keep_what_they_capture():
    text = (
        "a = Relu(x) k = Add(v, v) c = If(flag) <then_branch = t () => (z) { q = MatMul(a, k) "
        "z = Relu(q) }, else_branch = e () => (o) { o = MatMul(a, u) }> y = Neg(c)"
    )
    model = network(text, inputs=VECTOR, v=(6, 5), u=(6, 5), flag=np.array(True))
    batch = images(3, (6,)) - np.float32(0.5)
    cut = OnnxNetwork(model).cut("c")
    np.testing.assert_allclose(cut.run([batch]), run(model, [batch], "c"), rtol=1e-6)


def test_several_inputs_and_those_that_a_cut_needs():
    text = "r = Relu(x) e = Gather(table, t) m = ReduceMean<keepdims = 0>(e, a) y = Add(r, m)"
    model = network(text, inputs="float[N,6] x, int64[N,L] t", table=(9, 6), a=np.array([1]))
    frozen = OnnxNetwork(model)
    x, tokens = Input("x", (6,)), Input("t", (None,), "int64")
    assert frozen.inputs() == (x, tokens)
    assert [frozen.cut(layer).inputs for layer in ("r", "m", "y")] == [(x,), (tokens,), (x, tokens)]
    batch = [images(3, (6,)), np.array([[1, 2], [3, 4], [8, 0]])]
    np.testing.assert_allclose(frozen.whole().run(batch), run(model, batch), rtol=1e-6)
    np.testing.assert_allclose(frozen.cut("m").run(batch[1:]), run(model, batch, "m"), rtol=1e-6)
    assert frozen.cut("m").output_shape([(2,)]) == (6,)
    values = frozen.run_all([frozen.cut("y"), frozen.cut("y")], batch)
    np.testing.assert_array_equal(*values)
    # Layers in an order that is not that of the inputs, and inputs in another.
    sizes = {"v": (4, 3), "w": (5, 3)}
    two = network("l = MatMul(p, v) m = MatMul(q, w) y = Add(l, m)",
                  inputs="float[N,4] p, float[N,5] q", **sizes)  # fmt: skip
    fitted = FeatureExtractor(two, layer=["m", "l"]).fit()
    assert fitted.layers() == FeatureExtractor(two).layers() != []
    turned = {"q": images(3, (5,)), "p": images(3, (4,))}
    assert OnnxNetwork(two).candidates(turned) == OnnxNetwork(two).candidates()


def test_weights_among_the_inputs_are_no_inputs():
    model = network(NET, **WEIGHTS)
    model.ir_version = 3
    for weight in model.graph.initializer:
        info = onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
        model.graph.input.append(info)
    frozen = OnnxNetwork(model)
    assert frozen.inputs() == (Input("x", (3, 8, 8)),)
    batch = images(2)
    np.testing.assert_allclose(
        frozen.cut("penultimate").run([batch]), _net().cut("f").run([batch]), rtol=1e-6
    )


@pytest.mark.parametrize("kind", ["float16", "double"])
def test_other_floats_come_out_as_float32(kind):
    dtype = "float64" if kind == "double" else kind
    v = np.random.default_rng(0).normal(size=(6, 5)).astype(dtype)
    model = network("r = Relu(x) y = MatMul(r, v)", inputs=f"{kind}[N,6] x", v=v)
    frozen = OnnxNetwork(model)
    assert frozen.inputs()[0].dtype == dtype
    batch = images(3, (6,)).astype(dtype)
    value = frozen.cut("penultimate").run([batch])
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, batch.astype(np.float32), rtol=1e-6)
    assert [each.layer for each in frozen.candidates()] == ["r", "y"]


def test_the_whole_network_has_one_output():
    assert _net().whole().layer == "y"
    with pytest.raises(ValueError, match=r"has 2 outputs .* layer='s' or 'y'"):
        _net(outputs="s, y").whole()
    with pytest.raises(ValueError, match=r"has 2 outputs .* layer='s' or 'y'"):
        _net(outputs="s, y").gives_logits()


def test_copies_compute_the_same():
    frozen, batch = _net(), images(3)
    cut = frozen.cut("penultimate")
    expected = cut.run([batch])
    for other in (
        pickle.loads(pickle.dumps(frozen)).cut("penultimate"),  # noqa: S301
        pickle.loads(pickle.dumps(cut)),  # noqa: S301
        copy.deepcopy(frozen).cut("penultimate"),
        copy.deepcopy(cut),
    ):
        assert other.layer == "f"
        np.testing.assert_array_equal(other.run([batch]), expected)
        assert other.network.digest() == frozen.digest()


def test_copies_keep_their_name_and_preprocessing():
    frozen = _net()
    frozen.name, frozen.preprocessing = "by name", Preprocessing(size=8)
    copied = pickle.loads(pickle.dumps(frozen))  # noqa: S301
    assert (copied.name, copied.preprocessing) == ("by name", Preprocessing(size=8))
    with pytest.raises(ValueError, match="The network 'by name' has no layer 'none'"):
        copied.cut("none")


def _run_in_child(cut, batch, answers):
    answers.put((cut.run([batch]), os.getpid() in [pid for pid, _ in cut.network._sessions]))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_a_forked_process_opens_its_own_sessions():
    cut, batch = _net().cut("penultimate"), images(3)
    expected = cut.run([batch])
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        child = context.Process(target=_run_in_child, args=(cut, batch, answers))
        child.start()
    try:
        value, opened = answers.get(timeout=60)
    finally:
        child.kill()
        child.join()
    np.testing.assert_array_equal(value, expected)
    # A parent's session would wait for threads that are not there, though not for so small a batch.
    assert opened


def test_the_digest_is_of_what_is_computed():
    digest = _net().digest()
    assert len(digest) == 32
    assert int(digest, 16) >= 0
    other = network(NET, **WEIGHTS)
    # As if exported at another time, from another place, and with weights stored otherwise.
    other.doc_string, other.producer_version = "later", "9"
    other.graph.node[0].doc_string = "elsewhere.py"
    other.graph.node[0].metadata_props.add(key="trace", value="/home/somebody")
    other.graph.value_info.append(onnx.helper.make_tensor_value_info("r", 1, ["N", 4, 6, 6]))
    weight = other.graph.initializer[0]
    values = onnx.numpy_helper.to_array(weight).ravel().tolist()
    weight.CopyFrom(onnx.helper.make_tensor(weight.name, weight.data_type, weight.dims, values))
    assert OnnxNetwork(other).digest() == digest
    other.graph.initializer[0].float_data[5] += 1e-3
    assert OnnxNetwork(other).digest() != digest
    assert _net(opset=17).digest() != digest
    assert OnnxNetwork(network(NET.replace("Relu", "Elu"), **WEIGHTS)).digest() != digest
    strided = NET.replace("Conv(", "Conv<strides = [2, 2]>(")
    assert OnnxNetwork(network(strided, **WEIGHTS)).digest() != digest


def test_the_digest_sees_into_branches():
    text = (
        "y = If(flag) <then_branch = t () => (z) {{ z = {}(x) }}, "
        "else_branch = e () => (o) {{ o = Neg(x) }}>"
    )
    digests = {
        OnnxNetwork(network(text.format(kind), flag=np.array(True))).digest()
        for kind in ("Relu", "Elu")
    }
    assert len(digests) == 2


MEAN, STD = np.float32([123, 117, 104]), np.float32([0.2, 0.3, 0.4])
PIXELS = {
    "divided": ("s = Div(x, k)", {"k": np.float32(255)}, True),
    "multiplied": ("s = Mul(x, k)", {"k": np.float32(1 / 255)}, True),
    "centered first": ("m = Sub(x, k) s = Div(m, k)", {"k": np.float32(127.5)}, True),
    "mean of each channel": ("s = Sub(x, k)", {"k": MEAN.reshape(3, 1, 1)}, True),
    "resized first": (
        "z = Resize(x, , scales) s = Div(z, k)",
        {"k": np.float32(255), "scales": np.float32([1, 1, 2, 2])},
        True,
    ),
    "a constant node": (
        "q = Constant<value_float = 255.0>() k = Unsqueeze(q, a) s = Div(x, k)",
        {"a": np.array([0])},
        True,
    ),
    "not scaled": ("s = Relu(x)", {}, False),
    "divided by deviations": ("s = Div(x, k)", {"k": STD.reshape(3, 1, 1)}, False),
    "standardized": ("m = Sub(x, k) s = Div(m, k)", {"k": STD.reshape(3, 1, 1)}, False),
    "scaled on one branch alone": (
        "a = Div(x, k) b = Relu(x) s = Add(a, b)",
        {"k": np.float32(255)},
        False,
    ),
    "scaled later": ("c = Relu(x) s = Div(c, k)", {"k": np.float32(255)}, False),
    "by another tensor": ("s = Mul(x, x)", {}, False),
}


@pytest.mark.parametrize("name", PIXELS)
def test_networks_that_take_pixels(name):
    text, constants, expected = PIXELS[name]
    model = network(text + " y = Relu(s)", **constants)
    assert OnnxNetwork(model).takes_pixels() is expected


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("uint8[N,8,8,3] x", True),
        ("uint8[N,3,8,8] x", True),
        ("uint8[N,6] x", False),
        ("float[N,8,8,3] x", False),
    ],
)
def test_bytes_of_images_are_pixels(inputs, expected):
    frozen = OnnxNetwork(network("c = Cast<to = 1>(x) y = Relu(c)", inputs=inputs))
    assert frozen.takes_pixels() is expected


def test_where_the_channels_are():
    assert _net().channels_first()
    assert [_net().cut(layer).channel_axis for layer in "xcrpfy"] == [1, 1, 1, 1, -1, -1]


def test_channels_of_a_graph_of_tf2onnx():
    text = (
        "t = Transpose<perm = [0, 3, 1, 2]>(x) c = Conv(t, w) r = Relu(c) "
        "n = Transpose<perm = [0, 2, 3, 1]>(r) a = Add(n, b) y = Relu(a)"
    )
    frozen = OnnxNetwork(network(text, inputs="float[N,8,8,3] x", w=(4, 3, 3, 3), b=(4,)))
    assert not frozen.channels_first()
    assert [frozen.cut(layer).channel_axis for layer in "xtcrnay"] == [-1, 1, 1, 1, -1, -1, -1]


def test_channels_of_a_vision_transformer():
    text = (
        "c = Conv<strides = [4, 4]>(x, w) f = Reshape(c, shape) t = Transpose<perm = [0, 2, 1]>(f) "
        "n = LayerNormalization(t, g) m = MatMul(n, v) y = Add(m, t)"
    )
    frozen = OnnxNetwork(
        network(text, w=(6, 3, 4, 4), shape=np.array([0, 6, -1]), g=(6,), v=(6, 6))
    )
    assert [frozen.cut(layer).channel_axis for layer in "cftnmy"] == [1, 1, -1, -1, -1, -1]


def test_channels_that_are_shuffled():
    text = (
        "c = Conv(x, w) a = Reshape(c, apart) t = Transpose<perm = [0, 2, 1, 3, 4]>(a) "
        "y = Reshape(t, back)"
    )
    shapes = {"apart": np.array([0, 2, 2, 6, 6]), "back": np.array([0, 4, 6, 6])}
    assert OnnxNetwork(network(text, w=(4, 3, 3, 3), **shapes)).cut("y").channel_axis == 1


def _modules():
    """Return modules, the shape of their samples, and what makes their features."""
    from torch import nn

    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    flat = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.flat = body, flat
            self.inner = nn.Conv2d(4, 4, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(4)
            self.fc = nn.Linear(4, 5)

        def features(self, x):
            h = self.body(x)
            return self.flat(nn.functional.relu(h + self.norm(self.inner(h))))

        def forward(self, x):
            return self.fc(self.features(x))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(6, 8)
            self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
            self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

        def features(self, x):
            return self.norm(self.block(self.embed(x)))[:, 0]

        def forward(self, x):
            return self.head(self.features(x))

    class Viewed(nn.Module):
        """A module that keeps the size of the batch in its graph, as tracing may do."""

        def __init__(self):
            super().__init__()
            self.body, self.fc = body, nn.Linear(4 * 36, 5)

        def features(self, x):
            return self.body(x).view(int(x.shape[0]), -1)

        def forward(self, x):
            return nn.functional.softmax(self.fc(self.features(x)), dim=1)

    residual, transformer, viewed = Residual(), Transformer(), Viewed()
    mlp = nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Dropout(), nn.Linear(8, 3))
    headless = nn.Sequential(body, nn.Conv2d(4, 6, 1), nn.Hardswish(), flat)
    return {
        "residual": (residual, (3, 8, 8), residual.features),
        "transformer": (transformer, (7, 6), transformer.features),
        "viewed": (viewed, (3, 8, 8), viewed.features),
        "perceptron": (mlp, (6,), mlp[:3]),
        "headless": (headless, (3, 8, 8), headless),
    }


def _export(module, samples, **arguments):
    import torch

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the exporter's own future
        torch.onnx.export(module, (samples,), file, verbose=False, **arguments)
    return OnnxNetwork(onnx.load_from_string(file.getvalue()))


def _check_features(name, **arguments):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module, shape, features = _modules()[name]
    module.eval()
    cut = _export(module, torch.zeros(1, *shape), **arguments).cut("penultimate")
    batch = images(5, shape) - np.float32(0.5)
    with torch.no_grad():
        expected = features(torch.from_numpy(batch)).numpy()
    assert cut.run([batch]).shape == expected.shape
    np.testing.assert_allclose(cut.run([batch]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("name", ["residual", "transformer", "viewed", "perceptron", "headless"])
def test_exports_of_torch_modules(name, opens):
    axes = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}} if opens else {}
    _check_features(name, dynamo=False, **axes)


@pytest.mark.slow  # this exporter takes seconds to start
def test_exports_of_the_newer_exporter_of_torch():
    pytest.importorskip("onnxscript")
    _check_features("transformer", dynamo=True, external_data=False)
