import tarfile

import numpy as np
import pytest
from PIL import Image

from penultimate import datasets
from tests.datasets.conftest import fill


def test_folder_per_class(folders):
    data = datasets.load(folders)
    assert (data.name, data.classes) == ("photos", ("9", "10"))
    assert data.images.shape == (10, 8, 8, 1)
    for label in (0, 1):
        # Files in natural order within the class, and the right pixels beside each label.
        expected = int(data.classes[label]) + np.arange(5)
        np.testing.assert_array_equal(data.images[data.labels == label, 0, 0, 0], expected)


def test_hidden_files_are_no_images(folders):
    (folders / "9" / ".DS_Store").write_text("x")
    (folders / ".git").mkdir()
    assert len(datasets.load(folders).images) == 10


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        datasets.load(tmp_path / "nowhere")


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="has no folder of images per class; it is empty"):
        datasets.load(tmp_path)


def test_images_without_class_folders(tmp_path):
    fill(tmp_path / "all", 3)
    with pytest.raises(ValueError, match="its 3 images are all in one place"):
        datasets.load(tmp_path / "all")


def test_image_next_to_class_folders(folders):
    Image.new("L", (8, 8)).save(folders / "stray.png")
    with pytest.raises(ValueError, match=r"'stray.png', lies next to the class folders"):
        datasets.load(folders)


def test_empty_class_folder(folders):
    (folders / "11").mkdir()
    with pytest.raises(ValueError, match=r"class folder .*11' holds no image"):
        datasets.load(folders)


def test_folder_of_subsets(sets):
    data = datasets.load(sets, subsets=True)
    assert data.classes == ("numerals/0", "numerals/1", "vowels/0", "vowels/1")
    assert data.subsets == {"numerals": (0, 1), "vowels": (2, 3)}
    # The same name in two subsets is two classes, and the right pixels stand beside each.
    for label, grey in enumerate((100, 110, 0, 10)):
        np.testing.assert_array_equal(
            data.images[data.labels == label, 0, 0, 0], grey + np.array([0, 2, 1, 3])
        )


def test_folder_of_subsets_that_was_not_announced(sets):
    with pytest.raises(ValueError, match=r"set of classes itself\? Then read.*subsets=True"):
        datasets.load(sets)


def test_class_folders_read_as_subsets(folders):
    with pytest.raises(ValueError, match="no folder of images per class; its 5 images"):
        datasets.load(folders, subsets=True)


def test_groups_from_file_names(sets):
    data = datasets.load(sets, subsets=True, group_from_filename="(?P<group>[^_]+)_")
    assert data.groups.tolist() == ["w0", "w0", "w1", "w1"] * 4


def test_arrays_have_no_file_names(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.zeros((4, 8, 8), np.uint8), y=[0, 1, 0, 1])
    with pytest.raises(ValueError, match="group_from_filename is for image files; 'a.npz' holds"):
        datasets.load(tmp_path / "a.npz", group_from_filename="(.)")
    with pytest.raises(ValueError, match="subsets is for image files"):
        datasets.load(tmp_path / "a.npz", subsets=True)


def test_one_class(tmp_path):
    fill(tmp_path / "only", 5)
    only = datasets.load(tmp_path)  # enough to score a model on
    assert only.classes == ("only",)
    with pytest.raises(ValueError, match="1 class, 'only'"):
        only.without_empty_classes()


def test_file_that_is_no_image(folders):
    (folders / "9" / "readme.txt").write_text("hello")
    (folders / "9" / "labels.csv").write_text("path,label")
    (folders / "9" / "Thumbs.db").write_bytes(b"")
    data = datasets.load(folders)
    assert len(data.images) == 10
    assert data.notes == (
        "1 hidden or system file or folder was left out: Thumbs.db.",
        "2 files that are no images were left out: labels.csv, readme.txt.",
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.heic", "HEIC photos can't be read here; convert them to JPEG"),
        ("a.CR3", "CR3 photos can't be read here; convert them to JPEG"),
        ("a.jpg", "despite its name it is a HEIC or AVIF photo, or a film; convert it to JPEG"),
    ],
)
def test_photos_to_be_converted(folders, name, words):
    (folders / "9" / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(ValueError, match=words):
        datasets.load(folders)
    assert words in datasets.load(folders, skip_corrupt=True).notes[0]


def test_earlier_report_next_to_the_class_folders(folders):
    (folders / "out").mkdir()
    for name in ("report.html", "results.json", "errors.csv", "predictions.csv"):
        (folders / "out" / name).write_text("{}")
    assert datasets.load(folders).classes == ("9", "10")


def test_folder_inside_a_class_folder(folders):
    fill(folders / "9" / "more", 2)
    with pytest.raises(ValueError, match="holds a folder, 'more'"):
        datasets.load(folders)


def test_broken_link(folders):
    (folders / "9" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(ValueError, match="gone.png"):
        datasets.load(folders)


def test_name_that_is_no_text(folders):
    (folders / "9").rename(folders / "caf\udce9")
    name = datasets.load(folders).classes[1]
    assert name.encode("utf-8") == b"caf\\udce9"


def test_unknown_form(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"neither a folder, a .csv manifest, an .npz, a .parquet nor"
    ):
        datasets.load(tmp_path / "a.h5")


@pytest.mark.parametrize("size", [3, (8, 8, 3), -1])
def test_bad_image_size(folders, size):
    with pytest.raises(ValueError, match="image_size"):
        datasets.load(folders, image_size=size)


@pytest.mark.slow
def test_real_photographs(shared_data, tmp_path):
    with tarfile.open(shared_data / "trashnet.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = next(path.parent.parent for path in tmp_path.rglob("*.jpg"))
    data = datasets.load(folder, image_size=(32, 24))
    assert data.images.shape == (480, 32, 24, 3)
    assert len(data.classes) == 6
    assert "resized to 32 x 24 (from 512 x 384)" in data.notes[0]


@pytest.mark.slow
def test_real_subsets(shared_data, tmp_path):
    """Every eighth file of the real archive, in an archive like it."""
    path = tmp_path / "nhcd.tar.gz"
    with tarfile.open(shared_data / "nhcd.tar.gz") as whole, tarfile.open(path, "w:gz") as part:
        for k, member in enumerate(whole):
            if member.isdir() or k % 8 == 0:
                part.addfile(member, whole.extractfile(member))
    data = datasets.load(path, subsets=True, group_from_filename="(?P<group>[^_]+)_")
    sizes = {name: len(data.subset_samples(name)) for name in data.subsets}
    assert sizes == {"consonants": 918, "numerals": 360, "vowels": 333}
    assert data.view("numerals").classes == tuple("0123456789")
    assert data.images.shape == (1611, 28, 28, 1)
    assert data.name == "nhcd"
    assert len(set(data.groups)) == 43
