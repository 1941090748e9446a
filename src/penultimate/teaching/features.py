"""What a model's network computes of new samples, by the graph in its bundle."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from penultimate.bundle import samples
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.session import Session
from penultimate.bundle.thumbnails import make_thumbnails
from penultimate.teaching.graph import until

_BATCH = 32


class Features:
    """Features of samples, and thumbnails of images.

    Parameters
    ----------
    manifest : Manifest
    graph : bytes
        The graph of the bundle.
    value : str
        What its head is given.
    width : int
        Number of features.
    threads : int or None
    """

    def __init__(
        self, manifest: Manifest, graph: bytes, value: str, width: int, threads: int | None
    ) -> None:
        self._manifest, self._width, self._value = manifest, width, value
        self._session = None
        if value != "features":
            part = until(onnx.load_from_string(graph), value).SerializeToString()
            self._session = Session(memoryview(part), threads)
            self._inputs = self._session.inputs()

    def of(
        self, X: Any, on_change: samples.OnChange | None = None
    ) -> tuple[NDArray[np.float32], list[bytes | None]]:
        """Return features, and thumbnails where there are images.

        Parameters
        ----------
        X : image or images, or array-like of shape (n_samples, n_features)
            As `Predictor.predict` takes them.
        on_change : callable, optional
            As in `Predictor.stream`.
        """
        given = self._manifest.input
        if self._manifest.kind == "features":
            rows = samples.as_features(X, given["n_features"], given.get("feature_names"))
            pictures: list[bytes | None] = [None] * len(rows)
            return self._checked(self._run({"features": rows}), len(rows)), pictures
        known = given["n_features"] if "features" in self._inputs else None
        prepare = self._manifest.preprocessing
        images = samples.as_images(X, given.get("white"), known, prepare)
        found, pictures = [], []
        for window in samples.windows(images, _refuse, on_change):
            features = np.empty((len(window), self._width), np.float32)
            for places, pixels in samples.of_one_size(window, _BATCH, prepare):
                features[places] = self._checked(self._of_pixels(pixels), len(places))
            found.append(features)
            pictures += [_thumbnail(pixels) for _, pixels in window]
        return np.concatenate(found), pictures

    def given(self, features: Any) -> NDArray[np.float32]:
        """Return features that were computed by the same network, checked."""
        return samples.as_features(features, self._width, None)

    def _of_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        if self._inputs["images"][1][3:] == [3] and pixels.shape[3] == 1:
            pixels = np.repeat(pixels, 3, axis=3)
        feed: dict[str, NDArray[Any]] = {"images": pixels}
        if "features" in self._inputs:  # which it takes beside images, and here there are none
            feed["features"] = np.zeros((0, self._width), np.float32)
        return self._run(feed)

    def _run(self, feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
        return feed["features"] if self._session is None else self._session.run(feed)[self._value]

    def _checked(self, features: NDArray[Any], n_rows: int) -> NDArray[np.float32]:
        if features.shape != (n_rows, self._width) or not np.isfinite(features).all():
            raise ValueError(
                f"The network computes features of shape {features.shape} of {n_rows} samples, or "
                f"some that are not finite; ({n_rows}, {self._width}) was expected."
            )
        return features.astype(np.float32, copy=False)


def _refuse(place: int, error: ValueError) -> None:
    raise ValueError(f"Image {place}: {error}") from error


def _thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    (picture,) = make_thumbnails([pixels], [0], [0]).values()
    return picture
