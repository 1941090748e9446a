import copy

import pytest

from penultimate.report import methods_paragraph


@pytest.fixture
def results(comparison):
    return copy.deepcopy(comparison.to_dict())


def test_what_a_reader_needs(results):
    text = methods_paragraph(results)
    for words in (
        "We compared cnn-softmax, cnn+logistic (a control), cnn+svm-rbf,",
        "on bars <b>&: 60 images of 12 x 12 pixels in 2 classes, of which 48 were used for "
        "development and 12 for testing. The test set was drawn at random, stratified by "
        "class (seed 0).",
        "Each method was evaluated on the test set once.",
        "a network (compact, 4 epochs) was trained",
        "on which neither the network nor any candidate was fitted",
        "run with 2 seeds (0, 1);",
        "95 % Wilson confidence intervals for an effective sample size (Dean and Pagano, 2015) "
        "that is estimated from crossed random effects of test samples and seeds.",
        "adjusted by Holm's method",
        "Differences from the softmax are paired",
        f"penultimate {results['versions']['penultimate']}",
        f"Python {results['versions']['python']}",
    ):
        assert words in text
    for words in ("subset", "Nadeau", "optimistic", "frozen", "groups", "earlier", "{"):
        assert words not in text
    assert text.count("  ") == 0


def test_each_selection_protocol_has_its_own_words(results):
    protocol = results["protocol"]
    protocol["selection"] = "resubstitution"
    assert "the selection is optimistic" in methods_paragraph(results)
    protocol["selection"] = "crossfit"
    text = methods_paragraph(results)
    assert "in each fold a network was trained and every candidate was fitted" in text
    assert "one network and the chosen heads were refitted" in text
    protocol["frozen"] = True
    text = methods_paragraph(results)
    assert "in each fold every candidate was fitted" in text
    assert "one frozen network" in text
    assert "epochs" not in text
    protocol["selection"] = "heldout"
    assert "on which no candidate was fitted" in methods_paragraph(results)


def test_groups(results):
    results["protocol"]["groups"] = True
    text = methods_paragraph(results)
    assert "no group occurs in both sets" in text
    assert "selection part, with groups kept whole" in text
    assert "random effects of groups of test samples" in text


def test_given_test_set_that_was_used_before(results):
    results["protocol"] |= {"given_split": True, "test_uses": 3}
    text = methods_paragraph(results)
    assert "The test set was supplied with the data" in text
    assert "had been used by 2 earlier comparisons" in text


def test_subsets_splits_and_adjusted_values(results):
    results["protocol"]["subsets"] = True
    results["splits"][0]["n_splits"] = 4
    results["methods"][1]["vs_softmax"]["p_holm"] = 0.04
    text = methods_paragraph(results)
    assert "The classes are grouped into subsets (flat)." in text
    assert "restricted to the classes of that subset" in text
    assert "on 4 random splits" in text
    assert "Holm's method" in text


def test_one_seed_without_a_network(results):
    results["protocol"]["seeds"] = [5]
    results["methods"] = [row for row in results["methods"] if row["name"] == "pca+svm-rbf"]
    results["methods"][0]["vs_softmax"] = None
    text = methods_paragraph(results)
    assert "run with a single seed (5)." in text
    assert "which do not include the variation between training runs" in text
    assert "network" not in text
    assert "softmax" not in text


@pytest.mark.parametrize(
    ("layers", "normalizations", "words"),
    [
        (["penultimate"], ["standardize"], "the same features, those before the last layer of"),
        (["conv"], ["standardize"], "the same features, those at the layer conv of this network"),
        (["conv"], ["l2"], "The features were normalized by scaling each sample to unit length."),
        (["conv"], [None], "The features were not normalized."),
        (["conv", "flatten"], ["l2"], "features at one of the layers conv and flatten of this"),
        (["conv", "flatten"], ["l2"], "The layer was chosen for each head in the same way."),
        (
            ["conv"],
            ["standardize", None],
            "The normalization of the features (standardization and none) was chosen for each head",
        ),
        (
            ["conv", "flatten"],
            ["standardize", None],
            "The layer and the normalization of the features (standardization and none) were "
            "chosen for each head in the same way.",
        ),
    ],
)
def test_layers_and_normalizations(results, layers, normalizations, words):
    results["protocol"] |= {"layers": layers, "normalizations": normalizations}
    text = methods_paragraph(results)
    assert words in text
    plain = len(layers) == len(normalizations) == 1
    assert ("in the same way" in text) != plain
    results["protocol"]["frozen"] = True
    frozen = methods_paragraph(results)
    assert ("before the last layer of one frozen network" in frozen) == (layers == ["penultimate"])
