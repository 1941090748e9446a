import gzip
import tarfile

import numpy as np
import pytest
from PIL import Image

from penultimate import datasets
from tests.datasets.test_idx import idx_bytes


def fill(folder, n, value=0):
    folder.mkdir(parents=True)
    for i in range(n):
        Image.fromarray(np.full((8, 8), value + i, np.uint8)).save(folder / f"{i}.png")


@pytest.fixture
def folders(tmp_path):
    root = tmp_path / "photos"
    for name in ("10", "9"):
        fill(root / name, 5, int(name))
    return root


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
    with pytest.raises(ValueError, match="has no folder of images for each class; it is empty"):
        datasets.load(tmp_path)


def test_images_without_class_folders(tmp_path):
    fill(tmp_path / "all", 3)
    with pytest.raises(ValueError, match="its 3 images lie beside each other"):
        datasets.load(tmp_path / "all")


def test_image_beside_class_folders(folders):
    Image.new("L", (8, 8)).save(folders / "stray.png")
    with pytest.raises(ValueError, match=r"'stray.png', lie beside the class folders"):
        datasets.load(folders)


def test_empty_class_folder(folders):
    (folders / "11").mkdir()
    with pytest.raises(ValueError, match=r"class folder .*11' holds no image"):
        datasets.load(folders)


def test_folder_of_sets(tmp_path):
    fill(tmp_path / "numerals" / "0", 2)
    with pytest.raises(ValueError, match="is it a set of classes itself"):
        datasets.load(tmp_path)


def test_one_class(tmp_path):
    fill(tmp_path / "only", 5)
    with pytest.raises(ValueError, match="1 class, 'only'"):
        datasets.load(tmp_path)


def test_file_that_is_no_image(folders):
    (folders / "9" / "readme.txt").write_text("hello")
    with pytest.raises(ValueError, match="readme.txt: is no image"):
        datasets.load(folders)
    data = datasets.load(folders, skip_corrupt=True)
    assert len(data.images) == 10
    assert "readme.txt" in data.notes[0]


def manifest(folders, text):
    path = folders / "list.csv"
    path.write_text(text)
    return path


def test_manifest(folders):
    text = "path,label,group,split\n" + "".join(
        f"{c}/{i}.png,{name},w{i % 2},{'test' if i == 4 else 'train'}\n"
        for c, name in (("9", "nine"), ("10", "ten"))
        for i in range(5)
    )
    data = datasets.load(manifest(folders, text))
    assert data.classes == ("nine", "ten")
    assert data.groups.tolist() == ["w0", "w1", "w0", "w1", "w0"] * 2
    assert data.is_test.tolist() == [False] * 4 + [True] + [False] * 4 + [True]
    assert data.images[3, 0, 0, 0] == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na,b\n", r"columns path and label; its first line names \['file', 'label'\]"),
        ("path,label\n", "lists no image"),
        ("path,label\n9/0.png,\n", "line 2: the column 'label' is empty"),
        ("path,label\n9/77.png,a\n9/0.png,b\n", r"1 files .* do not exist; first: .*77.png"),
        ("path,label,split\n9/0.png,a,validation\n", "line 2: split must be 'train' or 'test'"),
        ("", "columns path and label"),
        ("path,label\n9/0.png,a,b\n", "line 2 has more entries than the header"),
        ("path,label\n9/0.png,a\n9/./0.png,b\n", r"line 3: '9/./0.png' stands in line 2 already"),
    ],
)
def test_bad_manifest(folders, text, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(manifest(folders, text))


def test_manifest_that_is_no_text(folders):
    path = folders / "list.csv"
    path.write_bytes(b"path,label\n\xff\xfe,a\n")
    with pytest.raises(ValueError, match="not CSV in UTF-8"):
        datasets.load(path)


def test_missing_files_of_a_manifest_can_be_left_out(folders):
    path = manifest(folders, "path,label\n9/77.png,a\n9/0.png,a\n10/0.png,b\n")
    data = datasets.load(path, skip_corrupt=True)
    assert len(data.images) == 2
    assert "77.png" in data.notes[0]


def test_npz(tmp_path):
    path = tmp_path / "digits.npz"
    np.savez(path, X=np.zeros((4, 8, 8), np.uint8), y=[1, 2, 1, 2], groups=[0, 0, 1, 1])
    data = datasets.load(path)
    assert (data.name, data.classes, data.groups.tolist()) == ("digits", ("1", "2"), [0, 0, 1, 1])


def test_npz_with_its_own_split(tmp_path):
    path = tmp_path / "digits.npz"
    images = np.zeros((4, 8, 8), np.uint8)
    np.savez(path, X_train=images, y_train=[1, 2, 1, 2], X_test=images[:2], y_test=[2, 1])
    data = datasets.load(path)
    assert data.is_test.tolist() == [False] * 4 + [True] * 2
    assert data.labels.tolist() == [0, 1, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": [1]}, r"must hold the arrays X and y.*it holds \['a'\]"),
        ({"X": np.zeros((3, 8, 8)), "y": [1, 2]}, "3 images but 2 labels"),
        ({"X": np.zeros((2, 9)), "y": [1, 2]}, "must be images"),
        (
            {"X_train": np.zeros((2, 8, 8)), "y_train": [1, 2],
             "X_test": np.zeros((2, 9, 9)), "y_test": [1, 2]},
            "differ in shape",
        ),
        (
            {"X_train": np.zeros((2, 8, 8)), "y_train": [1, 2],
             "X_test": np.zeros((2, 8, 8), np.uint8), "y_test": [1, 2]},
            "differ in type: float64, uint8",
        ),
        (
            {"X_train": np.zeros((2, 8, 8)), "y_train": [1, 2],
             "X_test": np.zeros((2, 8, 8)), "y_test": [1, 2], "groups": [1, 2]},
            "holds groups beside its own split",
        ),
        (
            {"X_train": np.zeros((2, 8, 8)), "y_train": [1, 2],
             "X_test": np.zeros((2, 8, 8)), "y_test": [1]},
            "test part has 2 images but 1 labels",
        ),
    ],
)  # fmt: skip
def test_bad_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        datasets.load(tmp_path / "a.npz")


