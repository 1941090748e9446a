"""Folders as they lie on people's disks."""

import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image

from penultimate import datasets
from penultimate.comparison.plan import make_plan
from penultimate.splits import Holdout
from tests.datasets.conftest import fill

WITH_VALIDATION = [
    ("train", "val", "test"),
    ("TRAIN", "Valid", "Test"),
    ("Training", "validation", "Testing"),
    ("training_set", "valid_set", "test_set"),
    ("seg_train", "seg_val", "seg_test"),
    ("train", "dev", "test"),
    ("train2017", "val2017", "test2017"),
    ("trn", "val", "tst"),
]


def write_split(root, names, classes=("cat", "dog"), sizes=(12, 4, 5)):
    for k, (name, size) in enumerate(zip(names, sizes)):
        for c, label in enumerate(classes):
            fill(root / name / label, size, 100 * c + 20 * k)
    return root


def counts(data):
    """How many samples are trained on, selected on and tested on, as the split came."""
    test = np.zeros(len(data.labels), bool) if data.is_test is None else data.is_test
    chosen = np.zeros(len(data.labels), bool) if data.is_selection is None else data.is_selection
    return int((~test & ~chosen).sum()), int(chosen.sum()), int(test.sum())


@pytest.mark.parametrize("names", WITH_VALIDATION, ids="/".join)
@pytest.mark.parametrize("wrapper", ["", "data", "archive/dataset"])
def test_parts_of_a_split(tmp_path, names, wrapper):
    write_split(tmp_path / "pets" / wrapper, names)
    data = datasets.load(tmp_path / "pets")
    assert data.classes == ("cat", "dog")
    assert counts(data) == (24, 8, 10)
    assert data.name == (wrapper or "pets").split("/")[-1]
    for part, size in zip(names, (24, 8, 10)):
        assert f"{size} images in '{part}'" in data.notes[0]
    for k, label in enumerate(data.labels):  # the right pixels beside each label and part
        start = 100 * label + 20 * (1 if data.is_selection[k] else 2 if data.is_test[k] else 0)
        assert start <= data.images[k, 0, 0, 0] < start + 20
    plan = make_plan(data, Holdout(), [0, 1])
    np.testing.assert_array_equal(plan.split.held_out, np.flatnonzero(data.is_test))
    for split in plan.development_splits.values():
        chosen = plan.split.train[split.held_out]
        np.testing.assert_array_equal(chosen, np.flatnonzero(data.is_selection))


@pytest.mark.parametrize("form", ["zip", "tar", "gztar", "bztar", "xztar"])
def test_packed_split(tmp_path, form):
    write_split(tmp_path / "pets", ("train", "test"), sizes=(6, 2))
    path = shutil.make_archive(str(tmp_path / "packed"), form, tmp_path, "pets")
    data = datasets.load(path)
    assert (data.name, counts(data)) == ("pets", (12, 0, 4))


def test_each_part_wrapped_once_more(tmp_path):
    root = tmp_path / "scenes"
    write_split(root, ("seg_train/seg_train", "seg_test/seg_test"), sizes=(6, 2))
    fill(root / "seg_pred" / "seg_pred", 3)
    data = datasets.load(root)
    assert counts(data) == (12, 0, 4)
    assert any("'seg_pred' was left out" in note for note in data.notes)


@pytest.mark.parametrize("name", ["val", "Valid", "validation"])
def test_without_a_test_part_the_validation_part_is_tested_on(tmp_path, name):
    data = datasets.load(write_split(tmp_path, ("train", name), sizes=(6, 2)))
    assert counts(data) == (12, 0, 4)
    assert f"no test part, so '{name}' is the test set" in data.notes[1]


def test_training_part_alone(tmp_path):
    data = datasets.load(write_split(tmp_path / "pets", ("train",), sizes=(6,)))
    assert (data.name, data.classes, data.is_test) == ("pets", ("cat", "dog"), None)
    write_split(tmp_path / "more", ("train",), sizes=(6,))
    fill(tmp_path / "more" / "test", 4)
    data = datasets.load(tmp_path / "more")
    assert data.is_test is None
    notes = " ".join(data.notes)
    assert "All images are in 'train': the test set is drawn" in notes
    assert "The folder 'test' was left out: it holds 4 images and no class folders" in notes


