"""The networks of a comparison: their training, and the one shared by the methods of a seed.

All heads of a seed stand on the same network, so that differences between them are due to the head
alone. With cross-fitting there is one more network per fold, used only to select the heads.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.progress import Progress
from penultimate._common.protocols import Network
from penultimate.comparison.frozen import FrozenFeatures
from penultimate.comparison.method import Method
from penultimate.comparison.own_softmax import OwnSoftmax
from penultimate.comparison.plan import Part, Plan
from penultimate.comparison.protocol import Protocol
from penultimate.networks import (
    FeatureExtractor,
    History,
    Training,
    build_network,
    fit_network,
    is_frozen,
    predict_probabilities,
)
from penultimate.networks.extractors import cut_each
from penultimate.networks.margins.builders import make_margin_loss
from penultimate.networks.training.fit import validation_split
from penultimate.selection.normalization import Normalization
from penultimate.splits.parts import Split

GIVEN = "features"  # what stands for the layer where the data are features


@dataclass(frozen=True)
class Settings:
    """The settings of a comparison, the same for every split.

    Attributes
    ----------
    methods : dict of str to Method
    network : str, callable, keras.Model or None
        None if the data are features, which need no network.
    training : Training
    protocol : Protocol
    n_jobs : int or None
    checkpoints : Path or None
        Folder from which interrupted trainings resume.
    batch_size : int
        Batch size for inference.
    headline : str or None
        Name of the SVM head that the verdict is about.
    layers, normalizations : tuple of str, tuple of str or None
        Those that heads on features choose from.
    frozen_features : FrozenFeatures or None
        Of a network that is not trained here.
    keep_models : bool
        Whether the classifiers of the first seed are kept.
    novelty : float or None
        False-alarm rate at which each class is left out in turn.
    """

    methods: dict[str, Method]
    network: Any
    training: Training
    protocol: Protocol
    n_jobs: int | None = None
    checkpoints: Path | None = None
    batch_size: int = 256
    headline: str | None = None
    layers: tuple[str, ...] = ("penultimate",)
    normalizations: tuple[Normalization, ...] = ("standardize",)
    frozen_features: FrozenFeatures | None = None
    keep_models: bool = False
    novelty: float | None = None

    @property
    def frozen(self) -> bool:
        """Whether nothing is trained before the heads: the network or the features came as such."""
        return self.network is None or is_frozen(self.network)

    @property
    def judges_strangers(self) -> str | None:
        """Name of the method on whose features classes are left out; None if it was not asked."""
        on_features = [name for name, each in self.methods.items() if each.inputs == "features"]
        if self.novelty is None or not on_features:
            return None
        return self.headline if self.headline in on_features else on_features[0]

    @property
    def needs_network(self) -> bool:
        """Whether any method uses the shared network of a seed."""
        return any(method.uses_network for method in self.methods.values())


@dataclass(frozen=True)
class Trainer:
    """Trains the networks of one split, each on the fit part of some or all classes.

    Attributes
    ----------
    settings : Settings
    plan : Plan
    images : ndarray of shape (n_development, ...)
        The input of the networks.
    progress : Progress
    """

    settings: Settings
    plan: Plan
    images: NDArray[Any]
    progress: Progress

    def train(
        self,
        part: Part,
        seed: int,
        training: Training,
        *,
        loss: str | None = None,
        split: Split | None = None,
        suffix: str = "",
    ) -> tuple[Network, History]:
        """Train a network whose outputs number the classes of its part from 0.

        All networks of a seed have the same initial weights, whatever the loss.
        """
        # Classes of a part are renumbered from 0, as a softmax over them needs.
        codes, groups = self.plan.codes, self.plan.groups
        split = self.plan.development_splits[seed] if split is None else split
        chosen = part.development[part.restrict(split).train]
        return fit_network(
            self.settings.network,
            self.images[chosen],
            np.searchsorted(part.classes, codes[chosen]),
            training,
            loss=None if loss is None else make_margin_loss(loss),
            groups=None if groups is None else groups[chosen],
            # So that no copy of a training sample gets into the validation slice.
            fingerprints=self.plan.fingerprints[chosen],
            seed=seed,
            progress=self.progress,
            checkpoint=self._checkpoint(part, seed, training, loss, suffix),
        )

    def _checkpoint(
        self, part: Part, seed: int, training: Training, loss: str | None, suffix: str
    ) -> Path | None:
        """Return the file of one training, unique among all those of a comparison."""
        folder = self.settings.checkpoints
        if folder is None:
            return None
        # Two trainings of one name would resume from each other, so the name holds all that differs
        # between the trainings of a comparison.
        kind = "random" if self.plan.groups is None else "group"
        subsets = [each.subset for each in self.plan.subset_parts]
        position = "all" if part.subset is None else subsets.index(part.subset)
        plain = "-plain" if training.augmentation is None else ""
        of_loss = "" if loss is None else f"-{loss}"
        name = f"{kind}-split-{self.plan.holdout.seed}-seed-{seed}-subset-{position}"
        return folder / f"{name}{plain}{of_loss}{suffix}.safetensors"


@dataclass
class SharedNetwork:
    """The shared network of one seed, and what the methods derive from it.

    Attributes
    ----------
    history : History or None
        None for a pre-trained network.
    by_layer : dict of str to dict of str to ndarray of shape (n_samples, n_features)
        The features of ``"development"`` and ``"test"`` at each layer.
    fold_features : list of dict of str to ndarray of shape (n_development, n_features)
        The features of development at each layer, from each fold's network, if heads are
        cross-fitted.
    fit_seconds : float
        Time of all its trainings, and of the extraction from development.
    extract_seconds : float
        Time of the extraction from the test set.
    own_softmax : OwnSoftmax or None
        Of a frozen network whose softmax is used.
    classify : callable or None
        Returns the probabilities of all classes for the test set; None if the data are features.
    extractors : dict of str to FeatureExtractor
        The network cut at each layer; empty if the data are features.
    """

    history: History | None
    by_layer: dict[str, dict[str, NDArray[np.float32]]]
    fold_features: list[dict[str, NDArray[np.float32]]]
    fit_seconds: float
    extract_seconds: float
    own_softmax: OwnSoftmax | None = None
    classify: Callable[[], NDArray[np.float32]] | None = None
    extractors: dict[str, FeatureExtractor] = field(default_factory=dict)
    _probabilities: NDArray[np.float32] | None = field(default=None, repr=False)

    @property
    def features(self) -> dict[str, NDArray[np.float32]]:
        """The features of ``"development"`` and ``"test"`` at the first layer."""
        return next(iter(self.by_layer.values()))

    @property
    def train_seconds(self) -> float:
        """The time of its own training, without the networks of the folds."""
        return 0.0 if self.history is None else self.history.seconds

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The probabilities of all classes for the test set, computed once."""
        # On demand: without a softmax or a router among the methods nobody asks for them.
        if self._probabilities is None:
            assert self.classify is not None  # no method asks this of features
            self._probabilities = self.classify()
        return self._probabilities

    def masked(self, part: Part, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the most probable among the classes of a part."""
        return part.classes[self.probabilities[chosen][:, part.classes].argmax(axis=1)]

    def masked_probabilities(self, part: Part, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the probabilities of a part's classes, renormalized to sum to one."""
        kept = self.probabilities[chosen][:, part.classes]
        sums = kept.sum(axis=1, keepdims=True)
        # A softmax that is certain of a class outside the part says nothing of those inside.
        return np.where(sums > 0, kept / np.where(sums > 0, sums, 1), np.float32(1 / kept.shape[1]))


def share_network(trainer: Trainer, seed: int, test_images: NDArray[Any]) -> SharedNetwork:
    """Train the network of a seed, or use the pre-trained one, and cut it."""
    settings, plan, progress = trainer.settings, trainer.plan, trainer.progress
    if settings.network is None:
        return _given_features(trainer, seed, test_images)
    if settings.frozen_features is not None:
        return _share_frozen(trainer, seed, settings.frozen_features)
    # With resubstitution the folds are for the searches alone; no network is trained on them.
    folds = plan.folds[seed] if settings.protocol.selection == "crossfit" else []
    fold_features, fit_seconds = [], 0.0
    for number, fold in enumerate(folds):
        of_fold, fold_history = trainer.train(
            plan.whole, seed, settings.training, split=fold, suffix=f"-fold-{number}"
        )
        start = time.perf_counter()
        # All of development: a candidate is fitted on this network's features of the other
        # folds, and scored on its features of this one.
        fold_features.append(_extract(of_fold, trainer.images, settings, plan, progress))
        fit_seconds += fold_history.seconds + time.perf_counter() - start
    # The network that is used and tested. With five folds this takes 5.0 times as long as
    # without: five networks on four fifths of the samples, and this one
    # (benchmarks/results/crossfit.md).
    model, history = trainer.train(plan.whole, seed, settings.training)
    # The extraction counts with the training: a head cannot be fitted without it.
    start = time.perf_counter()
    development = _extract(model, trainer.images, settings, plan, progress)
    middle = time.perf_counter()
    test = _extract(model, test_images, settings, plan, progress)
    return SharedNetwork(
        history,
        {
            layer: {"development": development[layer], "test": test[layer]}
            for layer in settings.layers
        },
        fold_features,
        fit_seconds + history.seconds + middle - start,
        time.perf_counter() - middle,
        classify=partial(predict_probabilities, model, test_images, batch_size=settings.batch_size),
        extractors=_cut(model, settings, plan),
    )


def _share_frozen(trainer: Trainer, seed: int, frozen: FrozenFeatures) -> SharedNetwork:
    """Return a split's part of what a frozen network computes."""
    settings, plan = trainer.settings, trainer.plan
    by_layer = {
        layer: plan.divide(values) for layer, values in frozen.by_layer(trainer.progress).items()
    }
    development = {layer: parts["development"] for layer, parts in by_layer.items()}
    # A frozen network is not trained on any fold, so it serves all of them.
    folds = plan.folds[seed] if settings.protocol.selection == "crossfit" else []
    needs_softmax = any(method.needs_softmax for method in settings.methods.values())
    return SharedNetwork(
        None,
        by_layer,
        [development] * len(folds),
        frozen.seconds * len(plan.split.train),
        frozen.seconds * len(plan.split.held_out),
        frozen.own_softmax(plan) if needs_softmax else None,
        partial(frozen.probabilities, plan),
        _parts_of(frozen.extractor(), settings),
    )


def _given_features(trainer: Trainer, seed: int, test: NDArray[Any]) -> SharedNetwork:
    """Return features that came as the data, in the place of a network that would compute them."""
    development = trainer.images
    # The same in every fold, like those of a frozen network.
    folds = [{GIVEN: development}] * len(trainer.plan.folds[seed])
    by_layer = {GIVEN: {"development": development, "test": test}}
    return SharedNetwork(None, by_layer, folds, 0.0, 0.0)


def _extract(
    model: Network, images: NDArray[Any], settings: Settings, plan: Plan, progress: Progress
) -> dict[str, NDArray[np.float32]]:
    """Compute the features of a network that was trained here, at each layer to choose from."""
    layers = list(settings.layers)
    layer = layers[0] if len(layers) == 1 else layers
    # Without images: a network that was trained here is fed the scale that it was trained on.
    extractor = FeatureExtractor(model, layer=layer, batch_size=settings.batch_size).fit(
        y=plan.codes
    )
    return dict(zip(layers, extractor.extract_each(images, progress), strict=True))


def _parts_of(extractor: FeatureExtractor, settings: Settings) -> dict[str, FeatureExtractor]:
    """Return a frozen network cut at each layer alone; nothing if it is not kept."""
    if not settings.keep_models:
        return {}
    if len(settings.layers) == 1:
        return {settings.layers[0]: extractor}
    return extractor.each(settings.layers)


def _cut(model: Network, settings: Settings, plan: Plan) -> dict[str, FeatureExtractor]:
    """Return a network that was trained here, cut at each layer; nothing if it is not kept."""
    if not settings.keep_models:
        return {}
    return cut_each(model, settings.layers, settings.batch_size, y=plan.codes)


def check_cuts(settings: Settings, plan: Plan, inputs: NDArray[Any]) -> None:
    """Raise ``ValueError`` for a layer that the network does not have, before any training."""
    if settings.frozen_features is not None:
        settings.frozen_features.extractor()
        return
    network, layers = settings.network, settings.layers
    named = [layer for layer in layers if layer != "penultimate"]
    if network is not None and named:
        # The layers of a named network or a builder are only known once it is built.
        untrained = build_network(network, inputs.shape[1:], len(plan.dataset.classes))
        FeatureExtractor(untrained, layer=named).fit()


def count_trainings(settings: Settings, plan: Plan) -> int:
    """Return how many networks a comparison trains on one split, for all seeds.

    Parameters
    ----------
    settings : Settings
    plan : Plan

    Returns
    -------
    int
    """
    # Methods that are fitted alike share their networks, as `run_plan` does.
    own = {
        (method.fit_key, part.subset)
        for method in settings.methods.values()
        if method.inputs == "network"
        for part in plan.parts(method)
    }
    shares = settings.needs_network and not settings.frozen
    crossfits = settings.protocol.selection == "crossfit"
    return sum(
        shares * (1 + (len(plan.folds[seed]) if crossfits else 0)) + len(own)
        for seed in plan.development_splits
    )


def check_trainings(settings: Settings, plan: Plan) -> None:
    """Raise ``ValueError`` if the validation slice of any planned training cannot be drawn."""
    trained = [plan.whole] if settings.needs_network and not settings.frozen else []
    for method in settings.methods.values():
        if method.inputs == "network":
            trained += plan.parts(method)
    for seed, split in plan.development_splits.items():
        for part in trained:
            for each in (split, *plan.folds[seed]):
                chosen = part.development[part.restrict(each).train]
                groups = None if plan.groups is None else plan.groups[chosen]
                prints = plan.fingerprints[chosen]
                # The call that each training makes later, made here for its errors alone.
                validation_split(plan.codes[chosen], groups, settings.training, seed, prints)
