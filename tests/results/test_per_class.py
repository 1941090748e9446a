import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from penultimate.evaluation import accuracy_interval
from penultimate.results.per_class import figures_by_class

CLASSES = ("cat", "dog", "<owl>")


def test_values_are_scikit_learns():
    rng = np.random.default_rng(0)
    true, answers = rng.integers(0, 3, 120), rng.integers(0, 3, (2, 120))
    figures = figures_by_class(true, answers, CLASSES)
    expected = precision_recall_fscore_support(np.tile(true, 2), answers.ravel())
    assert [f.name for f in figures] == list(CLASSES)
    for name, values in zip(("precision", "recall", "f1"), expected):
        assert [getattr(f, name).value for f in figures] == pytest.approx(values.tolist())
    assert [2 * f.support for f in figures] == expected[3].tolist()


def test_recall_is_the_accuracy_on_the_class():
    rng = np.random.default_rng(1)
    true, answers = rng.integers(0, 3, 90), rng.integers(0, 3, (3, 90))
    groups = np.arange(90) // 3
    (first, *_) = figures_by_class(true, answers, CLASSES, groups=groups)
    own = true == 0
    assert first.recall == accuracy_interval(answers[:, own] == 0, groups=groups[own])


def test_a_class_without_samples_or_answers():
    first, second, third = figures_by_class(np.array([0, 0, 1]), np.array([[0, 0, -1]]), CLASSES)
    assert first.precision.value == first.recall.value == first.f1.value == 1
    assert first.precision.low < 0.5  # two images show little
    assert second.precision is None
    assert second.recall.value == second.f1.value == 0
    assert (third.precision, third.recall, third.f1) == (None, None, None)
    assert third.to_dict() == {
        "class": "<owl>",
        "support": 0,
        "n_predicted": 0,
        **{f"{name}{end}": None for name in ("precision", "recall", "f1") for end in ("", "_ci95")},
    }
