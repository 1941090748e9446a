import gzip
import tarfile

import numpy as np
import pytest

from penultimate import datasets
from tests.datasets.test_idx import idx_bytes


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
        ({"X": np.zeros((3, 8, 8)), "y": [1, 2]}, "3 samples but 2 labels"),
        ({"X": np.zeros((2, 9, 9, 1, 1)), "y": [1, 2]}, "must have the shape"),
        ({"X": np.zeros((2, 9)), "y": [1, 2]}, "Every feature is the same in every sample"),
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
            "holds both groups and a split",
        ),
        (
            {"X_train": np.zeros((2, 8, 8)), "y_train": [1, 2],
             "X_test": np.zeros((2, 8, 8)), "y_test": [1]},
            "test part has 2 images but 1 label",
        ),
    ],
)  # fmt: skip
def test_bad_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        datasets.load(tmp_path / "a.npz")


def test_npz_with_objects_is_not_unpickled(tmp_path):
    X = np.zeros((2, 8, 8), np.uint8)
    for names in ("X", "y"), ("X_train", "y_train"):
        np.savez(tmp_path / "a.npz", **dict(zip(names, (X, np.array(["cat", None])))))
        with pytest.raises(ValueError, match=rf"{names[1]}\.astype\(str\) if these are labels"):
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


def test_real_mnist(shared_data, tmp_path):
    with tarfile.open(shared_data / "mnist.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = next(path.parent for path in tmp_path.rglob("train-images*"))
    data = datasets.load(folder)
    assert data.images.shape == (70000, 28, 28, 1)
    assert data.is_test.sum() == 10000
    assert np.bincount(data.labels[data.is_test])[:2].tolist() == [980, 1135]


@pytest.fixture
def raw(tmp_path):
    """A writer of a folder of IDX files, each image filled with the gray value of its label."""

    def write(folder, prefix="", *, test="t10k", gz=False, dot=False):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for part, n in (("train", 6), (test, 4)):
            labels = np.arange(n, dtype="u1") % 2
            for what, array in (
                ("images-idx3", labels[:, None, None] * np.ones((1, 5, 5), "u1")),
                ("labels-idx1", labels),
            ):
                name = f"{prefix}{part}-{what}-ubyte".replace("-idx", ".idx" if dot else "-idx")
                content = idx_bytes(array)
                file = tmp_path / folder / (f"{name}.gz" if gz else name)
                file.write_bytes(gzip.compress(content) if gz else content)
        return tmp_path

    return write


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize(
    ("folder", "prefix", "test", "name"),
    [
        ("MNIST/raw", "", "t10k", "MNIST"),
        ("FashionMNIST/raw", "", "t10k", "FashionMNIST"),
        ("data/KMNIST/raw", "", "t10k", "KMNIST"),
        ("emnist", "emnist-letters-", "test", "emnist-letters"),
        ("EMNIST/raw", "EMNIST-Balanced-", "test", "emnist-balanced"),
    ],
)
def test_idx_files_where_and_as_they_are_named(raw, gz, folder, prefix, test, name):
    root = raw(folder, prefix, test=test, gz=gz)
    (root / folder / ".DS_Store").write_bytes(b"x")
    (root / folder / "._train-images-idx3-ubyte").write_bytes(b"x")
    for path in (root, root / folder):
        data = datasets.load(path)
        assert (data.name, data.classes) == (name, ("0", "1"))
        assert data.is_test.tolist() == [False] * 6 + [True] * 4
        assert data.images.shape == (10, 5, 5, 1)
        np.testing.assert_array_equal(data.images[:, 0, 0, 0], data.labels)
        assert any("mirrored" in note for note in data.notes) == name.startswith("emnist")


def test_mixed_packed_and_unpacked_files(raw):
    raw("MNIST/raw", gz=True)
    root = raw("MNIST/raw")
    (root / "MNIST" / "processed").mkdir()
    assert len(datasets.load(root).images) == 10
    raw("dots", dot=True)
    assert len(datasets.load(root / "dots").images) == 10


def test_several_sets_of_idx_files(raw):
    raw("MNIST/raw")
    root = raw("KMNIST/raw")
    with pytest.raises(ValueError, match="several data sets of IDX files: KMNIST.raw, MNIST.raw"):
        datasets.load(root)
    raw("emnist", "emnist-letters-", test="test")
    raw("emnist", "emnist-digits-", test="test")
    with pytest.raises(ValueError, match="IDX files of 2 sets: emnist-digits, emnist-letters"):
        datasets.load(root / "emnist")


def test_idx_file_itself(raw):
    root = raw("MNIST/raw")
    with pytest.raises(ValueError, match="For IDX files, pass the folder"):
        datasets.load(root / "MNIST" / "raw" / "train-images-idx3-ubyte")


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
@pytest.mark.parametrize("form", ["X_{}", "{}_images"])
def test_npz_of_three_parts(tmp_path, name, form):
    of_labels = {"X_{}": "y_{}", "{}_images": "{}_labels"}[form]
    arrays = {}
    for part, n in (("train", 6), (name, 2), ("test", 4)):
        arrays[form.format(part)] = np.zeros((n, 8, 8), np.uint8)
        arrays[of_labels.format(part)] = np.arange(n)[:, None] % 2  # a column, as MedMNIST's
    np.savez(tmp_path / "a.npz", **arrays)
    data = datasets.load(tmp_path / "a.npz")
    assert (data.is_selection.sum(), data.is_test.sum(), data.classes) == (2, 4, ("0", "1"))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("other", ["x_test", "x_val"])
def test_parts_on_different_scales(tmp_path, dtype, other):
    bytes_, labels = (np.arange(256).reshape(4, 8, 8) % 256).astype(dtype), [0, 1, 0, 1]
    parts = {"x_train": bytes_, "x_val": bytes_, "x_test": bytes_}
    parts |= {name.replace("x", "y"): labels for name in parts}
    np.savez(tmp_path / "a.npz", **parts)
    assert len(datasets.load(tmp_path / "a.npz").images) == 12
    # What is black throughout is on every scale.
    np.savez(tmp_path / "a.npz", **{**parts, other: bytes_ * 0})
    assert len(datasets.load(tmp_path / "a.npz").images) == 12
    np.savez(tmp_path / "a.npz", **{**parts, other: (bytes_ > 99).astype(dtype)})
    with pytest.raises(ValueError, match=f"{other} goes up to 1 and x_train up to 255"):
        datasets.load(tmp_path / "a.npz")


def test_parts_of_standardized_values_have_any_maximum(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 8, 8))
    parts = {"X_train": values, "X_test": values.clip(-1, 1)}
    np.savez(tmp_path / "a.npz", **parts, y_train=[0, 1, 0, 1], y_test=[0, 1, 0, 1])
    data = datasets.load(tmp_path / "a.npz")
    assert data.given_range[0] < -1
    assert f"values from {values.min():g} to {values.max():g}" in data.notes[-1]
    assert "they were mapped to 0 to 255" in data.notes[-1]


def test_parts_of_0_and_1_are_noted(tmp_path):
    X = np.eye(8, dtype=int)[None].repeat(2, axis=0)
    np.savez(tmp_path / "a.npz", X_train=X, X_test=X, y_train=[0, 1], y_test=[0, 1])
    assert "nearly black" in datasets.load(tmp_path / "a.npz").notes[-1]
