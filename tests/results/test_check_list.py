"""The findings of the checks, the most harmful first."""

from penultimate.evaluation.checks._check import ABOUT
from penultimate.results import check_list
from penultimate.results.check_list import alarms


def found(name, level="warning"):
    return {"id": name, "level": level}


def test_errors_come_first_then_what_makes_every_figure_meaningless():
    checks = [
        found("grid-edge"),
        found("mine"),
        found("duplicates-in-selection"),
        found("network-undertrained"),
        found("fine", "info"),
        found("few-test-samples", "error"),
        found("passed", "ok"),
    ]
    assert [check["id"] for check in alarms(checks)] == [
        "few-test-samples",
        "network-undertrained",
        "duplicates-in-selection",
        "grid-edge",
        "mine",
    ]


def test_that_a_comparison_was_cut_short_comes_before_all():
    checks = [found("network-undertrained", "error"), found("cut-short"), found("groups-split")]
    assert alarms(checks)[0]["id"] == "cut-short"


def test_findings_of_equal_harm_keep_their_order():
    assert [check["id"] for check in alarms([found("b"), found("a")])] == ["b", "a"]
    assert alarms([]) == []


def test_every_check_has_its_place():
    assert sorted(check_list._BY_HARM) == sorted(ABOUT)
