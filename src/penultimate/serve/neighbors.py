"""Because it looks like these: the nearest pictured samples of a head, in its feature space.

A bundle that can be taught holds the samples of its heads, and may hold pictures of some. A new
image is sent through the network once more, up to what the head is given; of the pictured support
vectors of the predicted class, those are returned to which its distance is smallest as the head's
kernel measures it. Only what is asked for is computed, and nothing that is sent is kept.
"""

import io
import threading
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.bundle.parts import GRAPH, HEAD, HEAD_WORDS
from penultimate.bundle.predictions import Predictions
from penultimate.bundle.predictor import Predictor
from penultimate.bundle.strict_json import parse_json
from penultimate.bundle.teaching_part import PRIVACY, TEACH
from penultimate.bundle.thumbnails import FOLDER, SIDE

MOST = 5
_KERNEL = ("kernel", "degree", "coef0")


@dataclass(frozen=True)
class _Class:
    """The pictured support vectors of a class."""

    head: int
    places: NDArray[np.int64]  # in the strip of its thumbnails
    X: NDArray[np.floating]  # as they reach the head


@dataclass(frozen=True)
class Neighbor:
    """A pictured sample that is near.

    Attributes
    ----------
    code, place : int
        Its class, and which one it is among the pictures of that.
    distance : float
        In the feature space of the kernel.
    """

    code: int
    place: int
    distance: float


class Neighbors:
    """Finds pictured samples of a bundle that are near to new ones; safe in several threads.

    Parameters
    ----------
    predictor : Predictor
        With pictures; see `has_pictures`.
    threads : int or None
    """

    def __init__(self, predictor: Predictor, threads: int | None = None) -> None:
        self._predictor, self._threads = predictor, threads
        self._lock = threading.Lock()

    @property
    def n_pictures(self) -> int:
        """How many samples have a picture."""
        return sum(len(each["rows"]) for each in self._teach["pictures"])

    @property
    def privacy(self) -> str:
        """Who has the file, or may ask, sees what."""
        return f"{PRIVACY} Its pictures are shown to everybody who may ask."

    def prepare(self) -> None:
        """Load what is needed, which takes seconds the first time."""
        with self._lock:
            self._extractor, self._classes, self._heads  # noqa: B018  they are computed and kept
            from sklearn.metrics import pairwise  # noqa: F401

    def find(
        self, predictions: Predictions, n: int, *, images: Any = None, features: Any = None
    ) -> list[list[Neighbor]]:
        """Return the nearest pictured samples of each one's predicted class, the nearest first.

        Parameters
        ----------
        predictions : Predictions
            Of these samples.
        n : int
            At most so many of each.
        images, features : object
            One of them, as `Predictor.predict_all` takes them.
        """
        self.prepare()
        extractor, classes = self._extractor, self._classes
        X = extractor.of(images)[0] if features is None else extractor.given(features)
        code_of = {label: code for code, label in enumerate(self._predictor.classes_.tolist())}
        codes = [code_of[label] for label in predictions.labels.tolist()]
        found = []
        for code, row in zip(codes, X):
            known = classes.get(code)
            found.append([] if known is None else self._nearest(code, known, row, n))
        return found

    def picture(self, code: int, place: int) -> bytes | None:
        """Return a picture as a PNG; None if there is none."""
        from PIL import Image

        rows = {each["class"]: each["rows"] for each in self._teach["pictures"]}
        if place >= len(rows.get(code, ())):
            return None
        with Image.open(io.BytesIO(self._predictor.part(f"{FOLDER}{code}.png"))) as strip:
            left = place * SIDE
            if left + SIDE > strip.width:
                return None
            buffer = io.BytesIO()
            strip.crop((left, 0, left + SIDE, SIDE)).save(buffer, "PNG")
        return buffer.getvalue()

    @property
    def _teach(self) -> dict[str, Any]:
        teach = self._predictor.manifest.teach
        assert teach is not None  # or there would be no pictures
        return teach

    @cached_property
    def _extractor(self) -> Any:
        from penultimate.teaching.features import Features

        first = self._teach["heads"][0]
        manifest, graph = self._predictor.manifest, self._predictor.part(GRAPH)
        return Features(manifest, graph, first["input"], first["n_features"], self._threads)

    @cached_property
    def _heads(self) -> list[tuple[Any, dict[str, Any]]]:
        """The normalization before each head, and its kernel."""
        from safetensors.numpy import load as load_tensors

        from penultimate.teaching.head import normalization_of

        numbers, tensors = (load_tensors(self._predictor.part(name)) for name in (HEAD, TEACH))
        words = parse_json(self._predictor.part(HEAD_WORDS), HEAD_WORDS)
        found = []
        for number, head in enumerate(self._teach["heads"]):
            params = words[head["step"]]["params"]
            kernel = {name: params[name] for name in _KERNEL}
            kernel["gamma"] = float(tensors[f"{number}.gamma"])
            found.append((normalization_of(head, numbers), kernel))
        return found

    @cached_property
    def _classes(self) -> dict[int, _Class]:
        from safetensors.numpy import load as load_tensors

        manifest = self._predictor.manifest
        numbers, tensors = (load_tensors(self._predictor.part(name)) for name in (HEAD, TEACH))
        subsets = manifest.subsets or {}
        head_of = {
            code: number
            for number, head in enumerate(self._teach["heads"])
            for code in subsets.get(head["subset"], range(len(manifest.classes)))
        }
        found = {}
        for each in self._teach["pictures"]:
            number, rows = head_of[each["class"]], np.array(each["rows"])
            step = self._teach["heads"][number]["step"]
            places = np.flatnonzero(np.isin(rows, numbers[f"{step}.support_"]))
            if len(places):
                X = tensors[f"{number}.features"][rows[places]]
                found[each["class"]] = _Class(number, places, X)
        return found

    def _nearest(
        self, code: int, known: _Class, row: NDArray[np.floating], n: int
    ) -> list[Neighbor]:
        normalization, kernel = self._heads[known.head]
        new = normalization.transform(row[np.newaxis])
        distances = kernel_distances(new, known.X, **kernel)
        return [
            Neighbor(code, int(known.places[k]), float(distances[k]))
            for k in np.argsort(distances, kind="stable")[:n]
        ]


