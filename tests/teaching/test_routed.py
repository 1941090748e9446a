"""Specialists whose network routes: taught, promoted and restored; and from the command line."""

import numpy as np
import pytest
from PIL import Image

import penultimate
from penultimate import SVC, Specialists, Teacher, Training, load
from penultimate.cli import teach as _t  # noqa: F401  registers the command
from tests.cli.test_fit import run

from .specialists import FIT, IMAGES, LABELS, SUBSETS, TEST

pytestmark = pytest.mark.usefixtures("solved_networks")
SEVENS = IMAGES[LABELS == 7]


def tiny(input_shape, n_classes):
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Rescaling(1 / 255),
            layers.Flatten(name="features"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


@pytest.fixture
def path(solved_networks, tmp_path):
    model = Specialists(
        tiny,
        subsets=SUBSETS,
        head=SVC(C=3),
        training=Training(epochs=1),
        calibration="temperature",
        random_state=0,
    ).fit(IMAGES[FIT], LABELS[FIT])
    assert model.router_ == "network"
    penultimate.save(
        model,
        tmp_path / "model.zip",
        IMAGES[TEST],
        teach=(IMAGES[FIT], LABELS[FIT]),
        held_out=(IMAGES[TEST], LABELS[TEST]),
    )
    return tmp_path / "model.zip"


def test_the_network_routes_as_before(path):
    content, first = path.read_bytes(), load(path)
    before = first.predict_all(IMAGES[TEST])
    with Teacher(path) as teacher:
        assert "0 right before" in str(teacher.teach(SEVENS[:20], [7] * 20, subset="high"))
        teacher.promote()
        second = load(path)
        assert second.manifest.router == "network"
        after = second.predict_all(IMAGES[TEST])
        np.testing.assert_array_equal(after.subsets, before.subsets)
        low = before.subsets == "low"
        np.testing.assert_array_equal(after.margins[low][:, :4], before.margins[low][:, :4])
        named = second.predict(SEVENS[20:60], subset="high")
        assert (named == 7).mean() > 0.5
        teacher.restore()
    assert path.read_bytes() == content
    restored = load(path).predict_all(IMAGES[TEST])
    np.testing.assert_array_equal(restored.margins, before.margins)
    with Teacher(path) as teacher:  # the lesson is there again, to be promoted to the same bytes
        assert len(teacher.lessons) == 1
        teacher.promote()
        assert load(path).sha256 == second.sha256


@pytest.mark.slow
def test_from_the_command_line(tmp_path):
    rng = np.random.default_rng(0)
    colors = {"warm/red": (200, 0, 0), "warm/yellow": (200, 200, 0),
              "cold/blue": (0, 0, 200), "cold/green": (0, 200, 0)}  # fmt: skip
    colors["new/pink"] = (220, 120, 160)
    for name, color in colors.items():
        folder = tmp_path / ("new" if name.startswith("new") else "data") / name
        folder.mkdir(parents=True)
        for k in range(12):
            noise = rng.integers(0, 50, (16, 16, 3))
            pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{k}.png")
    out, data = tmp_path / "model.zip", tmp_path / "data"
    given = ["--subsets", "--teachable", "--thumbnails", "3", "--epochs", "1", "--seed", "1"]
    text = run("fit", data, *given, "--head", "svm-linear", "--out", out).stdout
    assert "Specialists: cold, warm; router: network" in text
    model = load(out)
    assert model.manifest.router == "network"
    assert [each["class"] for each in model.manifest.teach["pictures"]] == [0, 1, 2, 3]
    more = ["--label", "pink", "--subset", "warm", "--promote"]
    text = run("teach", out, tmp_path / "new" / "new" / "pink", *more).stdout
    assert "New: 'pink'" in text
    assert "pink" in load(out).classes_.tolist()
    run("teach", out, "--undo")
    assert load(out).sha256 == model.sha256
