"""EfficientNet-Lite as an ONNX graph, written from the weights of its torch module.

The graph is written node by node instead of by ``torch.onnx.export``: the network is one block
repeated, the names of its values are then ours and the same in every version, and so is every
byte. (torch's exporter takes 23 s for lite0, this a second; its older one, deprecated, writes the
padding as ten nodes.) Batch normalization is folded into the convolution before it, in float64.
The graph is compared with the module itself before anyone uses it.

Weights are loaded with ``weights_only=True``, which unpickles nothing but arrays. ONNX and torch
are imported when a network is converted; what comes out needs neither.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.imports import import_optional

if TYPE_CHECKING:
    import onnx
    import torch

OPSET = 18
_IR_VERSION = 10  # the graph format of opset 18 to 21; onnx itself would write its own, newer one
INPUT = "pixels"
OUTPUT = "logits"
FEATURES = "features"
_TOLERANCE = 1e-4  # of the largest value; float32 in another order gives about 1e-6
_BATCHES = (1, 2, 3)


def to_onnx(name: str, weights: bytes) -> bytes:
    """Convert the weights of an EfficientNet-Lite to one ONNX file.

    The input is ``"pixels"``, of shape (n, 3, height, width), already scaled; the output
    ``"logits"``. The values between that are worth a name are ``"stage_1"`` to ``"stage_7"``, the
    outputs of the stages of blocks, ``"head"``, the last map, and ``"features"``, its mean.

    Parameters
    ----------
    name : str
        ``"efficientnet-lite0"`` to ``"efficientnet-lite4"``.
    weights : bytes
        Contents of the ``.pth`` file.

    Returns
    -------
    bytes

    Raises
    ------
    ImportError
        If torch, onnx, onnxruntime or the package with the architecture is not installed.
    RuntimeError
        If the graph computes something else than the module.
    """
    torch = import_optional("torch", "pretrained")
    import_optional("onnx", "pretrained")
    import_optional("onnxruntime", "pretrained")
    # Its code builds the module that the weights are of; the weights are in packages of their own.
    package = import_optional("efficientnet_lite_pytorch", "pretrained")
    # Building the module draws initial weights, from the generator of the user's own training.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        module = package.EfficientNet.from_name(name).float().eval()
    state = torch.load(BytesIO(weights), map_location="cpu", weights_only=True)
    module.load_state_dict(state)
    graph = _Graph(module)
    _check(name, graph, module)
    return graph.model([OUTPUT]).SerializeToString(deterministic=True)


class _Graph:
    """The nodes and weights of a module, and the names of the values worth selecting."""

    def __init__(self, module: "torch.nn.Module") -> None:
        self.nodes: list[onnx.NodeProto] = []
        # Bounds of ReLU6 and axes of the last pooling: operators take both as tensors.
        self.weights: dict[str, NDArray[Any]] = {
            "zero": np.array(0, np.float32),
            "six": np.array(6, np.float32),
            "height_and_width": np.array([2, 3], np.int64),
        }
        self.named: list[str] = []  # between input and output
        value = self._convolve(INPUT, module._conv_stem, module._bn0, "stem", clip=True)
        blocks = list(module._blocks)
        widths = [block._block_args.output_filters for block in blocks]
        for k, block in enumerate(blocks):
            # A stage ends where the width changes; its last value is worth selecting.
            ends_stage = k + 1 == len(blocks) or widths[k + 1] != widths[k]
            name = f"stage_{len(self.named) + 1}" if ends_stage else f"block_{k + 1}"
            value = self._block(value, block, f"block_{k + 1}", name)
            if ends_stage:
                self.named.append(name)
        self._convolve(value, module._conv_head, module._bn1, "head", clip=True)
        self._node("ReduceMean", ["head", "height_and_width"], FEATURES, keepdims=0)
        self.named += ["head", FEATURES]
        self._keep("logits.weight", module._fc.weight)
        self._keep("logits.bias", module._fc.bias)
        # The matrix as torch has it, hence transposed.
        self._node("Gemm", [FEATURES, "logits.weight", "logits.bias"], OUTPUT, transB=1)

    def model(self, outputs: Sequence[str]) -> "onnx.ModelProto":
        """Return the ONNX model with these outputs, checked."""
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        def value(name: str) -> onnx.ValueInfoProto:
            shape = shapes.get(name, ("n", None, None, None))
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        shapes = {
            INPUT: ("n", 3, "height", "width"),
            OUTPUT: ("n", len(self.weights["logits.bias"])),
            FEATURES: ("n", self.weights["logits.weight"].shape[1]),
        }
        graph = helper.make_graph(
            self.nodes,
            "efficientnet-lite",
            [value(INPUT)],
            [value(name) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
        )
        model = helper.make_model(
            graph,
            producer_name="penultimate",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
        )
        onnx.checker.check_model(model)
        return model

    def _node(self, kind: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        from onnx import helper

        # Named as its value, so that either finds the place.
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def _keep(self, name: str, tensor: "torch.Tensor") -> None:
        self.weights[name] = tensor.detach().numpy().astype(np.float32)

    def _block(self, value: str, block: "torch.nn.Module", prefix: str, name: str) -> str:
        """Add an inverted bottleneck: expand, convolve each channel, project; add its input."""
        args = block._block_args
        out = value
        if args.expand_ratio != 1:
            out = self._convolve(out, block._expand_conv, block._bn0, f"{prefix}.expand", clip=True)
        depthwise = block._depthwise_conv
        out = self._convolve(out, depthwise, block._bn1, f"{prefix}.depthwise", clip=True)
        # The condition of the module's own forward pass.
        same = args.stride == 1 and args.input_filters == args.output_filters
        if not (block.id_skip and same):
            return self._convolve(out, block._project_conv, block._bn2, name, clip=False)
        project = f"{prefix}.project"
        out = self._convolve(out, block._project_conv, block._bn2, project, clip=False)
        return self._node("Add", [out, value], name)

    def _convolve(
        self,
        value: str,
        conv: "torch.nn.Conv2d",
        norm: "torch.nn.BatchNorm2d",
        name: str,
        *,
        clip: bool,
    ) -> str:
        """Add a convolution with its padding and normalization, and ReLU6 if it has one."""
        tensors = (norm.weight, norm.bias, norm.running_mean, norm.running_var, conv.weight)
        gain, shift, mean, variance, kernel = (t.detach().numpy().astype(float) for t in tensors)
        # gain * (conv(x) - mean) + shift is one convolution, with other weights.
        gain = gain / np.sqrt(variance + norm.eps)
        self.weights[f"{name}.weight"] = (kernel * gain[:, None, None, None]).astype(np.float32)
        self.weights[f"{name}.bias"] = (shift - mean * gain).astype(np.float32)
        # TensorFlow's "same" padding at the size that the network was trained at, which torch
        # applies at every size; a convolution without padding has an identity in its place.
        left, right, top, bottom = getattr(conv.static_padding, "padding", (0, 0, 0, 0))
        out = self._node(
            "Conv",
            [value, f"{name}.weight", f"{name}.bias"],
            f"{name}.conv" if clip else name,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            group=conv.groups,
            pads=[top, left, bottom, right],
        )
        return self._node("Clip", [out, "zero", "six"], name) if clip else out


def _check(name: str, graph: _Graph, module: "torch.nn.Module") -> None:
    """Raise unless the graph computes what the module does, in batches of several sizes."""
    import onnxruntime
    import torch

    values = [OUTPUT, *graph.named]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # threads would wait for those of torch, on a busy machine
    session = onnxruntime.InferenceSession(
        graph.model(values).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    size = module._global_params.image_size
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    noise = np.random.default_rng(0).uniform(-1, 1, (max(_BATCHES) - 1, 3, size, size))
    # Noise has no large structures, whose padding and pooling a ramp shows.
    ramps = np.broadcast_to(ramp + ramp[:, None], (1, 3, size, size)) / 2
    images = np.concatenate([ramps, noise]).astype(np.float32)
    for n in _BATCHES:
        computed = session.run(values, {INPUT: images[:n]})
        with torch.inference_mode(), _one_thread(torch):
            expected = _values_of(module, torch.from_numpy(images[:n]))
        for value, ours in zip(values, computed, strict=True):
            theirs = expected[value].numpy()
            error = np.abs(ours - theirs).max() if ours.shape == theirs.shape else np.inf
            # Written so that a NaN is an error, too.
            if not error <= _TOLERANCE * np.abs(theirs).max():
                raise RuntimeError(
                    f"The ONNX graph of {name!r} does not compute what its torch module does: "
                    f"{value!r} differs by {error:.3g}, its largest value being "
                    f"{np.abs(theirs).max():.3g}. Nothing was stored. Please report it with the "
                    f"versions: torch {torch.__version__}, onnxruntime {onnxruntime.__version__}."
                )


@contextmanager
def _one_thread(torch: ModuleType) -> Iterator[None]:
    """Run torch on one thread, and give the others back: on a busy machine they wait for seconds.

    With nine processes on two processors, a conversion took 2.6 s on one thread, and 18 s on two.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _values_of(module: "torch.nn.Module", images: "torch.Tensor") -> dict[str, "torch.Tensor"]:
    """Compute the named values with the module's own code."""
    values: dict[str, torch.Tensor] = {}
    blocks = list(module._blocks)
    widths = [block._block_args.output_filters for block in blocks]
    last = [k for k in range(len(blocks)) if [*widths, None][k + 1] != widths[k]]
    hooks = [
        blocks[k].register_forward_hook(
            lambda _module, _inputs, output, name=f"stage_{stage}": values.update({name: output})
        )
        for stage, k in enumerate(last, 1)
    ]
    hooks.append(
        module._avg_pooling.register_forward_pre_hook(
            lambda _module, inputs: values.update(head=inputs[0])
        )
    )
    try:
        values[OUTPUT] = module(images)
    finally:
        for hook in hooks:
            hook.remove()
    values[FEATURES] = values["head"].mean((2, 3))
    return values
