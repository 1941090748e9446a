"""The support vector classifier.

`SVC` holds the scikit-learn interface. The problems are solved in ``_certified``, which calls the
compiled core; predictions are made by a `Machine`, which is prepared once per fit.
"""

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, NoReturn, Self, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from penultimate._common.callbacks import CallbackSupportMixin, with_callbacks
from penultimate._common.frames import level_outside
from penultimate._common.protocols import ClassWeight, RandomState
from penultimate._common.threads import validating
from penultimate._common.validation import refuse_masked
from penultimate.svm import _native
from penultimate.svm._certified import Solutions, solve_pairs
from penultimate.svm._coefficients import CoefficientsMixin
from penultimate.svm._foresight import announce_cost
from penultimate.svm._kernel import Kernel, resolve_gamma
from penultimate.svm._machine import Machine
from penultimate.svm._pairs import SortedClasses, vote_scores, worst_margin
from penultimate.svm._warm_start import Prints, carry_over

# The limit of a C int: the core takes `degree` as one, and libsvm `max_iter`, too.
_LARGEST_INT = 2**31 - 1
_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
_NO_PROBABILITIES = (
    "An SVM has no probabilities of its own; wrap it for calibrated ones: "
    "sklearn.calibration.CalibratedClassifierCV(SVC(...), ensemble=False)."
)
# The fitted attributes that predictions depend on.
_PREDICTS_BY = ("support_", "support_vectors_", "n_support_", "_coefficients", "_intercepts")


def _is_plain(X: object) -> TypeGuard[NDArray[np.floating]]:
    """Return whether validation would return `X` unchanged; for one row it takes longest."""
    if type(X) is not np.ndarray or X.ndim != 2 or not X.size or X.dtype not in _FLOATS:
        return False
    with np.errstate(all="ignore"):
        # One pass without a temporary array: NaN and infinity survive a sum. A sum may also
        # overflow; then full validation decides.
        return bool(np.isfinite(X.sum(dtype=np.float64)))


