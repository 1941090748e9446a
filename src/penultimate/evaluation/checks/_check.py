"""The finding of a check: an id, what was found, why it matters and what to do."""

from dataclasses import asdict, dataclass

from penultimate._common.door import spelled

# For each id: why the finding matters, and what to do.
ABOUT = {
    "test-samples-seen": (
        "The classifier has learned these samples, and may simply remember them: its accuracy on "
        "them says nothing about new samples (data leakage).",
        "Drop the duplicates (Dataset.without_duplicates), or test on other samples.",
    ),
    "selection-on-training-samples": (
        "Settings such as C and gamma were chosen on samples that the network had already learned. "
        "These look easier than new ones: the selection score is too good, and other settings may "
        "be better.",
        "Choose settings on other samples: selection='heldout' or 'crossfit', with a network that "
        "was not trained on them.",
    ),
    "scaler-fitted-on-test": (
        "The scaling of the features was fitted on the test samples, too: they are no longer "
        "unseen.",
        "Fit the scaler on the training samples only, as a step of a Pipeline.",
    ),
    "probabilities-as-features": (
        "The outputs of a softmax have lost most of what the network knows about a sample.",
        "Cut the network at layer='penultimate', before the softmax.",
    ),
    "unscaled-features": (
        "The features with the largest values decide alone which samples are alike, and the usual "
        "values of C and gamma do not fit.",
        "Standardize the features, for example with StandardScaler as a step of a Pipeline.",
    ),
    "unstable-features": (
        "The features of a sample change from call to call: dropout or augmentation is still on.",
        "Extract features in inference mode, as FeatureExtractor does.",
    ),
    "grid-edge": (
        "The best value is the smallest or the largest that was tried, by a clear margin: there "
        "may be a better one beyond it.",
        "Extend the grid in that direction.",
    ),
    "class-imbalance": (
        "Some classes are much rarer than others: a classifier that never answers with them still "
        "has a high accuracy.",
        "Look at the classes one by one, not at the accuracy alone; add samples of the rare ones, "
        "or give them larger weights.",
    ),
    "duplicates-across-classes": (
        "The same sample has different labels: at least one of them is wrong, and the classifier "
        "is taught both.",
        "Look at these samples, keep each in its true class, and delete the other copies.",
    ),
    "duplicates-in-selection": (
        "Settings such as C and gamma were chosen on copies of samples that the classifier had "
        "already learned: the selection score is too good.",
        "Drop the duplicates (Dataset.without_duplicates).",
    ),
    "groups-split": (
        "Samples of one group, such as the photos of one patient or the pages of one writer, are "
        "alike. With some in training and others in the test, the accuracy holds for these "
        "patients or writers, and says little about new ones.",
        "Keep each group on one side: a column 'group' in the manifest, or Dataset.with_groups.",
    ),
    "few-test-samples": (
        "With so few samples, chance decides several percentage points of the accuracy: small "
        "differences between methods cannot be shown.",
        "Collect more samples, or hold out more. Unless the data came with its own test set, "
        "several splits (a list of Holdouts) narrow the interval, too.",
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
        "Samples that look alike do not share a label more often than chance would have it: "
        "samples and labels are probably in different orders, as after a shuffled loader.",
        "Look at a few samples with their labels, and read both together, in one pass.",
    ),
    "network-undertrained": (
        "Beating a network that did not train properly shows nothing about the head: any "
        "classifier would do so.",
        "Train longer (Training(epochs=...)), use more samples or another network, or check the "
        "learning rate and the scale of the inputs; then compare again.",
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

# The same where options of the command line name it.
_AT_TERMINAL = {
    "training-samples-unknown": "Leave out what it was trained on, or take a network that is "
    "trained here: --network compact.",
    "test-samples-seen": "Drop the duplicates (--drop-duplicates), or test on other samples.",
    "selection-on-training-samples": "Choose settings on other samples: --selection heldout or "
    "crossfit.",
    "duplicates-in-selection": "Drop the duplicates (--drop-duplicates).",
    "groups-split": "Keep each group on one side: a column 'group' in the manifest, or "
    "--group-from-filename.",
    "few-test-samples": "Collect more samples. Unless the data came with its own test set, several "
    "splits (--splits 5) narrow the interval, too.",
    "network-undertrained": "Train longer (--epochs), or use more samples or another network; then "
    "compare again.",
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
        advice = ABOUT[self.id][1]
        return spelled(_AT_TERMINAL.get(self.id, advice), advice)

    def to_dict(self) -> dict[str, str]:
        """Return the finding as plain data: ``id``, ``level``, ``message``, ``why`` and ``advice``.

        Returns
        -------
        dict of str to str
        """
        return {**asdict(self), "why": self.why, "advice": self.advice}
