"""Small ONNX graphs for the tests."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

IR = 10


def network(
    text, opset=18, domains=("",), name="net", inputs="float[N,3,8,8] x", outputs="y", **weights
):
    """Return a model from the nodes of a graph in ONNX's text format.

    Weights are arrays, or the shape of random ones.
    """
    opsets = ", ".join(f'"{domain}": {opset if domain == "" else 1}' for domain in domains)
    head = f"<ir_version: {IR}, opset_import: [{opsets}]> {name} ({inputs}) => ({outputs})"
    model = onnx.parser.parse_model(f"{head} {{ {text} }}")
    rng = np.random.default_rng(0)
    for key, value in weights.items():
        if isinstance(value, tuple):
            value = rng.normal(size=value).astype(np.float32) / 2
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), key))
    return model


def run(model, batch, tensor=None):
    """Return what ONNX Runtime computes for the whole graph, with a tensor as another output."""
    import onnxruntime

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if tensor is not None and tensor not in [each.name for each in copy.graph.output]:
        copy.graph.output.append(onnx.helper.make_value_info(tensor, onnx.TypeProto()))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        copy.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_inputs()]
    wanted = [tensor or model.graph.output[0].name]
    return session.run(wanted, dict(zip(names, batch)))[0]


def images(n_samples, shape=(3, 8, 8), seed=0):
    return np.random.default_rng(seed).random((n_samples, *shape), np.float32)
