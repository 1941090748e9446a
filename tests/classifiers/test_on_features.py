import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.utils.estimator_checks import parametrize_with_checks

from penultimate import SVC, SVCSearchCV
from penultimate._common.seeds import draw_seed
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.provenance import fingerprint
from penultimate.selection.heldout import fit_layers
from penultimate.selection.normalization import choices
from penultimate.splits import split_development

X, codes = load_iris(return_X_y=True)
y = np.array(["setosa", "versicolor", "virginica"])[codes]
GRID = SVCSearchCV(param_grid={"C": [1.0, 10.0], "gamma": [0.1]})


# A weight is not a copy: copies change which samples are held out for the calibration.
NOT_EQUIVALENT = {
    "check_sample_weight_equivalence_on_dense_data": "weights do not change the split"
}


@parametrize_with_checks(
    [FeatureClassifier(SVC(), calibration="temperature", random_state=0)],
    expected_failed_checks=lambda estimator: NOT_EQUIVALENT,
)
def test_it_keeps_to_scikit_learns_contract(estimator, check):
    check(estimator)


def test_head_and_normalization_are_those_of_fit_layers():
    normalizations = ["standardize", "l2", None]
    model = FeatureClassifier(GRID, normalization=normalizations, random_state=3).fit(X, y)
    split = split_development(y, seed=draw_seed(3))
    pairs = choices(["features"], normalizations)
    expected = fit_layers(GRID, {"features": X}, y, split, preprocessing=pairs)
    assert model.normalization_ == expected.normalization
    np.testing.assert_allclose(model.class_margins(X), expected.ask("class_margins", X))
    assert model.provenance_.holds(fingerprint(X)).all()


def test_probabilities_are_calibrated_on_held_out_samples():
    model = FeatureClassifier(SVC(C=1e3), calibration="temperature", random_state=0)
    noise = np.random.default_rng(0).permutation(y)
    assert clone(model).fit(X, noise).predict_proba(X).max() < 0.7
    assert clone(model).fit(X, y).predict_proba(X).max() > 0.9


def test_groups_stay_whole():
    """Pairs of copies with different labels: by group, the selection score cannot profit."""
    groups = np.repeat(np.arange(75), 2)
    model = FeatureClassifier(GRID, selection="crossfit", random_state=0)
    model.fit(np.repeat(X[::2], 2, axis=0), y, groups=groups)
    for train, held_out in model.head_["head"].cv:
        assert not set(groups[train]) & set(groups[held_out])


def test_wrong_parameters_are_named():
    with pytest.raises(ValueError, match="selection.*resubstitution"):
        FeatureClassifier(selection="resubstitution").fit(X, y)
