"""ONNX files as frozen networks, run by ONNX Runtime.

A cut is a graph of its own: the nodes that the value depends on, with the value as output. Weights
are held once in the model, and once in each open session; only the last few sessions stay open.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from penultimate.networks.frameworks import onnx_classifying
from penultimate.networks.frameworks.frozen import (
    Candidate,
    Cut,
    Example,
    ExportError,
    FrozenNetwork,
    Input,
    Shape,
    scores_by_values,
)
from penultimate.networks.frameworks.onnx_files import read_onnx
from penultimate.networks.frameworks.onnx_messages import OnnxModel
from penultimate.networks.frameworks.onnx_names import LayerNames
from penultimate.networks.frameworks.onnx_nodes import sample_shape
from penultimate.networks.frameworks.onnx_operators import sources
from penultimate.networks.frameworks.onnx_properties import digest_of, inputs_of, takes_pixels
from penultimate.networks.frameworks.onnx_sessions import Session, noise
from penultimate.networks.frameworks.onnx_tensors import OnnxGraph

_OPEN = 4  # sessions that are kept, each with its own copy of the weights
_TRIED = 8  # samples of noise
# They make no new value, so that a list of layers is shorter without them.
_NOT_LISTED = {"Identity", "Dropout", "Cast", "QuantizeLinear", "DequantizeLinear"}


def is_onnx(network: object) -> TypeGuard[str | PurePath | OnnxModel]:
    """Return whether `network` is the path of an ONNX file or an ONNX model.

    Parameters
    ----------
    network : object

    Returns
    -------
    bool

    Examples
    --------
    >>> from penultimate.networks.frameworks.onnx_graphs import is_onnx
    >>> is_onnx("models/resnet18.onnx"), is_onnx("compact")
    (True, False)
    """
    if isinstance(network, (str, PurePath)):
        return os.fspath(network).lower().endswith(".onnx")
    # Before onnx is imported nothing can be a model of it.
    onnx = sys.modules.get("onnx")
    return onnx is not None and isinstance(network, getattr(onnx, "ModelProto", ()))


@dataclass(frozen=True)
class OnnxCut(Cut):
    """An ONNX network up to one of its tensors.

    Attributes
    ----------
    network : OnnxNetwork
    tensor : str
    """

    network: "OnnxNetwork" = field(kw_only=True, repr=False)
    tensor: str = field(kw_only=True)

    def run(self, batch: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Compute the value for a batch, of any size."""
        return self.network.session([self.tensor]).run(batch)[0]

    def output_shape(self, shapes: Sequence[Shape]) -> Shape | None:
        """Return the value's shape, as far as it can be inferred."""
        graph = self.network.graph
        # Inputs that the value does not depend on keep their own shapes.
        given = {each.name: shape for each, shape in zip(self.inputs, shapes)}
        full = [given.get(each.name, sample_shape(each) or ()) for each in graph.inputs]
        kind = graph.kinds(full).get(self.tensor)
        shape = None if kind is None or kind.shape is None else kind.shape[1:]
        is_open = any(None in each for each in shapes)
        if is_open or (shape is not None and None not in shape):
            return shape
        # Some sizes are computed in the graph, so that a sample shows them.
        samples = noise(shapes, [each.dtype for each in self.inputs], 1)
        try:
            return self.run(samples).shape[1:]
        except ValueError:  # the network does not take this size, which `run` will say
            return None


