import io
import shutil
import tarfile

import numpy as np
import pytest

from penultimate import datasets


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


def test_archive_that_would_write_elsewhere(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../outside"), io.BytesIO(b""))
    with pytest.raises(ValueError, match="can't be unpacked.*outside"):
        datasets.load(tmp_path / "a.tar")
