from types import SimpleNamespace

import numpy as np
import pytest

from penultimate._common.progress import Progress
from penultimate.networks.training import foresight


class Listener(Progress):
    def __init__(self):
        self.guesses = []

    def foresees(self, step, seconds):
        self.guesses.append((step, seconds))


@pytest.mark.parametrize(
    ("side", "guesses"), [(128, []), (200, [("train network", pytest.approx(5 * 3 * 80 / 2))])]
)
def test_long_steps_are_foreseen_from_two_images(monkeypatch, side, guesses):
    # The first pass takes 10 seconds, with its compilation, and the second one 3.
    moments = iter([0, 10, 20, 23])
    monkeypatch.setattr(foresight, "time", SimpleNamespace(perf_counter=lambda: next(moments)))
    passed = []
    monkeypatch.setattr(foresight, "forward", lambda model, X, batch_size: passed.append(len(X)))
    listener = Listener()
    X = np.zeros((80, side, side, 3), np.uint8)
    foresight.foresee_epoch("model", X, 64, listener)
    assert listener.guesses == guesses
    assert passed == [2] * (2 * len(guesses))
