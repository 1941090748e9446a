"""Output files never replace what is read, or a file of another kind."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from penultimate.bundle.archive import pack
from penultimate.cli import load_commands
from penultimate.cli.app import app
from penultimate.cli.replacing import check_model_file, check_replaceable, is_bundle
from tests.bundle.conftest import OF_IMAGES, make_parts, of_images

load_commands()


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A folder with one file of each kind that a user would miss."""
    monkeypatch.chdir(tmp_path)
    Path("model.zip").write_bytes(pack(make_parts(of_images(), **OF_IMAGES)))
    Image.new("RGB", (9, 9)).save("a.png")
    Image.new("RGB", (9, 9), "red").save("b.jpg")
    np.savez("features.npz", X=np.zeros((3, 4)))
    Path("table.csv").write_text("a,b\n1,2\n")
    Path("list.csv").write_text("path,label\na.png,x\nb.jpg,y\n")
    Path("key.pem").write_text("a private key")
    with zipfile.ZipFile("photos.zip", "w") as archive:
        archive.write("a.png", "x/a.png")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "predict model.zip a.png --out model.zip",
        "predict model.zip a.png --out a.png",
        "predict model.zip a.png --out ./b.jpg",
        "predict model.zip table.csv --out table.csv",
        "predict model.zip a.png --out features.npz",
        "predict model.zip a.png --out photos.zip",
        "fit photos.zip --out photos.zip",
        "fit list.csv --out photos.zip",
        "sign model.zip --key key.pem --out key.pem",
        "sign model.zip --key key.pem --out a.png",
        "look list.csv --croissant list.csv",
        "look list.csv --croissant a.png",
    ],
)
def test_no_command_replaces_it(disk, command):
    before = {path.name: path.read_bytes() for path in disk.iterdir()}
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2, result.output + result.stderr
    assert "would be lost; choose another name" in " ".join(result.stderr.replace("│", "").split())
    assert {path.name: path.read_bytes() for path in disk.iterdir()} == before


def test_what_was_written_before_is_replaced(disk):
    for name in ("rows.csv", "rows.csv"):
        result = CliRunner().invoke(app, ["predict", "model.zip", "a.png", "--out", name])
        assert result.exit_code == 0
    check_model_file(Path("model.zip"), [Path("photos.zip")])
    Path("empty.zip").touch()
    check_model_file(Path("empty.zip"))
    check_replaceable(Path("/dev/null"), "--out", ["/dev/null"])
    assert not is_bundle(Path("a.png"))
