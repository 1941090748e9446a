"""What would stop a comparison is said beforehand, all at once."""

import numpy as np
import pytest
from PIL import Image

from penultimate.datasets.obstacles import find_obstacles
from penultimate.datasets.survey import survey


@pytest.fixture
def draw(tmp_path):
    """Return a function that draws images, each other than the last unless a seed is given."""
    drawn = []

    def draw(folder, count=1, seed=None):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            drawn.append(len(drawn))
            rng = np.random.default_rng(drawn[-1] if seed is None else seed)
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{drawn[-1]}.png")

    return draw


def obstacles(folder):
    return find_obstacles(survey(folder))


def test_none(draw, tmp_path):
    draw("cat", 5)
    draw("dog", 6)
    assert obstacles(tmp_path) == []


def test_one_class(draw, tmp_path):
    draw("glass", 6)
    (sentence,) = obstacles(tmp_path)
    assert sentence.startswith("All images are in one class, 'glass'; a comparison needs at least")


def test_a_class_with_too_few_different_images(draw, tmp_path):
    draw("cat", 6)
    draw("dog", 6, seed=99)
    (sentence,) = obstacles(tmp_path)
    assert "The class 'dog' has 6 samples, but only 1 that differ" in sentence


def test_nothing_can_be_read(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(b"\xff\xd8 nonsense")
    (sentence,) = obstacles(tmp_path)
    assert sentence.startswith("No image could be read: ")
    assert "Convert the files" in sentence


def test_everything_at_once(draw, tmp_path):
    """An empty class folder does not hide what else is wrong."""
    draw("cat", 6)
    draw("dog", 2)
    (tmp_path / "bird").mkdir()
    (tmp_path / "fish").mkdir()
    (tmp_path / "fish" / "notes.txt").write_text("no image")
    bird, fish, few = obstacles(tmp_path)
    assert "bird' holds no image. Add its images, or remove the folder." in bird
    assert fish.endswith("If this is not a class, move it elsewhere.")
    assert "'dog' has 2 samples; at least 5 are needed" in few


def test_test_images_that_are_also_learned(draw, tmp_path):
    for name in ("cat", "dog"):
        draw(f"train/{name}", 6)
        draw(f"test/{name}", 3)
    assert obstacles(tmp_path) == []
    draw("train/cat", seed=77)
    draw("test/cat", seed=77)
    (sentence,) = obstacles(tmp_path)
    assert sentence.startswith("1 test image can also be found outside the test part: test/cat/")
    assert "Dataset.without_duplicates()" in sentence


def test_a_class_that_is_never_tested(draw, tmp_path):
    for name in ("cat", "dog", "owl"):
        draw(f"train/{name}", 6)
    for name in ("cat", "dog"):
        draw(f"test/{name}", 3)
    (sentence,) = obstacles(tmp_path)
    assert sentence.startswith("The test part has no image of 'owl': nothing will be known")