def has_pictures(predictor: Predictor) -> bool:
    """Return whether a bundle says which samples its thumbnails show, and they can be compared."""
    has_rows = bool((predictor.manifest.teach or {}).get("pictures"))
    return has_rows and find_spec("onnx") is not None  # by which the graph is cut


def kernel_distances(
    row: NDArray[np.floating],
    others: NDArray[np.floating],
    *,
    kernel: str,
    gamma: float,
    degree: int,
    coef0: float,
) -> NDArray[np.float64]:
    """Return distances in the feature space of a kernel.

    Parameters
    ----------
    row : ndarray of shape (1, n_features)
    others : ndarray of shape (n_others, n_features)
    kernel, gamma, degree, coef0
        As of an SVM.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.serve.neighbors import kernel_distances
    >>> others = np.array([[3.0, 4.0], [0.0, 0.0]])
    >>> settings = {"gamma": 1.0, "degree": 3, "coef0": 0.0}
    >>> kernel_distances(np.zeros((1, 2)), others, kernel="linear", **settings).tolist()
    [5.0, 0.0]
    """
    from sklearn.metrics.pairwise import pairwise_kernels

    samples = np.concatenate([row, others]).astype(np.float64)
    gram = pairwise_kernels(
        samples, metric=kernel, filter_params=True, gamma=gamma, degree=degree, coef0=coef0
    )
    squares = gram[0, 0] + np.diagonal(gram)[1:] - 2 * gram[0, 1:]
    return np.sqrt(np.maximum(squares, 0.0))
