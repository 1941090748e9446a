"""A further output of a finished graph: how unlike the known samples one is.

Nothing is computed for it that the graph does not compute anyway: the unlikeness of a novelty
detector if there is one, otherwise the distance to the nearest support vector of an RBF kernel.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from penultimate.bundle.graph._answers import NEARNESS, STRANGENESS

UNLIKENESS = "unlikeness"
_AXIS = "unlikeness_axis"


def add_unlikeness(graph: onnx.ModelProto) -> bool:
    """Add the output to a graph, in place, if there is something to make it of.

    Parameters
    ----------
    graph : onnx.ModelProto

    Returns
    -------
    bool
        Whether it was added.
    """
    nodes, made = graph.graph.node, [each for node in graph.graph.node for each in node.output]
    nearest = [each for each in made if NEARNESS in each]
    if f"{STRANGENESS}0" in made:
        source = f"{STRANGENESS}0"
    elif len(nearest) == 1:  # of several machines, each knows only its own support vectors
        graph.graph.initializer.append(numpy_helper.from_array(np.array([1]), _AXIS))
        largest, source = "unlikeness_largest", "unlikeness_squared"
        nodes.append(
            helper.make_node("ReduceMax", [nearest[0], _AXIS], [largest], largest, keepdims=0)
        )
        nodes.append(helper.make_node("Neg", [largest], [source], source))
    else:
        return False
    nodes.append(helper.make_node("Cast", [source], [UNLIKENESS], UNLIKENESS, to=TensorProto.FLOAT))
    graph.graph.output.append(
        helper.make_tensor_value_info(UNLIKENESS, TensorProto.FLOAT, ["rows"])
    )
    onnx.checker.check_model(graph)
    return True
