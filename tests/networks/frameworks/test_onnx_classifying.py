"""The penultimate layer of graphs in the styles of several exporters, and what cannot be known."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from penultimate.networks.frameworks.onnx_graphs import OnnxNetwork
from tests.networks.frameworks.onnx_models import images, network, run

OUTPUT = "the network's output"
BODY = "c = Conv(x, w) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p) "
CONV = {"w": (4, 3, 3, 3)}
GEMM = {**CONV, "v": (4, 5), "b": (5,)}
VECTOR = "float[N,6] x"
SIX = {"v": (6, 5), "b": (5,)}
AXIS = np.array([1])


def _scale(value=0.02):
    return {"scale": np.float32(value), "zero": np.int8(0)}


# Name: nodes, arguments of `network`, the layer, and the place ("input of ..." or the output).
FOUND = {
    "logits": (BODY + "y = Gemm(f, v, b)", GEMM, "f", "y"),
    "softmax": (BODY + "s = Gemm(f, v, b) y = Softmax(s)", GEMM, "f", "s"),
    "sigmoid": (BODY + "s = Gemm(f, v, b) y = Sigmoid(s)", GEMM, "f", "s"),
    "log-softmax": (BODY + "s = Gemm(f, v, b) y = LogSoftmax(s)", GEMM, "f", "s"),
    "product and sum": (BODY + "s = MatMul(f, v) t = Add(s, b) y = Softmax(t)", GEMM, "f", "s"),
    "dropout": (BODY + "d = Dropout(f) i = Identity(d) y = Gemm(i, v, b)", GEMM, "f", "y"),
    "temperature": (
        BODY + "s = Gemm(f, v, b) t = Div(s, k) y = Softmax(t)",
        {**GEMM, "k": np.float32(2)},
        "f",
        "s",
    ),
    "transposed weights": (
        "u = Transpose<perm = [1, 0]>(v) y = MatMul(x, u)",
        {"inputs": VECTOR, "v": (5, 6)},
        "x",
        "y",
    ),
    "renamed weights": (
        "u = Identity(v) r = Relu(x) y = MatMul(r, u)",
        {"inputs": VECTOR, "v": (6, 5)},
        "r",
        "y",
    ),
    "equation": (
        'r = Relu(x) y = Einsum<equation = "nd,dk->nk">(r, v)',
        {"inputs": VECTOR, "v": (6, 5)},
        "r",
        "y",
    ),
    "convolution of one position": (
        "r = Relu(x) p = GlobalAveragePool(r) h = Conv(p, h_w) y = Flatten(h)",
        {"h_w": (5, 3, 1, 1)},
        "p",
        "h",
    ),
    "pooled classes": (
        "c = Conv(x, w) r = Relu(c) h = Conv(r, h_w) q = Relu(h) p = GlobalAveragePool(q) "
        "f = Flatten(p) y = Softmax(f)",
        {**CONV, "h_w": (5, 4, 1, 1)},
        "r",
        "h",
    ),
    # tf2onnx: images with channels last, and transpositions around what has them first.
    "tf2onnx": (
        "t = Transpose<perm = [0, 3, 1, 2]>(x) c = Conv(t, w) r = Relu(c) p = GlobalAveragePool(r) "
        "q = Squeeze(p, axes) s = MatMul(q, v) a = Add(s, b) y = Softmax(a)",
        {**GEMM, "inputs": "float[N,8,8,3] x", "axes": np.array([2, 3])},
        "q",
        "s",
    ),
    "softmax in steps": (
        "r = Relu(x) s = Gemm(r, v, b) m = ReduceMax(s, axis) z = Sub(s, m) e = Exp(z) "
        "t = ReduceSum(e, axis) y = Div(e, t)",
        {**SIX, "inputs": VECTOR, "axis": AXIS},
        "r",
        "s",
    ),
    "softmax by a reciprocal": (
        "r = Relu(x) s = Gemm(r, v, b) e = Exp(s) t = ReduceSum(e, axis) i = Reciprocal(t) "
        "y = Mul(e, i)",
        {**SIX, "inputs": VECTOR, "axis": AXIS},
        "r",
        "s",
    ),
    "log-softmax in steps": (
        "r = Relu(x) s = Gemm(r, v, b) e = Exp(s) t = ReduceSum(e, axis) l = Log(t) y = Sub(s, l)",
        {**SIX, "inputs": VECTOR, "axis": AXIS},
        "r",
        "s",
    ),
    "labels": (BODY + "s = Gemm(f, v, b) y = ArgMax<axis = 1>(s)", GEMM, "f", "s"),
    "best two": (
        BODY + "s = Gemm(f, v, b) y, i = TopK(s, k)",
        {**GEMM, "k": np.array([2]), "outputs": "y, i"},
        "f",
        "s",
    ),
    "labels and probabilities": (
        BODY + "s = Gemm(f, v, b) l = ArgMax<axis = 1>(s) y = Softmax(s)",
        {**GEMM, "outputs": "l, y"},
        "f",
        "s",
    ),
    "hidden sigmoid": (
        "h = Gemm(x, v, b) g = Sigmoid(h) s = Gemm(g, u) y = Softmax(s)",
        {**SIX, "inputs": VECTOR, "u": (5, 5)},
        "g",
        "s",
    ),
    "label noise": (
        "r = Relu(x) h = Gemm(r, v, b) p = Softmax(h) y = MatMul(p, noise)",
        {**SIX, "inputs": VECTOR, "noise": np.eye(5, dtype=np.float32)},
        "r",
        "h",
    ),
    "prototypes": (
        "r = Relu(x) u = Unsqueeze(r, axis) d = Sub(u, prototypes) q = Mul(d, d) "
        "t = ReduceSum<keepdims = 0>(q, last) n = Neg(t) y = Softmax(n)",
        {"inputs": VECTOR, "prototypes": (1, 5, 6), "axis": AXIS, "last": np.array([2])},
        "u",
        "d",
    ),
    "cosines": (
        "r = LpNormalization(x) s = MatMul(r, v) y = Mul(s, k)",
        {"inputs": VECTOR, "v": (6, 5), "k": np.float32(30)},
        "r",
        "s",
    ),
    "mean of two heads": (
        "r = Relu(x) s = MatMul(r, v) p = Softmax(s) t = MatMul(r, u) q = Softmax(t) "
        "y = Mean(p, q)",
        {"inputs": VECTOR, "v": (6, 5), "u": (6, 5)},
        "r",
        "s' and 't",
    ),
    "quantized weights": (
        "r = Relu(x) u = DequantizeLinear(q, scale, zero) s = MatMul(r, u) "
        "a = QuantizeLinear(s, scale, zero) y = DequantizeLinear(a, scale, zero)",
        {"inputs": VECTOR, "q": np.arange(30, dtype=np.int8).reshape(6, 5), **_scale()},
        "r",
        "s",
    ),
    "quantized on the fly": (
        "r = Relu(x) q, scale, zero = DynamicQuantizeLinear(r) m = MatMulInteger(q, v, zero) "
        "i = Cast<to = 1>(m) g = Mul(scale, own) t = Mul(i, g) y = Add(t, b)",
        {
            "inputs": VECTOR,
            "v": np.arange(30, dtype=np.int8).reshape(6, 5),
            "own": np.float32(0.01),
            "b": (5,),
        },
        "r",
        "m",
    ),
    "reshaped by its own size": (
        "r = Relu(x) s = Gemm(r, v, b) h = Shape(s) y = Reshape(s, h)",
        {**SIX, "inputs": VECTOR},
        "r",
        "s",
    ),
    "scores and positions": (
        "i = ArgMax<axis = 1>(x) r = Relu(x) y = Gemm(r, v, b)",
        {**SIX, "inputs": VECTOR, "outputs": "y, i"},
        "r",
        "y",
    ),
    "token": (
        "e = Gather(table, x) n = LayerNormalization(e, g) t = Gather<axis = 1>(n, first) "
        "y = Gemm(t, v, b)",
        {"inputs": "int64[N,7] x", "table": (9, 6), "g": (6,), "first": np.int64(0), **SIX},
        "t",
        "y",
    ),
    "branch": (
        "r = Relu(x) y = If(flag) <then_branch = a () => (z) { z = MatMul(r, v) }, "
        "else_branch = b () => (o) { o = MatMul(r, u) }> s = Gemm(y, h) p = Softmax(s)",
        {
            "inputs": VECTOR,
            "outputs": "p",
            **{"v": (6, 5), "u": (6, 5), "h": (5, 4), "flag": np.array(True)},
        },
        "y",
        "s",
    ),
    # Headless networks, and embeddings.
    "headless": (BODY, {**CONV, "outputs": "f"}, "f", OUTPUT),
    "headless, with dropout": (BODY + "y = Dropout(f)", CONV, "f", OUTPUT),
    "normalized": (
        "s = Gemm(x, v, b) y = BatchNormalization(s, b, b, b, g)",
        {**SIX, "inputs": VECTOR, "g": np.ones(5, np.float32)},
        "y",
        OUTPUT,
    ),
    "unit length": (
        "s = Gemm(x, v, b) n = ReduceL2(s, axis) y = Div(s, n)",
        {**SIX, "inputs": VECTOR, "axis": AXIS},
        "y",
        OUTPUT,
    ),
    "layer norm in steps": (
        "s = Gemm(x, v, b) m = ReduceMean(s, axis) d = Sub(s, m) q = Mul(d, d) "
        "w = ReduceMean(q, axis) e = Sqrt(w) n = Div(d, e) y = Add(n, b)",
        {**SIX, "inputs": VECTOR, "axis": AXIS},
        "y",
        OUTPUT,
    ),
    "silu": (
        "s = Gemm(x, v, b) g = Sigmoid(s) y = Mul(s, g)",
        {**SIX, "inputs": VECTOR},
        "y",
        OUTPUT,
    ),
    "gelu in steps": (
        "s = Gemm(x, v, b) d = Div(s, k) e = Erf(d) o = Add(e, one) m = Mul(s, o) y = Mul(m, half)",
        {
            **SIX,
            **{"inputs": VECTOR, "k": np.float32(1.41), "one": np.float32(1)},
            "half": np.float32(0.5),
        },
        "y",
        OUTPUT,
    ),
    "relu6": (
        "s = Gemm(x, v, b) y = Clip(s, low, high)",
        {**SIX, "inputs": VECTOR, "low": np.float32(0), "high": np.float32(6)},
        "y",
        OUTPUT,
    ),
    "clipped probabilities": (
        "r = Relu(x) s = Gemm(r, v, b) p = Softmax(s) y = Clip(p, low, high)",
        {**SIX, "inputs": VECTOR, "low": np.float32(0), "high": np.float32(1)},
        "r",
        "s",
    ),
    "residual": (
        "r = Relu(x) s = Gemm(r, v) y = Add(r, s)",
        {"inputs": VECTOR, "v": (6, 6)},
        "y",
        OUTPUT,
    ),
    "maps": ("r = Relu(x) y = Conv(r, w)", CONV, "y", OUTPUT),
    "recurrent": (
        "t = Transpose<perm = [1, 0, 2]>(x) a, h = LSTM<hidden_size = 4>(t, w, r) "
        "y = Squeeze(h, first)",
        {
            "inputs": "float[N,7,6] x",
            **{"w": (1, 16, 6), "r": (1, 16, 4), "first": np.array([0])},
        },
        "y",
        OUTPUT,
    ),
    "tokens": (
        "e = Gather(table, x) y = ReduceMean<keepdims = 0>(e, axis)",
        {"inputs": "int64[N,7] x", "table": (9, 6), "axis": AXIS},
        "y",
        OUTPUT,
    ),
}


def _samples(model, n_samples):
    dims = [each.dim_value for each in model.graph.input[0].type.tensor_type.shape.dim][1:]
    if model.graph.input[0].type.tensor_type.elem_type == 7:
        return np.random.default_rng(0).integers(0, 9, (n_samples, *dims))
    return images(n_samples, dims) - np.float32(0.4)


@pytest.mark.parametrize("name", FOUND)
def test_the_layer_is_found_and_its_values_are_those_of_the_whole_graph(name):
    text, arguments, layer, place = FOUND[name]
    model = network(text, **arguments)
    cut = OnnxNetwork(model).cut("penultimate")
    expected = OUTPUT if place == OUTPUT else f"the input of '{place}'"
    assert (cut.layer, cut.place) == (layer, expected)
    batch = _samples(model, 3)
    if name == "quantized on the fly":
        # Its scale is that of a batch, so that samples are taken one by one.
        alone = [run(model, [batch[[k]]], layer) for k in range(3)]
        np.testing.assert_allclose(cut.run([batch]), np.concatenate(alone), rtol=1e-5)
    else:
        whole = batch if layer == "x" else run(model, [batch], layer)
        np.testing.assert_allclose(cut.run([batch]), whole, rtol=1e-5, atol=1e-6)


# Name: nodes, arguments, number of classes (that decides, if the layer follows), words or layer.
UNCLEAR = {
    "pooled scores": (
        "r = Relu(x) h = Conv(r, h_w) p = GlobalAveragePool(h) y = Flatten(p)",
        {"h_w": (5, 3, 1, 1)},
        5,
        "has no activation, and is pooled",
        "r",
    ),
    "tanh": ("s = Gemm(x, v, b) y = Tanh(s)", {**SIX, "inputs": VECTOR}, 5, "(Tanh) may end", "x"),
    "unknown operator": (
        "r = Relu(x) s = Gemm(r, v, b) y = Sin(s)",
        {**SIX, "inputs": VECTOR},
        5,
        "'y' (Sin) may compute anything",
        "r",
    ),
    "shifted scores": (
        "r = Relu(x) s = Gemm(r, v, b) m = ReduceMax(s, axis) y = Sub(s, m)",
        {**SIX, "inputs": VECTOR, "axis": AXIS},
        5,
        "'y' (Sub) joins what may be",
        "r",
    ),
    "one score through tanh": (
        "r = Relu(x) s = Gemm(r, v) y = Tanh(s)",
        {"inputs": VECTOR, "v": (6, 1)},
        2,
        "(Tanh) may end",
        "r",
    ),
    "gate": (
        "r = Relu(x) s = Gemm(r, v) g = Gemm(r, u) h = Sigmoid(g) y = Mul(s, h)",
        {"inputs": VECTOR, "v": (6, 5), "u": (6, 5)},
        5,
        "'y' (Mul) joins what may be",
        "r",
    ),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_is_unclear_is_decided_by_the_number_of_classes_alone(name):
    text, arguments, n_classes, words, layer = UNCLEAR[name]
    frozen = OnnxNetwork(network(text, **arguments))
    for other in (None, 7):
        with pytest.raises(ValueError, match="not clear which layer of the network 'net'") as error:
            frozen.cut("penultimate", other)
        message = str(error.value)
        assert words in message
        assert f"layer={layer!r} (the input of the scores), or layer='y'" in message
    assert frozen.cut("penultimate", n_classes).layer == layer


def test_classes_of_many_positions_are_unclear():
    frozen = OnnxNetwork(network("c = Conv(x, w) y = Softmax<axis = 1>(c)", **CONV))
    with pytest.raises(ValueError, match=r"classes for each of many positions.*\(4, 6, 6\)"):
        frozen.cut("penultimate", 4)


def test_heads_on_different_layers_are_named():
    text = "r = Relu(x) s = Gemm(r, v) q = Relu(s) t = Gemm(q, u)"
    model = network(text, inputs=VECTOR, outputs="s, t", v=(6, 5), u=(5, 4))
    with pytest.raises(ValueError, match="2 outputs, with different.*layer='r' or 'q'"):
        OnnxNetwork(model).cut("penultimate")


PROBABILITIES = {
    "softmax": ("s = Gemm(x, v) y = Softmax(s)", True),
    "clipped softmax": ("s = Gemm(x, v) p = Softmax(s) y = Clip(p, low)", True),
    "softmax in steps": ("s = Gemm(x, v) e = Exp(s) t = ReduceSum(e, a) y = Div(e, t)", True),
    "sigmoid": ("s = Gemm(x, v) y = Sigmoid(s)", True),
    "mean of softmax": (
        "s = Gemm(x, v) p = Softmax(s) t = Gemm(x, u) q = Softmax(t) m = Add(p, q) "
        "y = Mul(m, half)",
        True,
    ),
    "logits": ("y = Gemm(x, v)", False),
    "log-softmax": ("s = Gemm(x, v) y = LogSoftmax(s)", False),
    "tanh": ("s = Gemm(x, v) y = Tanh(s)", False),
    "scaled": ("s = Gemm(x, v) y = Mul(s, half)", False),
}


@pytest.mark.parametrize("name", PROBABILITIES)
def test_whether_the_output_is_logits(name):
    text, probabilities = PROBABILITIES[name]
    constants = {"low": np.float32(1e-7), "half": np.float32(0.5), "a": AXIS}
    model = network(text, inputs=VECTOR, v=(6, 5), u=(6, 5), **constants)
    assert OnnxNetwork(model).gives_logits() is not probabilities


def test_one_output_between_0_and_1_may_be_a_probability_or_not():
    text = "r = Relu(x) s = Gemm(r, v) t = Tanh(s) y = Mul(t, t)"
    model = network(text, inputs=VECTOR, v=(6, 1))
    with pytest.raises(
        ValueError, match="not clear whether the outputs .* probabilities: they go from"
    ):
        OnnxNetwork(model).gives_logits()


def test_labels_are_no_scores():
    model = network("s = Gemm(x, v) y = ArgMax<axis = 1>(s)", inputs=VECTOR, v=(6, 5))
    with pytest.raises(ValueError, match="gives labels"):
        OnnxNetwork(model).gives_logits()
