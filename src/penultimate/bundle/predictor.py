"""A model from a bundle: pixels or features in, labels out, without the framework it came from."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.validation import check_number
from penultimate.bundle import description, samples
from penultimate.bundle.archive import SIGNATURE
from penultimate.bundle.contents import read_contents
from penultimate.bundle.parts import GRAPH, HEAD
from penultimate.bundle.predictions import Predictions, joined
from penultimate.bundle.running import Runner, spelled_shapes
from penultimate.bundle.session import Session


class Predictor:
    """The model of a bundle; `load` returns it.

    It can be used from several threads, and pickled: the copy is opened from the same bytes, with
    the same checks.

    Parameters
    ----------
    content : bytes
        Of a bundle.
    threads : int, optional
        Threads for one prediction; as many as there are cores by default.
    key : bytes, optional
        A public key as PEM, which the bundle has to be signed with.

    Attributes
    ----------
    content : bytes
        The bytes of the bundle.
    manifest : Manifest
        What the bundle says of itself.
    signed_by : str or None
        Fingerprint of the key that the signature was verified with; None if no key was given.
    classes_ : ndarray of shape (n_classes,)
    subsets : list of str
        Names of the subsets of specialists; empty otherwise.

    Examples
    --------
    >>> import tempfile, penultimate
    >>> svc = penultimate.SVC(kernel="linear").fit([[0.0], [2.0]], ["low", "high"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = penultimate.save(svc, f"{folder}/model.zip", [[0.0], [2.0]])
    ...     model = penultimate.load(f"{folder}/model.zip")
    >>> model.class_margins([[1.5]]).round(2).tolist()
    [[0.5, -0.5]]
    >>> model.predict_all([[1.5]]).labels.tolist()
    ['high']
    """

    def __init__(
        self, content: bytes, *, threads: int | None = None, key: bytes | None = None
    ) -> None:
        self.content, self._threads, self._key = content, threads, key
        self._members, self.manifest, self.signed_by = read_contents(content, key)
        self.classes_ = self.manifest.labels()
        self.subsets = list(self.manifest.subsets or ())
        self._runner = Runner(self.manifest, Session(self._members[GRAPH], threads))

    def __getstate__(self) -> dict[str, Any]:
        return {"content": self.content, "threads": self._threads, "key": self._key}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def predict(
        self, X: object = None, *, features: object = None, subset: str | None = None
    ) -> NDArray[Any]:
        """Predict labels.

        Parameters
        ----------
        X : image or images, or array-like of shape (n_samples, n_features)
            For a model of images: an array of shape (n_samples, height, width[, channels]), of one
            image, a Pillow image, a path, the content of a file, or a list of these of any sizes.
            Pixels go from 0 to 255, or in floats from 0 to 1. For a model of features: a matrix.
        features : array-like of shape (n_samples, n_features), optional
            Instead of `X`: what the network of this model has computed of the samples.
        subset : str, optional
            For specialists: the subset that all samples are in. By default the router decides.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels, also of samples that a model with abstention does not accept; see `accepts`.

        Raises
        ------
        TypeError, ValueError
            If these are no samples that the model takes; if there is no such subset.
        """
        return self.predict_all(X, features=features, subset=subset).labels

    def decision_function(
        self, X: object = None, *, features: object = None, subset: str | None = None
    ) -> NDArray[np.floating]:
        """Compute decision values, one per class.

        Parameters
        ----------
        X : image or images, or array-like of shape (n_samples, n_features)
            See `predict`.
        features : array-like of shape (n_samples, n_features), optional
            See `predict`.
        subset : str, optional
            See `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Also for two classes.

        Raises
        ------
        AttributeError
            If the model has probabilities alone.
        """
        return self._only("scores", "Use predict_proba.", X, features, subset)

    def predict_proba(
        self, X: object = None, *, features: object = None, subset: str | None = None
    ) -> NDArray[np.floating]:
        """Compute calibrated probabilities.

        Parameters
        ----------
        X : image or images, or array-like of shape (n_samples, n_features)
            See `predict`.
        features : array-like of shape (n_samples, n_features), optional
            See `predict`.
        subset : str, optional
            See `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)

        Raises
        ------
        AttributeError
            If the model was not calibrated.
        """
        advice = "Calibrate it before it is saved, as with CalibratedClassifierCV."
        return self._only("probabilities", advice, X, features, subset)

    def class_margins(
        self, X: object = None, *, features: object = None, subset: str | None = None
    ) -> NDArray[np.floating]:
        """Compute each class's smallest margin to another class.

        Parameters
        ----------
        X : image or images, or array-like of shape (n_samples, n_features)
            See `predict`.
        features : array-like of shape (n_samples, n_features), optional
            See `predict`.
        subset : str, optional
            See `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)

        Raises
        ------
        AttributeError
            If the head has no margins.
        """
        return self._only("margins", "Use decision_function.", X, features, subset)

    def accepts(self, X: object = None, *, features: object = None) -> NDArray[np.bool_]:
        """Return whether the model is sure enough to answer.

        Specialists are asked without a subset: the threshold was set on answers whose subset the
        model found itself.

        Parameters
        ----------
        X : image or images, or array-like of shape (n_samples, n_features)
            See `predict`.
        features : array-like of shape (n_samples, n_features), optional
            See `predict`.

        Returns
        -------
        ndarray of shape (n_samples,), bool

        Raises
        ------
        AttributeError
            If the model never abstains.
        """
        advice = "Save an AbstainingClassifier for that."
        return self._only("accepted", advice, X, features, None)

    def is_novel(
        self, X: object = None, *, features: object = None, subset: str | None = None
    ) -> NDArray[np.bool_]:
        """Return which samples are of none of the classes.

        Parameters
        ----------
        X : image or images, or array-like of shape (n_samples, n_features)
            See `predict`.
        features : array-like of shape (n_samples, n_features), optional
            See `predict`.
        subset : str, optional
            See `predict`.

        Returns
        -------
        ndarray of shape (n_samples,), bool

        Raises
        ------
        AttributeError
            If the model does not recognize such samples.
        """
        advice = "Save an AbstainingClassifier with 'novelty' for that."
        return self._only("novel", advice, X, features, subset)

    def predict_all(
        self, X: object = None, *, features: object = None, subset: str | None = None
    ) -> Predictions:
        """Compute everything that the model says, in one pass.

        Parameters
        ----------
        X : image or images, or array-like of shape (n_samples, n_features)
            See `predict`.
        features : array-like of shape (n_samples, n_features), optional
            See `predict`.
        subset : str, optional
            See `predict`.

        Returns
        -------
        Predictions
        """
        if (X is None) == (features is None):
            raise TypeError("Pass either X or features.")
        if self.manifest.kind == "features" or features is not None:
            given = X if features is None else features
            n_features = self.manifest.input["n_features"]
            names = self.manifest.input.get("feature_names")
            matrix = samples.as_features(given, n_features, names)
            return self._runner.run({"features": matrix}, len(matrix), subset)
        return joined([part for _, part in self.stream(X, subset=subset)])

    def stream(
        self,
        X: object,
        *,
        subset: str | None = None,
        batch_size: int = 32,
        on_error: Callable[[int, ValueError], None] | None = None,
        on_change: Callable[[int, str], None] | None = None,
    ) -> Iterator[tuple[list[int], Predictions]]:
        """Predict images part by part, in their order; memory does not grow with their number.

        Parameters
        ----------
        X : sequence of images
            See `predict`.
        subset : str, optional
            See `predict`.
        batch_size : int, default=32
            Images that the network takes at once, at most; it takes fewer if they are large.
        on_error : callable, optional
            Called with the position and the error of an image that cannot be read, which is then
            left out. By default the error is raised.
        on_change : callable, optional
            Called with the position of an image that was changed before the model took it, such as
            an animation, and words for what was done. By default there is a warning.

        Yields
        ------
        places : list of int
            Positions in `X`.
        predictions : Predictions
            Of the images there.
        """
        if self.manifest.kind == "features":
            raise ValueError("The model takes features, not images: call predict_all.")
        check_number(batch_size, "batch_size", "stream", low=1, integer=True)
        self._runner.index_of(subset)
        known = self.manifest.input["n_features"] if "features" in self._runner.inputs else None
        given, prepare = self.manifest.input.get("white"), self.manifest.preprocessing
        images = samples.as_images(X, given, known, prepare)
        for window in samples.windows(images, on_error, on_change):
            order: list[int] = []
            parts = []
            for places, pixels in samples.of_one_size(window, batch_size, prepare):
                order += places
                parts.append(self._runner.run({"images": pixels}, len(pixels), subset))
            back = np.argsort(order)
            yield [index for index, _ in window], joined(parts, back)

    def gives(self, name: str) -> bool:
        """Return whether the model says something of a sample: such as ``"probabilities"``.

        Parameters
        ----------
        name : {"scores", "margins", "probabilities", "confidence", "accepted", "novel"}

        Returns
        -------
        bool
        """
        return name in self._runner.outputs

    @property
    def is_signed(self) -> bool:
        """Whether the bundle has a signature; only with a key does `load` verify it."""
        return SIGNATURE in self._members

    @property
    def signature(self) -> str:
        """What is known of who signed the bundle, in words."""
        return description.of_signature(self.is_signed, self.signed_by)

    @property
    def sha256(self) -> str:
        """Hash of the file that it was read from."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def provenance(self) -> NDArray[np.uint64] | None:
        """Fingerprints of the samples that the model has seen; None if they were not kept."""
        from safetensors.numpy import load as load_tensors

        return load_tensors(bytes(self._members[HEAD])).get("provenance")

    @property
    def inputs(self) -> dict[str, str]:
        """Type and shape of the graph's inputs by name, such as ``"uint8 [N, H, W, C]"``."""
        return spelled_shapes(self._runner.takes)

    @property
    def outputs(self) -> dict[str, str]:
        """Type and shape of the graph's outputs by name."""
        return spelled_shapes(self._runner.gives)

    def part(self, name: str) -> bytes:
        """Return the content of a part of the bundle.

        Parameters
        ----------
        name : str
            Such as ``"README.md"``, the model card.

        Returns
        -------
        bytes

        Raises
        ------
        KeyError
            If there is none of this name.
        """
        if name not in self._members:
            raise KeyError(f"The bundle has no {name!r}; it has {list(self._members)}.")
        return bytes(self._members[name])

    def __repr__(self) -> str:
        return description.in_one_line(self.manifest)

    def __str__(self) -> str:
        return description.in_text(self.manifest, self.signature)

    def _repr_html_(self) -> str:
        return description.in_html(self.manifest, self.signature, self.part)

    def _only(self, name: str, advice: str, X: object, features: object, subset: str | None) -> Any:
        if name not in self._runner.outputs:
            raise AttributeError(f"The model gives no {name}. {advice}")
        return getattr(self.predict_all(X, features=features, subset=subset), name)
