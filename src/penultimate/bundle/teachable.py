"""Writing what teaching needs: the samples of each head as they reach it, and held-out ones.

The network and the normalization stay as they are when a model is taught, so samples are kept after
both. That these are the samples which the head was fitted on is not believed but checked: its
support vectors have to be among them, each in its place.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context

from penultimate._common.protocols import Classifier
from penultimate.bundle.graph._answers import EMBEDDING
from penultimate.bundle.teaching_part import PRIVACY
from penultimate.classifiers import AbstainingClassifier, DeepSVC
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.svm.svc import SVC

Labeled = tuple[ArrayLike, ArrayLike]


class _Head(NamedTuple):
    """A head of a model: the start of its names in ``head.safetensors``, and what is before it."""

    step: str
    input: str
    normalization: str | None
    machine: SVC


def teaching_parts(
    model: Classifier, samples: Labeled, held_out: Labeled | None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what a manifest says of teaching, and the tensors of the part.

    Parameters
    ----------
    model : classifier
        A fitted `SVC`, search over one, `FeatureClassifier` or `DeepSVC`.
    samples : (X, y)
        All samples that the head was fitted on, in their order.
    held_out : (X, y) or None
        Samples that it was not fitted on.

    Returns
    -------
    description : dict
    tensors : dict of str to ndarray

    Raises
    ------
    ValueError
        If the model cannot be taught, or these are not the samples of its fit.
    """
    head = _head_of(model)
    X, codes = _as_seen(model, head, *samples)
    machine = head.machine
    is_there = len(machine.support_) and machine.support_.max() < len(X)
    if not is_there or not np.allclose(
        X[machine.support_], machine.support_vectors_, rtol=1e-3, atol=1e-4
    ):
        raise ValueError(
            f"The {len(X):,} samples for teaching are not those that the head was fitted on: its "
            "support vectors are not among them. Pass what was passed to fit, in the same order."
        )
    X[machine.support_] = machine.support_vectors_  # to the bit, which a warm start looks for
    if held_out is None:
        other, other_codes = X[:0], codes[:0]
    else:
        other, other_codes = _as_seen(model, head, *held_out)
    tensors = {
        "features": X,
        "labels": codes,
        "held_out_features": other,
        "held_out_labels": other_codes,
        "mean": np.asarray(machine._mean, np.float64),
        "gamma": np.asarray(machine._gamma, np.float64),
    }
    described = {
        "subset": None,
        "step": head.step,
        "input": head.input,
        "normalization": head.normalization,
        "n_samples": len(X),
        "n_held_out": len(other),
        "n_features": X.shape[1],
    }
    return (
        {"heads": [described], "privacy": PRIVACY},
        {f"0.{name}": np.asarray(values, order="C") for name, values in tensors.items()},
    )


def _head_of(model: Classifier) -> _Head:
    if isinstance(model, AbstainingClassifier):
        raise ValueError(
            "A model that abstains cannot be taught: the guarantee of its answers would be for the "
            "head as it was. Save the classifier itself, without AbstainingClassifier."
        )
    if isinstance(model, (DeepSVC, FeatureClassifier)):
        step, head = "features.head", model.head_["head"]
        value = f"{EMBEDDING}0" if isinstance(model, DeepSVC) else "features"
        normalization = model.normalization_
    else:
        step, head, value, normalization = "head", model, "features", None
    *_, machine = _chosen(head)
    if not isinstance(machine, SVC) or machine.kernel == "precomputed":
        raise ValueError(
            f"Only an SVC head can be taught, of a DeepSVC, a FeatureClassifier or alone; got "
            f"{type(model).__name__} with {type(machine).__name__}. Fit an SVM head, such as "
            "SVCSearchCV()."
        )
    return _Head(step, value, normalization, machine)


def _chosen(head: object) -> Iterator[object]:
    """Yield a head, and what it chose: the best of a search."""
    yield head
    while hasattr(head, "best_estimator_"):
        head = head.best_estimator_
        yield head


def _as_seen(
    model: Classifier, head: _Head, X: ArrayLike, y: ArrayLike
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return samples as they reach the machine, and the positions of their classes."""
    labels = np.asarray(y)
    classes = np.asarray(model.classes_)
    places = {label: code for code, label in enumerate(classes.tolist())}
    if odd := [label for label in labels.tolist() if label not in places]:
        raise ValueError(f"A sample for teaching is of the class {odd[0]!r}, unknown to the model.")
    codes = np.array([places[label] for label in labels.tolist()], np.int64)
    if isinstance(model, DeepSVC):
        features = model.extract(X)
    else:
        features = np.asarray(X)
        if features.dtype not in (np.float32, np.float64):
            features = features.astype(np.float64)
    if len(features) != len(codes):
        raise ValueError(f"There are {len(features):,} samples and {len(codes):,} labels of them.")
    if isinstance(model, (DeepSVC, FeatureClassifier)):
        with config_context(transform_output="default"):
            features = model.head_["preprocessing"].transform(features)
    return np.array(features, head.machine.support_vectors_.dtype), codes
