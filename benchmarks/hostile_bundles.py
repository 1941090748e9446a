"""Bundles of a patient adversary: sizes, hashes and headers are right, the contents are not.

`hostile` draws one kind at random, with numbers at random: a graph that loops, branches, reads
other files, states huge tensors or is huge itself, JSON that is deep or long, tensors that overlap.
`benchmarks.fuzz_bundles` opens them as one of its levels. What a graph computes from its input is
no matter of opening; see docs/security.md.
"""

import itertools
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BIG = (2**12, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1)
ODD = (0, -1, -(2**31), -(2**63), *BIG)
# Nodes that make much of little, and where the numbers go: inputs by name, or attributes.
_OF_SIZES = {
    "CenterCropPad": (["x", "sizes"], {}),
    "ConstantOfShape": (["sizes"], {}),
    "Expand": (["x", "sizes"], {}),
    "Pad": (["x", "four"], {}),
    "Resize": (["x", "", "", "sizes"], {"mode": "nearest"}),
    "Tile": (["x", "sizes"], {}),
    "Reshape": (["x", "sizes"], {}),
}
_OF_ATTRIBUTES = {
    "AveragePool": ["kernel_shape", "pads", "strides"],
    "Conv": ["dilations", "group", "kernel_shape", "pads", "strides"],
    "ConvTranspose": ["output_padding", "output_shape", "pads", "strides"],
    "DepthToSpace": ["blocksize"],
    "LRN": ["size"],
    "LpPool": ["p", "kernel_shape"],
    "MaxPool": ["dilations", "kernel_shape", "pads", "storage_order"],
    "Split": ["num_outputs", "axis"],
    "SpaceToDepth": ["blocksize"],
    "Transpose": ["perm"],
}
_LISTS = {"dilations", "kernel_shape", "output_padding", "output_shape", "pads", "perm", "strides"}


def hostile(parts, rng, with_part):
    """Return the parts of a bundle of one kind, drawn at random.

    Parameters
    ----------
    parts : dict of str to bytes
        Of a whole bundle.
    rng : random.Random
    with_part : callable
        Returns parts with one replaced, and the manifest that fits.
    """
    name, make = rng.choice(KINDS)
    return with_part(parts, name, make(parts[name], rng))


def _with_nodes(nodes, constants=None, of="x"):
    """Return a function of a graph that puts nodes before its own, on its first input."""

    def change(content, rng):
        model = onnx.ModelProto.FromString(content)
        graph = model.graph
        made = nodes(rng)
        for each in reversed(made):
            each.input[:] = [graph.input[0].name if name == of else name for name in each.input]
            graph.node.insert(0, each)
        # Without a use, the runtime would leave them out.
        graph.output.append(helper.make_tensor_value_info(made[-1].output[0], 1, None))
        for name, values in (constants(rng) if constants else {}).items():
            graph.initializer.append(numpy_helper.from_array(values, name))
        return model.SerializeToString()

    return change


def _sized(rng):
    kind = rng.choice(sorted(_OF_SIZES))
    inputs, attributes = _OF_SIZES[kind]
    return [helper.make_node(kind, inputs, ["large"], **attributes)]


def _sizes(rng):
    sizes = np.array(rng.choices(ODD, k=rng.randrange(1, 5)), np.int64)
    return {"sizes": sizes, "four": np.array(rng.choices(ODD, k=4), np.int64)}


def _by_attributes(rng):
    kind = rng.choice(sorted(_OF_ATTRIBUTES))
    attributes = {
        name: rng.choices(ODD, k=rng.randrange(1, 5)) if name in _LISTS else rng.choice(ODD)
        for name in _OF_ATTRIBUTES[kind]
        if rng.random() < 0.7
    }
    return [helper.make_node(kind, ["x"], ["large"], **attributes)]


def _cycle(rng):
    length = rng.randrange(1, 4)
    names = [f"c{k}" for k in range(length)]
    return [helper.make_node("Add", ["x", names[k - 1]], [names[k]]) for k in range(length)]


def _chain(rng):
    """A long chain: what walks along it by recursion runs out of stack."""
    kind = rng.choice(["Abs", "Add", "Identity", "Transpose", "Cast", "Reshape", "Relu"])
    names = ["x", *(f"c{k}" for k in range(rng.choice([100, 3000, 4900, 20_000])))]
    second = {"Add": ["x"], "Reshape": ["sizes"]}.get(kind, [])
    attributes = {"to": TensorProto.FLOAT} if kind == "Cast" else {}
    return [
        helper.make_node(kind, [before, *second], [after], **attributes)
        for before, after in itertools.pairwise(names)
    ]


