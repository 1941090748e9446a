"""A missing package is reported before anything is read or computed that would be lost."""

import importlib.util

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from penultimate.cli import load_commands
from penultimate.cli.app import app

load_commands()


@pytest.fixture
def photos(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.full((8, 8, 3), 20 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("package", "extra", "command"),
    [
        ("pyarrow", "store", "compare {0} --cache {1}/store --out {1}/report"),
        ("pyarrow", "store", "extract {0} --network efficientnet-lite0 --out {1}/store"),
        ("onnx", "onnx", "fit {0} --out {1}/model.zip"),
        ("onnxruntime", "onnx", "fit {0} --out {1}/model.zip"),
        ("onnxruntime", "onnx", "compare {0} --keep-models --out {1}/report"),
    ],
)
def test_it_is_said_first(photos, tmp_path, monkeypatch, package, extra, command):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "penultimate._common.imports.find_spec",
        lambda name: None if name == package else find(name),
    )
    monkeypatch.setattr(
        "penultimate.datasets.readers.list_kept", lambda *_, **__: pytest.fail("data was read")
    )
    result = CliRunner().invoke(app, command.format(photos, tmp_path).split())
    assert result.exit_code == 1
    assert f"The package '{package}' is not installed" in result.stderr
    assert f"penultimate[{extra}]" in result.stderr
    assert "read images" not in result.output