def test_subsets_inside_a_split(sets, tmp_path):
    root = tmp_path / "split"
    shutil.copytree(sets, root / "train")
    shutil.copytree(sets, root / "test")
    data = datasets.load(root, subsets=True)
    assert data.classes == ("numerals/0", "numerals/1", "vowels/0", "vowels/1")
    assert counts(data) == (16, 0, 16)
    with pytest.raises(ValueError, match="subsets=True"):
        datasets.load(root)


def test_classes_that_differ_between_the_parts(tmp_path):
    decomposed = unicodedata.normalize("NFD", "Café")
    write_split(tmp_path, ("train",), ("Cat", "Dog"), (6,))
    write_split(tmp_path, ("train",), ("Café", "Cow"), (6,))
    write_split(tmp_path, ("test",), ("cat", "DOG", decomposed), (3,))
    (tmp_path / "test" / "Cow").mkdir()
    data = datasets.load(tmp_path)
    assert set(data.classes) == {"Cat", "Café", "Cow", "Dog"}
    assert counts(data) == (24, 0, 9)
    notes = " ".join(data.notes)
    assert "'cat' in 'test' was read as 'Cat'" in notes
    assert "The test set has no image of 1 class: 'Cow'." in notes


@pytest.mark.parametrize("subsets", [False, True])
def test_folders_that_differ_in_the_form_of_accents_are_one(tmp_path, subsets):
    for k, form in enumerate(("NFC", "NFD")):
        name = unicodedata.normalize(form, "Käse")
        # In subsets, the class inside is spelled in both ways, too.
        fill(tmp_path / name / name if subsets else tmp_path / name, 3, 10 * k)
        fill(tmp_path / name / "Brot" if subsets else tmp_path / f"Brot{k}", 3, 10 * k + 5)
    data = datasets.load(tmp_path, subsets=subsets)
    composed = unicodedata.normalize("NFC", "Käse")
    start = f"{composed}/" if subsets else ""
    assert len(data.classes) == 2 + (not subsets)
    assert (data.labels == data.classes.index(f"{start}{composed}")).sum() == 6
    assert f"2 folders named {composed!r} in {tmp_path.name!r} were read as one" in " ".join(
        data.notes
    )


def test_one_image_is_not_called_images(tmp_path):
    fill(tmp_path / "cat", 3)
    fill(tmp_path / "dog", 3, 10)
    shutil.copy(next((tmp_path / "cat").iterdir()), tmp_path / "loose.png")
    with pytest.raises(ValueError, match=r"^1 image, 'loose.png', lies next to"):
        datasets.load(tmp_path)


def test_classes_that_differ_in_case_are_two_where_both_are_trained_on(tmp_path):
    data = datasets.load(write_split(tmp_path, ("train", "test"), ("a", "A", "b"), (6, 2)))
    assert data.classes == ("A", "a", "b")
    assert "'A' and 'a' differ only in case" in " ".join(data.notes)


def test_class_that_is_not_trained_on(tmp_path):
    write_split(tmp_path, ("train",), ("cat", "dog"), (6,))
    write_split(tmp_path, ("test",), ("cat", "cow"), (3,))
    with pytest.raises(ValueError, match="no training samples, such as class 'cow'"):
        make_plan(datasets.load(tmp_path), Holdout(), [0])


@pytest.mark.parametrize(
    "classes",
    [("train", "plane", "test"), ("valid", "invalid"), ("test", "tube"), ("train", "bus")],
)
def test_classes_that_are_called_like_parts(tmp_path, classes):
    for k, name in enumerate(classes):
        fill(tmp_path / name, 5, 50 * k)
    data = datasets.load(tmp_path)
    assert (set(data.classes), data.is_test) == (set(classes), None)
    assert "not as a split" in data.notes[0]


def test_parts_or_classes(tmp_path):
    for name in ("train", "test"):
        fill(tmp_path / name, 5)
    with pytest.raises(ValueError, match=r"Are they the parts of a split\?.*Are they the classes"):
        datasets.load(tmp_path)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["val/a", "val/b", "test/a", "test/b"], "'test' and 'val', but no part to train on"),
        (["train/a", "train/b", "val/a", "valid/a"], "'val' and 'valid' in .* both name the valid"),
        (
            ["train/a", "train/b", "test/a", "more/a", "more/b"],
            "'more' lies next to 'test' and 'train'",
        ),
        (["x_train/a", "x_test/a", "y_train/a", "y_test/a"], "several splits, such as"),
    ],
)
def test_ambiguous_splits_are_refused(tmp_path, folders, message):
    for folder in folders:
        fill(tmp_path / folder, 5)
    with pytest.raises(ValueError, match=message):
        datasets.load(tmp_path)


