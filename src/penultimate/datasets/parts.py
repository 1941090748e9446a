"""The parts of a split that came with the data: what their names mean, and what each is for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_WORDS = {
    TRAIN: ("train", "trn", "training", "trainset", "trainingset", "development", "fit"),
    VALIDATION: ("val", "valid", "validation", "valset", "validset", "validationset", "selection"),
    TEST: ("test", "tst", "testing", "testset", "testingset"),
    "dev": ("dev", "devset"),
}
_PARTS = {word: part for part, words in _WORDS.items() for word in words}


def part_of_name(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the part that a name stands for, and the rest of its words.

    Names of one split have the same rest: ``seg_train`` and ``seg_test``, ``Training Set`` and
    ``Test Set``, ``train2017`` and ``val2017``. ``"dev"`` is a part of its own here: beside
    a training part it is for validation, without one it is what is trained on; `settle_dev`
    decides.

    Returns
    -------
    part, rest : str, tuple of str
        Or None for a name with no such word, or with two.
    """
    plain = name.strip().casefold()
    words = [word for word in re.split(r"[\s_.-]+|(?<=[a-z])(?=\d)", plain) if word]
    found = [index for index, word in enumerate(words) if word in _PARTS]
    if len(found) != 1:
        return None
    index = found[0]
    return _PARTS[words[index]], (*words[:index], *words[index + 1 :])


def settle_dev(parts: Sequence[str]) -> list[str]:
    """Take ``"dev"`` for validation beside a training part, and for training without one."""
    dev = VALIDATION if TRAIN in parts else TRAIN
    return [dev if part == "dev" else part for part in parts]


@dataclass(frozen=True)
class GivenSplit:
    """What a given split's parts are for.

    Attributes
    ----------
    is_test, is_selection : ndarray of shape (n_samples,), bool, or None
    notes : list of str
    """

    is_test: NDArray[np.bool_] | None
    is_selection: NDArray[np.bool_] | None
    notes: list[str]


def given_split(
    parts: Sequence[str], labels: Sequence[str], called: dict[str, str] | None = None
) -> GivenSplit:
    """Decide what each part of a split is for.

    ``test`` is the test set, and ``validation`` the selection part. Without a test part there are
    two readings. Here the validation part is the test set: it is what was set apart from training,
    and most published accuracies of such data are measured on it; test samples drawn from the
    training part might be neighbors of it (frames of one video, photos of one object).

    Parameters
    ----------
    parts : sequence of {"train", "validation", "test"}
        Of each sample.
    labels : sequence of str
        Of each sample, for notes.
    called : dict of str to str, optional
        The parts' own names.

    Raises
    ------
    ValueError
        If there is nothing to train on.
    """
    names = {part: part for part in (TRAIN, VALIDATION, TEST)} | (called or {})
    of_part = {part: np.array([p == part for p in parts]) for part in names}
    n = {part: int(members.sum()) for part, members in of_part.items()}
    if not n[TRAIN]:
        raise ValueError(
            "The split that came with the data has no training part: it puts "
            + " and ".join(f"{n[p]:,} images into {names[p]!r}" for p in (VALIDATION, TEST) if n[p])
            + ". Add one named 'train', or give the data without a split."
        )
    if not n[TEST] and not n[VALIDATION]:
        return GivenSplit(
            None, None, [f"All images are in {names[TRAIN]!r}: the test set is drawn from these."]
        )
    tested = TEST if n[TEST] else VALIDATION
    notes = [
        "The data came with its own split, which was kept: "
        + ", ".join(f"{n[p]:,} images in {names[p]!r}" for p in (TRAIN, VALIDATION, TEST) if n[p])
        + "."
    ]
    if tested == VALIDATION:
        notes.append(
            f"It has no test part, so {names[VALIDATION]!r} is the test set, and parameters are "
            f"chosen on images drawn from {names[TRAIN]!r}. Beside a part named 'test' it would "
            "be what parameters are chosen on."
        )
    every = set(labels)
    for part, word in ((VALIDATION, "selection part"), (TEST, "test set")):
        missing = sorted(every - {label for label, p in zip(labels, parts) if p == part})
        if n[part] and missing:
            kind = "test set" if part == tested else word
            classes = "1 class" if len(missing) == 1 else f"{len(missing):,} classes"
            listed = ", ".join(map(repr, missing[:3])) + " ..." * (len(missing) > 3)
            notes.append(f"The {kind} has no image of {classes}: {listed}.")
    is_selection = of_part[VALIDATION] if n[TEST] and n[VALIDATION] else None
    return GivenSplit(of_part[tested], is_selection, notes)
