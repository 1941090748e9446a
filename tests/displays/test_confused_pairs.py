from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.naive_bayes import GaussianNB

from penultimate.displays import ConfusedPairsDisplay, most_confused


def test_against_a_direct_count():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 6, (2, 400))
    pairs = most_confused(confusion_matrix(true, predicted))
    direct = Counter((t, p) for t, p in zip(true.tolist(), predicted.tolist()) if t != p)
    assert {(pair.true, pair.predicted): pair.count for pair in pairs} == direct
    assert [pair.count for pair in pairs] == sorted(direct.values(), reverse=True)
    ties = [(pair.true, pair.predicted) for pair in pairs if pair.count == pairs[5].count]
    assert ties == sorted(ties)


def test_counts_are_left_as_they_are():
    counts = np.array([[5, 1], [0, 4]])
    assert len(most_confused(counts)) == 1
    assert counts.tolist() == [[5, 1], [0, 4]]
    assert most_confused(np.diag([3, 4])) == []


def test_display_names_the_classes_of_the_most_confused():
    X, y = load_digits(return_X_y=True)
    model = GaussianNB().fit(X[:900], y[:900])
    display = ConfusedPairsDisplay.from_estimator(model, X[900:], y[900:])
    predicted = model.predict(X[900:])
    np.testing.assert_array_equal(display.counts, confusion_matrix(y[900:], predicted))
    _, ax = plt.subplots()
    assert display.plot(ax, n_pairs=4).ax_ is ax
    errors = Counter((t, p) for t, p in zip(y[900:], predicted) if t != p)
    assert [bar.get_width() for bar in ax.patches] == [n for _, n in errors.most_common(4)]
    for text, bar in zip(ax.get_yticklabels(), ax.patches, strict=True):
        true, taken = map(int, text.get_text().split(" \u2192 "))
        assert errors[true, taken] == bar.get_width()
    plt.close("all")


def test_labels_in_natural_order():
    display = ConfusedPairsDisplay.from_predictions(["c10", "c9"], ["c9", "c2"])
    assert display.classes == ["c2", "c9", "c10"]
