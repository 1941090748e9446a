import dataclasses

import numpy as np
import pytest

from penultimate.report import summarize
from penultimate.report.render import render_html


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
    made = summary["gallery"]
    assert made["n_errors"] == wrong.sum() == len(made["errors"]) == len(made["thumbnails"])
    assert {e["sample"] for e in made["errors"]} == set(comparison.test[wrong])
    counts = [
        sum(
            times
            for answers in error["predicted"].values()
            for label, times in answers
            if label != error["true"]
        )
        for error in made["errors"]
    ]
    assert counts == sorted(counts, reverse=True)


def test_answers_and_images_are_counted_apart(summary, comparison):
    wrong = ~comparison.correct("cnn+svm-rbf")
    assert summary["gallery"]["counts"]["cnn+svm-rbf"] == (
        f"{wrong.sum()} of the 24 predictions of cnn+svm-rbf (12 images, 2 seeds) are wrong, on "
        f"{wrong.any(axis=0).sum()} images."
    )


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


@pytest.mark.usefixtures("undrawn")
def test_several_splits_are_headed_by_their_mean(comparison):
    both = dataclasses.replace(comparison, others=[comparison, comparison])
    summary = summarize(both, both.to_dict())
    mean = summary["over_splits"]
    assert mean["n_splits"] == 3
    page = " ".join(render_html(summary).split())
    assert "on average over 3 splits" in page
    assert "the rest of this page is about the first split" in page
    alone = summarize(comparison, comparison.to_dict())
    assert alone["over_splits"] is None
    assert "on average over" not in render_html(alone)


@pytest.mark.usefixtures("undrawn")
def test_what_names_call_cnn_is_explained_where_it_was_trained_elsewhere(comparison):
    protocol = {**comparison.protocol, "frozen": True, "network": "vit.onnx"}
    frozen = dataclasses.replace(comparison, protocol=protocol)
    assert "cnn stands for vit.onnx" in render_html(summarize(frozen, frozen.to_dict()))
    assert "cnn stands for" not in render_html(summarize(comparison, comparison.to_dict()))
