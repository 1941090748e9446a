"""The page of an evaluation: made from answers alone, without a model."""

import json
from dataclasses import replace

import numpy as np
import pytest

from penultimate import Dataset
from penultimate.report.evaluated import write_evaluation
from penultimate.results.evaluation import Evaluation
from tests.pages import check_axe, check_background, in_scheme, in_width

N = 60
RNG = np.random.default_rng(0)
LABELS = np.arange(N) % 3
SAID = np.where(np.arange(N) % 10 == 4, (LABELS + 1) % 3, LABELS)
PROMISE = {
    "threshold": 0.5, "risk": 0.1, "level": 0.95, "coverage": 0.8, "bound": 0.1, "n_heldout": 50,
    "statement": "Answers where its confidence exceeds 0.5.",
}  # fmt: skip
STATED = {"accuracy": 0.9, "low": 0.8, "high": 0.97, "what": "test set", "n": 50}


@pytest.fixture(scope="module")
def found():
    images = RNG.integers(0, 255, (N, 8, 8, 3), dtype=np.uint8)
    data = Dataset(images, LABELS, ("ant", "bee", "<cat>"), name="zoo")
    sure = np.where(SAID == LABELS, 0.9, 0.6) + np.arange(N) / 1000
    probabilities = np.repeat((1 - sure[:, None]) / 2, 3, axis=1)
    np.put_along_axis(probabilities, SAID[:, None], sure[:, None], axis=1)
    facts = [("model", "SVM"), ("SHA-256", "ab" * 32)]
    every = np.ones(N, bool)
    return Evaluation(
        "pets.zip", facts, data, SAID, every, probabilities=probabilities, stated=STATED
    )


def page_of(found, folder):
    return write_evaluation(found, folder).read_text(encoding="utf-8")


@pytest.mark.slow
def test_all_that_was_asked_for_is_on_the_page(found, tmp_path):
    page = page_of(found, tmp_path / "out")
    assert "pets.zip is right on 54 of 60 images." in page
    for part in ("errors", "classes", "hardest", "reliability", "risk-coverage", "model"):
        assert f'<section id="{part}"' in page
    assert page.count('<figure class="thumb"') == 6 + 24
    assert "&lt;cat&gt;" in page
    assert "<cat>" not in page.replace("&lt;cat&gt;", "")
    assert "ab" * 32 in page
    assert "The file says to expect 90 % (80 to 97 %; test set)" in page
    assert 'id="abstention"' not in page


def test_the_surest_errors_come_first(found, tmp_path):
    page = page_of(found, tmp_path / "out")
    places = [page.index(f"sample {k}<") for k in (54, 44, 34, 24, 14, 4)]
    assert places == sorted(places)


def test_tables_have_every_answer(found, tmp_path):
    careful = replace(found, answered=np.arange(N) > 9)
    write_evaluation(careful, tmp_path / "out")
    answers = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert answers[0] == "sample,label,pets.zip,pets.zip probability,answered"
    assert [line[-1] for line in answers[1:]] == ["0"] * 10 + ["1"] * 50
    errors = (tmp_path / "out" / "errors.csv").read_text().splitlines()
    assert errors[0] == "sample,label,prediction,probability,margin"
    assert len(errors) == 1 + 5


@pytest.mark.parametrize(
    ("bound", "words"),
    [(0.2, "5 of 50 are: kept"), (0.08, "within what chance allows"), (0.01, "clearly more")],
)
def test_errors_are_held_against_the_guarantee(found, tmp_path, bound, words):
    promise = PROMISE | {"bound": bound}
    careful = replace(found, answered=np.arange(N) > 9, abstention=promise)
    page = page_of(careful, tmp_path / "out")
    assert words in page
    assert words in "\n".join(careful.lines())
    assert 'id="abstention"' in page


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        (STATED | {"accuracy": 0.99, "low": 0.98, "high": 1.0}, "clearly less"),
        (STATED | {"accuracy": 0.5, "low": 0.4, "high": 0.6}, "clearly more"),
        (STATED | {"low": None, "high": None}, "no interval to compare with"),
        (None, "does not say what to expect"),
    ],
)
def test_what_was_seen_is_held_against_what_was_expected(found, stated, words):
    assert words in "\n".join(replace(found, stated=stated).lines())


def test_a_model_that_answers_nothing_has_a_page(found, tmp_path):
    silent = replace(found, answered=np.zeros(N, bool), abstention=PROMISE | {"threshold": None})
    page = page_of(silent, tmp_path / "out")
    assert "pets.zip abstains from all 60 images." in page
    assert 'id="errors"' not in page
    assert 'id="viewer"' not in page


def test_one_feature_vector_suffices(tmp_path):
    data = Dataset.from_features(RNG.normal(size=(1, 9)), ["ant"])
    data = replace(data, classes=("ant", "bee"))
    one = Evaluation("m.zip", [], data, np.array([0]), np.ones(1, bool))
    page = page_of(one, tmp_path / "out")
    assert "m.zip is right on 1 of 1 sample." in page
    assert "(the model knows 2)" in page


def test_specialists_have_a_table_of_subsets(found, tmp_path):
    data = replace(found.dataset, subsets={"insects": (0, 1), "pets": (2,)})
    routed = np.where(SAID == 2, "pets", "insects")
    page = page_of(replace(found, dataset=data, routed=routed), tmp_path / "out")
    assert '<section id="subsets"' in page
    assert "Sent there" in page


@pytest.mark.slow
def test_what_a_folder_already_holds(found, tmp_path):
    out = tmp_path / "out"
    assert "used once by evaluations" in page_of(found, out)
    assert "used 2 times by evaluations" in page_of(found, out)
    other = replace(found, dataset=replace(found.dataset, images=found.dataset.images[::-1]))
    with pytest.warns(UserWarning, match="held the evaluation of pets.zip on 'zoo'"):
        write_evaluation(other, out)
    assert json.loads((out / "evaluation.json").read_text())["test_uses"] == 1
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"such as 'thesis.txt'"):
        write_evaluation(found, foreign)
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
@pytest.mark.browser
def test_axe_finds_nothing_and_nothing_sticks_out(found, browser, tmp_path):
    careful = replace(found, abstention=PROMISE, answered=np.arange(N) > 9)
    browser.get(write_evaluation(careful, tmp_path / "out").as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    for scheme in ("light", "dark"):
        for _ in in_scheme(browser, scheme):
            check_background(browser, scheme)
            for width in (1200, 360):
                for _ in in_width(browser, width):
                    check_axe(browser, width)