class SVC(CoefficientsMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    r"""Support vector classification, one-vs-one, on several threads.

    For each pair of classes, with labels :math:`y_i = \pm 1` and kernel :math:`k`, the dual problem

    .. math:: \min_\alpha\; \tfrac12 \sum_{ij} \alpha_i \alpha_j y_i y_j k(x_i, x_j)
              - \sum_i \alpha_i, \quad 0 \le \alpha_i \le C_i, \quad \sum_i \alpha_i y_i = 0

    is solved by decomposition with second-order working sets: first in float32, then finished and
    certified in float64. The predicted class is the one that wins the most pairs. Parameters,
    attributes and results are those of :class:`sklearn.svm.SVC`. For probabilities, wrap the
    classifier in :class:`sklearn.calibration.CalibratedClassifierCV`, as scikit-learn now
    recommends for its own.

    Parameters
    ----------
    C : float, default=1.0
        Weight of the errors; smaller values regularize more.
    kernel : {"rbf", "linear", "poly", "precomputed"}, default="rbf"
        ``"rbf"`` is :math:`\exp(-\gamma \|x - z\|^2)`, ``"poly"`` is
        :math:`(\gamma \langle x, z\rangle + c_0)^d`.
    degree : int, default=3
        Degree of the kernel ``"poly"``.
    gamma : {"scale", "auto"} or float, default="scale"
        ``"scale"`` is ``1 / (n_features * X.var())``, ``"auto"`` is ``1 / n_features``.
    coef0 : float, default=0.0
        Constant of the kernel ``"poly"``.
    tol : float, default=1e-3
        Largest accepted violation of the optimality conditions.
    class_weight : dict or "balanced", default=None
        Factor of `C` for each class.
    max_iter : int, default=-1
        Limit on the iterations of each pair; -1 for ten million.
    decision_function_shape : {"ovr", "ovo"}, default="ovr"
        Whether `decision_function` returns one column per class or one column per pair.
    break_ties : bool, default=False
        Whether `predict` breaks ties by the decision values.
    shrinking, cache_size, verbose, random_state : default=True, 200, False, None
        Not used, present for compatibility with :class:`sklearn.svm.SVC`.
    probability : bool, default=False
        Present for compatibility; `fit` rejects True and names the alternative.
    warm_start : bool, default=False
        Whether `fit` starts from the solution of the last `fit`: samples with the same values and
        label (for a precomputed kernel, the same position) keep their coefficients. The solution is
        certified as any other, and equals a cold one within `tol`, not to the last bit. Fast where
        few samples have come, gone or changed their labels.
    n_jobs : int, default=None
        Number of threads; None uses as many as scikit-learn's own parallel loops would, -1 all
        cores. Ctrl-C stops a fit in Python's main thread only.
    memory_limit : int or str, default=None
        Memory for rows of the Gram matrix, in bytes or as text such as ``"2GiB"``; by default a
        quarter of the free memory. Rows that do not fit are computed again when they are needed.
        Copies of the samples, of 12 bytes per value, are in addition to it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    support_ : ndarray of shape (n_support,)
        Indices of the support vectors, class by class.
    support_vectors_ : ndarray of shape (n_support, n_features)
        Empty for a precomputed kernel.
    n_support_ : ndarray of shape (n_classes,)
    dual_coef_ : ndarray of shape (n_classes - 1, n_support)
        Signed coefficients, laid out as in libsvm.
    coef_ : ndarray of shape (n_pairs, n_features)
        Primal weights, for the linear kernel only.
    intercept_ : ndarray of shape (n_pairs,)
    n_iter_ : ndarray of shape (n_pairs,)
    optimality_gap_ : ndarray of shape (n_pairs,)
        Remaining violation of the optimality conditions, computed in float64.
    status_ : ndarray of shape (n_pairs,)
        ``"converged"``, ``"precision_limit"`` (float64 cannot resolve `tol`) or
        ``"iteration_limit"``.
    class_weight_ : ndarray of shape (n_classes,)
    n_features_in_ : int

    Notes
    -----
    With scikit-learn 1.9 or newer, ``set_callbacks`` takes its callbacks, such as
    ``sklearn.callback.ProgressBar()``.

    References
    ----------
    C. Cortes and V. Vapnik, "Support-vector networks", Machine Learning 20, 1995.
    R.-E. Fan, P.-H. Chen and C.-J. Lin, "Working set selection using second order information for
    training support vector machines", JMLR 6, 2005.
    C.-C. Chang and C.-J. Lin, "LIBSVM: a library for support vector machines", ACM TIST 2, 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVC
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = SVC(C=10).fit(X, y)
    >>> classifier.score(X, y) > 0.95
    True
    >>> set(classifier.status_.tolist())
    {'converged'}
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "C": [Interval(Real, 0, None, closed="right")],
        "kernel": [StrOptions(set(_native.KERNELS))],
        "degree": [Interval(Integral, 0, _LARGEST_INT, closed="both")],
        "gamma": [StrOptions({"scale", "auto"}), Interval(Real, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "max_iter": [Interval(Integral, -1, _LARGEST_INT, closed="both")],
        "decision_function_shape": [StrOptions({"ovr", "ovo"})],
        "break_ties": ["boolean"],
        "shrinking": ["boolean"],
        "cache_size": [Interval(Real, 0, None, closed="neither")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "probability": ["boolean", StrOptions({"deprecated"})],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
        "memory_limit": [Interval(Real, 0, None, closed="neither"), str, None],
    }

    def __init__(
        self,
        *,
        C: float = 1.0,
        kernel: str = "rbf",
        degree: int = 3,
        gamma: str | float = "scale",
        coef0: float = 0.0,
        tol: float = 1e-3,
        class_weight: ClassWeight = None,
        max_iter: int = -1,
        decision_function_shape: str = "ovr",
        break_ties: bool = False,
        shrinking: bool = True,
        cache_size: float = 200,
        verbose: bool = False,
        random_state: RandomState = None,
        probability: bool | str = False,
        warm_start: bool = False,
        n_jobs: int | None = None,
        memory_limit: int | str | None = None,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.tol = tol
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.decision_function_shape = decision_function_shape
        self.break_ties = break_ties
        self.shrinking = shrinking
        self.cache_size = cache_size
        self.verbose = verbose
        self.random_state = random_state
        self.probability = probability
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.memory_limit = memory_limit

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Solve the problem of every pair of classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples or, for a precomputed kernel, the Gram matrix, (n_samples, n_samples).
            float32 is kept.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Factor of `C` for each sample; samples with a factor of zero are left out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or for ``probability=True``.
        TypeError
            If `X` is sparse.
        MemoryError
            If the copies of `X` that the solver needs do not fit into the memory of this machine.

        Warns
        -----
        ConvergenceWarning
            If a pair did not reach `tol`; `status_` gives the reason.
        PerformanceWarning
            Before a fit that will take minutes or more: how long and how much memory, and what to
            take instead.
        """
        # Not for the refit of a search, which has said it for all of its fits. The trial is on a
        # plain SVC: a subclass may need more than these parameters.
        announce_cost(
            type(self).__name__,
            SVC(**{name: getattr(self, name) for name in SVC._get_param_names()}),
            X,
            y,
            kernel=self.kernel,
            memory_limit=self.memory_limit,
        )
        return self._fit(X, y, sample_weight)

    # For the searches, which validate settings that they do not fit one by one.
    def _check_params(self) -> None:
        self._validate_params()

    # Decorated here and not at `fit`, since the refit of a search comes in here as well.
    @with_callbacks
    def _fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        f32: "_native.core.SingleSource | None" = None,
    ) -> Self:
        """Fit; `f32` may be the core's float32 copy of the samples, if there already is one."""
        task = self._init_callback_context()
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        reported = {"estimator": self, "X": X, "y": y, "metadata": weights}
        task.call_on_fit_task_begin(**reported)
        # A task without parts: most fits take milliseconds, and how many iterations a longer one
        # needs is not known in advance.
        self._solve(*self._validated(X, y, sample_weight), f32)
        # Nothing is to be added: the classifier itself is ready to predict.
        task.call_on_fit_task_end(**reported, reconstruction_attributes={})
        return self

    def _validated(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
        """Return samples, labels and weights as arrays; raise if they are not valid."""
        if self.probability is True:
            raise ValueError(f"probability=True is not supported. {_NO_PROBABILITIES}")
        refuse_masked(X, "X")
        with validating():
            samples, labels = validate_data(self, X, y, dtype=(np.float64, np.float32), order="C")
            check_classification_targets(labels)
            weight = _check_sample_weight(sample_weight, samples, dtype=np.float64)
        n_rows, n_columns = samples.shape
        if self.kernel == "precomputed" and n_rows != n_columns:
            raise ValueError(
                f"Precomputed matrix must be a square matrix. Input is a {n_rows}x{n_columns} "
                "matrix."
            )
        return samples, labels, weight

    def _solve(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        weight: NDArray[np.float64],
        f32: "_native.core.SingleSource | None",
    ) -> None:
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"The number of classes has to be greater than one; got {len(classes)} class"
            )
        class_weight = compute_class_weight(self.class_weight, classes=classes, y=y)
        with np.errstate(invalid="ignore"):
            # A weight of zero excludes a sample, even if C is infinite (0 * inf would be NaN).
            C_per_sample = np.where(weight > 0, self.C * weight * class_weight[codes], 0.0)
        if len(np.unique(codes[C_per_sample > 0])) < len(classes):
            raise ValueError(
                "Invalid input - sample_weight (or class_weight) leaves a class without any "
                "positive weight; drop the class, or give its samples weights."
            )
        mean = np.zeros(X.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):  # the range is checked later
            gamma = resolve_gamma(self.gamma, X)
            if self.kernel == "rbf":
                # Centering changes no distance, and float32 resolves distances better.
                mean = X.mean(axis=0, dtype=np.float64)
        kernel = Kernel(self.kernel, gamma, self.coef0, self.degree)
        layout = SortedClasses.of(codes, len(classes))
        start, prints = None, None
        if self.warm_start:
            prints = Prints.of(X, C_per_sample, layout, classes, kernel, self.tol)
            if hasattr(self, "_coefficients"):
                start = carry_over(self, X, layout, classes, prints)
        solutions = solve_pairs(
            X,
            mean,
            C_per_sample,
            layout,
            kernel,
            tol=self.tol,
            max_iter=_native.UNLIMITED if self.max_iter == -1 else self.max_iter,
            n_jobs=self.n_jobs,
            memory=_native.memory_in_bytes(self.memory_limit),
            f32=f32,
            start=start,
        )
        # From here on nothing fails: a classifier whose refit did is what it was.
        self.classes_, self.class_weight_, self._prints = classes, class_weight, prints
        self._mean, self._gamma = mean, gamma
        self._store(X, layout, solutions)

    def _fitted_kernel(self) -> Kernel:
        return Kernel(self.kernel, self._gamma, self.coef0, self.degree)

    def _store(self, X: NDArray[Any], layout: SortedClasses, solutions: Solutions) -> None:
        is_support = solutions.coefficients.any(axis=0)
        self.support_ = layout.order[is_support].astype(np.int32)
        # Each class has a sample; for an empty one, `reduceat` would not return 0.
        self.n_support_ = np.add.reduceat(is_support, layout.starts[:-1]).astype(np.int32)
        self.support_vectors_ = (
            np.empty((0, 0), X.dtype) if self.kernel == "precomputed" else X[self.support_]
        )
        # Positive in the first class of a pair, as in libsvm and the core; see `_public_sign`.
        self._coefficients = solutions.coefficients[:, is_support]
        self._intercepts = solutions.intercepts
        self.n_iter_ = solutions.iterations.astype(np.int32)
        self.optimality_gap_ = solutions.gaps
        self.status_ = _native.STATUS[solutions.statuses]
        # Prepared here and not in the first prediction, as predictions may run on several threads.
        self._freeze()
        self._prepared()
        missed = int(np.count_nonzero(solutions.statuses))
        self.fit_status_ = int(missed > 0)
        self.shape_fit_ = X.shape
        if missed:
            worst = int(np.argmax(self.optimality_gap_))
            warnings.warn(
                f"{missed} of {len(self.status_)} pairs did not reach "
                f"tol={self.tol:g}; the worst ended at {self.optimality_gap_[worst]:.2g} "
                f"({self.status_[worst]}). Scale the features, lower C, or raise tol or max_iter.",
                ConvergenceWarning,
                stacklevel=level_outside(),
            )

    def _prepared(self) -> Machine:
        """Return the `Machine`, made anew if a fitted attribute has been replaced since."""
        made_of = tuple(getattr(self, name) for name in _PREDICTS_BY)
        # Compared by identity: assignment of a new array is the only change left, as all are
        # read-only.
        machine, made_before = vars(self).get("_machine", (None, ()))
        if machine is None or any(a is not b for a, b in zip(made_of, made_before)):
            machine = Machine.of(self)
            self._machine = machine, made_of
        return machine

    def _freeze(self) -> None:
        """Make arrays read-only: predictions would not follow a change in place."""
        for name in _PREDICTS_BY:
            if isinstance(array := vars(self).get(name), np.ndarray):
                array.flags.writeable = False

    def __getstate__(self) -> dict[str, Any]:
        # The `Machine` is larger than everything else, and quickly made again.
        state = super().__getstate__()  # may be __dict__ itself, not a copy
        return {name: value for name, value in state.items() if name != "_machine"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._freeze()

    def _check(self, X: ArrayLike) -> NDArray[Any]:
        if _is_plain(X) and X.shape[1] == self.n_features_in_:
            names = vars(self).get("feature_names_in_")  # without names, validation has to warn
            if names is None:
                return np.ascontiguousarray(X)
        refuse_masked(X, "X")
        with validating():
            return validate_data(self, X, dtype=(np.float64, np.float32), order="C", reset=False)

    def _winners(self, X: ArrayLike) -> NDArray[np.int32]:
        """Return the index of the class that wins the most pairs, per sample."""
        return self._prepared().winners(self._check(X), self._fitted_kernel(), self.n_jobs)

    def _decisions(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return a value per sample and pair, positive for the first class of the pair."""
        return self._prepared().decisions(self._check(X), self._fitted_kernel(), self.n_jobs)

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Compute decision values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray
            Shape (n_samples,) for two classes; otherwise (n_samples, n_classes) for ``"ovr"``, or
            (n_samples, n_pairs) for ``"ovo"``.
        """
        check_is_fitted(self)
        decisions = self._decisions(X)
        if len(self.classes_) == 2:
            return -decisions[:, 0]  # positive for the second class, as in `_public_sign`
        if self.decision_function_shape == "ovo":
            return decisions
        return vote_scores(decisions, len(self.classes_))

    def class_margins(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the smallest decision value of each class against the others.

        The class with the largest value is nearly always the predicted one, and the value is a
        measure of confidence: at 1 and above, the sample is outside the margin of all its pairs.
        `decision_function` is unsuitable for this: it counts votes, and for most samples one class
        wins all of its pairs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return worst_margin(self._decisions(X), len(self.classes_))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If `break_ties` is combined with ``decision_function_shape="ovo"``.
        """
        check_is_fitted(self)
        if self.break_ties and self.decision_function_shape == "ovo":
            raise ValueError("break_ties must be False when decision_function_shape is 'ovo'")
        if self.break_ties and len(self.classes_) > 2:
            # Votes plus a tie-breaker below 1/3: the largest is the winner, with ties resolved.
            return self.classes_[self.decision_function(X).argmax(axis=1)]
        return self.classes_[self._winners(X)]

    @property
    def predict_proba(self) -> NoReturn:
        """Not available: an SVM has no probabilities of its own."""
        raise AttributeError(f"SVC has no predict_proba. {_NO_PROBABILITIES}")

    @property
    def predict_log_proba(self) -> NoReturn:
        """Not available, like `predict_proba`."""
        raise AttributeError(f"SVC has no predict_log_proba. {_NO_PROBABILITIES}")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags
