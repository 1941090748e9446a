"""The parts of a split that came with the data: recognizing their names, assigning their roles."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penultimate._common.wording import quantity

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_WORDS = {
    TRAIN: ("train", "trn", "training", "trainset", "trainingset", "development", "fit"),
    VALIDATION: ("val", "valid", "validation", "valset", "validset", "validationset", "selection"),
    TEST: ("test", "tst", "testing", "testset", "testingset"),
    "dev": ("dev", "devset"),
}
_PARTS = {word: part for part, words in _WORDS.items() for word in words}


def part_of_name(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the part that a name stands for, and the remaining words of the name.

    The names of one split have the same remaining words: ``seg_train`` and ``seg_test``,
    ``Training Set`` and ``Test Set``, ``train2017`` and ``val2017``. ``"dev"`` is returned as a
    separate part, because its role depends on the other parts: with a training part it is for
    validation, without one it is the training part; `settle_dev` decides.

    Returns
    -------
    part, rest : str, tuple of str
        Instead, None for a name without such a word, or with several.
    """
    plain = name.strip().casefold()
    words = [word for word in re.split(r"[\s_.-]+|(?<=[a-z])(?=\d)", plain) if word]
    found = [index for index, word in enumerate(words) if word in _PARTS]
    if len(found) != 1:
        return None
    index = found[0]
    return _PARTS[words[index]], (*words[:index], *words[index + 1 :])


def settle_dev(parts: Sequence[str]) -> list[str]:
    """Resolve ``"dev"``: validation if there is a training part, else training."""
    dev = VALIDATION if TRAIN in parts else TRAIN
    return [dev if part == "dev" else part for part in parts]


@dataclass(frozen=True)
class GivenSplit:
    """Roles of the parts of a given split.

    Attributes
    ----------
    is_test, is_selection : ndarray of shape (n_samples,), bool, or None
        Masks of the test set and the selection part, if the split has them.
    notes : list of str
        Explanations of these decisions.
    """

    is_test: NDArray[np.bool_] | None
    is_selection: NDArray[np.bool_] | None
    notes: list[str]


def given_split(
    parts: Sequence[str], labels: Sequence[str], called: dict[str, str] | None = None
) -> GivenSplit:
    """Decide the role of each part of a split.

    ``test`` is the test set, and ``validation`` the selection part. Without a test part there are
    two interpretations. Here the validation part becomes the test set: it was set apart from
    training, and most published accuracies of such data are measured on it, whereas test samples
    drawn from the training part might be near-duplicates (frames of one video, photos of one
    object).

    Parameters
    ----------
    parts : sequence of {"train", "validation", "test"}
        Part of each sample.
    labels : sequence of str
        Label of each sample, for notes.
    called : dict of str to str, optional
        Names of the parts in the data, for notes and messages.

    Raises
    ------
    ValueError
        If there is no training part.
    """
    names = {part: part for part in (TRAIN, VALIDATION, TEST)} | (called or {})
    of_part = {part: np.array([p == part for p in parts]) for part in names}
    n = {part: int(members.sum()) for part, members in of_part.items()}
    if not n[TRAIN]:
        raise ValueError(
            "The split that came with the data has no training part: it puts "
            + " and ".join(
                f"{quantity(n[p], 'image')} into {names[p]!r}" for p in (VALIDATION, TEST) if n[p]
            )
            + ". Add one named 'train', or pass the data without a split."
        )
    if not n[TEST] and not n[VALIDATION]:
        return GivenSplit(
            None, None, [f"All images are in {names[TRAIN]!r}: the test set is drawn from these."]
        )
    tested = TEST if n[TEST] else VALIDATION
    notes = [
        "The data came with its own split, which was kept: "
        + ", ".join(
            f"{quantity(n[p], 'image')} in {names[p]!r}" for p in (TRAIN, VALIDATION, TEST) if n[p]
        )
        + "."
    ]
    if tested == VALIDATION:
        notes.append(
            f"It has no test part, so {names[VALIDATION]!r} is the test set, and hyper-parameters "
            f"are selected on images drawn from {names[TRAIN]!r}. If there were a part named "
            f"'test', {names[VALIDATION]!r} would be used for selection instead."
        )
    every = set(labels)
    for part, word in ((VALIDATION, "selection part"), (TEST, "test set")):
        missing = sorted(every - {label for label, p in zip(labels, parts) if p == part})
        if n[part] and missing:
            kind = "test set" if part == tested else word
            classes = quantity(len(missing), "class", "classes")
            listed = ", ".join(map(repr, missing[:3])) + " ..." * (len(missing) > 3)
            notes.append(f"The {kind} has no image of {classes}: {listed}.")
    is_selection = of_part[VALIDATION] if n[TEST] and n[VALIDATION] else None
    return GivenSplit(of_part[tested], is_selection, notes)
