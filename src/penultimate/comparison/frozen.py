"""The features of a frozen network, computed once for all splits and seeds of a comparison.

A network that is not trained here gives a sample the same features whatever part the sample is in.
So all samples pass through it once, all layers at once; with a cache, only those that it has not
seen in an earlier run.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.progress import SILENT, Progress
from penultimate.comparison.own_softmax import OwnSoftmax, match_outputs
from penultimate.comparison.plan import Plan
from penultimate.networks import FeatureExtractor, predict_probabilities
from penultimate.networks.extractors import extractor_of


class FrozenFeatures:
    """What a frozen network computes from all samples, each thing when it is first needed.

    Parameters
    ----------
    network : object
        A trained network, or an extractor.
    inputs : ndarray of shape (n_samples, ...)
        Samples as the network takes them, or paths of image files.
    labels : ndarray of shape (n_samples,), int
    layers : sequence of str
    batch_size : int
    cache : Path or None
        Folder of feature stores.

    Attributes
    ----------
    seconds : float
        Time of the extraction, per sample.
    """

    def __init__(
        self,
        network: object,
        inputs: NDArray[Any],
        labels: NDArray[np.int64],
        layers: Sequence[str],
        batch_size: int,
        cache: Path | None = None,
    ) -> None:
        self.network = network
        self.inputs = inputs
        self.labels = labels
        self.layers = layers
        self.batch_size = batch_size
        self.cache = cache
        self.seconds = 0.0
        self._extractor: FeatureExtractor | None = None
        self._by_layer: dict[str, NDArray[np.float32]] | None = None
        self._softmax: dict[int, OwnSoftmax] = {}
        self._probabilities: dict[int, NDArray[np.float32]] = {}

    def extractor(self) -> FeatureExtractor:
        """Return the network, cut at all layers.

        Raises
        ------
        ValueError
            If there is no such layer, or the samples do not fit the network.
        """
        if self._extractor is None:
            layers = list(self.layers)
            layer = layers[0] if len(layers) == 1 else layers
            extractor = extractor_of(self.network, layer, self.batch_size)
            # On all inputs, as the scale of floats belongs to all of them.
            self._extractor = extractor.fit(self.inputs, self.labels)
        return self._extractor

    @property
    def prepared(self) -> str | None:
        """What is done to images before the network, in words."""
        prepare = self.extractor().preprocessing_
        return None if prepare is None else prepare.in_words()

    def by_layer(self, progress: Progress = SILENT) -> dict[str, NDArray[np.float32]]:
        """Return the features of all samples, by layer."""
        if self._by_layer is None:
            start = time.perf_counter()
            extractor = self.extractor()
            if self.cache is None:
                features = extractor.extract_each(self.inputs, progress)
            else:
                # Only here, as pyarrow takes a moment, and is an extra.
                from penultimate.networks.stored import cached_features

                features = cached_features(extractor, self.inputs, self.cache, progress)
            self._by_layer = dict(zip(self.layers, features, strict=True))
            # Per sample, since each split is charged for its own samples alone.
            self.seconds = (time.perf_counter() - start) / len(self.inputs)
        return self._by_layer

    def own_softmax(self, plan: Plan) -> OwnSoftmax:
        """Return how the network's outputs match the classes, by the development samples."""
        # By identity, as a plan holds arrays and cannot be hashed; it lives as long as we do.
        if id(plan) not in self._softmax:
            development = self.inputs[plan.split.train]
            self._softmax[id(plan)] = match_outputs(
                self.network,
                development,
                plan.codes,
                plan.dataset.classes,
                batch_size=self.batch_size,
            )
        return self._softmax[id(plan)]

    def probabilities(self, plan: Plan) -> NDArray[np.float32]:
        """Return the probabilities of the test samples, one column per class."""
        if id(plan) not in self._probabilities:
            test = self.inputs[plan.split.held_out]
            outputs = predict_probabilities(self.network, test, batch_size=self.batch_size)
            # Columns of a network from elsewhere are put into the order of our classes.
            self._probabilities[id(plan)] = outputs[:, self.own_softmax(plan).columns]
        return self._probabilities[id(plan)]
