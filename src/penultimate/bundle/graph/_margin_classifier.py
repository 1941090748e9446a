"""Classifiers that were trained with a margin loss, as nodes."""

import numpy as np

from penultimate.bundle.graph._answers import Answer, classify, from_decisions, rows_of
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.bundle.graph._calibration import calibrated
from penultimate.bundle.graph._networks import computed_by, plain_preprocessing
from penultimate.bundle.graph._transformers import transform
from penultimate.classifiers.margin import MarginClassifier
from penultimate.networks.exporting import export_whole
from penultimate.networks.margins.losses import OneVsRestHinge


@classify.register
def _(model: MarginClassifier, graph: GraphBuilder, samples: str | None) -> Answer:
    network = export_whole(model.network_)
    shape = [each.dim_value or None for each in network.graph.input[0].type.tensor_type.shape.dim]
    if len(shape) == 4:
        preprocessing = plain_preprocessing(model, shape[1:])
        outputs = computed_by(graph, network, "outputs", preprocessing)
    else:
        rows = rows_of(graph, samples, model)
        rows = rows if model.scaler_ is None else transform(model.scaler_, graph, rows)
        outputs = graph.absorb(network, {"prepared": rows}, "network")["outputs"]
    n_classes = len(model.classes_)
    n_outputs = network.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    if n_classes == 2 and n_outputs == 2:
        # The difference, or half of it where each score has a margin of its own (`_decide`).
        share = 0.5 if isinstance(model.loss_, OneVsRestHinge) else 1.0
        weights = graph.constant([[-share], [share]], np.float32)
        outputs = graph.add("MatMul", outputs, weights)
    answer = from_decisions(graph, outputs, n_classes)
    if model.calibration is None:
        return answer
    assert answer.scores is not None
    probabilities = calibrated(graph, model.calibrator_, answer.scores)
    return Answer(answer.label, answer.scores, probabilities=probabilities)
