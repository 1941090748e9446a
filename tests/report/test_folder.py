import json

import pytest

from penultimate.report import check_folder

OURS = {
    "format": 1,
    "dataset": {"test_sha256": "0"},
    "protocol": {"test_uses": 1},
    "methods": [],
}


def test_new_folder_is_checked_and_not_left_behind(tmp_path):
    assert check_folder(tmp_path / "new") is None
    assert not (tmp_path / "new").exists()


def test_empty_folder(tmp_path):
    assert check_folder(tmp_path) is None


def test_our_folder_gives_its_results(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(OURS))
    assert check_folder(tmp_path) == OURS


@pytest.mark.parametrize(
    "text", ["{}", "not json", "[]", '{"format": 1, "dataset": []}', b"\xff\xfe"]
)
def test_folder_that_is_not_ours(tmp_path, text):
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "results.json").write_bytes(data)
    with pytest.raises(ValueError, match="not written by penultimate, such as 'results.json'"):
        check_folder(tmp_path)


def test_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="is a file; choose another name"):
        check_folder(tmp_path / "out")


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file"):
        check_folder(tmp_path / "file" / "inside")


def test_folder_deep_down_is_not_made_by_the_check(tmp_path):
    check_folder(tmp_path / "a" / "b" / "c")
    assert list(tmp_path.iterdir()) == []


def test_hidden_files_are_nobodys(tmp_path):
    (tmp_path / ".DS_Store").write_text("x")
    assert check_folder(tmp_path) is None


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=r"The output folder '.*inside' cannot be created.* Choose"):
        check_folder(tmp_path / "file" / "inside")
