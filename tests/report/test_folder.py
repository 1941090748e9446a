import json

import pytest

from penultimate.report import check_folder
from penultimate.report.folder import write_whole

OURS = {"format": 1, "dataset": {}, "protocol": {}, "methods": []}


def test_new_folder_is_checked_and_not_left_behind(tmp_path):
    assert check_folder(tmp_path / "new") is None
    assert not (tmp_path / "new").exists()


def test_empty_folder(tmp_path):
    assert check_folder(tmp_path) is None


def test_our_folder_gives_its_results(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(OURS))
    assert check_folder(tmp_path) == OURS


@pytest.mark.parametrize("text", ["{}", "not json", "[]", "\ud800".encode("utf-16", "replace")])
def test_folder_that_is_not_ours(tmp_path, text):
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "results.json").write_bytes(data)
    with pytest.raises(ValueError, match="no comparison of ours, such as 'results.json'"):
        check_folder(tmp_path)


def test_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="is a file; choose another name"):
        check_folder(tmp_path / "out")


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file"):
        check_folder(tmp_path / "file" / "inside")


def test_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "report.html"
    write_whole(target, "first")

    def full_disk(self, text, **kwargs):
        with open(self, "w") as file:
            file.write(text[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_whole(target, "second")
    assert target.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
