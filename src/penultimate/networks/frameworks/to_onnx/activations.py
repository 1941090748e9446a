"""Activations, as layers, as arguments of layers, and as operations."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.frozen import ExportError
from penultimate.networks.frameworks.to_onnx.calls import Call, Converter, weights
from penultimate.networks.frameworks.to_onnx.writer import Ref, Writer

# Keras's own constants, which have more digits than ONNX's defaults.
_SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}
_SIX = np.float32(6)
_HARD = {"alpha": 1 / 6, "beta": 0.5}  # of hard_sigmoid, relu6(x + 3) / 6

Activation = Callable[..., Ref]


def relu(
    w: Writer,
    x: Ref,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Ref:
    """Write a rectified linear unit with all parameters of Keras's."""
    slope = float(negative_slope or 0)
    if threshold:
        out = w.same("ThresholdedRelu", x, alpha=float(threshold))
        if slope:
            # Below the threshold Keras has slope * (x - threshold), for which ONNX has no operator.
            below = w.node("Relu", w.node("Sub", float(threshold), x))
            out = w.same("Sub", out, w.node("Mul", below, slope))
    elif slope:
        out = w.same("LeakyRelu", x, alpha=slope)
    # A ceiling alone is a Clip; with a threshold or a slope, the minimum below adds it.
    elif max_value is not None:
        return w.same("Clip", x, 0.0, float(max_value))
    else:
        return w.same("Relu", x)
    return out if max_value is None else w.same("Min", out, float(max_value))


def softmax(w: Writer, x: Ref, axis: int | list[int] = -1, op: str = "Softmax") -> Ref:
    """Write a softmax over one axis."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    if len(axes) > 1:
        raise ExportError(f"its softmax goes over several axes, {axes}")
    return w.same(op, x, axis=x.axis(axes[0]))


def gelu(w: Writer, x: Ref, approximate: bool = False) -> Ref:
    """Write a Gaussian error linear unit, exact or by tanh."""
    # Written out, as ONNX has Gelu only from opset 20 on.
    if approximate:
        # The constants are those of Hendrycks and Gimpel, whose approximation it is.
        cubic = w.node("Mul", w.node("Mul", w.node("Mul", x, x), x), 0.044715)
        inner = w.node("Tanh", w.node("Mul", w.node("Add", x, cubic), float(np.sqrt(2 / np.pi))))
    else:
        inner = w.node("Erf", w.node("Mul", x, float(np.sqrt(0.5))))
    return w.same("Mul", x, w.node("Mul", w.node("Add", inner, 1.0), 0.5))


def _silu(w: Writer, x: Ref) -> Ref:
    # ONNX has Swish only from opset 24 on.
    return w.same("Mul", x, w.node("Sigmoid", x))


def _unary(op: str, **attributes: float) -> Activation:
    return lambda w, x: w.same(op, x, **attributes)


def _parametric(op: str, **defaults: float) -> Activation:
    return lambda w, x, **given: w.same(op, x, **{**defaults, **given})


def _log_sigmoid(w: Writer, x: Ref) -> Ref:
    # The logarithm of a sigmoid would be -inf where the sigmoid is rounded to 0.
    return w.same("Neg", replace(x, name=w.node("Softplus", w.node("Neg", x))))


def _squareplus(w: Writer, x: Ref, b: float = 4.0) -> Ref:
    root = w.node("Sqrt", w.node("Add", w.node("Mul", x, x), float(b)))
    return w.same("Mul", replace(x, name=w.node("Add", x, root)), 0.5)


def _leaky(w: Writer, x: Ref, negative_slope: float = 0.2) -> Ref:
    return w.same("LeakyRelu", x, alpha=float(negative_slope))


def _shrink(w: Writer, x: Ref, threshold: float = 0.5, *, soft: bool) -> Ref:
    edge = float(threshold)
    # Values within the edges become 0; the soft variant moves all others toward 0, by the bias.
    return w.same("Shrink", x, lambd=edge, bias=edge if soft else 0.0)


# By the names of ``keras.activations``, with Keras's parameters.
FUNCTIONS: dict[str, Activation] = {
    "linear": lambda w, x: x,
    "relu": relu,
    "relu6": lambda w, x: w.same("Clip", x, 0.0, _SIX),
    "leaky_relu": _leaky,
    "elu": _parametric("Elu", alpha=1.0),
    "celu": _parametric("Celu", alpha=1.0),
    "selu": _unary("Selu", **_SELU),
    "gelu": gelu,
    "silu": _silu,
    "mish": _unary("Mish"),
    "softplus": _unary("Softplus"),
    "softsign": _unary("Softsign"),
    "sigmoid": _unary("Sigmoid"),
    "log_sigmoid": _log_sigmoid,
    "hard_sigmoid": _unary("HardSigmoid", **_HARD),
    "hard_silu": _unary("HardSwish"),
    "hard_tanh": lambda w, x: w.same("Clip", x, -1.0, 1.0),
    "tanh": _unary("Tanh"),
    "tanh_shrink": lambda w, x: w.same("Sub", x, w.node("Tanh", x)),
    "soft_shrink": partial(_shrink, soft=True),
    "hard_shrink": partial(_shrink, soft=False),
    "squareplus": _squareplus,
    "exponential": _unary("Exp"),
    "softmax": softmax,
    "log_softmax": partial(softmax, op="LogSoftmax"),
}


def apply(w: Writer, x: Ref, activation: object) -> Ref:
    """Write what a layer has as its `activation`: a function of Keras's, a layer or None."""
    if activation is None:
        return x
    keras = import_keras()
    if isinstance(activation, keras.layers.Layer):
        kind = type(activation).__name__
        if kind not in LAYERS:
            raise ExportError(f"its activation is the layer {kind!r}, which does not convert")
        return LAYERS[kind](w, Call(activation, (x,), x.shape))
    name = getattr(activation, "__name__", type(activation).__name__)
    # By identity: a function of the user's may have the name of one of Keras's.
    if getattr(keras.activations, name, None) is not activation or name not in FUNCTIONS:
        raise ExportError(f"its activation {name!r} does not convert")
    return FUNCTIONS[name](w, x)