class OnnxNetwork(FrozenNetwork):
    """An ONNX file or model as a frozen network, on the CPU.

    It can be pickled and copied; sessions are opened again where they are needed, also in a forked
    process.

    Parameters
    ----------
    network : str, path-like or onnx.ModelProto
        A model is not copied; do not change it afterwards.

    Raises
    ------
    ImportError
        If onnx or onnxruntime is not installed.
    OSError
        If there is no such file.
    ValueError
        If it cannot be run; see `onnx_files.read_onnx`.

    Examples
    --------
    >>> import numpy as np
    >>> import onnx
    >>> model = onnx.parser.parse_model('''
    ...     <ir_version: 10, opset_import: ["": 18]>
    ...     net (float[N, 3] x) => (float[N, 2] y)
    ...     <float[3, 2] weights = {1, 2, 3, 4, 5, 6}> {
    ...         hidden = Relu(x)
    ...         y = MatMul(hidden, weights)
    ...     }''')
    >>> cut = OnnxNetwork(model).cut("penultimate")
    >>> cut.layer, cut.run([np.array([[1, -1, 2]], np.float32)])
    ('hidden', array([[1., 0., 2.]], dtype=float32))
    """

    framework = "ONNX"

    def __init__(self, network: str | os.PathLike[str] | OnnxModel) -> None:
        self._take(*read_onnx(network))

    def _take(self, name: str, model: OnnxModel) -> None:
        self.model = model
        self.graph = OnnxGraph(model, name)
        self._names = LayerNames(self.graph)
        self._inputs = inputs_of(self.graph)
        self.states_shapes = all(each.shape is not None for each in self._inputs)
        self._rows = self.graph.rows()
        self._digest = ""  # computed when it is asked for, as it reads all weights
        self._sessions: dict[tuple[int, tuple[str, ...]], Session] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Without sessions, which cannot be pickled; everything else is made of the model again.
        return {
            "name": self.name,
            "model": self.model.SerializeToString(),
            "preprocessing": self.preprocessing,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        from onnx import ModelProto

        self._take(state["name"], ModelProto.FromString(state["model"]))
        self.preprocessing = state["preprocessing"]

    @property
    def name(self) -> str:
        """Name in messages: that of the file, or of the graph."""
        return self.graph.name

    @name.setter
    def name(self, name: str) -> None:
        self.graph.name = name

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # nothing of it changes

    def session(self, tensors: Sequence[str]) -> Session:
        """Return a session that computes some tensors."""
        # Threads do not survive a fork: a child opens its own sessions. The parent's are kept, as
        # closing one would wait for its threads.
        key = (os.getpid(), tuple(tensors))
        # Taken out and put back in as the latest: the one unused for the longest is closed first.
        found = self._sessions.pop(key, None)
        if found is None:
            part = self.graph.until(tensors)
            # Quantized on the fly, values depend on all samples of a batch.
            apart = any(node.op_type == "DynamicQuantizeLinear" for node in part.graph.node)
            found = Session(part, self.name, self._rows, apart)
        self._sessions[key] = found
        own = [each for each in self._sessions if each[0] == key[0]]
        for old in own[:-_OPEN]:
            self._sessions.pop(old, None)
        return found

    def inputs(self, example: Example | None = None) -> tuple[Input, ...]:
        """Return its inputs; weights that are listed among them are none."""
        shapes = self._shapes(example)
        if shapes is None or self.states_shapes:
            return self._inputs
        return tuple(replace(each, shape=shape) for each, shape in zip(self._inputs, shapes))

    def cut(self, layer: str, n_classes: int | None = None, example: Example | None = None) -> Cut:
        """Cut the network at a tensor, or at a node by the name of the node.

        Parameters
        ----------
        layer : str
            Name of a tensor or of a node; ``"name[1]"`` is one of several outputs of a node.
            ``"penultimate"``: see `FrozenNetwork.cut`.
        n_classes : int, optional
            Decides unclear cases.
        example : list or dict of ndarray, optional
            Shows the shapes of inputs that do not state them.

        Raises
        ------
        ValueError
            If there is no such layer, or what is meant is not clear.
        """
        shapes = self._shapes(example)
        # The rules that find a layer need shapes.
        if shapes is not None and not self.states_shapes:
            self.graph.assume(shapes)
        if layer == "penultimate":
            tensor, place = onnx_classifying.find_penultimate(self.graph, self._names, n_classes)
        else:
            tensor = self._names.find(layer)
            place = f"the output of {layer!r}"
        return self._cut_at(tensor, place)

    def whole(self, example: Example | None = None) -> Cut:
        """Return the network up to its only output; labels beside scores do not count."""
        return self._cut_at(self._output(), "the network's output")

    def _cut_at(self, tensor: str, place: str) -> OnnxCut:
        needed = {each.name for each in self.graph.depends_on(tensor)}
        return OnnxCut(
            self._names.label(tensor),
            place,
            bool(onnx_classifying.gives_probabilities(self.graph, tensor)),
            tuple(each for each in self._inputs if each.name in needed),
            self.graph.channel_axis(tensor),
            network=self,
            tensor=tensor,
        )

    def _output(self) -> str:
        outputs = self.graph.outputs
        found = [each for each in outputs if self.graph.is_float(each)] or outputs
        if len(found) != 1:
            names = " or ".join(repr(self._names.label(each)) for each in found)
            raise ValueError(
                f"The network {self.name!r} has {len(found)} outputs that depend on its input"
                + (f". Name one of them: layer={names}." if found else "; export it again.")
            )
        return found[0]

    def run_all(self, cuts: Sequence[Cut], batch: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the values of several cuts, in one pass."""
        tensors = [cut.tensor for cut in cuts if isinstance(cut, OnnxCut)]
        # Of different inputs, one pass would need those of all cuts.
        if len(tensors) < len(cuts) or len({cut.inputs for cut in cuts}) > 1:
            return super().run_all(cuts, batch)
        # A graph has each output once.
        distinct = list(dict.fromkeys(tensors))
        values = dict(zip(distinct, self.session(distinct).run(batch)))
        return [values[each] for each in tensors]

    def to_onnx(self, cuts: Sequence[Cut]) -> OnnxModel:
        """Return the part of the graph that computes the values of several cuts."""
        tensors = [cut.tensor for cut in cuts if isinstance(cut, OnnxCut)]
        inputs = cuts[0].inputs
        samples = noise([each.shape or () for each in inputs], [each.dtype for each in inputs], 2)
        if self.session(list(dict.fromkeys(tensors))).divides(samples):
            raise ExportError(
                f"The network {self.name!r} computes correct values only in batches of "
                f"{self._rows or 1}. Export it with an open size (dynamic axes)."
            )
        return self.graph.until(tensors)

    def candidates(self, example: Example | None = None) -> list[Candidate]:
        """List the float tensors with one row per sample, but for mere changes of type."""
        kinds = self.graph.kinds(self._shapes(example))
        found = []
        for tensor in self.graph.varying:
            kind, operation = kinds.get(tensor), self.graph.op(tensor)
            if kind is None or not kind.shape or operation in _NOT_LISTED or not operation:
                continue
            # One row per sample: the first axis is open, or of the size of a declared batch.
            if self.graph.is_float(tensor) and kind.shape[0] in (None, 1, self._rows):
                found.append(Candidate(self._names.label(tensor), operation, kind.shape[1:]))
        return found

    def _shapes(self, example: Example | None) -> list[Shape] | None:
        if example is None:
            return None
        values: Sequence[NDArray[Any]]
        if isinstance(example, Mapping):  # in any order
            values = [example[each.name] for each in self._inputs if each.name in example]
        else:
            values = example
        shapes = [np.shape(each)[1:] for each in values]
        return shapes if len(shapes) == len(self._inputs) else None

    def gives_logits(self, outputs: NDArray[np.floating] | None = None) -> bool:
        """Return whether the output is scores; where the graph does not say, noise may.

        Raises
        ------
        ValueError
            If there are several outputs, if they are labels, or if it is not clear.
        """
        output = self._output()
        if not self.graph.is_float(output):
            raise ValueError(
                f"The network {self.name!r} gives labels, neither scores nor probabilities. Export "
                "it with its scores as output."
            )
        answer = onnx_classifying.gives_probabilities(self.graph, output)
        if answer is not None:
            return not answer
        tried = self._outputs_of_noise(output)
        if outputs is not None:
            tried = np.concatenate([tried, np.reshape(outputs, (len(outputs), -1))])
        are_scores = scores_by_values(tried, sources(self.graph, output))
        if are_scores is not None:
            return are_scores
        raise ValueError(
            f"It is not clear whether the outputs of the network {self.name!r} are probabilities: "
            f"they go from {tried.min():.3g} to {tried.max():.3g}. Export it with a softmax or "
            "sigmoid at its end for probabilities, or without one for logits."
        )

    def _outputs_of_noise(self, output: str) -> NDArray[Any]:
        cut = self._cut_at(output, "")
        samples = noise(
            [each.shape or () for each in cut.inputs], [each.dtype for each in cut.inputs], _TRIED
        )
        return cut.run(samples).reshape(_TRIED, -1)

    def takes_pixels(self) -> bool:
        """Return whether it takes images of bytes, or begins by scaling or centering pixels."""
        return takes_pixels(self.graph, self._inputs)

    def digest(self) -> str:
        """Return 32 hexadecimal digits of its nodes and weights, wherever the file lies."""
        if not self._digest:
            self._digest = digest_of(self.model)
        return self._digest
