"""What a check has found: an id, what was seen, why it matters and what to do."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Why each matters, and what to do.
ABOUT = {
    "test-samples-seen": (
        "An accuracy on samples that were seen in training says nothing of new ones.",
        "Drop the duplicates (--drop-duplicates, Dataset.without_duplicates), or score others.",
    ),
    "selection-on-training-samples": (
        "Features of samples that the network was trained on look easier than those of new ones: "
        "the selection score is optimistic, and may choose the wrong parameters.",
        "Use selection='heldout' or 'crossfit', with a network that has not seen the samples.",
    ),
    "scaler-fitted-on-test": (
        "The scale of the features was learnt with the test samples: they are no longer unseen.",
        "Fit the scaler on the training samples alone, as a step of a Pipeline.",
    ),
    "probabilities-as-features": (
        "Softmax outputs have lost most of what the network knows of a sample.",
        "Cut the network at layer='penultimate', before the softmax.",
    ),
    "unscaled-features": (
        "A kernel sees the largest features alone, and C and gamma mean something else.",
        "Standardise the features, as with StandardScaler in a Pipeline.",
    ),
    "unstable-features": (
        "The same sample has other features each time: dropout or augmentation is still on.",
        "Extract features in inference mode, as FeatureExtractor does.",
    ),
    "grid-edge": (
        "The best setting lies on the edge of the grid, and clearly so: a better one may lie "
        "beyond.",
        "Extend the grid in that direction.",
    ),
    "class-imbalance": (
        "A classifier that knows only the commonest classes has a high accuracy.",
        "Look at the confusion matrix and the balanced accuracy; weight or add samples.",
    ),
    "duplicates-across-classes": (
        "Exactly the same image has different labels: at least one of them is wrong.",
        "Look at these images, and mend their labels.",
    ),
    "duplicates-in-selection": (
        "Parameters are chosen on samples that were fitted on: the selection score is optimistic.",
        "Drop the duplicates (--drop-duplicates, Dataset.without_duplicates).",
    ),
    "groups-split": (
        "Samples of one group, such as a writer, are alike: an accuracy on known groups says "
        "little of new ones.",
        "Keep groups whole: pass groups (--group-from-filename), and split by group.",
    ),
    "few-test-samples": (
        "The accuracy is known only roughly: differences as small as those between good methods "
        "can't be seen.",
        "Hold out more samples (test_size), collect more, or compare on several splits.",
    ),
    "other-training-samples": (
        "What was learnt on other samples is compared: the difference may be theirs, not the "
        "method's.",
        "Train all on the same samples.",
    ),
    "one-hot-labels": (
        "A classifier would take each column for a label of its own.",
        "Pass one label a sample: y.argmax(axis=1), or the class names.",
    ),
    "misordered-labels": (
        "Labels that tell nothing of the images are often in another order than these, as after a "
        "shuffled loader.",
        "Read images and labels together, in one pass.",
    ),
    "network-undertrained": (
        "A head that beats a network which did not train shows nothing about the head: any "
        "classifier would.",
        "Train longer (--epochs), on more samples or another network, or look at the learning "
        "rate and at the scale of the inputs; then compare again.",
    ),
    "training-samples-unknown": (
        "If the network was trained on some of these samples, every figure here is too good: the "
        "selection scores, the accuracies and what is guaranteed from them.",
        "Say what it was trained on: penultimate.provenance.record(network, X), or "
        "record(network, []) if on none of these.",
    ),
    "images-left-out": (
        "If what can't be read is of one kind, the accuracy is of the others.",
        "Mend the files, or say in a report that they are missing.",
    ),
}


@dataclass(frozen=True)
class Check:
    """What a check has found.

    Attributes
    ----------
    id : str
        A key of `ABOUT`.
    message : str
        What was seen, with figures.
    level : {"info", "warning", "error"}
    """

    id: str
    message: str
    level: str = "warning"

    @property
    def why(self) -> str:
        """Why it matters."""
        return ABOUT[self.id][0]

    @property
    def advice(self) -> str:
        """What to do."""
        return ABOUT[self.id][1]

    def to_dict(self) -> dict[str, str]:
        """Return it as plain data: ``id``, ``level``, ``message``, ``why`` and ``advice``.

        Returns
        -------
        dict of str to str
        """
        return {**asdict(self), "why": self.why, "advice": self.advice}


def examples(chosen: NDArray[np.bool_], names: Sequence[Any] | None) -> str:
    """Name the first three of the chosen samples."""
    positions = np.flatnonzero(chosen)
    shown = [str(k if names is None else names[k]) for k in positions[:3].tolist()]
    return ", ".join(shown) + (" ..." if len(positions) > 3 else ".")
