"""Small bundles, their graphs made by hand: a linear head on features or on the mean color."""

import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save

from penultimate.bundle import Manifest, describe_part

OPSET = helper.make_opsetid("", 18)


def as_model(nodes, inputs, outputs, constants, **more):
    graph = helper.make_graph(
        nodes,
        "head",
        inputs,
        outputs,
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[OPSET], ir_version=10, **more)


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


OUTPUTS = [
    value("label", TensorProto.INT64, ["R"]),
    value("scores", TensorProto.FLOAT, ["R", None]),
    value("probabilities", TensorProto.FLOAT, ["R", None]),
]
HEAD = [
    helper.make_node("MatMul", ["x", "W"], ["scores"]),
    helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
]


def of_features(n_features=4, n_classes=3):
    """The class is the largest of the first features."""
    nodes = [helper.make_node("Identity", ["features"], ["x"]), *HEAD]
    inputs = [value("features", TensorProto.FLOAT, ["M", n_features])]
    W = np.eye(n_features, n_classes, dtype=np.float32)
    return as_model(nodes, inputs, OUTPUTS, {"W": W})


def of_images():
    """The class is the strongest color of an image; the features are the means of its colors."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Expand", ["floats", "three"], ["colors"]),
        helper.make_node(
            "Resize", ["colors", "", "", "size"], ["small"], mode="linear", antialias=1, axes=[1, 2]
        ),
        helper.make_node("ReduceMean", ["small", "sides"], ["mean"], keepdims=0),
        helper.make_node("Concat", ["mean", "features"], ["x"], axis=0),
        *HEAD,
    ]
    inputs = [
        value("images", TensorProto.UINT8, ["N", "H", "W", "C"]),
        value("features", TensorProto.FLOAT, ["M", 3]),
    ]
    constants = {
        "W": np.eye(3, dtype=np.float32),
        "three": np.array([1, 1, 1, 3]),
        "size": np.array([4, 4]),
        "sides": np.array([1, 2]),
    }
    return as_model(nodes, inputs, OUTPUTS, constants)


def make_parts(graph, *, check=True, **fields):
    """Return the parts of a bundle of a graph; without checks where a test wants a bad one."""
    parts = {
        "model.onnx": graph if isinstance(graph, bytes) else graph.SerializeToString(),
        "head.safetensors": save({"provenance": np.arange(5, dtype=np.uint64)}),
        "head.json": b"{}",
        "README.md": b"# A model\n",
    }
    parts |= fields.pop("parts", {})
    manifest = {
        "kind": "features",
        "classes": ["a", "b", "c"],
        "class_type": "str",
        "input": {"n_features": 4},
        "head": {"kind": "linear SVM"},
        "created_with": {"penultimate": "0.1.0"},
        "expected": {"accuracy": 0.9, "low": 0.8, "high": 0.95, "what": "test set", "n": 100},
        "provenance": {"n_samples": 5, "algorithm": "xxh3", "digest": "0" * 32},
    }
    if check:
        entries = {name: describe_part(name, content) for name, content in parts.items()}
        return {"manifest.json": Manifest(**manifest | fields, parts=entries).to_json(), **parts}
    return parts, manifest | fields


OF_IMAGES = {
    "kind": "images",
    "classes": ["blue", "green", "red"][::-1],
    "input": {"channels": 3, "size": [4, 4], "n_features": 3, "white": None},
}


def rewritten(parts, change):
    """Return parts with another manifest: `change` is given its JSON, and changes it."""
    document = json.loads(parts["manifest.json"])
    return {**parts, "manifest.json": json.dumps(change(document) or document).encode()}
