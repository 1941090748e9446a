import pytest

from penultimate._common.door import at_terminal
from penultimate.report import verdict


def row(name, vs_softmax, **others):
    family = "logistic" if name == "cnn+logistic" else "svm"
    fixed = {"subset": None, "knows_subset": False, "inputs": "features", "router": None}
    fixed["family"] = family
    return {"name": name, **fixed, "vs_softmax": vs_softmax, **others}


def results(difference, low, high, name="cnn+svm-rbf", **others):
    vs_softmax = {"difference": difference, "ci95": [low, high], "p": 0.5}
    return made_of([row(name, vs_softmax, **others)], headline=name)


def made_of(methods, **protocol):
    protocol = {"seeds": [0, 1, 2], "frozen": False, "headline": None, **protocol}
    return {"dataset": {"n_test": 1000}, "protocol": protocol, "checks": [], "methods": methods}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            (0.006, 0.002, 0.01),
            "more accurate than cnn-softmax by 0.6 percentage points (95 % interval: 0.2 to 1.0",
        ),
        (
            (-0.01, -0.02, -0.003),
            "less accurate than cnn-softmax by 1.0 percentage points (95 % interval: 0.3 to 2.",
        ),
        (
            (0.002, -0.001, 0.005),
            "on 1,000 test images: +0.2 percentage points (95 % interval: -0.1 to +0.5).",
        ),
        ((0.0, 0.0, 0.0), "No significant difference between cnn+svm-rbf and cnn-softmax"),
    ],
)
def test_verdict(values, words):
    assert words in verdict(results(*values))


def test_verdict_gives_the_number_of_samples_needed():
    words = "About 12,000 test images would be needed to detect a difference of this size."
    unclear, clear = results(0.002, -0.001, 0.005), results(0.006, 0.002, 0.01)
    for made in (unclear, clear):
        made["methods"][0]["vs_softmax"]["samples_needed"] = 12_400
    assert verdict(unclear).endswith(words)
    assert words not in verdict(clear)
    unclear["methods"][0]["vs_softmax"]["samples_needed"] = None
    assert verdict(unclear).endswith("more seeds are needed.")
    unclear["protocol"]["seeds"] = [0]
    assert "needed" not in verdict(unclear)


def test_more_seeds_are_advised_unless_they_were_asked_for():
    made = results(0.006, 0.002, 0.01)
    made["protocol"]["seeds"] = [0]
    assert verdict(made).endswith("may give a different result (use seeds=3).")
    with at_terminal():
        assert verdict(made).endswith("may give a different result (use --seeds 3).")
    made["checks"] = [{"id": "cut-short", "message": ""}]
    assert verdict(made).endswith("may give a different result.")


def test_verdict_is_about_the_head_that_the_protocol_names():
    assert "cnn+svm-linear is more accurate" in verdict(results(0.1, 0.05, 0.2, "cnn+svm-linear"))


def test_verdict_reports_the_control():
    both = results(0.02, 0.01, 0.03)
    control = {"difference": 0.018, "ci95": [0.01, 0.03], "p": 0.01}
    both["methods"].append(row("cnn+logistic", control))
    assert verdict(both).endswith("changes the accuracy by +1.8 percentage points.")


def test_verdict_names_the_softmax_with_the_same_information():
    assert "than cnn-softmax-masked by" in verdict(results(0.1, 0.05, 0.2, knows_subset=True))
    of_a_subset = results(0.1, 0.05, 0.2, subset="vowels")
    assert verdict(of_a_subset) == ""


def test_no_verdict_without_a_softmax():
    assert verdict(made_of([row("cnn+svm-rbf", None)], headline="cnn+svm-rbf")) == ""
    assert verdict(made_of([])) == ""


def test_no_winner_against_a_network_that_did_not_train():
    made = results(0.2174, 0.1, 0.3)
    message = "Seed 1: the softmax has an accuracy of 22.8 % on 92 test samples."
    made["checks"] = [{"id": "network-undertrained", "level": "error", "message": message}]
    assert verdict(made).startswith("No verdict: the network did not train properly. Seed 1")
    assert "accurate" not in verdict(made)
    made["checks"][0]["id"] = "grid-edge"
    assert "is more accurate" in verdict(made)


def test_one_seed_compares_two_trained_classifiers():
    made = results(0.006, 0.002, 0.01)
    made["protocol"]["seeds"] = [0]
    assert "compares two trained classifiers, not the methods" in verdict(made)
    made["protocol"]["seeds"] = [0, 1, 2]
    assert "two trained classifiers" not in verdict(made)


def test_the_baseline_is_named():
    made = results(0.006, 0.002, 0.01)
    made["methods"][0]["vs_softmax"]["baseline"] = "cnn+logistic"
    assert "more accurate than cnn+logistic by" in verdict(made)
