import io
import shutil
import tarfile
import zipfile

import numpy as np
import pytest

from penultimate import datasets
from tests.datasets.conftest import fill


@pytest.mark.parametrize("form", ["zip", "tar", "gztar"])
def test_packed_folder(folders, tmp_path, form):
    path = shutil.make_archive(str(tmp_path / "packed"), form, folders.parent, folders.name)
    data = datasets.load(path)
    assert (data.name, data.classes, len(data.images)) == ("photos", ("9", "10"), 10)


def test_packed_without_a_folder_of_its_own(sets, tmp_path):
    path = shutil.make_archive(str(tmp_path / "letters"), "gztar", sets)
    data = datasets.load(path, subsets=True)
    assert data.name == "letters"
    assert set(data.subsets) == {"numerals", "vowels"}
    np.testing.assert_array_equal(data.images, datasets.load(sets, subsets=True).images)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip", "a.tar"])
def test_damaged_archive(tmp_path, name):
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="can't be unpacked"):
        datasets.load(tmp_path / name)


@pytest.mark.parametrize(
    ("form", "suffix", "kind"),
    [("zip", "zip", "zip"), ("gztar", "tar.gz", "gzip"), ("xztar", "tar.xz", "xz")],
)
def test_truncated_archive(folders, tmp_path, form, suffix, kind):
    path = shutil.make_archive(str(tmp_path / "whole"), form, folders.parent, folders.name)
    cut = tmp_path / f"photos.{suffix}"
    with open(path, "rb") as whole:
        cut.write_bytes(whole.read(90))
    with pytest.raises(ValueError, match="can't be unpacked") as error:
        datasets.load(cut)
    reason = str(error.value)
    assert f"it is a truncated or damaged {kind} file" in reason or "ended before" in reason
    assert "not a gzip file" not in reason


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "it is empty"), (b"nonsense", "neither a tar nor a zip")]
)
def test_no_archive_at_all(tmp_path, content, reason):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        datasets.load(tmp_path / "a.zip")


def test_archive_that_would_write_elsewhere(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../outside"), io.BytesIO(b""))
    with pytest.raises(ValueError, match="can't be unpacked.*outside"):
        datasets.load(tmp_path / "a.tar")


def packed(path, folder, separator="/"):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                name = separator.join(file.relative_to(folder).parts)
                archive.writestr(name, file.read_bytes())
    return path


def test_errors_and_notes_name_the_archive(folders, tmp_path):
    (folders / "9" / "broken.png").write_bytes(b"nonsense")
    path = packed(tmp_path / "it's packed.zip", folders)
    with pytest.raises(
        ValueError, match=r"it's packed.zip.9.broken.png: it is not an image"
    ) as caught:
        datasets.load(path)
    assert "penultimate-" not in str(caught.value)
    data = datasets.load(path, skip_corrupt=True)
    assert data.notes[-1].startswith(f"Left out: {path}")
    assert data.files[0] == f"{path}/9/0.png"
    (folders / "9" / "deeper").mkdir()
    (folders / "9" / "deeper" / "0.png").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"The class folder .*it's packed.zip.9") as caught:
        datasets.load(packed(path, folders))
    assert "penultimate-" not in str(caught.value)


def test_backslashes_part_folders_where_there_are_no_slashes(folders, tmp_path):
    path = packed(tmp_path / "windows.zip", folders, "\\")
    data = datasets.load(path)
    np.testing.assert_array_equal(data.images, datasets.load(folders).images)
    (folders / "9" / "back\\slash.png").write_bytes((folders / "9" / "0.png").read_bytes())
    data = datasets.load(packed(tmp_path / "linux.zip", folders))
    assert data.labels.tolist() == [0] * 6 + [1] * 5


def test_zip_that_would_write_elsewhere(tmp_path):
    for name in ("../outside", "..\\outside"):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(name, b"")
        with pytest.raises(ValueError, match="can't be unpacked.*outside"):
            datasets.load(tmp_path / "a.zip")


@pytest.mark.parametrize("wrapper", ["", "data"])
@pytest.mark.parametrize("place", ["images", ""])
def test_manifest_in_an_archive(tmp_path, wrapper, place):
    root = tmp_path / "packed"
    fill(root / wrapper / place, 4, 10) if wrapper or place else fill(root, 4, 10)
    rows = [f"{place}/{k}.png".lstrip("/") + f",{'ab'[k % 2]}" for k in range(4)]
    (root / wrapper / "labels.csv").write_text("\n".join(["path,label", *rows]))
    data = datasets.load(packed(tmp_path / "packed.zip", root))
    assert data.images[:, 0, 0, 0].tolist() == [10, 11, 12, 13]
    assert data.labels.tolist() == [0, 1, 0, 1]


def test_manifest_beside_class_folders_is_not_read_and_that_is_said(folders, tmp_path):
    (folders / "labels.csv").write_text("path,label\n9/0.png,a\n10/0.png,b\n")
    data = datasets.load(packed(tmp_path / "packed.zip", folders))
    assert data.classes == ("9", "10")
    assert data.notes[-1].startswith("'labels.csv' was not read, because the folders next to it")


def test_one_file_of_arrays_in_an_archive(tmp_path):
    root = tmp_path / "packed"
    root.mkdir()
    arrays = {"X": np.zeros((4, 8, 8), np.uint8), "y": [0, 1, 0, 1]}
    np.savez(root / "a.npz", **arrays)
    (root / "README.txt").write_text("words")
    data = datasets.load(packed(tmp_path / "packed.zip", root))
    assert (data.name, len(data.images)) == ("a", 4)
    np.savez(root / "b.npz", **arrays)
    with pytest.raises(ValueError, match=r"packed.zip' holds several .*'a.npz', 'b.npz'. Unpack"):
        datasets.load(packed(tmp_path / "packed.zip", root))
