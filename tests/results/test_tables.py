import dataclasses
import json

import numpy as np
import pytest

from penultimate import compare
from penultimate.results.samples import error_table


def test_frame(comparison):
    frame = comparison.to_frame()
    assert frame["method"].tolist() == comparison.names()
    svm = frame.set_index("method").loc["cnn+svm-rbf"]
    difference, accuracy = comparison.vs_softmax("cnn+svm-rbf"), comparison.accuracy("cnn+svm-rbf")
    assert svm[["accuracy", "accuracy_low", "accuracy_high"]].tolist() == [
        accuracy.value,
        accuracy.low,
        accuracy.high,
    ]
    assert svm[["difference", "difference_low", "difference_high", "p"]].tolist() == [
        difference.value,
        difference.low,
        difference.high,
        difference.p,
    ]
    assert frame.loc[0, ["difference", "p"]].isna().all()
    assert frame["head_seconds"].tolist()[0] == 0


def test_frame_names_what_to_install(comparison, monkeypatch):
    monkeypatch.setattr("penultimate._common.imports.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'penultimate\[pandas\]'"):
        comparison.to_frame()
    for name in ("errors", "per_class"):
        with pytest.raises(ImportError, match=r"pip install 'penultimate\[pandas\]'"):
            getattr(comparison, name)()


def test_errors_are_those_of_the_file(full):
    header, rows = error_table(full)
    frame = full.errors()
    assert list(frame.columns) == header
    assert len(frame) == len(rows) == sum((~full.correct(name)).sum() for name in full.names())
    assert frame["file" if "file" in header else "sample"].tolist() == [row[2] for row in rows]
    own = full.errors("cnn+svm-rbf")
    assert set(own["method"]) == {"cnn+svm-rbf"}
    assert own["margin"].notna().all()
    assert (own["label"] != own["prediction"]).all()
    softmax = full.errors("cnn-softmax")["margin"]
    assert softmax.dtype == float
    assert softmax.isna().all()


def test_no_errors_are_an_empty_table(full):
    right = np.tile(full.dataset.labels[full.test], (2, 1))
    methods = [dataclasses.replace(full.methods[0], predictions=right)]
    frame = dataclasses.replace(full, methods=methods).errors()
    assert len(frame) == 0
    assert list(frame.columns) == list(full.errors().columns)


def test_figures_by_class_are_those_of_the_report(full):
    frame = full.per_class()
    figures = ("precision", "recall", "f1")
    ends = [f"{figure}{end}" for figure in figures for end in ("", "_low", "_high")]
    assert list(frame.columns) == ["method", "class", "support", *ends]
    for name in full.names():
        rows = frame[frame["method"] == name].to_dict("records")
        assert rows == full.per_class(name).to_dict("records")
        for row, kept in zip(rows, full.by_class(name), strict=True):
            stored = kept.to_dict()
            assert (row["class"], row["support"]) == (stored["class"], stored["support"])
            for figure in figures:
                assert row[figure] == stored[figure]
                assert [row[f"{figure}_low"], row[f"{figure}_high"]] == stored[f"{figure}_ci95"]


def test_a_class_that_is_never_predicted_has_no_precision(full):
    methods = [dataclasses.replace(full.methods[0], predictions=np.zeros((2, 12), int))]
    frame = dataclasses.replace(full, methods=methods).per_class().set_index("class")
    assert np.isnan(frame.loc["standing", ["precision", "precision_low", "precision_high"]]).all()
    assert frame.loc["standing", "recall"] == 0


@pytest.mark.parametrize("name", ["errors", "per_class"])
def test_tables_of_a_method_that_was_not_compared(full, name):
    with pytest.raises(KeyError, match="'cnn' was not compared; the methods compared are"):
        getattr(full, name)("cnn")


def test_json_is_the_dictionary(comparison):
    assert json.loads(comparison.to_json()) == comparison.to_dict()
    assert "\n" not in comparison.to_json(indent=None)


def test_markdown(comparison):
    head, rule, softmax, *others = comparison.to_markdown().splitlines()
    svm = next(line for line in others if line.startswith("| cnn+svm-rbf |"))
    assert head == "| Method | Accuracy, % | Difference from softmax (percentage points) | p |"
    assert rule == "| --- | ---: | ---: | ---: |"
    accuracy = comparison.accuracy("cnn-softmax")
    assert softmax == (
        f"| cnn-softmax | {accuracy.value:.2%} ({accuracy.low:.2%} to {accuracy.high:.2%}) |  |  |"
    ).replace("%", "")
    difference = comparison.vs_softmax("cnn+svm-rbf")
    assert f"| {100 * difference.value:+.2f} (" in svm
    assert svm.endswith(f"| {difference.p:.3f} |")


def test_markdown_by_subset(two_subsets):
    result = compare(two_subsets, methods=["pca+svm-rbf"], seeds=1)
    rows = [line.split(" | ")[:2] for line in result.to_markdown().splitlines()]
    assert rows[0] == ["| Method", "Subset"]
    assert rows[2:] == [["| pca+svm-rbf", name] for name in ("all", "bright", "dark")]
    assert result.to_frame()["subset"].tolist()[1:] == ["bright", "dark"]
