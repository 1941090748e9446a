from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from penultimate._common.data_objects import as_samples


class Loader:
    """Batches by iteration or by number, like torch's DataLoader and Keras's PyDataset."""

    def __iter__(self):
        yield np.zeros((2, 8, 8)), np.zeros(2)

    def __len__(self):
        return 1


class Sequence:
    def __getitem__(self, index):
        return np.zeros((2, 8, 8)), np.zeros(2)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ("photos", "X is a path or text, 'photos'; DeepSVC takes arrays.*datasets.load"),
        (Path("photos"), "a path"),
        (b"photos", "the content of a file, 6 bytes; .*FeatureExtractor"),
        ([b"\x89PNG" * 1000], "files' contents, the first of 4,000 bytes; .*FeatureExtractor"),
        (np.array([b"photos"]), "files' contents"),
        (["a.png", "b.png"], "a list of paths or text, such as 'a.png'"),
        ([Path("a.png")], "a list of paths"),
        ((k for k in range(3)), "a generator or iterator.*np.concatenate"),
        (iter([1]), "a generator or iterator"),
        (zip([1], [2]), "a generator or iterator"),
        ({"X": [1]}, "a builtins.dict"),
        ({1, 2}, "a builtins.set"),
        (Loader(), "Loader, a data set or loader.*np.concatenate"),
        (Sequence(), "Sequence, a data set or loader"),
        (Image.new("L", (8, 8)), "a single Pillow image.*newaxis"),
        ([Image.new("L", (8, 8)), Image.new("L", (9, 8))], "2 sizes and 1 modes.*resize"),
        ([Image.new("L", (8, 8)), Image.new("RGB", (8, 8))], "1 sizes and 2 modes"),
    ],
)
def test_data_objects_are_named_with_the_way_out(X, words):
    with pytest.raises(TypeError, match=words):
        as_samples(X, "DeepSVC")


def test_frameworks_own():
    tf = pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    data = tf.data.Dataset.from_tensor_slices((np.zeros((4, 8)), np.zeros(4))).batch(2)
    with pytest.raises(TypeError, match="a data set or loader"):
        as_samples(data, "DeepSVC")
    with pytest.raises(TypeError, match="a data set or loader"):
        as_samples(keras.utils.PyDataset(), "DeepSVC")
    np.testing.assert_array_equal(as_samples(tf.ones((2, 3)), "DeepSVC"), np.ones((2, 3)))


def test_torchs_tensors():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(as_samples(torch.ones(2, 3), "DeepSVC"), np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"a torch.Tensor that NumPy cannot read.*detach\(\)"):
        as_samples(torch.ones(2, 3, requires_grad=True), "DeepSVC")
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(4, 3)))
    with pytest.raises(TypeError, match="a data set or loader"):
        as_samples(loader, "DeepSVC")


def test_samples_of_several_shapes():
    with pytest.raises(ValueError, match=r"2 shapes, such as \(8, 8\) and \(9, 8\); resize"):
        as_samples([np.zeros((8, 8)), np.zeros((9, 8))], "DeepSVC")


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((2, 3)),
        np.array(["a text", "another"]),
        [[0.0, 1.0], [2.0, 3.0]],
        [np.zeros((8, 8)), np.ones((8, 8))],
        [Image.new("L", (8, 8)), Image.new("L", (8, 8))],
        pd.DataFrame({"a": [1, 2]}),
        (),
        None,
    ],
    ids=lambda X: type(X).__name__,
)
def test_arrays_and_their_like_are_left_to_scikit_learn(X):
    assert as_samples(X, "DeepSVC") is X
