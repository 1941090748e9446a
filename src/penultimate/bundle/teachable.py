"""Writing what teaching needs: the samples of each head as they reach it, and held-out ones.

The network and the normalization stay as they are when a model is taught, so samples are kept after
both. That these are the samples which the head was fitted on is not believed but checked: its
support vectors have to be among them, each in its place, and its certificate has to hold for them.
In the same way the threshold of a model that abstains has to follow from its calibration samples.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context

from penultimate._common.protocols import Classifier
from penultimate.bundle.graph._answers import EMBEDDING
from penultimate.bundle.parity import answering_part
from penultimate.bundle.teaching_part import PRIVACY
from penultimate.classifiers import AbstainingClassifier, DeepSVC, Specialists
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.evaluation.abstention.risk_coverage import confidence_scores
from penultimate.svm.extending import Extendable
from penultimate.svm.svc import SVC

Labeled = tuple[ArrayLike, ArrayLike]
Pictured = tuple[ArrayLike, ArrayLike]  # labels of thumbnails, and positions of their samples


class _Head(NamedTuple):
    """A head of a model: the start of its names in ``head.safetensors``, and what is before it."""

    subset: str | None
    step: str
    input: str
    normalization: str | None
    transform: Any
    machine: SVC
    codes: NDArray[np.int64]  # positions of its classes among those of the model


class _Seen(NamedTuple):
    """Samples as the heads are given them, the positions of their labels, and their subsets."""

    features: NDArray[Any]
    codes: NDArray[np.int64]
    routes: NDArray[Any] | None
    novel: NDArray[np.bool_]


def teaching_parts(
    model: Classifier,
    samples: Labeled,
    held_out: Labeled | None,
    calibration: Labeled | None = None,
    pictured: Pictured | None = None,
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what a manifest says of teaching, and the tensors of the part.

    Parameters
    ----------
    model : classifier
        A fitted `SVC`, search over one, `FeatureClassifier`, `DeepSVC` or `Specialists`; or an
        `AbstainingClassifier` of one of these.
    samples : (X, y)
        All samples that the head was fitted on, in their order.
    held_out : (X, y) or None
        Samples that it was not fitted on.
    calibration : (X, y) or None
        Of a model that abstains: the samples that its threshold was set on.
    pictured : (y, positions) or None
        Labels of the thumbnails in the bundle, and which of the samples they show.

    Returns
    -------
    description : dict
    tensors : dict of str to ndarray

    Raises
    ------
    ValueError
        If the model cannot be taught, or these are not the samples of its fit.
    """
    inner = answering_part(model)
    heads = list(_heads_of(inner))
    fitted = _seen(inner, samples)
    others = _none_of(fitted) if held_out is None else _seen(inner, held_out, model)
    calibrated, abstention = _none_of(fitted), None
    if isinstance(model, AbstainingClassifier):
        if calibration is None:
            raise ValueError(
                "Of a model that abstains, teaching needs the samples that its threshold was set "
                "on, so that it can be set again: pass calibration=(X, y)."
            )
        calibrated, abstention = _calibrated(model, inner, calibration)
    elif calibration is not None:
        raise TypeError("calibration is for a model that abstains: an AbstainingClassifier.")
    described: list[dict[str, Any]] = []
    tensors: dict[str, NDArray[Any]] = {}
    for number, head in enumerate(heads):
        entry, own = _part_of(head, fitted, others, calibrated)
        described.append(entry)
        tensors |= {f"{number}.{name}": np.asarray(each, order="C") for name, each in own.items()}
    description = {"heads": described, "abstention": abstention, "privacy": PRIVACY}
    if pictured is not None:
        description["pictures"] = _pictures(heads, fitted.codes, inner, pictured)
    return description, tensors


def support_of(model: Classifier, y: ArrayLike) -> NDArray[np.int64]:
    """Return which samples of a fit are support vectors of a head.

    Parameters
    ----------
    model : classifier
        As in `teaching_parts`.
    y : array-like of shape (n_samples,)
        Labels of all samples of the fit.

    Returns
    -------
    ndarray of int64
        Positions, ascending.
    """
    inner = answering_part(model)
    codes = np.searchsorted(np.asarray(inner.classes_), np.asarray(y))
    found = [
        np.flatnonzero(np.isin(codes, head.codes))[head.machine.support_]
        for head in _heads_of(inner)
    ]
    return np.sort(np.concatenate(found))


