"""Candidates of several folds: what is the same, what follows the scale, and what differs."""

import numpy as np
import pytest

from penultimate.selection.fold_scores import FoldScores, scale_of


def fold_scores(first, second):
    scores = [{"score": np.array([0.5])}, {"score": np.array([0.7])}]
    return FoldScores([[{"gamma": first}], [{"gamma": second}]], scores, [1.0, 4.0])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(0.1, 0.1, 0.1), ("scale", "scale", "scale"), (0.3, 1.2, 0.6)],
)
def test_a_value_is_kept_or_keeps_its_ratio_to_the_scale(first, second, expected):
    folds = fold_scores(first, second)
    assert folds.settings(2.0) == [{"gamma": expected}]
    assert folds.results(2.0)["mean_test_score"].tolist() == pytest.approx([0.6])


@pytest.mark.parametrize(("first", "second"), [(0.3, 0.5), ("scale", "auto")])
def test_candidates_that_differ_are_refused(first, second):
    with pytest.raises(ValueError, match="candidates differ, such as .* set the random_state"):
        fold_scores(first, second).settings(2.0)


def test_constant_features_have_a_scale():
    assert scale_of(np.ones((3, 2))) == 1.0
    assert scale_of(np.array([[0.0], [2.0]])) == 1.0
    assert scale_of(np.array([[0.0, 4.0]])) == 1 / 8
