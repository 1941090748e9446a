import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from penultimate import Dataset, load_data
from penultimate.displays import DatasetDisplay


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(display):
    """What is drawn: for each row, its label and its pictures."""
    display.figure_.canvas.draw()
    return {
        row[0].get_ylabel(): [np.asarray(ax.images[0].get_array()) for ax in row if ax.images]
        for row in display.axes_
    }


def of_one_class(images, name):
    """What `Dataset.view` and files may leave: `from_arrays` wants two classes."""
    return Dataset(np.asarray(images), np.zeros(len(images), int), (name,))


def numbered(n, *shape, classes=2, dtype=np.uint8):
    """Images that are filled with their number."""
    images = np.ones((n, *shape), dtype) * np.arange(n, dtype=dtype).reshape(-1, *[1] * len(shape))
    return Dataset.from_arrays(images, np.arange(n) % classes, name="numbers")


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 3)])
def test_images_of_the_whole_length_of_each_class(shape):
    display = numbered(40, *shape).show(n_samples=3)
    made = drawn(display)
    assert list(made) == ["0\n20 images", "1\n20 images"]
    assert [picture.max() for picture in made["0\n20 images"]] == [0, 18, 38]
    assert made["1\n20 images"][0].shape == shape
    assert display.names == ["sample 0", "sample 18", "sample 38", "sample 1", "sample 19",
                             "sample 39"]  # fmt: skip
    assert display.figure_._suptitle.get_text() == "numbers"
    assert display.axes_[0, 1].get_xlabel() == "sample 18"


def test_one_image_of_one_class():
    display = of_one_class(np.zeros((1, 8, 8, 1), np.uint8), "0").show()
    assert display.axes_.shape == (1, 1)
    assert list(drawn(display)) == ["0\n1 image"]


def test_of_many_classes_the_first_are_shown_and_the_title_says_so():
    data = numbered(200, 2, 2, classes=200)
    display = data.show(n_classes=4)
    assert display.title == "numbers: the first 4 of 200 classes"
    assert len(drawn(display)) == 4
    assert len(DatasetDisplay.from_dataset(data).classes) == 10
    named = data.show(["150", "3", "150"])
    assert list(drawn(named)) == ["150\n1 image", "3\n1 image"]
    assert named.title == "numbers"
    assert data.show("7").classes == ("7",)


@pytest.mark.slow
def test_a_smaller_class_leaves_axes_empty():
    data = Dataset.from_arrays(np.zeros((4, 8, 8), np.uint8), ["a", "a", "a", "b"])
    display = data.show()
    assert [len(pictures) for pictures in drawn(display).values()] == [3, 1]
    assert display.axes_.shape == (2, 3)
    assert [len(p) for p in drawn(data.take(np.arange(3)).show()).values()] == [3, 0]


@pytest.mark.parametrize(
    ("images", "brightest"),
    [
        (np.linspace(0, 1, 4 * 64).reshape(4, 8, 8), 255),
        (np.linspace(-1, 3, 4 * 64, dtype=np.float32).reshape(4, 8, 8), 255),
        (np.full((4, 8, 8), 200, np.uint16), 200),
        (np.full((4, 8, 8), 7.6, np.float32), 8),
    ],
)
def test_other_pixels_are_drawn_from_0_to_255(images, brightest):
    display = Dataset.from_arrays(images, [0, 0, 1, 1]).show()
    _, pictures = drawn(display).values()
    assert pictures[-1].dtype == np.uint8
    assert pictures[-1].max() == brightest
    assert display.axes_[0, 0].images[0].get_clim() == (0, 255)


def test_files_of_16_bits_by_name(tmp_path):
    for label in ("katze", "hund <script> é"):
        folder = tmp_path / "mes photos" / label
        folder.mkdir(parents=True)
        for k in range(2):
            pixels = np.full((8, 8), 60_000 - k, np.uint16)
            Image.fromarray(pixels).save(folder / f"{label} no. {k} of the first of May.png")
    data = load_data(tmp_path / "mes photos")
    display = data.show()
    assert display.names[0] == "hund <script> é no. 0 of the first of May.png"
    assert display.axes_[0, 0].get_xlabel() == "hund <s... May.png"
    (bright, _), _ = drawn(display).values()
    assert bright.min() > 230


def test_names_are_no_formulas():
    names = ["$1 to $5", r"$\foo$"]
    data = Dataset.from_arrays(np.zeros((2, 8, 8), np.uint8), names, name=r"$\bar$")
    assert [label.split("\n")[0] for label in drawn(data.show())] == names


def test_a_long_name_keeps_its_place():
    name = "a class with a name that is longer than any picture is wide"
    (label,) = drawn(of_one_class(np.zeros((1, 8, 8, 1), np.uint8), name).show())
    assert max(map(len, label.split("\n"))) <= 20
    assert " ".join(label.split()) == f"{name} 1 image"


def test_on_a_figure_of_the_caller():
    figure = plt.figure()
    display = DatasetDisplay.from_dataset(numbered(4, 8, 8)).plot(figure)
    assert display.figure_ is figure
    assert display.axes_[0, 0].figure is figure


@pytest.mark.parametrize("shape", [(4, 40), (40, 4), (8, 8)])
def test_a_figure_suits_its_images(shape):
    width, height = numbered(6, *shape).show().figure_.get_size_inches()
    assert 1 < width < 8
    assert 1 < height < 6


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"classes": ["2"]}, r"got '2'"),
        ({"n_classes": 0}, "n_classes"),
        ({"n_samples": 1.5}, "n_samples"),
    ],
)
def test_what_cannot_be_shown(given, words):
    with pytest.raises((ValueError, TypeError), match=words):
        numbered(4, 8, 8).show(**given)
