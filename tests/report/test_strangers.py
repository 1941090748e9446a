import re

import pytest

from penultimate.report.render import render_html
from penultimate.report.summary import summarize


@pytest.mark.usefixtures("undrawn")
def test_the_page_shows_classes_as_strangers(full, comparison):
    page = render_html(summarize(full, full.to_dict()))
    section = page[page.index('<section id="strangers"') :].split("</section>")[0]
    text = " ".join(re.sub("<[^>]+>", " ", section).split())
    assert "1 of 2 classes would mostly be noticed; most of standing would pass as known." in text
    assert "standing 10 3 to 30 0.700 0.600 to 0.800 20 lying 100 84 to 100 1.000" in text
    assert "4 % ( 2 to 8 )" in text or "4 % (2 to 8)" in text
    assert "these figures are optimistic" in text  # the network knew all classes
    assert '<section id="strangers"' not in render_html(summarize(comparison, comparison.to_dict()))


def test_the_terminal_shows_them(full, comparison):
    assert "As strangers, left out in turn, at 5 % false alarms" in str(full)
    assert "0.600 to 0.800" in str(full)
    assert "strangers" not in str(comparison)


def test_results(full, comparison):
    found = full.to_dict()["novelty"]
    assert [row["class"] for row in found["classes"]] == ["standing", "lying"]
    assert found["classes"][0]["auroc"] == {"value": 0.7, "ci95": [0.6, 0.8]}
    assert comparison.to_dict()["novelty"] is None