def _pictures(
    heads: list[_Head], codes: NDArray[np.int64], model: Classifier, pictured: Pictured
) -> list[dict[str, Any]]:
    """Return of each class which of its head's samples its thumbnails show, in their order."""
    labels, positions = (np.asarray(each) for each in pictured)
    classes = np.asarray(model.classes_)
    is_place = (positions >= 0) & (positions < len(codes))
    if labels.shape != positions.shape or not is_place.all():
        raise ValueError(
            f"The thumbnails' positions are among the {len(codes):,} samples of teach, one per "
            f"label; got {len(positions)} for {len(labels)} labels: {positions.tolist()[:5]}."
        )
    if (odd := np.flatnonzero(classes[codes[positions]] != labels)).size:
        raise ValueError(
            f"Thumbnail {odd[0]} has the label {labels[odd[0]]}, and sample "
            f"{positions[odd[0]]} of teach another one."
        )
    found = []
    for head in heads:
        of_head = np.isin(codes, head.codes)
        rank = np.cumsum(of_head) - 1  # its own samples are numbered from 0
        for code in head.codes.tolist():
            rows = rank[positions[codes[positions] == code]].tolist()
            found += [{"class": code, "rows": rows}] if rows else []
    return sorted(found, key=lambda each: each["class"])


def _part_of(
    head: _Head, fitted: _Seen, others: _Seen, calibrated: _Seen
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what the manifest says of a head, and its tensors."""
    machine = head.machine
    own = np.isin(fitted.codes, head.codes)
    X, codes = _normalized(head, fitted.features[own]), fitted.codes[own]
    residuals = _residuals(head, X, codes)
    of_subset = np.isin(others.codes, head.codes)
    routed = np.ones(of_subset.sum(), np.int64)
    if others.routes is not None:
        routed = (others.routes[of_subset] == head.subset).astype(np.int64)
    comes = np.ones(len(calibrated.codes), bool)
    if calibrated.routes is not None:
        comes = calibrated.routes == head.subset
    tensors = {
        "features": X,
        "labels": codes,
        "held_out_features": _normalized(head, others.features[of_subset]),
        "held_out_labels": others.codes[of_subset],
        "held_out_routed": routed,
        "held_out_novel": others.novel[of_subset].astype(np.int64),
        "calibration_features": _normalized(head, calibrated.features[comes]),
        "calibration_labels": calibrated.codes[comes],
        "calibration_novel": calibrated.novel[comes].astype(np.int64),
        "mean": np.asarray(machine._mean, np.float64),
        "gamma": np.asarray(machine._gamma, np.float64),
        "residuals": residuals,
    }
    described = {
        "subset": head.subset,
        "step": head.step,
        "input": head.input,
        "normalization": head.normalization,
        "n_samples": len(X),
        "n_held_out": int(of_subset.sum()),
        "n_calibration": int(comes.sum()),
        "n_features": X.shape[1],
    }
    return described, tensors


def _residuals(head: _Head, X: NDArray[Any], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the residuals of a head's solution, after a check that it is one of these samples."""
    machine = head.machine
    is_there = len(machine.support_) and machine.support_.max() < len(X)
    if is_there and np.allclose(
        X[machine.support_], machine.support_vectors_, rtol=1e-3, atol=1e-4
    ):
        X[machine.support_] = machine.support_vectors_  # to the bit
        try:
            return Extendable.of(machine, X, np.searchsorted(head.codes, codes)).residuals
        except ValueError:
            pass  # the same is to be said of it
    of = "" if head.subset is None else f" of the subset {head.subset!r}"
    raise ValueError(
        f"The {len(X):,} samples for teaching{of} are not those that the head was fitted on, or "
        "had weights in its fit: it is no solution for them. Pass what was passed to fit, in the "
        "same order."
    )


def _heads_of(model: Classifier) -> Iterator[_Head]:
    """Yield the heads of a model, or raise ``ValueError`` if one cannot be taught."""
    if isinstance(model, Specialists):
        layers = {member.head.layer for member in model._members.values()}
        if len(layers) > 1:
            raise ValueError(
                f"Specialists on several layers cannot be taught; these are on {sorted(layers)}. "
                "Fit with one layer."
            )
        for name, specialist in model.specialists_.items():
            codes = np.searchsorted(model.classes_, specialist.classes_)
            yield _head_of(specialist)._replace(
                subset=name, step=f"{name}.features.head", codes=codes
            )
    else:
        yield _head_of(model)


def _head_of(model: Classifier) -> _Head:
    transform = None
    if isinstance(model, (DeepSVC, FeatureClassifier)):
        step, head = "features.head", model.head_["head"]
        value = f"{EMBEDDING}0" if isinstance(model, DeepSVC) else "features"
        normalization, transform = model.normalization_, model.head_["preprocessing"].transform
    else:
        step, head, value, normalization = "head", model, "features", None
    *_, machine = _chosen(head)
    if not isinstance(machine, SVC) or machine.kernel == "precomputed":
        raise ValueError(
            "Only an SVC head can be taught, of a DeepSVC, a FeatureClassifier, Specialists or "
            f"alone; got {type(model).__name__} with {type(machine).__name__}. Fit an SVM head, "
            "such as SVCSearchCV()."
        )
    codes = np.arange(len(machine.classes_))
    return _Head(None, step, value, normalization, transform, machine, codes)


def _chosen(head: object) -> Iterator[object]:
    """Yield a head, and what it chose: the best of a search."""
    yield head
    while hasattr(head, "best_estimator_"):
        head = head.best_estimator_
        yield head


def _seen(model: Classifier, given: Labeled, around: Classifier | None = None) -> _Seen:
    """Return samples as they reach the heads of a model, but for the normalization.

    `around` is the model that may abstain, and call samples novel.
    """
    X, labels = given[0], np.asarray(given[1])
    classes = np.asarray(model.classes_)
    places = {label: code for code, label in enumerate(classes.tolist())}
    if odd := [label for label in labels.tolist() if label not in places]:
        raise ValueError(f"A sample for teaching is of the class {odd[0]!r}, unknown to the model.")
    codes = np.array([places[label] for label in labels.tolist()], np.int64)
    routes = None
    if isinstance(model, Specialists):
        layer = next(iter(model._members.values())).head.layer
        features = model._extract_once(model._check_samples(X))(layer)
        routes = model.route(X)
    elif isinstance(model, DeepSVC):
        features = model.extract(X)
    else:
        features = np.asarray(X)
        if features.dtype not in (np.float32, np.float64):
            features = features.astype(np.float64)
    if len(features) != len(codes):
        raise ValueError(f"There are {len(features):,} samples and {len(codes):,} labels of them.")
    novel = np.zeros(len(codes), bool)
    if isinstance(around, AbstainingClassifier) and around.novelty is not None:
        novel = around.is_novel(X)
    return _Seen(features, codes, routes, novel)


def _none_of(seen: _Seen) -> _Seen:
    routes = None if seen.routes is None else seen.routes[:0]
    return _Seen(seen.features[:0], seen.codes[:0], routes, seen.novel[:0])


def _calibrated(
    model: AbstainingClassifier, inner: Any, given: Labeled
) -> tuple[_Seen, dict[str, Any]]:
    """Return the samples of a threshold that is found again, and what it was set for."""
    criterion = "margin" if model.criterion == "auto" else model.criterion
    *_, head = _chosen(inner.head_["head"] if hasattr(inner, "head_") else inner)
    if criterion == "margin" and not hasattr(head, "class_margins"):
        raise ValueError(
            f"A model whose confidence is not the class margin of an SVC or a probability cannot "
            f"be taught; got {type(inner).__name__}. Use SVC or SVCSearchCV as the head."
        )
    X, labels = np.asarray(given[0]), np.asarray(given[1])
    seen = _seen(inner, given, model)
    known = ~seen.novel  # of the others no answer is asked
    confidence = confidence_scores(model.estimator_, X[known], criterion=model.criterion)
    accepted = confidence > model.threshold_
    wrong = model.estimator_.predict(X[known]) != labels[known]
    found = int(known.sum()), int(accepted.sum()), int(wrong[accepted].sum())
    if found != (model.n_heldout_, model.n_accepted_, model.n_errors_):
        raise ValueError(
            f"The {len(X):,} samples for calibration are not those that the threshold was set on: "
            f"of {found[0]:,} that are not novel, {found[1]:,} get an answer and {found[2]:,} of "
            f"these are wrong, where it was {model.n_heldout_:,}, {model.n_accepted_:,} and "
            f"{model.n_errors_:,}. Pass those at the positions heldout_ of what was passed to fit."
        )
    everything = model.risk is None and model.coverage is None
    goal = {
        "criterion": criterion,
        "risk": model.risk,
        "coverage": 1.0 if everything else model.coverage,
        "level": model.level,
        "n_times": 1,
    }
    return seen, goal


def _normalized(head: _Head, features: NDArray[Any]) -> NDArray[Any]:
    """Return features as they reach the machine, as its own."""
    if head.transform is not None and len(features):
        with config_context(transform_output="default"):
            features = head.transform(features)
    return np.array(features, head.machine.support_vectors_.dtype)
