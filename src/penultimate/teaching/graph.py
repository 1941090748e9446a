"""The graph of a bundle, with heads replaced.

Everything up to the values that are kept stays as it is, node by node: the network, what is done to
images, the router, specialists that were not taught, the judgment of novelty. New heads are written
by the code that writes all heads, and put behind; so is what joins the answers of specialists,
which moves values and computes none, and the threshold of abstention.
"""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.pipeline import Pipeline

from penultimate.bundle.graph._answers import SIGNS, Answer, classify
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.bundle.graph._classifiers import NOVEL, highest_of, with_abstention
from penultimate.bundle.graph._models import outputs_of
from penultimate.bundle.graph._specialists import (
    CHOSEN,
    KINDS,
    SPECIALIST,
    answer_name,
    join_answers,
)
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.teaching.certifying import Certified
from penultimate.teaching.head import Head
from penultimate.teaching.heads import Heads


def until(model: onnx.ModelProto, *values: str) -> onnx.ModelProto:
    """Return the part of a graph that computes some of its values.

    Parameters
    ----------
    model : onnx.ModelProto
    *values : str

    Raises
    ------
    ValueError
        If the graph has no such value.
    """
    wanted, kept = set(values), []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    made = {name for node in kept for name in node.output}
    made |= {each.name for each in model.graph.input}
    if missing := sorted(set(values) - made):
        raise ValueError(f"The graph of the bundle computes no {missing[0][:60]!r}.")
    return _model(
        model,
        list(reversed(kept)),
        [each for each in model.graph.input if each.name in wanted],
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in values],
        [each for each in model.graph.initializer if each.name in wanted],
    )


def with_heads(
    model: onnx.ModelProto,
    value: str,
    heads: Heads,
    classes: NDArray[Any],
    certified: Certified | None,
    number: int,
) -> onnx.ModelProto:
    """Return the graph of a bundle with taught heads.

    Parameters
    ----------
    model : onnx.ModelProto
    value : str
        What the heads are given.
    heads : Heads
    classes : ndarray
        Labels.
    certified : Certified or None
        The threshold of a model that abstains.
    number : int
        Of the new version: names of earlier ones may be in the graph.
    """
    there = {name for node in model.graph.node for name in node.output}
    tail = GraphBuilder()
    width = heads.each[0].in_bundle.X.shape[1]
    features = tail.input(value, TensorProto.FLOAT, ["rows", width])
    if heads.subsets:
        chosen = tail.input(CHOSEN, TensorProto.INT64, ["rows"])
        answers = []
        for place, head in enumerate(heads.each):
            if head.now is head.in_bundle:
                answers.append(_kept(tail, place, len(head.classes), there))
                continue
            answers.append(classify(_as_classifier(head), tail, features))
            for kind in KINDS:
                if (value := getattr(answers[-1], kind)) is not None:
                    tail.name(value, answer_name(place, kind))
        places = [
            np.array([heads.classes.index(label) for label in head.classes]) for head in heads.each
        ]
        answer = join_answers(tail, answers, places, len(classes), chosen)
    else:
        answer = classify(_as_classifier(heads.each[0]), tail, features)
    if certified is not None:
        values = answer.margins if certified.goal["criterion"] == "margin" else answer.probabilities
        if values is None:
            raise ValueError("The graph of the bundle has no confidence of its answers.")
        novel = None
        if certified.judges_novelty:
            novel = tail.input(NOVEL, TensorProto.BOOL, ["rows"])
        confidence = highest_of(tail, values)
        answer = with_abstention(tail, answer, confidence, certified.threshold.value, novel)
    tail.metadata["classes"] = json.dumps(classes.tolist())
    given = [each for each in (CHOSEN, NOVEL) if each in tail.inputs]
    outputs = {k: v for k, v in outputs_of(answer, len(classes)).items() if k not in given}
    return _joined(model, tail.finish(outputs), given, f"taught{number}_")


def _kept(tail: GraphBuilder, number: int, n_classes: int, there: set[str]) -> Answer:
    """Return what a specialist answers that was not taught: values of the graph as it is."""
    found: dict[str, str] = {}
    for kind in KINDS:
        name = answer_name(number, kind)
        if name not in there:
            continue
        shape: list[str | int] = ["rows"] if kind == "label" else ["rows", n_classes]
        dtype = TensorProto.INT64 if kind == "label" else TensorProto.FLOAT
        found[kind] = tail.input(name, dtype, shape)
    if "label" not in found:
        raise ValueError(f"The graph of the bundle computes no {answer_name(number, 'label')!r}.")
    scores, likely = found.get("scores"), found.get("probabilities")
    # Of two classes, scores and margins may be one value, which has one name.
    return Answer(found["label"], scores, found.get("margins", scores), likely)


def _joined(
    model: onnx.ModelProto, tail: onnx.ModelProto, passed_on: list[str], mark: str
) -> onnx.ModelProto:
    """Return the part of a graph before heads, and one of heads behind it, with marked names.

    `passed_on` are outputs of the first that are outputs of the whole as well.
    """
    before = until(model, *(each.name for each in tail.graph.input))
    fixed = {"", *(each.name for each in (*tail.graph.input, *tail.graph.output))}

    def renamed(name: str) -> str:
        if name in fixed or name.startswith(SPECIALIST):
            return name
        if name.startswith(SIGNS):  # which the proof looks for
            return f"{SIGNS}{mark}{name.removeprefix(SIGNS)}"
        return mark + name

    for node in tail.graph.node:
        node.name = mark + node.name
        node.input[:] = [renamed(each) for each in node.input]
        node.output[:] = [renamed(each) for each in node.output]
    for each in tail.graph.initializer:
        each.name = renamed(each.name)
    joined = _model(
        model,
        [*before.graph.node, *tail.graph.node],
        before.graph.input,
        [*tail.graph.output, *(each for each in model.graph.output if each.name in passed_on)],
        [*before.graph.initializer, *tail.graph.initializer],
    )
    notes = {each.key: each.value for each in (*model.metadata_props, *tail.metadata_props)}
    helper.set_model_props(joined, dict(sorted(notes.items())))
    onnx.checker.check_model(joined)
    return joined


def _model(model: onnx.ModelProto, nodes: Any, inputs: Any, outputs: Any, constants: Any) -> Any:
    """Return a model of the same versions."""
    return helper.make_model(
        helper.make_graph(nodes, model.graph.name, inputs, outputs, constants),
        producer_name=model.producer_name,
        ir_version=model.ir_version,
        opset_imports=model.opset_import,
    )


def _as_classifier(head: Head) -> FeatureClassifier:
    """Return what the writer of graphs takes for a head."""
    steps = [("preprocessing", head.normalization), ("head", head.machine)]
    codes = head.machine.classes_
    classifier = FeatureClassifier()
    classifier.head_ = Pipeline(steps)
    classifier.classes_, classifier.n_features_in_ = codes, head.now.X.shape[1]
    classifier.calibrator_ = None
    if head.beta is not None:
        temperature = SimpleNamespace(beta_=np.float64(head.beta))
        fitted = SimpleNamespace(method="temperature", calibrators=[temperature])
        classifier.calibrator_ = SimpleNamespace(classes_=codes, calibrated_classifiers_=[fitted])
    return classifier
