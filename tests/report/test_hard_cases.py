import dataclasses

import numpy as np

from penultimate.report.hard_cases import MAX_HARD_CASES, hard_cases
from penultimate.report.thumbnails import make_thumbnails
from penultimate.results.method import HardCase


def test_the_worst_first_with_its_image(full):
    gallery = hard_cases(full)
    assert [(case["name"], case["true"], case["margin"]) for case in gallery["cases"]] == [
        ("sample 3", "standing", -2.25),
        ("sample 7", "lying", -1.5),
    ]
    assert [case["predicted"] for case in gallery["cases"]] == ["lying", "standing"]
    assert gallery["thumbnails"] == make_thumbnails(full.dataset, [3, 7])
    assert gallery["n_cases"] == 2


def test_as_many_as_fit(full):
    many = [
        HardCase(k % 60, 0, 1, float(margin)) for k, margin in enumerate(np.linspace(-9, 0, 99))
    ]
    gallery = hard_cases(dataclasses.replace(full, hardest=many[::-1]))
    assert [case["margin"] for case in gallery["cases"]] == [
        c.margin for c in many[:MAX_HARD_CASES]
    ]
    assert gallery["n_cases"] == 99


def test_none(comparison):
    assert hard_cases(dataclasses.replace(comparison, hardest=[])) is None
