"""The support vector classifier."""

from typing import Any

from sklearn import svm


class SVC(svm.SVC):
    r"""Support vector classification, one class against one.

    For each pair of classes, with labels :math:`y_i = \pm 1` and kernel :math:`k`, the dual problem

    .. math:: \min_\alpha\; \tfrac12 \sum_{ij} \alpha_i \alpha_j y_i y_j k(x_i, x_j)
              - \sum_i \alpha_i, \quad 0 \le \alpha_i \le C, \quad \sum_i \alpha_i y_i = 0

    is solved to the tolerance `tol`; a sample gets the class that wins most pairs. Parameters and
    attributes are those of :class:`sklearn.svm.SVC`, whose solver this class uses for now, without
    `probability`, which scikit-learn drops: wrap the classifier in
    :class:`sklearn.calibration.CalibratedClassifierCV` for probabilities.

    Parameters
    ----------
    C : float, default=1.0
        Weight of the errors; smaller values regularise more.
    kernel : {"rbf", "linear", "poly", "precomputed"}, default="rbf"
        ``"rbf"`` is :math:`\exp(-\gamma \|x - z\|^2)`.
    degree : int, default=3
        Of the kernel ``"poly"``.
    gamma : {"scale", "auto"} or float, default="scale"
        ``"scale"`` is ``1 / (n_features * X.var())``.
    coef0 : float, default=0.0
        Constant of the kernel ``"poly"``.
    tol : float, default=1e-3
        Largest violation of the optimality conditions.
    cache_size : float, default=200
        Kernel cache in MB.
    class_weight : dict or "balanced", default=None
        Factors of `C` for each class.
    max_iter : int, default=-1
        Limit on iterations; -1 for none.
    decision_function_shape : {"ovr", "ovo"}, default="ovr"
        Whether `decision_function` has a column a class or a column a pair.
    break_ties : bool, default=False
        Whether `predict` breaks ties by the decision values.

    References
    ----------
    C. Cortes and V. Vapnik, "Support-vector networks", Machine Learning 20, 1995.
    C.-C. Chang and C.-J. Lin, "LIBSVM: a library for support vector machines", ACM TIST 2, 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVC
    >>> X, y = load_iris(return_X_y=True)
    >>> SVC(C=10).fit(X, y).score(X, y) > 0.95
    True
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        kernel: str = "rbf",
        degree: int = 3,
        gamma: str | float = "scale",
        coef0: float = 0.0,
        tol: float = 1e-3,
        cache_size: float = 200,
        class_weight: Any = None,
        max_iter: int = -1,
        decision_function_shape: str = "ovr",
        break_ties: bool = False,
    ) -> None:
        super().__init__(
            C=C,
            kernel=kernel,
            degree=degree,
            gamma=gamma,
            coef0=coef0,
            tol=tol,
            cache_size=cache_size,
            class_weight=class_weight,
            max_iter=max_iter,
            decision_function_shape=decision_function_shape,
            break_ties=break_ties,
        )
