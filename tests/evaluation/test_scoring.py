import numpy as np
import pytest

from penultimate import SVC, DeepSVC, Training
from penultimate.evaluation import accuracy_interval, evaluate
from penultimate.provenance import LeakageError, LeakageWarning


@pytest.fixture(scope="module")
def fitted(shapes):
    X, y = shapes
    recipe = Training(epochs=4, batch_size=8, augmentation=None)
    return DeepSVC(head=SVC(), training=recipe, random_state=0).fit(X[:40], y[:40])


def test_accuracy_with_its_interval_and_what_was_tested(fitted, shapes):
    X, y = shapes
    found = evaluate(fitted, X[40:], y[40:])
    assert found == accuracy_interval(fitted.predict(X[40:]) == y[40:])
    assert len(fitted.provenance_.tested) == 20
    assert evaluate(fitted, X[40:] / 255, y[40:]) == found


def test_seen_samples_are_refused(fitted, shapes):
    X, y = shapes
    for form in (X[30:], X[30:, ..., None], X[30:] / 255):
        with pytest.raises(LeakageError, match="10 of 30 test samples .*: 0, 1, 2 ... Evaluate on"):
            evaluate(fitted, form, y[30:])
    with pytest.warns(LeakageWarning, match="10 of 30") as caught:
        evaluate(fitted, X[30:], y[30:], on_leak="warn")
    assert caught[0].filename == __file__
    evaluate(fitted, X[30:], y[30:], on_leak="ignore")


def test_groups_and_classifiers_of_others():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = (X[:, 0] > 0).astype(int)
    machine = SVC().fit(X[:30], y[:30])
    alone = evaluate(machine, X[30:], y[30:])
    assert alone == accuracy_interval(machine.predict(X[30:]) == y[30:])
    grouped = evaluate(machine, X[30:], y[30:], groups=np.arange(30) % 3)
    assert grouped.high - grouped.low > alone.high - alone.low


def test_bad_input(fitted, shapes):
    X, y = shapes
    with pytest.raises(ValueError, match="one label per sample, shape \\(20,\\); got \\(19,\\)"):
        evaluate(fitted, X[40:], y[41:])
    with pytest.raises(ValueError, match="'on_leak' parameter of evaluate must be one of"):
        evaluate(fitted, X[40:], y[40:], on_leak="shout")
