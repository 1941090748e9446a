"""What a final model is made of, and what of it is impossible."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from penultimate._common.door import spelled
from penultimate._common.protocols import Head
from penultimate._common.validation import check_choice, check_number
from penultimate.comparison.methods import FEATURE_METHODS
from penultimate.comparison.protocol import Protocol
from penultimate.datasets import Dataset
from penultimate.networks import Training, is_frozen
from penultimate.networks.probabilities import numbers_classes
from penultimate.selection.best_head import HeadSearchCV
from penultimate.selection.normalization import Normalization

# Heads to choose from, if none is named: an SVM with each kernel, and the control. The others have
# no graph (forests, neighbors), or are for more samples than most have (random features).
HEADS = ("svm-rbf", "svm-linear", "logistic")
SOFTMAX = "softmax"  # the network's own, which is no head on its features
OFFERED = (*HEADS, "rff", "svm-linear-streamed", SOFTMAX)


@dataclass(frozen=True)
class FinalSettings:
    """What a final model is made of.

    Attributes
    ----------
    network : object
        As in `DeepSVC`; not used for features.
    heads : sequence of str
        Names of heads, from which the best by selection score is used.
    layer : str or list of str
    normalization : str, None or list
    training : Training
    seed : int
    protocol : Protocol
        With a single holdout.
    test : bool
        Whether a test set is held out; otherwise the model is fitted on all samples.
    risk, coverage : float or None
        Whether the model may abstain, as in `AbstainingClassifier`.
    novelty : float or None
        False-alarm rate of *none of the classes*, as in `AbstainingClassifier`.
    n_jobs : int or None
    """

    network: Any = "compact"
    heads: Sequence[str] = HEADS
    layer: str | list[str] = "penultimate"
    normalization: Normalization | list[Normalization] = "standardize"
    training: Training | None = None
    seed: int = 0
    protocol: Protocol = field(default_factory=Protocol)
    test: bool = True
    risk: float | None = None
    coverage: float | None = None
    novelty: float | None = None
    n_jobs: int | None = -1

    def check(self) -> None:
        """Raise ``TypeError`` or ``ValueError`` for a setting that is invalid."""
        self.protocol.check()
        for head in self.heads:
            check_choice(head, "head", "fit", OFFERED)
        if SOFTMAX in self.heads and len(self.heads) > 1:
            raise ValueError(
                f"{spelled('--head', 'heads')} softmax is the network's own last layer, with "
                f"nothing to select: name it alone; got {', '.join(self.heads)}."
            )
        # Cross-fitting has a network per fold, of which none is the one that is taken away.
        by_folds = self.protocol.selection == "crossfit"
        if SOFTMAX in self.heads and by_folds and not is_frozen(self.network):
            raise ValueError(
                f"{spelled('--head', 'heads')} softmax takes one network: use "
                f"{spelled('--selection', 'selection')} heldout."
            )
        # What is taken away states what to expect of it, which an optimistic score does not say.
        if self.protocol.selection == "resubstitution":
            raise ValueError(
                f"{spelled('--selection', 'selection')} resubstitution calibrates nothing and "
                "chooses by an optimistic score; use heldout or crossfit."
            )
        if self.risk is not None and self.coverage is not None:
            raise ValueError(
                f"Give {spelled('--risk', 'risk')} or {spelled('--coverage', 'coverage')}, not "
                f"both; got {self.risk} and {self.coverage}."
            )
        if self.novelty is not None and SOFTMAX in self.heads:
            raise ValueError(
                f"{spelled('--novelty', 'novelty')} needs features, and "
                f"{spelled('--head', 'heads')} softmax has none: choose another head."
            )
        for name in ("risk", "coverage", "novelty"):
            if (value := getattr(self, name)) is not None:
                check_number(value, name, "fit", low=0, high=1, open_low=True, open_high=True)

    def in_words(self) -> dict[str, Any]:
        """Return the protocol as a bundle states it."""
        holdout = self.protocol.holdouts[0]
        return {
            "selection": self.protocol.selection,
            "test_size": holdout.test_size if self.test else 0,
            "by_group": holdout.by_group,
            "seed": self.seed,
        }

    def make_head(self) -> Head:
        """Return the unfitted head: one search, or a choice among several."""
        searches = []
        for name in self.heads:
            make = FEATURE_METHODS[name].make_head
            assert make is not None
            searches.append((name, make(self.n_jobs, self.seed)))
        # A choice of one would only add a layer to every name of a parameter.
        return searches[0][1] if len(searches) == 1 else HeadSearchCV(searches)


def check_softmax(dataset: Dataset, network: object, some: NDArray[Any]) -> None:
    """Raise ``ValueError`` if there is no softmax of these classes, as some samples show."""
    others = f"Choose another head: {', '.join(HEADS)}."
    if not dataset.has_images:
        raise ValueError(f"softmax is a network's last layer, and the data are features. {others}")
    if dataset.subsets:
        raise ValueError(f"Specialists have no softmax of their own. {others}")
    # A network that is trained here gets its outputs from the classes.
    if is_frozen(network) and not numbers_classes(network, len(dataset.classes), some):
        raise ValueError(
            f"The network has no output for each of the {len(dataset.classes)} classes of the "
            f"data, so its own softmax cannot tell them apart. {others}"
        )
