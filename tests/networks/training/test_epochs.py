import numpy as np
import pytest

from penultimate.networks import Augmentation
from penultimate.networks.training.epochs import epochs, run_epoch

IMAGES = np.random.default_rng(0).integers(0, 255, (6, 9, 9, 1), dtype=np.uint8)


@pytest.mark.parametrize("augmentation", [None, Augmentation()])
def test_an_epoch_does_not_depend_on_the_first_one(augmentation):
    whole = list(epochs(IMAGES, augmentation, seed=3, first=0, last=4))
    later = list(epochs(IMAGES, augmentation, seed=3, first=2, last=4))
    assert [epoch for epoch, _, _ in whole] == [0, 1, 2, 3]
    for (one, order, samples), (two, same_order, same_samples) in zip(
        whole[2:], later, strict=True
    ):
        assert one == two
        np.testing.assert_array_equal(order, same_order)
        np.testing.assert_array_equal(samples, same_samples)
    if augmentation is not None:
        assert (whole[0][2] != whole[1][2]).any()


def test_without_remaining_epochs():
    assert list(epochs(IMAGES, Augmentation(), seed=0, first=4, last=4)) == []


class Recorder:
    """Stands for a model: its loss is the number of the step."""

    output_shape = (None, 3)

    def __init__(self):
        self.batches = []

    def train_on_batch(self, samples, targets, weights):
        self.batches.append((samples, targets, weights))
        return len(self.batches)


def test_one_step_per_full_batch_and_their_mean_loss():
    model, heard = Recorder(), []
    order, codes = np.array([5, 3, 1, 0, 2, 4, 6]), np.arange(7) % 3
    samples = np.arange(7, dtype=np.uint8)[:, None]
    assert run_epoch(model, samples, codes, None, order, 2, heard.append) == 2
    assert heard == [1 / 3, 2 / 3]
    for (batch, targets, weights), chosen in zip(
        model.batches, ([5, 3], [1, 0], [2, 4]), strict=True
    ):
        assert batch.dtype == np.float32
        assert weights is None
        assert batch.ravel().tolist() == chosen
        assert targets.argmax(axis=1).tolist() == codes[chosen].tolist()
