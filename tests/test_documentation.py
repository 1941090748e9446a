"""The README and the pages of docs/: their code runs, their links lead somewhere."""

import re
import shlex
import tomllib
import webbrowser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import penultimate
from penultimate import datasets
from penultimate.cli import compare, look  # noqa: F401  importing registers the commands
from penultimate.cli.app import app
from penultimate.networks.frameworks.backend import import_keras

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    for target in targets:
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_no_paragraph_of_the_readme_is_long():
    blocks = re.split(r"\n\s*\n", (ROOT / "README.md").read_text("utf-8"))
    prose = [block for block in blocks if not block.startswith(("|", "```", "#", "-", "!"))]
    assert len(prose) > 10
    assert max(len(block.split()) for block in prose) <= 60


def test_the_architecture_page_describes_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = [room.strip() for layer in layers for room in layer.split("|")]
    assert re.findall(r"^\*\*`(\w+)`\*\*", text, re.MULTILINE) == [
        *sorted(rooms, key=lambda room: text.index(f"**`{room}`**"))
    ]
    picture = (ROOT / "docs" / "images" / "layers.svg").read_text("utf-8")
    for room in rooms:
        assert (ROOT / "src" / "penultimate" / room / "__init__.py").exists()
        assert f"<!-- {room} -->" in picture  # drawn by tools/draw_layers.py


def a_network_of_the_user(folder):
    """What the page assumes: a saved network, its training samples, and others."""
    keras = import_keras()
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    network.save(folder / "my_network.keras")
    X = np.random.default_rng(0).integers(0, 256, (160, 8, 8, 3), dtype=np.uint8)
    y = np.arange(160) % 2
    X[y == 1] //= 2
    named = {"X_train": X[:20], "X": X[20:120], "y": y[20:120]}
    return named | {"X_test": X[120:], "y_test": y[120:]}


# That the pages run is tested here; what a training by steps does, elsewhere: that of digits, as in
# the README, by an example (tests/test_examples.py).
pytestmark = pytest.mark.usefixtures("solved_networks")
COMMANDS = [page for page in PAGES if "```console" in page.read_text("utf-8")]


@pytest.mark.slow
@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.name)
def test_commands_run(page, undrawn, tmp_path, monkeypatch):
    """The commands of a page, on a folder of small photos; each succeeds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda address: None)
    monkeypatch.setattr(penultimate.Training, "__init__", _in_two_epochs)
    pixels = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        folder = tmp_path / "photos" / ("cardboard", "glass")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image // (1 + index % 2)).save(folder / f"{index}.png")
    commands = re.findall(r"^\$ penultimate (.*)$", page.read_text("utf-8"), re.MULTILINE)
    assert len(commands) >= 2
    for command in commands:
        found = CliRunner().invoke(app, shlex.split(command), catch_exceptions=False)
        assert found.exit_code == 0, found.output
    assert (tmp_path / "report" / "report.html").exists()
    assert (tmp_path / "penultimate-look" / "look.html").exists()


@pytest.fixture(scope="module")
def few_digits():
    """Thirty of each of the digits that come with the package."""
    real = datasets.load_mnist_5k()
    return real.take(np.concatenate([np.flatnonzero(real.labels == k)[:30] for k in range(10)]))


@pytest.fixture(scope="module")
def a_model(shapes):
    """A fitted model, for pages that begin with one; none of them changes it."""
    X, y = shapes
    return penultimate.DeepSVC().fit(X[::2], y[::2])


CODE = [page for page in PAGES if "```python" in page.read_text("utf-8")]


@pytest.mark.slow
@pytest.mark.parametrize("page", CODE, ids=lambda page: page.name)
def test_code_runs(page, shapes, few_digits, a_model, undrawn, tmp_path, monkeypatch):
    """The blocks of a page run one after the other, on data that the page does not define."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load_mnist_5k", lambda: few_digits)
    monkeypatch.setattr(penultimate.Training, "__init__", _in_two_epochs)
    X, y = shapes
    numbers = 2 * (y == "standing") + np.arange(60) % 2
    old = numbers < 2
    names = {
        "features": X.reshape(60, -1) / 255,
        "images": X,
        "labels": y,
        "new_images": X,
        "writers": np.arange(60) % 20,
        "model": a_model,
        "digits": [0, 1],
        "vowels": [2, 3],
        "X": X,
        "y": numbers,
        "X_test": X[~old],
        "X_new": 255 - X[old],
        "y_new": numbers[old] + 4,
    }
    if page.name == "network.md":
        names |= a_network_of_the_user(tmp_path)
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        if page.name == "margins.md":
            names["X"] = X.reshape(60, -1)
        # A risk of 0.5 % can be guaranteed from 736 samples on.
        exec(compile(block.replace("risk=0.005", "risk=0.5"), page.name, "exec"), names)


_init = penultimate.Training.__init__


def _in_two_epochs(self, *args, **kwargs):
    _init(self, *args, **kwargs)
    object.__setattr__(self, "epochs", 2)
