"""A model of digits whose graph has everything that a graph can say, made by hand."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save
from sklearn.datasets import load_digits

from penultimate.bundle import Predictor
from penultimate.bundle.archive import pack
from penultimate.bundle.watching_part import TENSOR, WATCH, watchable, watched_scores

from .handmade import make_parts

SIZE = (8, 8)
SUBSETS = {"round": [0, 6, 8, 9], "others": [1, 2, 3, 4, 5, 7]}
THRESHOLD = 0.5


def digit_images():
    """Return the images, white on black and eight pixels high, and their labels."""
    data = load_digits()
    return np.rint(data.images * 255 / 16).astype(np.uint8), data.target


def fit_digits():
    """Return weights and biases of a least-squares fit, which takes a moment."""
    images, labels = digit_images()
    columns = np.column_stack([images.reshape(-1, 64) / 255, np.ones(len(images))])
    targets = 4 * np.eye(10)[labels]
    solution = np.linalg.solve(columns.T @ columns + 3 * np.eye(65), columns.T @ targets)
    return solution[:-1].astype(np.float32), solution[-1].astype(np.float32)


def digits_graph(*, abstains=True, subsets=False):
    """Return an ONNX graph: gray, 8 x 8, a linear head, margins, and what is asked for."""
    weights, biases = fit_digits()
    nodes, constants = [], {}

    def add(operator, *inputs, outputs=None, **attributes):
        names = []
        for each in inputs:
            if isinstance(each, (str, type(None))):
                names.append(each or "")
                continue
            names.append(f"constant_{len(constants)}")
            constants[names[-1]] = np.asarray(each)
        outputs = outputs or [f"value_{len(nodes)}"]
        nodes.append(helper.make_node(operator, names, outputs, **attributes))
        return outputs[0]

    # One blank image is added and dropped again, so that there may be none.
    shape = add("Shape", "images")
    blank = add("ConstantOfShape", add("Concat", [1], add("Slice", shape, [1], [4]), axis=0),
                value=numpy_helper.from_array(np.array([0], np.uint8)))  # fmt: skip
    pixels = add("Cast", add("Concat", "images", blank, axis=0), to=TensorProto.FLOAT)
    first = add("Transpose", pixels, perm=[0, 3, 1, 2])
    target = add("Concat", add("Slice", add("Shape", first), [0], [2]), list(SIZE), axis=0)
    small = add("Resize", first, None, None, target, mode="cubic", antialias=1,
                cubic_coeff_a=-0.5, exclude_outside=1)  # fmt: skip
    gray = add("ReduceMean", add("Clip", small, np.float32(0), np.float32(255)), [1], keepdims=0)
    flat = add("Mul", add("Reshape", gray, [-1, 64]), np.float32(1 / 255))
    of_images = add("Slice", flat, [0], [-1], [0])
    x = add("Concat", of_images, "features", axis=0)
    decisions = add("Add", add("MatMul", x, weights), biases)
    inputs = {"images": (TensorProto.UINT8, ["N", "H", "W", "C"]),
              "features": (TensorProto.FLOAT, ["M", 64])}  # fmt: skip
    outputs = ["scores", "margins", "probabilities"]
    if subsets:
        inputs["subset"] = TensorProto.INT64, []
        member = np.zeros((len(SUBSETS), 10), np.float32)
        for k, members in enumerate(SUBSETS.values()):
            member[k, members] = 1
        best = add("ArgMax", decisions, axis=1, keepdims=0)
        routed = add("Gather", member.argmax(axis=0), best)
        given = add("Expand", "subset", add("Shape", routed))
        add("Where", add("Less", given, 0), routed, given, outputs=["subset_index"])
        outside = add("Sub", np.float32(1), add("Gather", member, "subset_index"))
        decisions = add("Sub", decisions, add("Mul", outside, np.float32(20)))
        outputs.append("subset_index")
    add("Identity", decisions, outputs=["scores"])
    add("ArgMax", "scores", axis=1, keepdims=0, outputs=["label"])
    add("Softmax", "scores", axis=1, outputs=["probabilities"])
    add("TopK", "scores", [2], axis=1, outputs=["two", "places"])
    one, two = (add("Slice", "two", [k], [k + 1], [1]) for k in (0, 1))
    rival = add("Where", add("Equal", "scores", one), two, one)
    add("Sub", "scores", rival, outputs=["margins"])
    if abstains:
        add("ReduceMax", "probabilities", [1], keepdims=0, outputs=["confidence"])
        add("GreaterOrEqual", "confidence", np.float32(THRESHOLD), outputs=["accepted"])
        outputs += ["confidence", "accepted"]
    kinds = {"label": TensorProto.INT64, "subset_index": TensorProto.INT64,
             "accepted": TensorProto.BOOL}  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info(name, *given) for name, given in inputs.items()],
        [
            helper.make_tensor_value_info(
                name,
                kinds.get(name, TensorProto.FLOAT),
                ["R", 10] if name in ("scores", "margins", "probabilities") else ["R"],
            )
            for name in ("label", *outputs)
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def digits_fields(*, abstains=True, subsets=False):
    """Return what the manifest says of it."""
    fields = {
        "kind": "images",
        "classes": list(range(10)),
        "class_type": "int",
        "input": {"channels": 1, "size": list(SIZE), "n_features": 64, "white": None},
        "head": {"kind": "logistic"},
        "expected": {"accuracy": 0.96, "low": 0.93, "high": 0.98, "what": "test set", "n": 360},
    }
    if abstains:
        fields["abstention"] = {"threshold": THRESHOLD}
    if subsets:
        fields |= {"subsets": SUBSETS, "router": "its own head"}
    return fields


def watched_digits(**options):
    """Return the content of a bundle of them that can be watched: by every other image."""
    fields = digits_fields(**options)
    graph = digits_graph(**options)
    plain = Predictor(pack(make_parts(graph, **fields)), threads=1)
    found = plain.predict_all(list(digit_images()[0][::2]))
    names = watchable(found)
    scores = watched_scores(found, names)
    watch = {"scores": names, "n_samples": len(scores), "statement": "It can be watched."}
    return pack(make_parts(graph, parts={WATCH: save({TENSOR: scores})}, watch=watch, **fields))