def test_subsets_that_are_a_split(tmp_path):
    write_split(tmp_path, ("train", "test"), sizes=(6, 2))
    with pytest.raises(ValueError, match="look like the parts of a split, not like subsets: leave"):
        datasets.load(tmp_path, subsets=True)


def test_linked_folders(folders, tmp_path):
    linked = tmp_path / "links"
    linked.mkdir()
    for name in ("9", "10"):
        (linked / name).symlink_to(folders / name)
    assert datasets.load(linked).classes == ("9", "10")


@pytest.mark.parametrize("name", ["🐈 cats", "x" * 200, "a.b", "it's 100 %", "{0}", "Катя"])
def test_class_of_any_name(folders, name):
    (folders / "9").rename(folders / name)
    assert name in datasets.load(folders).classes


@pytest.mark.parametrize(
    ("name", "save_as"),
    [
        ("stray.JPG", "JPEG"),
        ("stray.jfif", "JPEG"),
        ("stray.Jpe", "JPEG"),
        ("stray.TIF", "TIFF"),
        ("stray.pnm", "PPM"),
        ("stray.dib", "BMP"),
        ("stray", "PNG"),
        ("stray.download", "WEBP"),
        ("stray.HEIC", None),
    ],
)
def test_stray_image_of_any_suffix(folders, name, save_as):
    if save_as is None:
        (folders / name).write_bytes(b"\0\0\0\x18ftypheic")
    else:
        Image.new("L", (8, 8)).save(folders / name, save_as)
    with pytest.raises(ValueError, match=rf"'{name}', lies next to the class folders"):
        datasets.load(folders)


def test_other_files_next_to_class_folders_are_ignored(folders):
    for name in ("readme.txt", "labels.csv", "P5 notes.md"):
        (folders / name).write_text("P5 is a format")
    assert len(datasets.load(folders).images) == 10


def test_subsets_are_advised_only_where_they_look_like_some(folders):
    fill(folders / "9" / "augmented", 2)
    with pytest.raises(ValueError, match="holds a folder, 'augmented', next to 5 files") as caught:
        datasets.load(folders)
    assert "subsets=True" not in str(caught.value)


def test_detection_data_says_what_it_lacks(tmp_path):
    fill(tmp_path / "images", 4)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances.json").write_text("{}")
    with pytest.raises(ValueError, match=r"annotations' holds no image, but 1 .*\.json.*JPEG, PNG"):
        datasets.load(tmp_path)


def test_table_next_to_one_folder_of_images(tmp_path):
    fill(tmp_path / "images", 4)
    (tmp_path / "labels.csv").write_text("path,label\n")
    with pytest.raises(ValueError, match=r"'labels.csv': pass that file itself"):
        datasets.load(tmp_path)


def test_what_may_be_a_split_or_subsets_is_told_how_to_say_which(tmp_path):
    write_split(tmp_path, ("first", "second"), sizes=(6, 2))
    with pytest.raises(ValueError, match=r"'first' and 'second', which .* split\?.*subsets=True"):
        datasets.load(tmp_path)
    assert set(datasets.load(tmp_path, subsets=True).subsets) == {"first", "second"}
    other = tmp_path / "other"
    write_split(other, ("first",), ("cat", "dog"), (6,))
    write_split(other, ("second",), ("1", "2"), (6,))
    with pytest.raises(ValueError, match="subsets=True") as caught:
        datasets.load(other)
    assert "parts of a split" not in str(caught.value)


def test_what_penultimate_wrote_into_the_folder_is_no_class(tmp_path):
    for name in ("cat", "dog"):
        fill(tmp_path / name, 3)
    written = (
        "report/report.html",
        "report/results.json",
        "report/models/svm.zip",
        "seen/report.html",
        "seen/evaluation.json",
        "look/look.html",
        "look/look.json",
        "store/feature-store.json",
        "cache/a/feature-store.json",
    )
    for path in written:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert datasets.load(tmp_path).classes == ("cat", "dog")
    # An empty folder may be a class whose images are missing.
    (tmp_path / "owl").mkdir()
    with pytest.raises(ValueError, match="'owl'|owl' holds no image"):
        datasets.load(tmp_path)
