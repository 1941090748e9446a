"""Writing a bundle: the graph, its proof, the head's numbers, the manifest, the card.

The order is that of trust. The graph is written from the fitted model, then run beside it on real
samples, and only if both say the same does a file appear. What the manifest states of the model is
read off the model; hashes and shapes are read off the parts themselves.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from penultimate._common.files import write_atomically
from penultimate._common.imports import import_optional
from penultimate._common.protocols import Classifier, PerSample
from penultimate.bundle.archive import MANIFEST, pack
from penultimate.bundle.card import model_card
from penultimate.bundle.graph import build_graph
from penultimate.bundle.graph._margins import is_margin_classifier
from penultimate.bundle.head_parts import head_parts, params_of
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.parity import Parity, answering_part, prove
from penultimate.bundle.parts import CARD, GRAPH, HEAD, HEAD_WORDS, describe_part
from penultimate.bundle.promises import abstention_of
from penultimate.bundle.signing import add_signature
from penultimate.bundle.strict_json import check_names
from penultimate.bundle.teachable import Labeled, teaching_parts
from penultimate.bundle.teaching_part import TEACH
from penultimate.bundle.thumbnails import make_thumbnails
from penultimate.bundle.watchable import watching_parts
from penultimate.bundle.watching_part import WATCH
from penultimate.classifiers import (
    SoftmaxClassifier,
    Specialists,
)
from penultimate.networks import FeatureExtractor
from penultimate.networks.adapting import adapt, is_frozen, pretrained_of
from penultimate.networks.remembered import features_remembered
from penultimate.provenance.records import provenance_of
from penultimate.svm.svc import SVC

if TYPE_CHECKING:
    import onnx
    from numpy.typing import ArrayLike, NDArray

# What made the file, as far as it decides what is in it.
_PACKAGES = ("penultimate", "numpy", "scikit-learn", "onnx", "onnxruntime")
_N_NOISE = 64
_FAMILIES = {
    "SVC": "SVM",
    "LogisticRegression": "logistic regression",
    "StreamedSVC": "SVM, streamed",
    "LinearSVC": "SVM, linear",
}
_KERNELS = {"rbf": "RBF", "poly": "polynomial"}


def save(
    model: Any,
    path: str | os.PathLike[str],
    X: PerSample | None = None,
    *,
    classes: Sequence[Any] | None = None,
    expected: dict[str, Any] | None = None,
    protocol: dict[str, Any] | None = None,
    thumbnails: "tuple[Any, ArrayLike] | tuple[Any, ArrayLike, ArrayLike] | None" = None,
    teach: Labeled | None = None,
    held_out: Labeled | None = None,
    calibration: Labeled | None = None,
    feature_names: Sequence[str] | None = None,
) -> Parity:
    """Write a fitted model into one file, which `load` reads without the framework it came from.

    The file holds one ONNX graph, from pixels of any size (or features) to labels, scores and
    probabilities. Before it is written, the graph and the model predict the same samples; if they
    differ, there is no file.

    Parameters
    ----------
    model : classifier
        A fitted `DeepSVC`, `Specialists`, `MarginClassifier`, or `AbstainingClassifier` of one of
        these; or a classifier on features: `SVC`, a search, `LogisticRegression`, a pipeline. Or a
        trained network that classifies by itself: a Keras model, a torch module, an ONNX model or
        its path, or a `FeatureExtractor` of one that adds its preprocessing; with `classes`.
    path : str or path-like
        A file that ends in ``.zip``; an existing one is replaced when the new one is complete.
    X : array-like of shape (n_samples, ...), optional
        Real samples, in a form that the model takes; a few hundred suffice. Without them, the proof
        is by noise, and the file says so.
    classes : sequence, optional
        Of a trained network, the label of each output, in their order.
    expected : dict, optional
        What to expect of new data: ``accuracy``, ``low``, ``high``, ``what`` and ``n``.
    protocol : dict, optional
        How the model was selected, for the manifest.
    thumbnails : (images, labels) or (images, labels, positions), optional
        Training images to show what the classes look like, at most 20 of each, made 64 x 64. Who
        has the file can see them; by default there are none. With `teach`, `positions` says which
        of its samples they are: `penultimate serve` then shows those that are nearest to a new one.
    teach : (X, y), optional
        All samples that the head was fitted on, in their order, so that the model can be taught
        further: see `penultimate.Teacher`. Their features are then in the file.
    held_out : (X, y), optional
        Samples that it was not fitted on, such as a test set. The file then holds a few scores of
        each (not the samples), with which `penultimate serve` and ``predict --watch`` compare what
        comes in. With `teach`, a taught head is compared with this one on them, and their features
        are in the file.
    calibration : (X, y), optional
        With `teach`, of a model that abstains: the samples that its threshold was set on, on which
        it is set again for a taught head.
    feature_names : sequence of str, optional
        Of a model on features, the names of the columns: data frames and files to be predicted
        must have them, in this order. By default those of the data frame that it was fitted on.

    Returns
    -------
    Parity
        What the proof found.

    Raises
    ------
    ExportError
        If a part of the model cannot be written as a graph; the message says which, and what can.
    ParityError
        If the graph predicts otherwise than the model.
    OSError
        If the file cannot be written; an existing one stays as it is.

    Examples
    --------
    >>> import tempfile, penultimate
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = penultimate.SVC().fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     proof = penultimate.save(model, Path(folder, "iris.zip"), X)
    ...     predictor = penultimate.load(Path(folder, "iris.zip"))
    >>> predictor.predict(X[[0, -1]])
    array([0, 2])
    """
    if (classes is None) == is_frozen(model):
        raise TypeError(
            "A trained network has outputs without names: pass classes=[...], one label for each."
            if classes is None
            else f"{type(model).__name__} knows its classes; leave out classes=."
        )
    if classes is not None:
        model = SoftmaxClassifier.of_trained(model, classes, X)
    check_is_fitted(model)
    inner = answering_part(model)
    own_names = getattr(inner, "feature_names_in_", None)
    check_names(
        model.classes_,
        own_names if feature_names is None else feature_names,
        getattr(inner, "specialists_", None),
    )
    if not os.fspath(path).lower().endswith(".zip"):
        raise ValueError(f"The file of a bundle ends in .zip; got {os.fspath(path)!r}.")
    if teach is None and calibration is not None:
        raise TypeError("calibration is for teaching: pass teach as well.")
    pictured = None
    if thumbnails is not None and len(thumbnails) == 3:
        if teach is None:
            raise TypeError("positions of thumbnails are among the samples of teach: pass it, too.")
        pictured, thumbnails = thumbnails[1:], thumbnails[:2]
    graph = build_graph(model)
    # The same samples may be all of these.
    with features_remembered():
        proof = prove(model, graph, _noise(model, graph) if X is None else X)
        watching = None if held_out is None else watching_parts(model, graph, held_out[0])
        taught = (
            None if teach is None else teaching_parts(model, teach, held_out, calibration, pictured)
        )
    tensors, words = head_parts(_steps(answering_part(model)))
    seen = provenance_of(answering_part(model))
    prints = np.union1d(seen.trained, seen.selected)
    if len(prints):
        tensors["provenance"] = prints
    save_tensors = import_optional("safetensors.numpy", "predict").save
    parts = {
        GRAPH: graph.SerializeToString(deterministic=True),
        HEAD: save_tensors(dict(sorted(tensors.items()))),
        HEAD_WORDS: _as_json(words),
    }
    facts = {
        **_facts(model, graph, feature_names),
        "expected": expected,
        "protocol": protocol,
        "parity": {**asdict(proof), "samples": "noise" if X is None else "real"},
        "provenance": None
        if "provenance" not in tensors
        else {
            "n_samples": len(prints),
            "algorithm": "XXH3, 64 bits, of pixels or float32 values",
            # Not where a network is from elsewhere: what it has seen is then not recorded.
            "complete": seen.known,
            "digest": hashlib.sha256(prints.tobytes()).hexdigest(),
        },
    }
    if thumbnails is not None:
        if facts["kind"] != "images":
            raise ValueError("The model takes features, of which there are no thumbnails.")
        parts |= make_thumbnails(*thumbnails, model.classes_.tolist())
    if watching is not None:
        facts["watch"], scores = watching
        parts[WATCH] = save_tensors(scores)
    if taught is not None:
        facts["teach"], tensors = taught
        parts[TEACH] = save_tensors(dict(sorted(tensors.items())))
    content = bundle_of(facts, parts)
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)
    return proof


def bundle_of(facts: dict[str, Any], parts: dict[str, bytes], key: bytes | None = None) -> bytes:
    """Return the content of a bundle of its parts, to which the card and the manifest are added.

    Parameters
    ----------
    facts : dict
        Fields of the manifest, but ``parts``.
    parts : dict of str to bytes
    key : bytes, optional
        Private key to sign it with.

    Returns
    -------
    bytes
    """
    parts = {**parts, CARD: model_card(Manifest(**facts)).encode()}
    listed = {name: describe_part(name, content) for name, content in parts.items()}
    manifest = Manifest(**facts, parts=listed)
    parts[MANIFEST] = manifest.to_json()
    if key is not None:
        add_signature(parts, key)
    return pack(parts)


def in_words(proof: Parity) -> str:
    """Return what a proof found, in a sentence."""
    text = f"{proof.n_samples:,} samples get the same labels from the file as in Python"
    if proof.near_ties:
        text += f" (but for {len(proof.near_ties)} whose classes are tied)"
    worst = max((value for name, value in proof.errors.items() if name != "label"), default=0.0)
    text += f", values differ by at most {worst:.1g} of the largest"
    if proof.pixel_error is not None:
        text += f", pixels at {proof.n_sizes} sizes by {proof.pixel_error:.2g} of 255"
    return f"{text}."


def _noise(model: Classifier, graph: "onnx.ModelProto") -> "NDArray[Any]":
    """Return samples for a proof without real ones: images of noise, or features like the model's.

    Features are spread as those that it was fitted on, where a scaler or support vectors tell.
    """
    rng = np.random.default_rng(0)
    if any(each.name == "images" for each in graph.graph.input):
        notes = {each.key: each.value for each in graph.metadata_props}
        prepare = json.loads(notes["preprocessing"])
        height, width = prepare["size"] or (64, 64)
        shape = (_N_NOISE, height, width, 1 if prepare["channels"] == "gray" else 3)
        return rng.integers(0, 256, shape, dtype=np.uint8)
    (given,) = (each for each in graph.graph.input if each.name == "features")
    noise = rng.normal(size=(_N_NOISE, given.type.tensor_type.shape.dim[1].dim_value))
    tensors, _ = head_parts(_steps(answering_part(model)))
    for name, value in tensors.items():
        if name.endswith(".mean_") and value.shape == noise.shape[1:]:
            scale = tensors.get(f"{name[: -len('mean_')]}scale_", np.ones(len(value)))
            return noise * scale + value
        if name.endswith("support_vectors_") and value.shape[1] == noise.shape[1]:
            return noise * value.std(axis=0) + value.mean(axis=0)
    return noise


def _steps(model: Any) -> dict[str, Any]:
    """Return the fitted estimators of a model that learn from features, by name."""
    if isinstance(model, Specialists):
        steps: dict[str, Any] = {}
        for name, specialist in model.specialists_.items():
            steps |= {f"{name}.{key}": each for key, each in _steps(specialist).items()}
        if model.router_ == "head" and len(model.specialists_) > 1:
            steps["router"] = model._router_head
        return steps
    if isinstance(model, SoftmaxClassifier) or is_margin_classifier(
        model
    ):  # a network, in the graph alone
        calibrator = getattr(model, "calibrator_", None)  # a margin has one only where asked for
        return {} if calibrator is None else {"calibrator": calibrator}
    if hasattr(model, "head_"):
        steps = {"features": model.head_}
        if model.calibrator_ is not None:
            steps["calibrator"] = model.calibrator_
        return steps
    return {"head": model}


def _facts(
    model: Classifier, graph: "onnx.ModelProto", feature_names: Sequence[str] | None
) -> dict[str, Any]:
    """Return the fields of the manifest that are read off the model and its graph."""
    inner = answering_part(model)
    notes = {each.key: each.value for each in graph.metadata_props}
    prepare = json.loads(notes.get("preprocessing", "null"))
    of_images = any(each.name == "images" for each in graph.graph.input)
    widths = [each for each in graph.graph.input if each.name == "features"]
    classes = model.classes_
    kinds = {"U": "str", "O": "str", "i": "int", "u": "int", "f": "float", "b": "bool"}
    extractor = getattr(inner, "extractor_", None)
    if isinstance(inner, Specialists):
        extractor = next(iter(inner._extractors.values()))
    n_features = getattr(extractor, "n_features_out_", None)
    if widths:
        n_features = widths[0].type.tensor_type.shape.dim[1].dim_value
    given: dict[str, Any] = {"n_features": int(n_features or 1)}
    if feature_names is None and hasattr(inner, "feature_names_in_"):
        feature_names = inner.feature_names_in_
    elif feature_names is not None and (of_images or len(feature_names) != n_features):
        takes = "images" if of_images else f"{n_features} features"
        raise ValueError(f"The model takes {takes}; got {len(feature_names)} feature_names.")
    if of_images:
        given |= {
            "channels": 1 if prepare["channels"] == "gray" else 3,
            "size": prepare["size"],
            "white": None,
        }
    elif feature_names is not None:
        given["feature_names"] = list(feature_names)
    return {
        "kind": "images" if of_images else "features",
        "classes": [
            str(each) if kinds[classes.dtype.kind] == "str" else each for each in classes.tolist()
        ],
        "class_type": kinds[classes.dtype.kind],
        "subsets": _subsets(inner),
        "router": getattr(inner, "router_", None),
        "input": given,
        "preprocessing": prepare,
        "network": None if extractor is None else _network(extractor),
        "head": _head(inner),
        "calibration": _calibration(inner),
        "abstention": abstention_of(model),
        "created_with": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
    }


def _subsets(model: Classifier) -> dict[str, list[int]] | None:
    if not isinstance(model, Specialists):
        return None
    return {
        name: np.searchsorted(model.classes_, each.classes_).tolist()
        for name, each in model.specialists_.items()
    }


def _network(extractor: FeatureExtractor) -> dict[str, Any]:
    frozen, pretrained = adapt(extractor.network), pretrained_of(extractor)
    return {
        "name": frozen.name,
        "layer": extractor.layer_,
        "fingerprint": frozen.digest(),
        "license": None if pretrained is None else pretrained.license,
    }


def _head(model: Any) -> dict[str, Any]:
    """Return what kind of head it is, in the field's words."""
    if isinstance(model, Specialists):
        first = next(iter(model.specialists_.values()))
        return {**_head(first), "kind": f"specialists ({_head(first)['kind']})", "params": {}}
    if isinstance(model, SoftmaxClassifier):
        return {"kind": "softmax of the network", "params": {}, "normalization": None}
    if is_margin_classifier(model):
        kind = f"network with a margin loss ({type(model.loss_).__name__})"
        return {"kind": kind, "params": {}, "normalization": None}
    *_, head = _inwards(model.head_["head"] if hasattr(model, "head_") else model)
    name = type(head).__name__
    for base in type(head).__mro__:  # ours that only limit threads are what they derive from
        if base.__name__ in _FAMILIES:
            name = _FAMILIES[base.__name__]
            break
    kernel = f", {_KERNELS.get(head.kernel, head.kernel)}" if isinstance(head, SVC) else ""
    return {
        "kind": f"{name}{kernel}",
        "params": params_of(head),
        "normalization": getattr(model, "normalization_", None),
    }


def _calibration(model: Any) -> dict[str, Any] | None:
    """Return what turns a model's scores into probabilities: its own, or one around its head."""
    if isinstance(model, Specialists):
        return _calibration(next(iter(model.specialists_.values())))
    head = model.head_["head"] if hasattr(model, "head_") else model
    for each in (getattr(model, "calibrator_", None), *_inwards(head)):
        if hasattr(each, "calibrated_classifiers_"):
            return {"method": each.calibrated_classifiers_[0].method}
    return None


def _inwards(head: Any) -> Iterator[Any]:
    """Yield a head, and what is inside it, down to the classifier that learned from samples."""
    yield head
    if hasattr(head, "best_estimator_"):
        yield from _inwards(head.best_estimator_)
    elif hasattr(head, "steps"):
        yield from _inwards(head[-1])
    elif hasattr(head, "calibrated_classifiers_"):  # one, or one per fold, all of a kind
        yield from _inwards(head.calibrated_classifiers_[0].estimator)
    elif isinstance(head, FrozenEstimator):
        yield from _inwards(head.estimator)


def _as_json(words: dict[str, Any]) -> bytes:
    return f"{json.dumps(words, indent=1, ensure_ascii=False, sort_keys=True)}\n".encode()
