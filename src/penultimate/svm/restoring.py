"""A fitted `SVC` made again from its numbers.

The numbers are those that a bundle holds. With them and the samples of its last fit, the classifier
predicts to the bit what the original did.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import compute_class_weight

from penultimate.svm.svc import SVC

# What `restore` needs of the attributes of a classifier.
LEARNED = ("dual_coef_", "intercept_", "n_support_", "optimality_gap_", "support_")


def restore(
    params: Mapping[str, Any],
    learned: Mapping[str, NDArray[Any]],
    X: NDArray[Any],
    y: NDArray[Any],
    *,
    mean: NDArray[np.float64],
    gamma: float,
) -> SVC:
    """Return a fitted classifier.

    Parameters
    ----------
    params : dict
        Of the classifier; `gamma` is set here.
    learned : dict of str to ndarray
        Its fitted attributes `LEARNED`.
    X : ndarray of shape (n_samples, n_features)
        The samples of its fit.
    y : ndarray of shape (n_samples,)
    mean : ndarray of shape (n_features,)
        What was subtracted from samples.
    gamma : float
        The number that stood for the parameter; kept by later fits.

    Returns
    -------
    SVC

    Raises
    ------
    ValueError
        If the numbers do not belong together.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVC
    >>> from penultimate.svm.restoring import LEARNED, restore
    >>> X, y = load_iris(return_X_y=True)
    >>> svc = SVC(C=10).fit(X, y)
    >>> learned = {name: getattr(svc, name) for name in LEARNED}
    >>> again = restore({"C": 10}, learned, X, y, mean=svc._mean, gamma=svc._gamma)
    >>> (again.decision_function(X) == svc.decision_function(X)).all()
    np.True_
    """
    svc = SVC(**{**params, "gamma": gamma})
    svc._check_params()
    classes, codes = np.unique(y, return_inverse=True)
    support, counts = learned["support_"], learned["n_support_"]
    expected = {
        "support_": (int(counts.sum()),),
        "n_support_": (len(classes),),
        "dual_coef_": (len(classes) - 1, len(support)),
        "intercept_": (len(classes) * (len(classes) - 1) // 2,),
        "optimality_gap_": (len(classes) * (len(classes) - 1) // 2,),
    }
    wrong = [name for name, shape in expected.items() if learned[name].shape != shape]
    if wrong or mean.shape != X.shape[1:] or support.min() < 0 or support.max() >= len(X):
        raise ValueError(
            f"The numbers of the classifier do not fit its {len(X):,} samples of {len(classes)} "
            f"classes: {', '.join(wrong) or 'support_'}."
        )
    if not np.array_equal(codes[support], np.repeat(np.arange(len(classes)), counts)):
        raise ValueError("The support vectors of the classifier are of other classes than stated.")
    weights = compute_class_weight(svc.class_weight, classes=classes, y=y)
    svc.classes_, svc.class_weight_, svc.n_features_in_ = classes, weights, X.shape[1]
    svc._prints = None
    svc._mean, svc._gamma, svc.shape_fit_ = mean, gamma, X.shape
    svc.support_, svc.n_support_ = support.astype(np.int32), counts.astype(np.int32)
    svc.support_vectors_ = X[support]
    svc.dual_coef_, svc.intercept_ = learned["dual_coef_"], learned["intercept_"]
    svc.optimality_gap_ = learned["optimality_gap_"]
    is_solved = svc.optimality_gap_ <= svc.tol
    svc.status_ = np.where(is_solved, "converged", "precision_limit")
    svc.fit_status_ = int(not is_solved.all())
    svc._freeze()
    return svc
