import pytest

from penultimate.report import verdict


def row(name, vs_softmax, **others):
    return {"name": name, "subset": None, "knows_subset": False, "vs_softmax": vs_softmax, **others}


def results(difference, low, high, name="cnn+svm-rbf", **others):
    vs_softmax = {"difference": difference, "ci95": [low, high], "p": 0.5}
    return {"dataset": {"n_test": 1000}, "methods": [row(name, vs_softmax, **others)]}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.006, 0.002, 0.01), "better than cnn-softmax by 0.60 points (95 % interval 0.20 to 1.0"),
        ((-0.01, -0.02, -0.003), "worse than cnn-softmax by 1.00 points (95 % interval 0.30 to 2."),
        ((0.002, -0.001, 0.005), "no difference that 1,000 test samples could show: +0.20 points"),
        ((0.0, 0.0, 0.0), "no difference"),
    ],
)
def test_verdict(values, words):
    assert words in verdict(results(*values))


def test_verdict_tells_how_many_samples_would_do():
    words = "About 12,400 test samples would be needed to show a difference of this size."
    unclear, clear = results(0.002, -0.001, 0.005), results(0.006, 0.002, 0.01)
    for made in (unclear, clear):
        made["methods"][0]["vs_softmax"]["samples_needed"] = 12_400
    assert verdict(unclear).endswith(words)
    assert words not in verdict(clear)
    unclear["methods"][0]["vs_softmax"]["samples_needed"] = None
    assert "needed" not in verdict(unclear)
    unclear["protocol"] = {"seeds": [0, 1, 2]}
    assert verdict(unclear).endswith("it takes more seeds.")


def test_verdict_falls_back_on_the_linear_head():
    assert "cnn+svm-linear is better" in verdict(results(0.1, 0.05, 0.2, "cnn+svm-linear"))


def test_verdict_tells_what_the_control_did():
    both = results(0.02, 0.01, 0.03)
    control = {"difference": 0.018, "ci95": [0.01, 0.03], "p": 0.01}
    both["methods"].append(row("cnn+logistic", control))
    assert verdict(both).endswith("Refitting a logistic head, with no margin, gives +1.80 points.")


def test_verdict_names_the_softmax_that_knows_as_much():
    assert "than cnn-softmax-masked by" in verdict(results(0.1, 0.05, 0.2, knows_subset=True))
    of_a_subset = results(0.1, 0.05, 0.2, subset="vowels")
    assert verdict(of_a_subset) == ""


def test_no_verdict_without_a_softmax():
    assert verdict({"methods": [row("cnn+svm-rbf", None)]}) == ""
    assert verdict({"methods": []}) == ""


def test_no_winner_against_a_network_that_did_not_train():
    made = results(0.2174, 0.1, 0.3)
    message = "Seed 1: the softmax is right for 22.8 % of 92 test samples."
    made["checks"] = [{"id": "network-undertrained", "level": "error", "message": message}]
    assert verdict(made).startswith("No verdict: the network did not train properly. Seed 1")
    assert "better" not in verdict(made)
    made["checks"][0]["id"] = "grid-edge"
    assert "is better" in verdict(made)


def test_one_seed_speaks_of_two_classifiers():
    made = results(0.006, 0.002, 0.01)
    made["protocol"] = {"seeds": [0]}
    assert "about these two classifiers, not about the methods" in verdict(made)
    made["protocol"] = {"seeds": [0, 1, 2]}
    assert "these two classifiers" not in verdict(made)


def test_the_baseline_is_named():
    made = results(0.006, 0.002, 0.01)
    made["methods"][0]["vs_softmax"]["baseline"] = "cnn+logistic"
    assert "better than cnn+logistic by" in verdict(made)
