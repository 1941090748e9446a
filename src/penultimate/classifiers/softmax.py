"""A network's own softmax as a classifier: the baseline of every head, as a model to take away.

A network that is trained here leaves a selection part out, as it would for a head: on it the
softmax is scored, and its probabilities are calibrated by one temperature. A trained network gets
nothing but that temperature, from samples that it has not seen.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.utils.validation import check_is_fitted

from penultimate._common.frames import level_outside
from penultimate._common.progress import observer
from penultimate._common.protocols import Builder, Network, PerSample, RandomState
from penultimate._common.seeds import draw_seed
from penultimate._common.validation import check_per_sample
from penultimate.classifiers._base import NetworkClassifier
from penultimate.classifiers._calibrating import check_calibration
from penultimate.classifiers._sample_form import SampleForm
from penultimate.evaluation.calibration import as_columns, calibrate_scores
from penultimate.networks import (
    FeatureExtractor,
    Training,
    fit_network,
    is_frozen,
    predict_probabilities,
    takes_pixels,
)
from penultimate.networks.adapting import open_network, prepares_images, stated_shape
from penultimate.networks.extractors import of_whole
from penultimate.networks.probabilities import numbers_classes
from penultimate.networks.single_images import copies_of
from penultimate.provenance.records import provenance_of
from penultimate.splits.draw import split_development

# Added to probabilities before their logarithm, here and in the graph, as scikit-learn does.
LEAST = np.float32(1e-12)


class SoftmaxClassifier(NetworkClassifier):
    """A network with its own softmax (or sigmoids, or scores), as a classifier.

    Parameters
    ----------
    network : str, builder, keras.Model, torch.nn.Module, path or FeatureExtractor
        As in `DeepSVC`: by name or by a builder it is trained, anything else is used as it is.
    classes : sequence, optional
        Of a trained network, the label of each output, in their order; by default the sorted
        labels.
    training : Training, optional
        How the network is trained.
    random_state : int, RandomState instance or None, default=None
    batch_size : int, default=256
    calibration : {"temperature"} or None, default=None
        Whether one temperature is fitted to held-out samples.

    Attributes
    ----------
    network_ : network
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    columns_ : ndarray of shape (n_classes,), int
        The output of each class.
    extractor_ : FeatureExtractor
        The whole network.
    input_shape_ : tuple or None
        Shape of a sample as the network takes it; None where it takes images of any size.
    calibrator_ : CalibratedClassifierCV or None
    best_score_ : float or None
        Accuracy on the held-out samples; None if there are none.
    history_ : History or None
        Of the training; None for a trained network.
    provenance_ : Provenance
        Fingerprints of the samples that the network and the temperature were fitted on.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import Training
    >>> from penultimate.classifiers import SoftmaxClassifier
    >>> y = np.repeat(["dark", "light"], 20)
    >>> X = np.random.default_rng(0).integers(0, 100, (40, 8, 8), dtype=np.uint8)
    >>> X[20:] += 100
    >>> training = Training(epochs=4, augmentation=None)
    >>> model = SoftmaxClassifier(training=training, random_state=0).fit(X, y)
    >>> model.predict_proba(X[[0, -1]]).sum(axis=1).round(3).tolist()
    [1.0, 1.0]
    """

    _SET_LAST = "extractor_"
    __metadata_request__fit = {"groups": True}

    def __init__(
        self,
        network: str | Builder | Network = "compact",
        *,
        classes: Sequence[Any] | None = None,
        training: Training | None = None,
        random_state: RandomState = None,
        batch_size: int = 256,
        calibration: str | None = None,
    ) -> None:
        self.network = network
        self.classes = classes
        self.training = training
        self.random_state = random_state
        self.batch_size = batch_size
        self.calibration = calibration

    @classmethod
    def of_trained(
        cls, network: str | Network, classes: Sequence[Any], X: PerSample | None = None
    ) -> "SoftmaxClassifier":
        """Return the classifier of a trained network, as it is.

        Parameters
        ----------
        network : keras.Model, torch.nn.Module, str, Path, onnx.ModelProto or FeatureExtractor
        classes : sequence
            The label of each output, in their order.
        X : array-like of shape (n_samples, ...), optional
            Some samples, as the network takes them; a torch module needs them, and so do images
            whose scale the network does not tell.

        Returns
        -------
        SoftmaxClassifier

        Raises
        ------
        ValueError
            If there are not as many classes as outputs, or one is named twice.
        """
        model = cls(network, classes=classes)
        model._check_network()
        model.history_, model.calibrator_, model.best_score_ = None, None, None
        if X is not None:
            model._check_form(X)
        elif takes_pixels(network):
            model._form = SampleForm.of(np.array([[[0, 255]]], np.uint8), takes_pixels=True)
        model._match(np.asarray(classes), X)
        model.provenance_ = provenance_of(open_network(network))
        return model._set_network(open_network(network), X)

    def fit(
        self, X: ArrayLike, y: ArrayLike | None = None, *, groups: ArrayLike | None = None
    ) -> Self:
        """Train the network, unless it is trained, and fit its temperature.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `DeepSVC`.
        y : array-like of shape (n_samples,)
            Labels of any type.
        groups : array-like of shape (n_samples,), optional
            Groups, none of which is in both the fit part and the held-out samples.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the samples or labels are invalid, or a trained network has other outputs.
        """
        check_calibration(self.calibration, "heldout")
        X, y, codes, prints = self._check_fit(X, y)
        groups = check_per_sample(groups, len(X), "groups", type(self).__name__)
        self._forget()
        self._warn_if_unknown()
        if is_frozen(self.network):
            self._match(self.classes_ if self.classes is None else np.asarray(self.classes), X)
            codes = np.searchsorted(self.classes_, y)
            network, self.history_ = open_network(self.network), None
            held_out = np.flatnonzero(~provenance_of(network).holds(prints))
        else:
            seed = draw_seed(self.random_state)
            copies = copies_of(X, prints)
            split = split_development(y, groups=groups, fingerprints=copies, seed=seed)
            held_out = split.held_out
            network, self.history_ = fit_network(
                self.network,
                X[split.train],
                codes[split.train],
                self.training,
                groups=None if groups is None else groups[split.train],
                fingerprints=None if copies is None else copies[split.train],
                seed=seed,
                progress=observer(),
            )
            self.columns_ = np.arange(len(self.classes_))
        self._set_network(network, X)
        self.calibrator_ = self.best_score_ = None
        if len(held_out):
            likely = self._likely(X[held_out])
            self.best_score_ = float((likely.argmax(axis=1) == codes[held_out]).mean())
            self.calibrator_ = self._calibrate(likely, codes[held_out])
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`, and on the same scale.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self._predict(self._check_samples(X))

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the probabilities of the network, at its temperature.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`, and on the same scale.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        likely = self._likely(self._check_samples(X))
        if self.calibrator_ is None:
            return likely
        return self.calibrator_.predict_proba(as_columns(_scores(likely)))

    def _predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return self.classes_[self._likely(X).argmax(axis=1)]

    def _likely(self, X: NDArray[Any]) -> NDArray[np.float32]:
        likely = predict_probabilities(self.network_, X, batch_size=self.batch_size)
        return likely[:, self.columns_]

    def _check_form(self, X: ArrayLike) -> None:
        """Remember the form of samples, without labels."""
        if prepares_images(self.network):
            self._form = SampleForm.of(np.array([[[0, 255]]], np.uint8), takes_pixels=True)
        else:
            self.network_ = self.network  # whose shape is checked
            self._check_samples(X, reset=True)

    def _match(self, outputs: NDArray[Any], X: PerSample | None) -> None:
        """Find the output of each class, given the label of each output."""
        self.classes_, self.columns_ = np.unique(outputs, return_index=True)
        if len(self.classes_) < len(outputs):
            raise ValueError(
                f"The 'classes' parameter must name each output once; got {outputs.tolist()[:5]}."
            )
        if not numbers_classes(self.network, len(outputs), None if X is None else X[:2]):
            if X is not None:
                # Whatever else is wrong with the samples says so itself.
                predict_probabilities(self.network, X[:2], batch_size=self.batch_size)
            raise ValueError(
                f"There are {len(outputs)} classes, and the network has another number of outputs. "
                "Name one class for each output, in their order: classes=[...]."
            )

    def _set_network(self, network: Network, X: PerSample | None) -> Self:
        """Take over a trained network, whose shape may be that of the samples alone."""
        self.network_ = network
        self.input_shape_ = stated_shape(network)
        if self.input_shape_ is None and X is not None and not prepares_images(network):
            self.input_shape_ = np.shape(X)[1:]
        some = None if X is None else X[:1]
        if X is None and prepares_images(network):
            some = [np.zeros((64, 64, 3), np.uint8)]  # any image shows what it puts out
        self.extractor_: FeatureExtractor = of_whole(network, some, self.batch_size)
        return self

    def _calibrate(
        self, likely: NDArray[np.float32], codes: NDArray[np.int64]
    ) -> CalibratedClassifierCV | None:
        if self.calibration is None:
            return None
        if len(np.unique(codes)) < len(self.classes_):
            warnings.warn(
                "The softmax is not calibrated: not every class is among the samples that the "
                "network has not seen. Pass more samples per class.",
                UserWarning,
                stacklevel=level_outside(),
            )
            return None
        return calibrate_scores(_scores(likely), codes, method="temperature")


def _scores(likely: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return logarithms of probabilities, minus their mean: of two classes, the second's."""
    scores = np.log(likely + LEAST)
    scores -= scores.mean(axis=1, keepdims=True)
    return scores[:, 1] if scores.shape[1] == 2 else scores
