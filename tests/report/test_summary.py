import numpy as np
import pytest

from penultimate.report import summarize


@pytest.fixture(scope="module")
def summary(comparison):
    return summarize(comparison, comparison.to_dict())


def test_confusion_counts_every_test_sample_of_every_seed(summary, comparison):
    for name, counts in summary["confusion"].items():
        counts = np.array(counts)
        assert counts.sum() == 24
        assert np.trace(counts) == comparison.correct(name).sum()


def test_errors_are_exactly_the_misclassified(summary, comparison):
    wrong = ~np.all([comparison.correct(m.name) for m in comparison.methods], axis=(0, 1))
    assert summary["n_errors"] == wrong.sum() == len(summary["errors"])
    assert {e["sample"] for e in summary["errors"]} == set(comparison.test[wrong])
    counts = [
        sum(label != e["true"] for labels in e["predicted"].values() for label in labels)
        for e in summary["errors"]
    ]
    assert counts == sorted(counts, reverse=True)


def test_alarms_are_errors_then_warnings(comparison):
    checks = [
        {"id": level, "level": level, "message": "."} for level in ("info", "warning", "error")
    ]
    results = comparison.to_dict() | {"checks": checks}
    alarms = summarize(comparison, results)["alarms"]
    assert [check["level"] for check in alarms] == ["error", "warning"]


def test_pairs_are_those_of_the_matrix(summary):
    for name, pairs in summary["pairs"].items():
        counts = summary["confusion"][name]
        assert [counts[true][predicted] for true, predicted, _ in pairs] == [n for *_, n in pairs]
        assert sum(n for *_, n in pairs) == 24 - np.trace(counts)
