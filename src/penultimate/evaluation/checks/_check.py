"""The finding of a check: an id, what was found, why it matters and what to do."""

from dataclasses import asdict, dataclass

# For each id: why the finding matters, and what to do.
ABOUT = {
    "test-samples-seen": (
        "The accuracy on samples that were seen in training says nothing about new samples (data "
        "leakage).",
        "Drop the duplicates (--drop-duplicates, Dataset.without_duplicates), or score other "
        "samples.",
    ),
    "selection-on-training-samples": (
        "Features of samples that the network was trained on look easier than those of new "
        "samples: the selection score is optimistic and may select the wrong hyper-parameters.",
        "Use selection='heldout' or 'crossfit', with a network not trained on these samples.",
    ),
    "scaler-fitted-on-test": (
        "The scaling of the features was fitted on the test samples, too: they are no longer "
        "unseen.",
        "Fit the scaler on the training samples only, as a step of a Pipeline.",
    ),
    "probabilities-as-features": (
        "Softmax outputs have lost most of the information that the network has about a sample.",
        "Cut the network at layer='penultimate', before the softmax.",
    ),
    "unscaled-features": (
        "The features with the largest scale dominate the kernel, and the usual values of C and "
        "gamma do not apply.",
        "Standardize the features, for example with StandardScaler in a Pipeline.",
    ),
    "unstable-features": (
        "The features of a sample change from call to call: dropout or augmentation is still on.",
        "Extract features in inference mode, as FeatureExtractor does.",
    ),
    "grid-edge": (
        "The best setting is on the edge of the grid, by a clear margin: there may be a better one "
        "beyond it.",
        "Extend the grid in that direction.",
    ),
    "class-imbalance": (
        "A classifier that only predicts the most frequent classes has a high accuracy.",
        "Check the confusion matrix and the balanced accuracy; weight the samples or add some.",
    ),
    "duplicates-across-classes": (
        "The same image has different labels: at least one of them is wrong.",
        "Inspect these images and correct their labels.",
    ),
    "duplicates-in-selection": (
        "Hyper-parameters are selected on samples that were also used for fitting: the selection "
        "score is optimistic.",
        "Drop the duplicates (--drop-duplicates, Dataset.without_duplicates).",
    ),
    "groups-split": (
        "Samples of one group, such as a writer, are alike: the accuracy on known groups says "
        "little about new groups.",
        "Keep groups whole: pass groups (--group-from-filename) and split by group.",
    ),
    "few-test-samples": (
        "The accuracy estimate is too uncertain to show the small differences that are typical of "
        "good methods.",
        "Collect more samples, or hold out more. Unless the data came with its own test set, "
        "several splits (--splits) narrow the interval, too.",
    ),
    "other-training-samples": (
        "The classifiers compared were trained on different samples: the difference may come from "
        "the samples, not from the method.",
        "Train all classifiers on the same samples.",
    ),
    "one-hot-labels": (
        "A classifier would treat each column as a separate label.",
        "Pass one label per sample: y.argmax(axis=1), or the class names.",
    ),
    "misordered-labels": (
        "The labels are no better than chance given the images: they are probably in a different "
        "order, for example after a shuffled loader.",
        "Read images and labels together, in one pass.",
    ),
    "network-undertrained": (
        "Beating a network that did not train properly shows nothing about the head: any "
        "classifier would do so.",
        "Train longer (--epochs), use more samples or another network, or check the learning rate "
        "and the scale of the inputs; then compare again.",
    ),
    "training-samples-unknown": (
        "If the network was trained on some of these samples, every figure here is too optimistic: "
        "the selection scores, the accuracies and the guarantees derived from them.",
        "Record the training samples: penultimate.provenance.record(network, X), or "
        "record(network, []) if it was trained on none of these.",
    ),
    "images-left-out": (
        "If the unreadable files are of one kind, the accuracy only applies to the other kinds.",
        "Fix the files, or state in your report that they are missing.",
    ),
}


@dataclass(frozen=True)
class Check:
    """Finding of a check.

    Attributes
    ----------
    id : str
        Key of `ABOUT`.
    message : str
        What was found, with figures.
    level : {"info", "warning", "error"}
    """

    id: str
    message: str
    level: str = "warning"

    @property
    def why(self) -> str:
        """Why the finding matters."""
        return ABOUT[self.id][0]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return ABOUT[self.id][1]

    def to_dict(self) -> dict[str, str]:
        """Return the finding as plain data: ``id``, ``level``, ``message``, ``why`` and ``advice``.

        Returns
        -------
        dict of str to str
        """
        return {**asdict(self), "why": self.why, "advice": self.advice}
