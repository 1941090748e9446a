import numpy as np

from penultimate.results.method import FitLog, MethodResult
from penultimate.results.selected import selections, spell_pair


def chosen(normalization, *scores, layer="flatten"):
    names = ("standardize", "l2")
    pairs = [
        {"layer": layer, "normalization": name, "score": score}
        for name, score in zip(names, scores)
    ]
    return {"layer": layer, "normalization": normalization, "scores": pairs}


def result(*selected, name="svm", router=None):
    grids = [{"params": [{"C": 1, "gamma": 2}], "score": [k / 10]} for k in range(len(selected))]
    log = FitLog(grids=grids, selected=list(selected))
    return MethodResult(name, False, False, np.zeros((1, 1), int), {None: log}, router=router)


def test_a_choice_that_all_seeds_agree_on():
    said = selections([result(chosen("l2", 0.5, 0.7), chosen("l2", 0.6, 0.8))])
    assert "svm: flatten, l2 (flatten, standardize 55.0 %; flatten, l2 75.0 %)." in said
    assert said.startswith("Layer and normalization, selected on held-out samples (")


def test_seeds_that_disagree_and_given_features():
    of_given = [chosen(name, 0.5, 0.7, layer=None) for name in ("l2", "standardize", "l2")]
    said = selections([result(*of_given)], by_folds=True)
    assert said.startswith("Normalization, selected by cross-validation (")
    assert "svm: l2 for 2 seeds and standardize for 1 seed (standardize 50.0 %; l2 70.0 %)" in said


def test_no_choice_is_not_mentioned():
    assert selections([result(chosen("standardize", 0.9)), result(None)]) == ""
    assert selections([result(chosen("l2", 0.5, 0.7), router="network")]) == ""


def test_no_normalization_has_a_name():
    assert spell_pair({"layer": "conv", "normalization": None}) == "conv, no normalization"


def test_grids_of_other_features_are_not_averaged():
    """The same gamma means something else on features of another length."""
    one, other = chosen("l2", 0.5, 0.7), chosen("standardize", 0.7, 0.5)
    log = result(one, other, one).fits[None]
    assert [grid["score"] for grid in log.comparable_grids()] == [[0.0], [0.2]]
    assert log.mean_grid_scores()[1].tolist() == [0.1]
    log.selected = []  # of an earlier version
    assert len(log.comparable_grids()) == 3
