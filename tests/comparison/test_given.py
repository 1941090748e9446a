from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

from penultimate._common.progress import SILENT
from penultimate.comparison.given import read_given
from penultimate.datasets import Dataset

X = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
Y = [0, 1, 0, 1]


def read(X, y, *, test=None):
    return read_given(X, y, test, "compact", SILENT, ExitStack())[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [(X, X > 99), (X, (X > 99).astype(int)), (X / 255, X.astype(float)), (X / 1.0, X / 255)],
)
def test_a_test_set_on_another_scale(first, second):
    with pytest.raises(ValueError, match="goes up to .* different scales"):
        read(first, Y, test=(second, Y))
    assert read(first, Y, test=(first, Y)).is_test.sum() == 4


def test_photos_are_resized_for_a_named_network_only(tmp_path):
    for k in range(4):
        (tmp_path / "ab"[k % 2]).mkdir(exist_ok=True)
        Image.new("L", (130, 140), k).save(tmp_path / "ab"[k % 2] / f"{k}.png")

    def own(input_shape, n_classes):
        raise NotImplementedError

    for network, shape in (("compact", (4, 48, 48, 1)), (own, (4, 140, 130, 1))):
        data, inputs = read_given(tmp_path, None, None, network, SILENT, ExitStack())
        assert data.images.shape == inputs.shape == shape
        assert bool(data.notes) == (network == "compact")


@pytest.mark.parametrize("kept", [[0, 1], [0, 3], [2, 3]])
def test_classes_of_which_nothing_was_taken_are_left_out(kept):
    images = np.concatenate([X, X])
    data = Dataset.from_arrays(images, [0, 1, 2, 3] * 2)
    found, inputs = read_given(
        data.take(np.isin(data.labels, kept)), None, None, "compact", SILENT, ExitStack()
    )
    assert found.classes == tuple(map(str, kept))
    assert found.labels.tolist() == [0, 1, 0, 1]
    assert len(inputs) == 4
    assert "2 classes without images left out" in found.notes[-1]


def test_a_test_set_with_its_columns_or_rows_in_another_order():
    pd = pytest.importorskip("pandas")
    values = np.random.default_rng(0).normal(size=(12, 3))
    X, y = pd.DataFrame(values, columns=list("abc")), pd.Series(list("xyz") * 4)
    with pytest.raises(
        ValueError, match=r"other columns, or in another order.*X_test\[X.columns\]"
    ):
        read(X, y, test=(X[["c", "b", "a"]], y))
    with pytest.raises(ValueError, match="same index in different orders"):
        read(X, y, test=(X, y[::-1]))
