import numpy as np
import pytest
from PIL import Image

from penultimate import datasets
from penultimate._common.progress import Progress
from penultimate.datasets.sizes import auto_size, describe_resizing


class Listener(Progress):
    def __init__(self):
        self.messages = []

    def message(self, text):
        self.messages.append(text)


def folder_of(path, *sizes, suffix="png"):
    """Make two classes of images of these sizes, each size once per class."""
    rng = np.random.default_rng(0)
    for label in "ab":
        (path / label).mkdir(parents=True, exist_ok=True)
        for size in sizes:
            image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
            image.save(path / label / f"{size[0]}x{size[1]}.{suffix}")
    return path


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([], None),
        ([(128, 128)], None),
        ([(128, 20)], None),
        ([(129, 20)], (48, 48)),
        ([(512, 384)], (48, 48)),
        ([(28, 28), (30, 20)], (30, 30)),
        ([(120, 90), (90, 120)], (48, 48)),
        ([(28, 28), (300, 200)], (48, 48)),
        ([(28, 28), (28, 28)], None),
    ],
)
def test_which_sizes_are_resized(sizes, chosen):
    assert auto_size(sizes) == chosen


@pytest.mark.parametrize(
    "sizes", [[(150, 140)], [(150, 140), (30, 40)], [(30, 40), (48, 48), (10, 140)]]
)
def test_automatic_sizes_are_those_that_could_be_asked_for(tmp_path, sizes):
    path = folder_of(tmp_path, *sizes)
    listener = Listener()
    data = datasets.load(path, image_size="auto", progress=listener)
    asked = datasets.load(path, image_size=48)
    np.testing.assert_array_equal(data.images, asked.images)
    np.testing.assert_array_equal(data.fingerprints, asked.fingerprints)
    # Nobody asked for it, so it is said at once, with the way back if there is one.
    assert "resized to 48 x 48 (from " in data.notes[0]
    assert "load_data's image_size=96" in data.notes[0]
    assert ("image_size=None" in data.notes[0]) == (len(sizes) == 1)
    assert listener.messages == [f"Note: {data.notes[0]}"]


def test_stated_maxima_are_applied_after_resizing(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 1000, (2, 2, 12, 12)).astype(">u2")
    for k, label in enumerate("ab"):
        folder_of(tmp_path, (14, 14))
        for n, image in enumerate(pixels[k]):
            header = b"P5 12 12 1000\n"
            (tmp_path / label / f"{n}.pgm").write_bytes(header + image.tobytes())
    images = [datasets.load(tmp_path, image_size=size).images for size in ("auto", 14)]
    np.testing.assert_array_equal(*images)


def test_small_images_of_one_size_stay_as_they_are(tmp_path):
    path = folder_of(tmp_path, (120, 128))
    listener = Listener()
    data = datasets.load(path, image_size="auto", progress=listener)
    np.testing.assert_array_equal(data.images, datasets.load(path).images)
    assert data.notes == ()
    assert listener.messages == []


def test_arrays_are_never_resized(tmp_path):
    X = np.zeros((4, 140, 130), np.uint8)
    np.savez(tmp_path / "large.npz", X=X, y=[0, 1, 0, 1])
    assert datasets.load(tmp_path / "large.npz", image_size="auto").images.shape == (4, 140, 130, 1)


def test_a_torn_file_does_not_decide(tmp_path):
    path = folder_of(tmp_path / "data", (20, 20))
    whole = folder_of(tmp_path / "other", (300, 300)) / "a" / "300x300.png"
    (path / "a" / "torn.png").write_bytes(whole.read_bytes()[:-2000])
    data = datasets.load(path, image_size="auto", skip_corrupt=True)
    assert data.images.shape == (2, 20, 20, 3)


@pytest.mark.parametrize(
    ("natives", "part"),
    [
        (
            [(512, 384)],
            "more than 128 pixels. Their aspect ratio is not kept",
        ),
        ([(300, 300)], "the default for sides of more than 128 pixels. Another size"),
        ([(300, 300), (20, 20)], "because they have 2 sizes. Another size"),
        ([(300, 300), (48, 48), (20, 40)], "(from 300 x 300, 20 x 40)"),
    ],
)
def test_the_reason_is_stated(natives, part):
    assert part in describe_resizing((48, 48), natives, auto=True)
