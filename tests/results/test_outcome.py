import dataclasses

import numpy as np
import pytest

from penultimate import Training, compare
from penultimate.evaluation import holm
from penultimate.report.methods_text import methods_paragraph
from penultimate.report.render import render_html
from penultimate.report.summary import summarize
from penultimate.results.overview import overview


@pytest.fixture(scope="module")
def comparison(shapes, solved_networks):
    return compare(*shapes, seeds=2, training=Training(epochs=1))


def test_headlines_are_a_part_of_the_dictionary(comparison):
    results, headlines = comparison.to_dict(), comparison.headlines()
    for row in [*results["methods"], *headlines["methods"]]:
        row["per_class"] = None
        if row["vs_softmax"] is not None:  # all comparisons of the file are corrected for
            row["vs_softmax"].pop("p_holm", None)
    assert headlines["dataset"].items() <= results["dataset"].items()
    for name in headlines.keys() - {"dataset"}:
        assert headlines[name] == results[name]


def test_headlines_are_without_subsets(two_subsets):
    result = compare(two_subsets, methods=["pca+svm-rbf"], seeds=1)
    assert [row["subset"] for row in result.headlines()["methods"]] == [None]


def test_confusion_counts_every_answer_that_is_a_class(comparison):
    counts = comparison.confusion("cnn+svm-rbf")
    assert counts.sum() == 2 * len(comparison.test)
    assert np.trace(counts) == comparison.correct("cnn+svm-rbf").sum()


def test_dictionary(comparison):
    results = comparison.to_dict()
    softmax, logistic, *_ = results["methods"]
    assert softmax["vs_softmax"] is None
    assert logistic["control"]
    assert set(logistic["vs_softmax"]) == {
        "baseline",
        "difference",
        "ci95",
        "p",
        "p_holm",
        "p_mcnemar",
        "samples_needed",
    }
    tested = [m["vs_softmax"] for m in results["methods"] if m["vs_softmax"]]
    np.testing.assert_allclose(
        [d["p_holm"] for d in tested], holm([d["p"] for d in tested]), rtol=1e-12
    )
    assert all(len(d["p_mcnemar"]) == len(comparison.seeds) for d in tested)
    assert results["protocol"]["test_uses"] == 1
    assert results["dataset"]["n_development"] == 48
    for method in results["methods"]:
        assert method["accuracy"] == pytest.approx(np.mean(method["per_seed"]))
        assert method["fit_seconds"] >= method["head_seconds"]


def test_dictionary_by_subset(two_subsets):
    result = compare(two_subsets, methods=["pca+svm-rbf"], seeds=1)
    results = result.to_dict()
    assert results["dataset"]["subsets"] == {
        "bright": ["bright/lying", "bright/standing"],
        "dark": ["dark/lying", "dark/standing"],
    }
    whole, bright, dark = results["methods"]
    assert [row["subset"] for row in results["methods"]] == [None, "bright", "dark"]
    assert whole["head_seconds"] == pytest.approx(bright["head_seconds"] + dark["head_seconds"])
    assert whole["params"] == {}
    assert set(bright["params"]["0"]) == {"C", "gamma"}
    assert all(row["knows_subset"] for row in results["methods"])
    sizes = [len(result.samples(name)) for name in ("bright", "dark")]
    weighted = np.average([bright["accuracy"], dark["accuracy"]], weights=sizes)
    assert whole["accuracy"] == pytest.approx(weighted)


@pytest.mark.slow
def test_what_differences_are_from_is_named_everywhere(comparison):
    """A network whose outputs are not these classes has no softmax: a logistic head stands in."""
    heads = [method for method in comparison.methods if not method.is_softmax]
    frozen = {**comparison.protocol, "frozen": True}
    found = dataclasses.replace(comparison, methods=heads, protocol=frozen)
    assert (comparison.reference, found.reference) == ("softmax", "cnn+logistic")
    assert overview(found)[0].head[-1] == "difference from cnn+logistic (percentage points)"
    assert "Difference from cnn+logistic (percentage points)" in found.to_markdown()
    label = found.plot_differences().ax_.get_xlabel()
    assert label == "difference from cnn+logistic (percentage points)"
    results = found.to_dict()
    assert "Differences from cnn+logistic are paired" in methods_paragraph(results)
    page = render_html(summarize(found, results))
    assert "Difference from cnn+logistic (percentage points)" in page
    assert "more accurate than cnn+logistic" in page
    assert "from softmax" not in page
    assert "from the softmax" not in page
