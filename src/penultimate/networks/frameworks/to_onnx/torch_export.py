"""A torch module as an ONNX graph, by torch's own exporter.

The module is traced up to the values of its cuts, which hooks take out, as in every pass; what
comes after them is in no graph, as nothing reads it.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from penultimate._common.imports import import_optional
from penultimate.networks.frameworks.frozen import ExportError, Input
from penultimate.networks.frameworks.to_onnx.writer import OPSET
from penultimate.networks.frameworks.torch_graph import Place
from penultimate.networks.frameworks.torch_running import float_type, inference, until, weights_of

if TYPE_CHECKING:
    import onnx
    import torch

_ROWS = 2  # of the batch that is traced: torch takes a size of 0 or 1 for a constant
_SHOWN = 300  # characters of a reason


def to_onnx(
    module: "torch.nn.Module", places: Sequence[Place], given: Input, by_name: bool
) -> "onnx.ModelProto":
    """Return a module up to some of its values as an ``onnx.ModelProto``.

    Parameters
    ----------
    module : torch.nn.Module
    places : sequence of Place
    given : Input
        Its only input, of known shape.
    by_name : bool
        Whether the input is a keyword argument.

    Raises
    ------
    ExportError
        If torch cannot export it for batches of any size.
    """
    import torch

    import_optional("onnxscript", "torch")
    floats = getattr(torch, float_type(module))

    # The exporter traces a `forward`: this one ends in the values of the cuts, whatever the
    # network itself gives.
    class Part(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module
            # Not by `eval()`, which would set the modes of the user's own modules.
            self.training = False

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            # Tokens stay integers; measurements get the type that the module computes in.
            x = x.to(floats) if x.is_floating_point() else x
            args, kwargs = ((), {given.name: x}) if by_name else ((x,), {})
            values: list[Any] = until(module, places, args, kwargs, ends_there=False)
            # Features are float32 everywhere.
            return tuple(value.float() for value in values)

    device = next((each.device for _, each in weights_of(module)), torch.device("cpu"))
    shape = (_ROWS, *(size or 0 for size in given.shape or ()))
    samples = torch.from_numpy(np.zeros(shape, given.dtype)).to(device)
    with inference(module), _quiet():
        try:
            program = torch.onnx.export(
                Part(),
                (samples,),
                dynamo=True,  # the other exporter is deprecated
                opset_version=OPSET,
                dynamic_shapes=({0: torch.export.Dim("N")},),
                verbose=False,
            )
        except Exception as error:
            raise ExportError(
                f"The network {type(module).__name__!r} cannot be exported by torch "
                f"{torch.__version__} for batches of any size: {_reason(error)} Export the network "
                "to ONNX yourself, and pass the file."
            ) from error
    return program.model_proto


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())[:_SHOWN].rstrip(".")
    return f"{type(error).__name__}: {text}."


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from warning of what only torch can change, and of packages it does not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
