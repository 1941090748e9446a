import dataclasses
import pickle

import numpy as np
import pytest

from penultimate import compare
from penultimate.report import summarize
from penultimate.results.statements import sentences


def test_the_words_are_those_of_the_report(full):
    page = summarize(full, full.to_dict())
    assert full.answer == page["answer"]
    assert full.verdict == page["verdict"]
    lines = str(full).splitlines()
    assert lines[:2] == [page["answer"], page["verdict"]]
    found = zip(page["alarms"], lines[2:4], strict=True)
    assert all(check["message"] in line for check, line in found)
    assert repr(full) == f"<Comparison on {full.dataset.name}, 2 seeds>\n{full}"


def test_findings_take_a_line_each_and_notes_none(full):
    assert sentences(full)[2:] == [
        "ERROR: The test set leaks.",
        "Warning [duplicates]: Two images are in both parts. Drop them.",
    ]
    broken = [{"id": "x", "level": "error", "message": "a name\nof two lines"}]
    assert sentences(dataclasses.replace(full, checks=broken))[2:] == ["ERROR: a name of two lines"]


def test_without_an_svm_there_is_no_verdict(comparison):
    few = dataclasses.replace(comparison, methods=comparison.methods[:1], checks=[])
    assert few.verdict == "No verdict: no SVM head was compared with a softmax or a logistic head."
    assert len(sentences(few)) == 1
    assert "verdict" not in str(few)


def test_an_undertrained_network_has_no_verdict(comparison):
    checks = [{"id": "network-undertrained", "level": "warning", "message": "It guesses."}]
    made = dataclasses.replace(comparison, checks=checks)
    assert made.verdict.startswith("No verdict: the network did not train properly. It guesses.")


def test_one_seed_of_a_method_of_the_user(comparison):
    own = dataclasses.replace(
        comparison.methods[2],
        name="[bold]Señor 文[/bold]",
        predictions=comparison.methods[2].predictions[:1],
        family="other",
    )
    protocol = {**comparison.protocol, "headline": own.name, "seeds": [4]}
    made = dataclasses.replace(comparison, methods=[own], seeds=[4], protocol=protocol)
    assert made.answer.startswith("[bold]Señor 文[/bold] is right on")
    assert "[bold]Señor 文[/bold]" in str(made).splitlines()[-2]
    assert repr(made).startswith("<Comparison on bars <b>&, 1 seed>\n")


def test_a_copy_says_the_same(comparison):
    again = pickle.loads(pickle.dumps(comparison))  # noqa: S301
    assert repr(again) == repr(comparison)
    assert again._repr_html_() == comparison._repr_html_()


def test_one_test_image(shapes):
    X, y = shapes
    is_test = np.arange(60) == 7
    result = compare(X[~is_test], y[~is_test], test=(X[is_test], y[is_test]),
                     methods=["pca+svm-rbf"], seeds=1, verbose=0)  # fmt: skip
    assert "on 100 % of the only test image (" in result.answer
    assert "accuracy on 1 test image\n" in str(result)
    assert result.errors().empty


@pytest.mark.parametrize("name", ["answer", "verdict"])
def test_nothing_is_stored(comparison, name):
    with pytest.raises(AttributeError):
        setattr(comparison, name, "excellent")
