import numpy as np
import pytest
from sklearn.datasets import load_iris

from penultimate.comparison.methods import METHODS, principal_components
from penultimate.selection.heldout import fit_head
from penultimate.splits import split_development

X, y = load_iris(return_X_y=True)


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].make_head])
def test_every_head_searches_on_the_selection_part(name):
    split = split_development(y)
    method = METHODS[name]
    preprocessing = None
    if method.make_preprocessing is not None:
        preprocessing = method.make_preprocessing(len(split.train), X.shape[1])
    fitted = fit_head(method.make_head(None, 0), X, y, split, preprocessing=preprocessing)
    search = fitted["head"]
    assert search.n_splits_ == 1
    # Forests have nothing to search over, and are scored to choose between layers.
    assert (len(search.cv_results_["params"]) > 1) == (method.family != "forest")
    assert search.best_score_ > 0.9
    assert fitted.score(X, y) > 0.9


def test_the_softmax_has_no_head():
    assert METHODS["cnn-softmax"].make_head is None
    controls = [name for name, method in METHODS.items() if method.control]
    assert controls == ["cnn+logistic", "cnn-scratch", "cnn-scratch-plain"]


def test_fewer_samples_or_pixels_than_components():
    assert principal_components(9, 784).n_components == 9
    assert principal_components(1000, 12).n_components == 12
    assert principal_components(1000, 784).n_components == 50


def test_logistic_head_converges_on_correlated_features():
    rng = np.random.default_rng(0)
    wide = np.repeat(X, 10, axis=1) + rng.normal(0, 0.01, (150, 40))
    split = split_development(y)
    # Warnings are errors here: a head that stops early would fail.
    fit_head(METHODS["cnn+logistic"].make_head(None, 0), wide, y, split)
