"""The proof that a graph answers as the model does in Python, made before a file is written.

Both classify the same samples. Numbers may differ in their last digits, so a sample whose two best
classes are nearly tied may get the other one: such samples are listed, and any other difference is
an error. Images are prepared at many sizes, since a resize that is done otherwise is what makes
most exported models predict otherwise.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, utils
from sklearn.frozen import FrozenEstimator

from penultimate._common.imports import import_optional
from penultimate._common.protocols import Classifier
from penultimate.bundle.graph._answers import SHARES, SIGNS
from penultimate.bundle.graph._images import IMAGES, PREPARED
from penultimate.bundle.graph._specialists import SUBSET
from penultimate.classifiers.abstaining import AbstainingClassifier
from penultimate.networks._images import Images
from penultimate.networks.preprocessing import Preprocessing
from penultimate.networks.single_images import come_one_by_one

# Of the largest value, for scores, margins and probabilities.
TOLERANCE = 1e-4
# Of 255, for a pixel that was prepared.
PIXEL_TOLERANCE = 0.01
# Heights and widths: single pixels, the sizes of common data sets and networks, odd ones, long and
# flat ones, and photographs, larger and smaller than any network takes.
SIZES = (
    *((1, 1), (1, 2), (2, 1), (1, 7), (3, 3), (5, 4), (8, 8), (16, 16), (28, 28), (32, 32)),
    *((31, 33), (48, 48), (64, 64), (63, 65), (96, 96), (90, 100), (100, 90), (127, 129)),
    *((128, 128), (150, 150), (160, 120), (1, 300), (300, 1), (2, 500), (512, 3), (223, 225)),
    *((224, 224), (240, 320), (256, 256), (260, 260), (299, 299), (320, 240), (333, 500)),
    *((384, 384), (375, 500), (400, 400), (427, 640), (448, 448), (480, 640), (500, 333)),
    *((512, 384), (512, 512), (640, 427), (600, 800), (768, 1024), (720, 1280), (1000, 1000)),
    *((1024, 768), (1080, 1920), (1080, 1921)),
)
_BATCH = 64
# Samples of which so large a share are tied, and come out otherwise, are no accident.
_MOST_TIES = 0.01
_METHODS = {
    "scores": "decision_function",
    "margins": "class_margins",
    "probabilities": "predict_proba",
}


class ParityError(ValueError):
    """A graph does not answer as the model does; the message says where and by how much."""


@dataclass(frozen=True)
class Parity:
    """What was compared, and how far it was apart.

    Attributes
    ----------
    n_samples : int
    near_ties : list of int
        Samples whose classes are so nearly tied that rounding decides.
    errors : dict of str to float
        The largest difference of each output, as a share of its largest value.
    n_sizes : int
        Sizes at which images were prepared.
    pixel_error : float or None
        The largest difference of a prepared pixel, on the scale of 255.
    """

    n_samples: int
    near_ties: list[int]
    errors: dict[str, float]
    n_sizes: int
    pixel_error: float | None


def prove(model: Classifier, graph: onnx.ModelProto, samples: ArrayLike) -> Parity:
    """Compare the answers of a graph and of its model on real samples.

    Parameters
    ----------
    model : classifier
        Fitted.
    graph : onnx.ModelProto
        From `build_graph`.
    samples : array-like of shape (n_samples, ...), or sequence of images
        As `model.predict` takes them. Pixels are rounded to whole numbers, for both.

    Returns
    -------
    Parity

    Raises
    ------
    ParityError
        If an answer differs by more than rounding explains.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVC
    >>> from penultimate.bundle.graph import build_graph
    >>> from penultimate.bundle.parity import prove
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SVC().fit(X, y)
    >>> prove(model, build_graph(model), X).n_samples
    150
    """
    session = _Session(graph)
    given, images = _as_given(session, samples)
    subsets = list(answering_part(model).specialists_) if SUBSET in session.shapes else []
    ties: set[int] = set()
    errors: dict[str, float] = {}
    for subset in [None, *subsets]:
        asked = {} if subset is None else {"subset": subset}
        found = session.run(images, -1 if subset is None else subsets.index(subset))
        for name, (values, expected) in _pairs_of(model, found, given, asked).items():
            error, rows = _compare(name, values, expected, found["tied"])
            errors[name] = max(errors.get(name, 0.0), error)
            ties.update(rows)
    if len(ties) > max(1, _MOST_TIES * len(images)):
        raise ParityError(
            f"{len(ties)} of {len(images)} samples are nearly tied between classes, and get other "
            "answers from the graph than in Python: this is no rounding. No file was written."
        )
    pixel_error = _prove_images(graph, images) if IMAGES in session.shapes else None
    n_sizes = 0 if pixel_error is None else len(SIZES)
    return Parity(len(images), sorted(ties), errors, n_sizes, pixel_error)


def outputs_of(graph: onnx.ModelProto, samples: Any) -> dict[str, NDArray[Any]]:
    """Return what a graph says of samples in a form that its model takes, by the outputs' names."""
    session = _Session(graph)
    return session.run(_as_given(session, samples)[1], -1)


