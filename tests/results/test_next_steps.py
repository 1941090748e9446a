from dataclasses import replace

import numpy as np
import pytest

from penultimate._common.door import at_terminal
from penultimate.results.method import HardCase, LearningCurve
from penultimate.results.next_steps import next_steps

RESIZED = "Images were resized to 12 x 12 (from 512 x 384), the default. Another size: x."


@pytest.fixture
def settled(comparison):
    """A comparison after which nothing is to be done."""
    protocol = {**comparison.protocol, "selection": "crossfit"}
    return replace(comparison, protocol=protocol, checks=[], hardest=[], learning_curves=[])


def whats(outcome):
    return [step["what"] for step in next_steps(outcome)]


def found(name, level="warning"):
    return {"id": name, "level": level, "message": "It is so."}


def test_no_step_without_a_fact(settled):
    assert next_steps(settled) == []


def test_an_error_comes_first_and_there_are_at_most_three(settled):
    cases = [HardCase(3, 0, 1, -0.5), HardCase(4, 0, 0, 0.5)]
    names = np.array([f"{k}.png" for k in range(60)])
    data = replace(settled.dataset, files=names, notes=(RESIZED,))
    checks = [found("few-test-samples"), found("images-left-out"), found("x", "error")]
    made = replace(settled, dataset=data, checks=checks, hardest=cases)
    assert [step["section"] for step in next_steps(made)] == ["checks", "", "hardest"]
    assert "penultimate look" in whats(made)[1]
    assert whats(made)[2] == "Check the label of 1 training image."
    assert whats(replace(made, checks=[]))[1].startswith("If details matter, compare at twice")
    arrays = replace(made, dataset=settled.dataset)
    assert "penultimate look" not in " ".join(whats(arrays))


def test_few_images(settled):
    few = replace(settled, protocol={**settled.protocol, "selection": "heldout"})
    (step,) = next_steps(few)
    assert step["what"].startswith(
        "Use all images to choose settings (Protocol(selection='crossfit')"
    )
    assert step["why"] == "There are about 24 images per class to learn from."
    few.checks.append(found("few-test-samples"))
    with at_terminal():
        (step,) = next_steps(few)
    assert "--selection crossfit" in step["what"]
    assert "--splits 5" in step["what"]
    # What was asked for is not advised.
    (step,) = next_steps(replace(few, others=[few]))
    assert "Holdouts" not in step["what"]
    assert (
        next_steps(replace(few, protocol={**few.protocol, "frozen": True, "given_split": True}))
        == []
    )


def test_a_larger_size_only_where_the_default_reduced_it(settled):
    asked = RESIZED.partition(", the default")[0]
    for note, n_steps in ((RESIZED, 1), (asked, 0)):
        made = replace(settled, dataset=replace(settled.dataset, notes=(note,)))
        assert len(next_steps(made)) == n_steps


@pytest.mark.parametrize(
    ("after", "n_scored", "n_steps"), [(0.8, 500, 1), (0.8, 50, 0), (0.7, 500, 0)]
)
def test_more_images_only_if_the_curve_still_rises(settled, after, n_scored, n_steps):
    head = settled.protocol["headline"]
    curve = LearningCurve(head, [10, 120, 240], [0.5, 0.7, after], n_scored)
    steps = next_steps(replace(settled, learning_curves=[curve]))
    assert len(steps) == n_steps
    if steps:
        assert "on 240 instead of 120 images" in steps[0]["why"]
        assert "80.0 % instead of 70.0 %" in steps[0]["why"]