def _branch(rng):
    inner = helper.make_graph([], "inner", [], [])
    kind = rng.choice(["If", "Loop", "Scan", "SequenceMap"])
    for _ in range(rng.choice([1, 3, 12])):
        deep = helper.make_node(kind, ["x"], ["y"], body=inner)
        inner = helper.make_graph([deep], "inner", [], [])
    return [deep]


def _forbidden(rng):
    kind = rng.choice(
        ["SVMClassifier", "StringNormalizer", "TfIdfVectorizer", "RandomNormal", "SequenceEmpty"]
    )
    domain = rng.choice(["", "ai.onnx.ml", "com.microsoft", "org.pytorch.aten"])
    return [helper.make_node(kind, ["x"], ["y"], domain=domain)]


def _functions(content, rng):
    model = onnx.ModelProto.FromString(content)
    own = rng.choice(["", "own"])
    body = [helper.make_node("Abs", ["a"], ["b"])]
    model.functions.append(helper.make_function(own, "Abs", ["a"], ["b"], body, model.opset_import))
    return model.SerializeToString()


def _tensors_elsewhere(content, rng):
    model = onnx.ModelProto.FromString(content)
    tensor = rng.choice(model.graph.initializer)
    places = ["/etc/passwd", "../../secret", "/proc/self/mem", "model.onnx", "head.safetensors"]
    tensor.external_data.add(key="location", value=rng.choice(places))
    tensor.external_data.add(key="length", value=str(rng.choice(ODD)))
    tensor.data_location = rng.choice([0, 1])
    return model.SerializeToString()


def _tensors_misstated(content, rng):
    model = onnx.ModelProto.FromString(content)
    tensor = rng.choice(model.graph.initializer)
    match rng.randrange(4):
        case 0:
            tensor.dims[:] = rng.choices(ODD, k=rng.randrange(1, 10))
        case 1:
            tensor.data_type = rng.choice([0, 8, 14, 16, 23, 99])
        case 2:  # two lists of values, which readers choose from
            tensor.float_data.extend([1.0] * rng.randrange(1, 100))
        case 3:
            tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.STRING, [1], [b"text"]))
    return model.SerializeToString()


def _value_shapes(content, rng):
    model = onnx.ModelProto.FromString(content)
    for each in (*model.graph.input, *model.graph.output):
        for dim in each.type.tensor_type.shape.dim:
            if rng.random() < 0.5:
                dim.dim_value = rng.choice(ODD)
    return model.SerializeToString()


def _deep_json(content, rng):
    depth = rng.choice([25, 1000, 400_000])
    return rng.choice([b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth])


def _long_json(content, rng):
    count = rng.choice([1000, 500_000])
    return rng.choice(
        [
            json.dumps([0] * count).encode(),
            b"[" + b",".join([b"1e999"] * 9) + b"]",
            b'{"a": NaN}',
            b'{"a": 1, "a": 2}',
            b'"' + b"\\u0000" * (count // 10) + b'"',
            b"9" * count,
            b"1e" + b"9" * 30,
        ]
    )


def _header(content, rng):
    """A header of safetensors, with tensors that overlap, are huge, or are very many."""
    count = rng.choice([1, 2, 9000])
    entries = {
        f"t{k}": {
            "dtype": rng.choice(["F32", "F64", "U8", "F8_E4M3", "text"]),
            "shape": rng.choices([*ODD, 1, 2], k=rng.choice([1, 2, 8, 9])),
            "data_offsets": rng.choices([*ODD, 0, 8], k=2),
        }
        for k in range(count)
    }
    header = json.dumps(entries).encode()
    length = rng.choice([len(header), len(header), *BIG])
    return length.to_bytes(8, "little", signed=False) + header + bytes(64)


KINDS = [
    *[("model.onnx", _with_nodes(nodes, _sizes)) for nodes in (_sized, _sized, _by_attributes)],
    *[("model.onnx", _with_nodes(nodes)) for nodes in (_cycle, _branch, _forbidden)],
    ("model.onnx", _with_nodes(_chain, _sizes)),
    *[("model.onnx", change) for change in (_functions, _tensors_elsewhere, _value_shapes)],
    *[("model.onnx", _tensors_misstated)] * 2,
    *[("head.json", change) for change in (_deep_json, _long_json)],
    ("head.safetensors", _header),
]
