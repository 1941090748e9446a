"""Names of the layers of an ONNX graph: those of its tensors, and of the nodes that make them."""

import re

from penultimate.networks.frameworks.frozen import no_such_layer
from penultimate.networks.frameworks.onnx_tensors import OnnxGraph

_INDEXED = re.compile(r"(.+)\[(\d+)\]")  # a node's name, and the number of one of its outputs
# Endings that exporters add to a node's name for its first output.
_ENDINGS = ("_output_0", ":0")


class LayerNames:
    """Names of the tensors that vary.

    Parameters
    ----------
    graph : OnnxGraph
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        # Nothing keeps exporters from giving two nodes the same name.
        self._outputs: dict[str, list[list[str]]] = {}
        for node in graph.nodes:
            if node.name:
                self._outputs.setdefault(node.name, []).append(list(node.output))

    def find(self, layer: str) -> str:
        """Return the tensor that a name stands for.

        Parameters
        ----------
        layer : str
            Name of a tensor, or of a node: its only output. ``name[1]`` is one of several.

        Raises
        ------
        ValueError
            If there is no such layer, or the name is ambiguous.
        """
        graph, name = self.graph, self.graph.name
        made = self._made(layer)
        if layer in graph.varying:
            if not made or layer in made:
                return layer
            raise ValueError(
                f"{layer!r} is the name of a tensor of the network {name!r}, and of a node that "
                f"makes {made[0]!r}. For the tensor, write layer={self.label(layer)!r}; for the "
                f"output of the node, layer={made[0]!r}."
            )
        # Masks and positions are no features.
        floats = [each for each in made if graph.is_float(each)] if len(made) > 1 else made
        if len(floats) == 1:
            return floats[0]
        if made:
            raise ValueError(
                f"{layer!r} has several outputs in the network {name!r}. Name one of them: layer="
                f"{' or '.join(repr(self.label(each)) for each in floats or made)}."
            )
        # Brackets choose one of the outputs of a node, as `label` writes them.
        if (indexed := _INDEXED.fullmatch(layer)) and len(self._outputs.get(indexed[1], [])) == 1:
            outputs = self._outputs[indexed[1]][0]
            if int(indexed[2]) < len(outputs) and outputs[int(indexed[2])] in graph.varying:
                return outputs[int(indexed[2])]
        # The tensor may be known by the name of its node, which other tools show.
        for ending in _ENDINGS:
            if layer + ending in graph.varying:
                return layer + ending
        if layer in graph.weights or layer in graph.makers or layer in self._outputs:
            raise ValueError(
                f"{layer!r} is a constant of the network {name!r}, the same for all samples. "
                "FeatureExtractor(network).layers(X) lists its layers."
            )
        raise ValueError(no_such_layer(name, layer, map(self.label, graph.varying)))

    def label(self, tensor: str) -> str:
        """Return a name that `find` takes for a tensor: that of its node where it reads better."""
        graph = self.graph
        node = graph.makers.get(tensor)
        if node is None or not node.name or len(self._outputs[node.name]) > 1:
            return tensor
        # The tensor's own name may be that of another node.
        others = self._made(tensor)
        is_taken = bool(others) and tensor not in others
        is_derived = tensor.isdigit() or tensor in [node.name + each for each in _ENDINGS]
        if self._made(node.name) == [tensor] and node.name not in graph.varying:
            return node.name if is_taken or is_derived else tensor
        return f"{node.name}[{list(node.output).index(tensor)}]" if is_taken else tensor

    def _made(self, node: str) -> list[str]:
        """Return what the nodes of a name make, as far as it varies."""
        outputs = [each for outputs in self._outputs.get(node, []) for each in outputs]
        return [each for each in outputs if each in self.graph.varying]