def test_npz_with_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.array([{}, {}], dtype=object), y=[0, 1])
    with pytest.raises(ValueError, match="plain arrays"):
        datasets.load(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_broken_npz(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="can't be read as an .npz"):
        datasets.load(tmp_path / "a.npz")


def test_damaged_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=np.random.default_rng(0).random((4, 8, 8)), y=[0, 1, 0, 1])
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="damaged"):
        datasets.load(path)


def test_idx_folder(tmp_path):
    parts = {"train": (6, "train"), "t10k": (2, "t10k")}
    for n, prefix in parts.values():
        images = np.arange(n * 64, dtype="u1").reshape(n, 8, 8)
        labels = np.arange(n, dtype="u1") % 2
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    data = datasets.load(tmp_path)
    assert data.images.shape == (8, 8, 8, 1)
    assert data.is_test.sum() == 2
    with pytest.raises(ValueError, match="holds arrays. Resize them yourself"):
        datasets.load(tmp_path, image_size=8)


def test_half_of_an_idx_folder(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((2, 8, 8), "u1")))
    with pytest.raises(ValueError, match="not both train-images-idx3-ubyte and"):
        datasets.load(tmp_path)


def test_earlier_report_beside_the_class_folders(folders):
    (folders / "out").mkdir()
    for name in ("report.html", "results.json"):
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
    with pytest.raises(ValueError, match=r"neither a folder, a .csv manifest nor an .npz"):
        datasets.load(tmp_path / "a.h5")


@pytest.mark.parametrize("size", [3, (8, 8, 3), -1])
def test_bad_image_size(folders, size):
    with pytest.raises(ValueError, match="image_size"):
        datasets.load(folders, image_size=size)


def test_real_mnist(shared_data, tmp_path):
    with tarfile.open(shared_data / "mnist.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = next(path.parent for path in tmp_path.rglob("train-images*"))
    data = datasets.load(folder)
    assert data.images.shape == (70000, 28, 28, 1)
    assert data.is_test.sum() == 10000
    assert np.bincount(data.labels[data.is_test])[:2].tolist() == [980, 1135]


def test_real_photographs(shared_data, tmp_path):
    with tarfile.open(shared_data / "trashnet.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = next(path.parent.parent for path in tmp_path.rglob("*.jpg"))
    data = datasets.load(folder, image_size=(32, 24))
    assert data.images.shape == (480, 32, 24, 3)
    assert len(data.classes) == 6
    assert "resized to 32 x 24 (from 512 x 384)" in data.notes[0]