def _by(function: Activation, *names: str) -> Converter:
    """Return a converter by the attributes of a layer or operation with these names."""

    def convert(w: Writer, call: Call) -> Ref:
        return function(w, call.x, **{name: getattr(call.operation, name) for name in names})

    return convert


def _prelu(w: Writer, call: Call) -> Ref:
    slope = w.laid_out(weights(call.operation.alpha)[np.newaxis], call.x)
    # Not PRelu, whose slope broadcasts in fewer ways in some runtimes.
    below = w.node("Mul", w.node("Min", call.x, 0.0), slope)
    return w.same("Add", w.same("Relu", call.x), below)


LAYERS: dict[str, Converter] = {
    "Activation": lambda w, call: apply(w, call.x, call.operation.activation),
    "ReLU": _by(relu, "negative_slope", "max_value", "threshold"),
    "LeakyReLU": _by(_leaky, "negative_slope"),
    "ELU": _by(FUNCTIONS["elu"], "alpha"),
    "Softmax": _by(softmax, "axis"),
    "PReLU": _prelu,
}

# By the names of the operations' classes.
OPERATIONS: dict[str, Converter] = {
    "Relu": _by(relu),
    "Relu6": _by(FUNCTIONS["relu6"]),
    "LeakyRelu": _by(_leaky, "negative_slope"),
    "Elu": _by(FUNCTIONS["elu"], "alpha"),
    "Celu": _by(FUNCTIONS["celu"], "alpha"),
    "Selu": _by(FUNCTIONS["selu"]),
    "Gelu": _by(gelu, "approximate"),
    "Silu": _by(_silu),
    "Softplus": _by(FUNCTIONS["softplus"]),
    "Softsign": _by(FUNCTIONS["softsign"]),
    "Sigmoid": _by(FUNCTIONS["sigmoid"]),
    "LogSigmoid": _by(_log_sigmoid),
    "HardSigmoid": _by(FUNCTIONS["hard_sigmoid"]),
    "HardSilu": _by(FUNCTIONS["hard_silu"]),
    "HardTanh": _by(FUNCTIONS["hard_tanh"]),
    "Tanh": _by(FUNCTIONS["tanh"]),
    "TanhShrink": _by(FUNCTIONS["tanh_shrink"]),
    "SoftShrink": _by(FUNCTIONS["soft_shrink"], "threshold"),
    "HardShrink": _by(FUNCTIONS["hard_shrink"], "threshold"),
    "Squareplus": _by(_squareplus, "b"),
    "Softmax": _by(softmax, "axis"),
    "LogSoftmax": _by(FUNCTIONS["log_softmax"], "axis"),
}
