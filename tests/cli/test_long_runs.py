import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from penultimate.cli.compare import app
from penultimate.comparison import _compare as module


@pytest.fixture
def photos(tmp_path):
    for k in range(10):
        (tmp_path / "photos" / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(k).integers(0, 256, (150, 140), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / "ab"[k % 2] / f"{k}.png")
    return tmp_path / "photos"


@pytest.fixture
def interrupted(photos, tmp_path, monkeypatch):
    """Run the command until the comparison starts; return what it printed, and its data."""
    seen = []

    def compare(data, **options):
        seen.append(data)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "compare", compare)
    monkeypatch.setattr("penultimate.networks.make_deterministic", lambda: None)

    def run(*options):
        arguments = ["compare", photos, "--out", tmp_path / "out", *options]
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == 130
        return result, seen[-1]

    return run


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ((), (48, 48)),
        (("--image-size", "auto"), (48, 48)),
        (("--image-size", "original"), (150, 140)),
        (("--image-size", "20x30"), (20, 30)),
    ],
)
def test_photos_have_a_default_size_which_is_said_before_training(interrupted, options, shape):
    result, data = interrupted(*options)
    assert data.images.shape == (10, *shape, 1)
    said = "Note: Images were resized to 48 x 48 (from 150 x 140)" in result.output
    assert said == (shape == (48, 48))


def test_an_interruption_says_whether_anything_can_be_resumed(interrupted, tmp_path):
    states = tmp_path / "states"
    assert "Started with --checkpoints FOLDER" in interrupted()[0].stderr
    assert "No epoch was complete" in interrupted("--checkpoints", states)[0].stderr
    states.mkdir()
    (states / "random-split-0.safetensors").touch()
    result, _ = interrupted("--checkpoints", states)
    assert f"resumes from the states in {str(states)!r}" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
