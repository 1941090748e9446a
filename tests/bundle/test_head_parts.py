import numpy as np
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penultimate import SVC, SVCSearchCV
from penultimate.bundle.head_parts import head_parts

X, y = load_iris(return_X_y=True)


def test_what_predicts_is_kept_under_its_own_names():
    search = SVCSearchCV(param_grid={"C": [2.0]}).fit(X, y)
    tensors, words = head_parts({"head": make_pipeline(StandardScaler().fit(X), search)})
    machine = search.best_estimator_
    kept = tensors["head.svcsearchcv.support_vectors_"]
    np.testing.assert_array_equal(kept, machine.support_vectors_)
    np.testing.assert_array_equal(tensors["head.standardscaler.mean_"], X.mean(axis=0))
    assert words["head.svcsearchcv"]["class"] == "SVC"
    assert words["head.svcsearchcv"]["params"]["C"] == 2.0
    assert not any("cv_results" in name or "classes" in name for name in tensors)


def test_an_svc_can_be_computed_from_its_tensors():
    machine = SVC(kernel="linear").fit(X[:100], y[:100])
    tensors, _ = head_parts({"head": machine})
    decisions = X[:100] @ tensors["head.support_vectors_"].T @ tensors["head.dual_coef_"].T
    decisions = decisions[:, 0] + tensors["head.intercept_"][0]
    np.testing.assert_allclose(decisions, machine.decision_function(X[:100]), atol=1e-4)
