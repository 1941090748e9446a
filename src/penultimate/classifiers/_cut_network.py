"""Base of the classifiers on a network's features: the network, the split, the head's input.

A head must be selected on samples that its network has not seen, since features of training samples
are separated far better than those of new ones. For a network trained here that is the selection
part; for a frozen one, provenance decides which of the samples qualify.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from penultimate._common.frames import level_outside
from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Head, Transformer
from penultimate.classifiers._base import NetworkClassifier
from penultimate.networks import FeatureExtractor, build_network, fit_network, is_frozen
from penultimate.networks.adapting import open_network
from penultimate.networks.extractors import cut_each
from penultimate.networks.frameworks.keras_models import cut
from penultimate.networks.single_images import copies_of
from penultimate.provenance.leakage import LeakageWarning
from penultimate.provenance.records import provenance_of
from penultimate.selection.heads import check_head, inner_searches, takes, weight_params
from penultimate.selection.heldout import check_layers
from penultimate.selection.normalization import (
    Choice,
    Normalization,
    check_normalizations,
    choices,
)
from penultimate.splits.draw import MIN_PER_CLASS, split_development, split_folds
from penultimate.splits.parts import Split
from penultimate.svm import SVCSearchCV

_SELECTION_SIZE = 0.2  # as the default of `split_development`


@dataclass(frozen=True)
class Samples:
    """Samples with their labels, class indices, fingerprints, groups and weights, aligned."""

    X: NDArray[Any]
    y: NDArray[Any]
    codes: NDArray[np.int64]
    prints: NDArray[np.uint64]
    groups: NDArray[Any] | None
    weights: NDArray[np.float64] | None

    @property
    def copies(self) -> NDArray[np.uint64] | None:
        """The fingerprints by which splits keep exact copies together."""
        return copies_of(self.X, self.prints)

    def part(self, rows: NDArray[np.int64]) -> "Samples":
        """Take some of the samples."""
        given: list[Any] = [getattr(self, field.name) for field in fields(self)]
        parts: list[Any] = [None if values is None else values[rows] for values in given]
        return Samples(*parts)


class CutNetworkClassifier(NetworkClassifier):
    """Base class of classifiers on a network's features: trains the network and cuts it."""

    layer: str | list[str]
    normalization: Normalization | list[Normalization]
    head: Head | None

    # Like scikit-learn's splitters, these classifiers request groups by default.
    __metadata_request__fit = {"groups": True}

    def _make_head(self) -> Head:
        """Return the unfitted head; callers clone it."""
        return SVCSearchCV() if self.head is None else self.head

    def _check_fit(
        self, X: ArrayLike, y: ArrayLike | None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64], NDArray[np.uint64]]:
        owner = type(self).__name__
        layers = check_layers(self.layer, owner)
        check_normalizations(self.normalization, owner)
        check_head(self._make_head(), owner)
        X, y, codes, prints = super()._check_fit(X, y)
        named = [layer for layer in layers if layer != "penultimate"]
        if named and not is_frozen(self.network):
            # A misspelled name must be found before the training, not after it.
            untrained = build_network(self.network, X.shape[1:], len(self.classes_))
            for layer in named:
                cut(untrained, layer)
        return X, y, codes, prints

    def _choices(self) -> dict[Choice, Transformer]:
        """Return the pairs of layer and normalization that the head chooses from."""
        owner = type(self).__name__
        return choices(
            check_layers(self.layer, owner), check_normalizations(self.normalization, owner)
        )

    def _head_params(self, weights: NDArray[Any] | None, params: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of the head's `fit`: those requested, or all without routing."""
        head = self._make_head()
        if get_config()["enable_metadata_routing"]:
            given = {"sample_weight": weights, **params}
            given = {name: value for name, value in given.items() if value is not None}
            routed = dict(process_routing(self, "fit", **given)["head"]["fit"])
            if inner_searches(head):
                routed.pop("groups", None)  # it is given our folds, which already keep groups whole
            return routed
        if unknown := [name for name in params if name != "groups" and not takes(head, name)]:
            raise TypeError(
                f"{type(self).__name__}.fit got {unknown[0]!r}, which the head {head!r} does not "
                "take either."
            )
        others = {name: value for name, value in params.items() if name != "groups"}
        return {**weight_params(head, weights), **others}

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata is routed: see scikit-learn's user guide on metadata routing.

        Returns
        -------
        MetadataRouter
            `groups` and `sample_weight` are used by the network and the splits; the head receives
            what it requests.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(head=self._make_head(), method_mapping=mapping)

    def _fit_network(
        self,
        samples: Samples,
        fit_part: NDArray[np.int64],
        seed: int,
        progress: Progress = SILENT,
    ) -> dict[str, FeatureExtractor]:
        """Train the network on the fit part, or use a frozen one; return it cut at each layer."""
        if is_frozen(self.network):
            self.network_, self.history_ = open_network(self.network), None
        else:
            given = samples.part(fit_part)
            weights = given.weights
            self.network_, self.history_ = fit_network(
                self.network,
                given.X,
                given.codes,
                self.training,
                groups=given.groups,
                fingerprints=given.copies,
                # Normalized to mean 1: their unit must not change the weight of the loss relative
                # to its other terms, such as a regularizer.
                sample_weight=None
                if weights is None
                else (weights / weights.mean()).astype(np.float32),
                seed=seed,
                progress=progress,
            )
        layers = check_layers(self.layer, type(self).__name__)
        return cut_each(self.network_, layers, self.batch_size, samples.X, samples.codes)

    def _warn_if_seen(self, seen: NDArray[np.bool_]) -> None:
        """Warn if the network has seen samples that the head is selected on."""
        if seen.any() and self._selects():
            warnings.warn(
                f"The network has seen {seen.sum():,} of {len(seen):,} samples in training, so the "
                "head is selected on samples that it was trained on: the selection score is too "
                "optimistic, and the hyper-parameters may be poor. Pass samples that it has not "
                "seen.",
                LeakageWarning,
                stacklevel=level_outside(),
            )

    def _selects(self) -> bool:
        """Return whether anything is chosen by a score."""
        return bool(inner_searches(self._make_head())) or len(self._choices()) > 1

    def _split_unseen(self, samples: Samples, folds: bool, seed: int) -> Split | list[Split]:
        """Split so that the selection part, or each fold, is unseen by a frozen network.

        If the network has seen too many of the samples, warn that the selection is optimistic.
        """
        make: Callable[..., Any] = split_folds if folds else split_development
        rest = {"groups": samples.groups, "fingerprints": samples.copies, "seed": seed}
        seen = np.zeros(len(samples.codes), bool)
        if is_frozen(self.network):
            seen = provenance_of(open_network(self.network)).holds(samples.prints)
        if not seen.any():
            return make(samples.y, **rest)
        unseen = ~seen
        if samples.groups is not None:  # no group may be partly seen
            unseen &= ~np.isin(samples.groups, samples.groups[seen])
        splits = _among(samples, np.flatnonzero(unseen), folds, seed)
        if self._selects():
            count = f"The network has seen {seen.sum():,} of {len(seen):,} samples in training. "
            if splits:
                n_scored = len(np.unique(np.concatenate([split.held_out for split in splits])))
                count += f"The head is selected on {n_scored:,} of the {unseen.sum():,} others."
            else:
                count += (
                    f"The {unseen.sum():,} others are too few to select on ({MIN_PER_CLASS} of "
                    "each class are needed), so the head is selected on samples that the network "
                    "was trained on: its selection score is too optimistic, and its "
                    "hyper-parameters may be poor. Pass samples that the network has not seen."
                )
            warnings.warn(count, LeakageWarning, stacklevel=level_outside())
        if not splits:
            return make(samples.y, **rest)
        return splits if folds else splits[0]


def _among(samples: Samples, rows: NDArray[np.int64], folds: bool, seed: int) -> list[Split]:
    """Split so that only the given samples are held out; empty if there are too few of them."""
    part = samples.part(rows)
    every = np.arange(len(samples.codes))
    if len(rows) == 0 or np.bincount(part.codes, minlength=samples.codes.max() + 1).min() < (
        MIN_PER_CLASS
    ):
        return []
    rest: dict[str, Any] = {"groups": part.groups, "fingerprints": part.copies, "seed": seed}
    # Hold out as many as usual, but at most half of these: the head is also fitted on the rest.
    share = min(0.5, _SELECTION_SIZE * len(every) / len(rows))
    try:
        if folds:
            splits = split_folds(part.y, **rest)
        else:
            splits = [split_development(part.y, selection_size=share, **rest)]
    except ValueError:  # too few groups
        return []
    held_out = [rows[split.held_out] for split in splits]
    return [Split(np.setdiff1d(every, rows_out), rows_out) for rows_out in held_out]