def _pairs_of(
    model: Any,
    found: Mapping[str, NDArray[Any]],
    given: ArrayLike,
    asked: Mapping[str, str],
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Return what the graph and Python say, by the name of the output."""
    classes = np.asarray(model.classes_)
    answering = answering_part(model)
    pairs = {"label": (classes[found["label"]], np.asarray(answering.predict(given, **asked)))}
    for name, method in _METHODS.items():
        # A pipeline has no methods but scikit-learn's.
        if name not in found or not hasattr(answering, method):
            continue
        expected = np.asarray(getattr(answering, method)(given, **asked), np.float64)
        if expected.ndim == 1:
            expected = np.column_stack([-expected, expected])
        values = found[name]
        if asked:
            own = answering.specialists_[asked["subset"]].classes_
            values = values[:, np.searchsorted(classes, own)]
        pairs[name] = values, expected
    if asked:  # an abstaining classifier in Python has no subset; its nodes are those of the router
        return pairs
    if "accepted" in found:
        pairs["accepted"] = found["accepted"], model.accepts(given)
    if "novel" in found:
        pairs["novel"] = found["novel"], model.is_novel(given)
    return pairs


def answering_part(model: Classifier) -> Any:
    """Return the classifier that answers every sample, and for each subset if it has some."""
    while isinstance(model, (AbstainingClassifier, FrozenEstimator)):
        # Not of others: the `estimator` of a calibration is the one that was never fitted.
        model = model.estimator if isinstance(model, FrozenEstimator) else model.estimator_
    return model


def _compare(
    name: str, values: NDArray[Any], expected: NDArray[Any], tied: NDArray[np.bool_]
) -> tuple[float, list[int]]:
    """Return the largest difference among samples that are not tied, and which others differ."""
    if expected.ndim > 1:  # values; labels may be floats, too, and are equal or not
        scale = max(float(np.abs(expected).max(initial=0)), np.finfo(np.float32).tiny)
        differences = np.abs(values - expected).max(axis=1, initial=0) / scale
        differ = ~(differences <= TOLERANCE)  # NaN differs
    else:
        differences = differ = values != expected
    wrong = differ & ~tied
    if wrong.any():
        raise ParityError(
            f"The {name} of {wrong.sum()} of {len(expected)} samples differ between the graph and "
            f"Python, though no two classes are tied: samples {np.flatnonzero(wrong)[:5].tolist()}"
            f", by up to {float(differences[wrong].max()):.2g} of the largest. No file was written."
        )
    return float(differences[~tied].max(initial=0)), np.flatnonzero(differ).tolist()


class _Session:
    """A graph in ONNX Runtime, with the values inside that show ties as further outputs."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        runtime = import_optional("onnxruntime", "onnx")
        watched = onnx.ModelProto()
        watched.CopyFrom(graph)
        made = [each for node in graph.graph.node for each in node.output]
        self._watched = [each for each in made if each.startswith((SIGNS, SHARES))]
        for name in self._watched:
            kind = _kind_of(graph, name)
            watched.graph.output.append(helper.make_tensor_value_info(name, kind, None))
        self._session = runtime.InferenceSession(
            watched.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self._names = [each.name for each in self._session.get_outputs()]
        self.shapes = {each.name: each.shape for each in self._session.get_inputs()}

    def run(self, samples: Sequence[NDArray[Any]], subset: int) -> dict[str, NDArray[Any]]:
        """Return all outputs, and as ``"tied"`` which samples have nearly tied classes."""
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in self._names}
        for batch in _batches(samples):
            found = self._session.run(None, self._feed(batch, subset))
            for name, values in zip(self._names, found):
                parts[name].append(values)
        outputs = {name: np.concatenate(each) for name, each in parts.items()}
        tied = np.zeros(len(samples), bool)
        for name in self._watched:
            tied |= _is_near(outputs.pop(name), by_sign=name.startswith(SIGNS))
        for name in ("scores", "probabilities"):
            if name in outputs:
                tied |= _is_near(outputs[name], by_sign=False)
        return {**outputs, "tied": tied}

    def _feed(self, batch: NDArray[Any], subset: int) -> dict[str, NDArray[Any]]:
        if IMAGES in self.shapes:
            feed = {IMAGES: batch}
            if "features" in self.shapes:
                feed["features"] = np.zeros((0, self.shapes["features"][1]), np.float32)
        else:
            feed = {"features": batch}
        if SUBSET in self.shapes:
            feed[SUBSET] = np.array(subset)
        return feed


def _kind_of(graph: onnx.ModelProto, name: str) -> int:
    inferred = onnx.shape_inference.infer_shapes(graph).graph.value_info
    kinds = {each.name: each.type.tensor_type.elem_type for each in inferred}
    return kinds.get(name, TensorProto.FLOAT)


def _is_near(values: NDArray[Any], *, by_sign: bool) -> NDArray[np.bool_]:
    """Return which rows have a sign, or a largest value, that rounding may change."""
    rows = np.abs(values.reshape(len(values), -1).astype(np.float64))
    largest = rows.max(initial=0)
    if by_sign:
        return rows.min(axis=1, initial=np.inf) <= TOLERANCE * largest
    ordered = np.sort(values.astype(np.float64), axis=1)
    return ordered[:, -1] - ordered[:, -2] <= TOLERANCE * largest


def _batches(samples: Sequence[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Yield consecutive samples of one shape together."""
    start = 0
    for stop in range(1, len(samples) + 1):
        full = stop - start == _BATCH
        if stop == len(samples) or full or samples[stop].shape != samples[start].shape:
            yield np.stack(samples[start:stop])
            start = stop


def _as_given(session: _Session, samples: ArrayLike) -> tuple[ArrayLike, list[NDArray[Any]]]:
    """Return samples as the model takes them, and as the graph does."""
    if not len(samples):  # type: ignore[arg-type]
        raise ValueError("There are no samples to prove the file on. Pass some of the data as X.")
    if IMAGES not in session.shapes:
        rows, width = np.asarray(samples), session.shapes["features"][1]
        if rows.ndim != 2 or rows.shape[1] != width:
            raise ValueError(
                f"The model takes features of shape (n_samples, {width}); got {rows.shape} as X."
            )
        return rows, list(rows.astype(np.float32))
    if not hasattr(samples, "__array__") or come_one_by_one(samples):
        decoded = Images.of(samples)
        images = [_in_bytes(decoded[k], 1.0) for k in range(len(decoded))]
        return images, [each.reshape(*each.shape[:2], -1) for each in images]
    pixels = np.asarray(samples)
    in_unit = pixels.dtype.kind in "bf" and pixels.max(initial=0) <= 1
    factor = 255.0 if in_unit else 1.0
    rounded = _in_bytes(pixels, factor)
    # Python gets the rounded pixels as well, in the form in which it takes them.
    given = rounded if pixels.dtype.kind in "bu" else (rounded / factor).astype(pixels.dtype)
    if rounded.ndim == 3:
        rounded = rounded[..., np.newaxis]
    if rounded.shape[-1] not in (1, 3):
        rounded = np.moveaxis(rounded, 1, -1)
    return given, list(rounded)


def _in_bytes(pixels: NDArray[Any], factor: float) -> NDArray[np.uint8]:
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels * factor).astype(np.uint8)


def _prove_images(graph: onnx.ModelProto, images: Sequence[NDArray[np.uint8]]) -> float:
    """Return the largest difference of a prepared pixel at all sizes, on the scale of 255."""
    stated = next(each.value for each in graph.metadata_props if each.key == "preprocessing")
    preprocessing = Preprocessing(**json.loads(stated))
    inferred = onnx.shape_inference.infer_shapes(graph)
    only = utils.Extractor(inferred).extract_model([IMAGES], [PREPARED])
    runtime = import_optional("onnxruntime", "onnx")
    session = runtime.InferenceSession(only.SerializeToString(), providers=["CPUExecutionProvider"])
    unit = float(np.max(np.abs(preprocessing.std)) / abs(preprocessing.scale))
    worst = 0.0
    for place, size in enumerate(SIZES):
        image = _of_size(images[place % len(images)], size)
        if place % 2:  # gray ones are prepared, too
            image = image[..., :1]
        (found,) = session.run(None, {IMAGES: image[np.newaxis]})
        error = float(np.abs(found[0] - preprocessing.apply(image)).max()) * unit
        if not error <= PIXEL_TOLERANCE:
            raise ParityError(
                f"An image of {size[0]} x {size[1]} is prepared differently in the graph and in "
                f"Python: pixels differ by up to {error:.2g} of 255. No file was written."
            )
        worst = max(worst, error)
    return worst


def _of_size(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an image of another size, made of a real one's pixels: repeated, or a part of it."""
    rows, columns = (np.arange(side) % own for side, own in zip(size, image.shape))
    return image[rows][:, columns]
