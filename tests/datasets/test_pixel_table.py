import numpy as np
import pytest

from penultimate import datasets


def write(path, images, labels, header, *, label_at=0, fmt="%d", delimiter=","):
    rows = images.reshape(len(images), int(np.prod(images.shape[1:])))
    lines = []
    for row, label in zip(rows, labels):
        entries = [fmt % value for value in row]
        entries.insert(label_at, str(label))
        lines.append(delimiter.join(entries))
    path.write_text("\n".join([delimiter.join(header), *lines, ""]))
    return path


@pytest.mark.parametrize(
    ("names", "shape"),
    [
        ([f"pixel{k}" for k in range(36)], (6, 6)),
        ([f"pixel{k + 1}" for k in range(36)], (6, 6)),
        ([f"{i}x{j}" for i in range(1, 7) for j in range(1, 7)], (6, 6)),
        ([f"Pixel_{k:04}" for k in range(108)], (6, 6, 3)),
    ],
)
@pytest.mark.parametrize("label_at", [0, 1000])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_pixels_in_columns(tmp_path, names, shape, label_at, delimiter):
    images = np.random.default_rng(0).integers(0, 256, (10, *shape))
    header = [*names]
    header.insert(label_at, "Label")
    path = write(
        tmp_path / "digits.csv", images, [k % 3 for k in range(10)], header,
        label_at=label_at, delimiter=delimiter,
    )  # fmt: skip
    data = datasets.load(path)
    assert (data.name, data.classes, data.images.dtype) == ("digits", ("0", "1", "2"), np.uint8)
    np.testing.assert_array_equal(data.images.reshape(images.shape), images)
    assert data.labels.tolist() == [k % 3 for k in range(10)]


def test_pixels_from_0_to_1_and_labels_of_text(tmp_path):
    images = np.random.default_rng(0).random((4, 4, 4))
    header = ["label", *(f"pixel{k}" for k in range(16))]
    data = datasets.load(write(tmp_path / "a.csv", images, ["cat", "dog"] * 2, header, fmt="%.6f"))
    assert data.classes == ("cat", "dog")
    np.testing.assert_allclose(data.images[..., 0], images * 255, atol=1e-3)
    assert "were scaled to 0 to 255" in data.notes[1]


@pytest.mark.parametrize(
    ("header", "n_rows", "n_pixels", "message"),
    [
        ([f"pixel{k}" for k in range(16)], 4, 15, "none named 'label': is it a test set"),
        (["label", *(f"pixel{k}" for k in range(17))], 4, 17, "no square image has so many"),
        (["label", *(f"pixel{k}" for k in range(16))], 0, 16, "lists no image"),
        (
            ["label", *(f"pixel{k}" for k in range(16))],
            4,
            12,
            "line 2 has fewer entries than the header",
        ),
    ],
)
def test_bad_tables_of_pixels(tmp_path, header, n_rows, n_pixels, message):
    path = write(tmp_path / "a.csv", np.zeros((n_rows, n_pixels)), range(n_rows), header)
    with pytest.raises(ValueError, match=message):
        datasets.load(path)
    with pytest.raises(ValueError, match=r"image_size|pixel|label|no image|square"):
        datasets.load(path, image_size=8)


def test_pixels_are_ordered_by_number(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 4))
    order = np.random.default_rng(1).permutation(16)
    header = ["label", *(f"pixel{k}" for k in order)]
    path = write(tmp_path / "a.csv", images.reshape(4, 16)[:, order], ["a", "b"] * 2, header)
    data = datasets.load(path)
    np.testing.assert_array_equal(data.images[..., 0], images)
    assert data.notes[0] == "The columns of pixels were put into the order of their numbers."


def test_other_columns_are_left_out_and_named(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 16))
    rows = np.concatenate([np.arange(4)[:, None], images, np.arange(4)[:, None]], axis=1)
    header = ["label", "Id", *(f"pixel{k}" for k in range(16)), ""]
    data = datasets.load(write(tmp_path / "a.csv", rows, ["a", "b"] * 2, header))
    np.testing.assert_array_equal(data.images.reshape(4, 16), images)
    assert data.notes[0] == "2 columns of neither pixels nor labels were left out: 'id', ''."


def test_labels_in_quotes_after_a_blank(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 16))
    header = ["label", *(f"pixel{k}" for k in range(16))]
    labels = [' "cat"', ' "dog"'] * 2
    data = datasets.load(write(tmp_path / "a.csv", images, labels, header))
    assert data.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (["label", *(f"p{k}" for k in range(15)), "px3"], "'p3' and 'px3' for one pixel"),
        (["label", *(f"p{k}" for k in range(15)), "p16"], "'p14' and 'p16', and none between"),
        (
            ["label", *(f"{i}x{j}" for j in range(4) for i in range(4))],
            "not in the order of their numbers, and names such as '1x0'",
        ),
        (["label", "class", *(f"p{k}" for k in range(16))], "'label' and 'class'; keep the one"),
        (["label", "group", *(f"p{k}" for k in range(16))], "a column 'group', which is only read"),
        (["id", *(f"p{k}" for k in range(16))], "none named 'label': is it a test set"),
    ],
)
def test_columns_that_are_unclear(tmp_path, header, message):
    path = write(tmp_path / "a.csv", np.zeros((4, len(header) - 1)), range(4), header)
    with pytest.raises(ValueError, match=message):
        datasets.load(path)
