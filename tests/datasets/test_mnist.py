import numpy as np

from penultimate.datasets import load_mnist_5k


def test_digits_are_shuffled_and_balanced():
    data = load_mnist_5k()
    assert data.images.shape == (5000, 28, 28, 1)
    assert data.images.dtype == np.uint8
    assert data.classes == tuple("0123456789")
    assert np.bincount(data.labels).tolist() == [500] * 10
    assert len(np.unique(data.labels[:200])) == 10
    np.testing.assert_array_equal(data.images[:5], load_mnist_5k().images[:5])
