import json

import pytest

from penultimate import Training, compare


@pytest.fixture(scope="module")
def comparison(shapes):
    methods = ["cnn-softmax", "cnn+svm-rbf"]
    return compare(*shapes, methods=methods, seeds=1, training=Training(epochs=2, batch_size=8))


def test_frame(comparison):
    frame = comparison.to_frame()
    assert frame["method"].tolist() == ["cnn-softmax", "cnn+svm-rbf"]
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


def test_json_is_the_dictionary(comparison):
    assert json.loads(comparison.to_json()) == comparison.to_dict()
    assert "\n" not in comparison.to_json(indent=None)


def test_markdown(comparison):
    head, rule, softmax, svm = comparison.to_markdown().splitlines()
    assert head == "| Method | Accuracy, % | vs softmax (percentage points) | p |"
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
