from pathlib import Path

import numpy as np
import pytest

from penultimate import Dataset


def pixels(n, *shape):
    return np.zeros((n, *(shape or (8, 8))), np.uint8)


def test_all_there_is_to_say(two_subsets):
    mask = np.arange(120) < 20
    data = Dataset(
        two_subsets.images, two_subsets.labels, two_subsets.classes, "bars", two_subsets.groups,
        mask, ("Resized.", "Skipped."), two_subsets.subsets, is_selection=mask[::-1],
    )  # fmt: skip
    assert repr(data).splitlines() == [
        "<Dataset 'bars': 120 images of 12 x 12 pixels, gray",
        "4 classes: bright/lying (30), bright/standing (30), dark/lying (30), dark/standing (30)",
        "test set of 20 images; selection part of 20 images; 8 groups",
        "2 subsets: bright (2 classes), dark (2 classes)",
        "2 notes, the first: Resized.>",
    ]


def test_one_image_of_one_class():
    data = Dataset(pixels(1, 4, 6, 3), np.array([0]), ("cat",), notes=("Read.",))
    assert repr(data) == (
        "<Dataset 'data': 1 image of 4 x 6 pixels, color\n1 class: cat (1)\n1 note: Read.>"
    )


def test_no_image_of_a_class():
    data = Dataset.from_arrays(pixels(2), ["cat", "dog"])
    assert "2 classes: cat (1), dog (0)>" in repr(data.take(np.array([0])))
    assert "0 images of 8 x 8" in repr(data.take(np.array([], int)))


@pytest.mark.parametrize("n_classes", [9, 10, 11, 12, 13, 200, 2_000])
def test_many_classes_are_counted(n_classes):
    data = Dataset.from_arrays(pixels(n_classes, 1, 1), [f"c{k}" for k in range(n_classes)])
    line = repr(data).splitlines()[1].rstrip(">")
    assert line.startswith(f"{n_classes:,} classes: c0 (1), c1 (1)")
    assert len(line) <= 100
    named, _, more = line.partition(", and ")
    assert named.count("(1)") + int(more.removesuffix(" more").replace(",", "") or 0) == n_classes


def test_whatever_is_in_it_it_has_five_lines():
    name, long = "a\nb<script>\u6587", "x" * 500
    data = Dataset(
        pixels(4), np.arange(4), (name, long, "c", "d"), name, list("abcd"),
        np.arange(4) == 0, ("A long\nnote. " * 90, long), {name: (0, 1), long: (2, 3)},
    )  # fmt: skip
    lines = repr(data).splitlines()
    assert len(lines) == 5
    assert lines[1].startswith("4 classes: a b<script>\u6587 (1), ")
    assert len(lines[4]) <= 101
    assert lines[4].endswith("...>")


def test_files_are_not_listed():
    data = Dataset.from_arrays(pixels(2), ["cat", "dog"])
    with_files = Dataset(data.images, data.labels, data.classes, files=np.array([Path("a"), "b"]))
    assert repr(with_files) == repr(data)


@pytest.mark.parametrize("images", [pixels(2), pixels(2, 8, 8, 4), pixels(2, 8, 8)])
def test_images_of_a_wrong_shape_are_described_as_well(images):
    data = Dataset(images, np.array([0, 1]), ("cat", "dog"))
    assert repr(data).startswith("<Dataset 'data': 2 images of 8")
    assert "2 classes: cat (1), dog (1)" in repr(data)
