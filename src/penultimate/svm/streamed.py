"""A support vector classifier for samples that do not fit into memory.

`StreamedSVC` holds the scikit-learn interface. ``_streams`` reads the rows in blocks, and
``_newton`` solves the problems of all classes together, each pass over the rows being one step.
"""

import warnings
from collections.abc import Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import RBFSampler
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_consistent_length, compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from penultimate._common.frames import level_outside
from penultimate._common.protocols import ClassWeight, RandomState, Sliceable
from penultimate._common.validation import check_per_sample
from penultimate.svm import _native
from penultimate.svm._newton import Problems, bytes_per_problem, minimize
from penultimate.svm._streams import FeatureMap, Rows, Stream, measure

# Share of the weights that the samples may number to be solved in their span: nearer to 1, finding
# the coordinates takes as long as is saved.
_FEW = 0.75


class StreamedSVC(ClassifierMixin, BaseEstimator):
    r"""Linear support vector classification in passes over samples that stay in their file.

    For each class, with signs :math:`s_i = 1` for its samples and -1 for all others, and a last
    feature that is 1, the problem

    .. math:: \min_w\; \tfrac12 \|w\|^2 + \sum_i C_i \max(0, 1 - s_i \langle w, x_i\rangle)^2

    is solved by Newton's method until it is certified to `tol`. It is the problem of
    :class:`sklearn.svm.LinearSVC` (one-vs-rest, with the squared hinge), not that of `SVC`
    (one-vs-one): it has as many solutions as classes, not as pairs, and each block of rows serves
    all of them. Every pass reads all rows once, in their order and in blocks; only a block, one
    Hessian per class and a few numbers per sample are in memory. Samples that are fewer than three
    quarters of the weights are read into memory, as they take less of it than a Hessian.

    Parameters
    ----------
    C : float, default=1.0
        Weight of the errors; smaller values regularize more.
    kernel : {"linear", "rbf"}, default="linear"
        ``"rbf"`` approximates :math:`\exp(-\gamma \|x - z\|^2)` by random Fourier features, which
        are computed anew in each pass.
    gamma : {"scale", "auto"} or float, default="scale"
        As for `SVC`, after standardization.
    n_components : int, default=1024
        Number of random features.
    standardize : bool, default=True
        Whether each feature is scaled to mean 0 and variance 1, as `StandardScaler` does.
    tol : float, default=1e-4
        How far the objective may be above its optimum, as a share of the objective.
    class_weight : dict or "balanced", default=None
        Factor of `C` for each class.
    max_passes : int, default=100
        Limit on the passes over the samples; of each group of classes, if there are several (see
        `memory_limit`).
    batch_size : int, default=8192
        Rows in a block.
    random_state : int, RandomState instance or None, default=None
        Controls the random features; the linear machine does not depend on it.
    n_jobs : int, default=None
        Number of threads; None uses as many as scikit-learn's own parallel loops would, -1 all
        cores.
    memory_limit : int or str, default=None
        Memory for the Hessians, in bytes or as text such as ``"2GiB"``; by default a quarter of the
        free memory. Classes whose Hessians do not fit are solved one group after another, which
        takes more passes.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features) or (n_classes, n_components)
        Weights of the features as they are passed, or of the random features; a single row for two
        classes.
    intercept_ : ndarray of shape (n_classes,) or (1,)
    objective_ : ndarray of shape (n_classes,) or (1,)
        Value of each problem.
    duality_gap_ : ndarray of shape (n_classes,) or (1,)
        How far each objective is above its optimum, at most, as a share of the objective.
    n_passes_ : int
        Number of passes over the samples, including one for means and variances. Few samples are
        read twice; further passes are over their coordinates, in memory.
    class_weight_ : ndarray of shape (n_classes,)
    n_features_in_ : int

    See Also
    --------
    SVC : The exact machine, for as many samples as fit into memory.

    Notes
    -----
    `X` may be anything with a shape and a dtype that can be sliced like an array: one that is
    mapped into memory by ``np.load(file, mmap_mode="r")``, a `FeatureStore`, or an HDF5 data set.
    The features that a process has mapped are part of its resident memory in the figures of the
    operating system, which takes it back when it is needed.

    References
    ----------
    S. S. Keerthi and D. DeCoste, "A modified finite Newton method for fast solution of large scale
    linear SVMs", JMLR 6, 2005.
    A. Rahimi and B. Recht, "Random features for large-scale kernel machines", NIPS 2007.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from penultimate import StreamedSVC
    >>> X, y = load_digits(return_X_y=True)
    >>> file = tempfile.mkdtemp() + "/features.npy"
    >>> np.save(file, X.astype(np.float32))
    >>> features = np.load(file, mmap_mode="r")
    >>> machine = StreamedSVC(C=0.01).fit(features, y)
    >>> bool(machine.score(features, y) > 0.95), bool(machine.duality_gap_.max() < 1e-4)
    (True, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "C": [Interval(Real, 0, None, closed="neither")],
        "kernel": [StrOptions({"linear", "rbf"})],
        "gamma": [StrOptions({"scale", "auto"}), Interval(Real, 0, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "max_passes": [Interval(Integral, 2, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "memory_limit": [Interval(Real, 0, None, closed="neither"), str, None],
    }

    def __init__(
        self,
        *,
        C: float = 1.0,
        kernel: str = "linear",
        gamma: str | float = "scale",
        n_components: int = 1024,
        standardize: bool = True,
        tol: float = 1e-4,
        class_weight: ClassWeight = None,
        max_passes: int = 100,
        batch_size: int = 8192,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        memory_limit: int | str | None = None,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.n_components = n_components
        self.standardize = standardize
        self.tol = tol
        self.class_weight = class_weight
        self.max_passes = max_passes
        self.batch_size = batch_size
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.memory_limit = memory_limit

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike | Sliceable, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Solve the problem of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Never copied as a whole if it can be sliced and holds numbers. float32 is kept.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Factor of `C` for each sample; samples with a factor of zero are left out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, such as NaN in `X`, whose row is named.
        TypeError
            If `X` is sparse.

        Warns
        -----
        ConvergenceWarning
            If `tol` was not reached.
        """
        rows = Rows(self, X, self.batch_size, reset=True)
        # Of X the blocks are checked as they are read: as a whole it may not fit into memory.
        labels = validate_data(self, y=y)
        check_consistent_length(rows.X, labels)
        check_classification_targets(labels)
        weight = check_per_sample(sample_weight, len(rows), "sample_weight", "StreamedSVC")
        self.classes_, codes = np.unique(labels, return_inverse=True)
        n_classes = len(self.classes_)
        if n_classes < 2:
            raise ValueError(
                f"The number of classes has to be greater than one; got {n_classes} class"
            )
        self.class_weight_ = compute_class_weight(
            self.class_weight, classes=self.classes_, y=labels
        )
        costs = self.C * (1.0 if weight is None else weight) * self.class_weight_[codes]
        if len(np.unique(codes[costs > 0])) < n_classes:
            raise ValueError(
                "Invalid input - sample_weight (or class_weight) leaves a class without any "
                "positive weight; drop the class, or give its samples weights."
            )
        statistics = measure(rows, weight)
        self._map = FeatureMap(statistics, self.standardize, self._sampler(statistics, rows))
        # With two classes, the second one's problem is the first one's with other signs.
        positives = np.array([1]) if n_classes == 2 else np.arange(n_classes)
        self._solve(rows, codes, positives, costs)
        return self

    def _sampler(self, statistics: StandardScaler, rows: Rows) -> RBFSampler | None:
        """Return the random features, drawn; None for a linear kernel."""
        if self.kernel == "linear":
            return None
        variances, means = statistics.var_, statistics.mean_
        if self.standardize:
            # A constant feature has the scale 1, and keeps its variance of 0.
            variances, means = variances / statistics.scale_**2, np.zeros_like(means)
        gamma: str | float = self.gamma
        if gamma == "scale":
            # The variance of all entries, as SVC computes it from the samples themselves.
            variance = float(variances.mean() + means.var())
            gamma = 1.0 / (len(means) * variance) if variance > 0 else 1.0
        elif gamma == "auto":
            gamma = 1.0 / len(means)
        sampler = RBFSampler(
            gamma=gamma, n_components=self.n_components, random_state=self.random_state
        )
        # It needs the number of features and their type, and looks at no value.
        return sampler.fit(np.zeros((1, len(means)), rows.dtype))

    def _solve(
        self,
        rows: Rows,
        codes: NDArray[np.intp],
        positives: NDArray[np.intp],
        costs: NDArray[np.float64],
    ) -> None:
        n_weights = self._map.n_outputs + 1  # the last is the intercept, of the column of ones
        memory = _native.memory_in_bytes(self.memory_limit)
        stream: Stream = partial(self._map.with_ones, rows)
        basis = None
        # Steps of Newton's method are cubic in the number of weights. Few samples have fewer
        # coordinates in their span: 480 samples of 1,280 features take a tenth of the time.
        if len(rows) <= _FEW * n_weights and 16 * len(rows) * n_weights <= memory:
            stream, basis = self._map.in_their_span(rows)
            n_weights = len(rows)
        # Each further batch of problems reads all rows again, so a batch takes what memory there
        # is; it is the Hessians that need it.
        at_once = max(1, memory // bytes_per_problem(n_weights))
        solved, self.n_passes_ = [], 1  # the first was that of the means and variances
        for start in range(0, len(positives), at_once):
            part = Problems.starting(codes, positives[start : start + at_once], costs, n_weights)
            self.n_passes_ += minimize(
                part,
                stream,
                tol=self.tol,
                max_passes=self.max_passes - 1,
                n_threads=_native.count_threads(self.n_jobs),
            )
            solved.append(part)
        weights = np.concatenate([part.weights for part in solved])
        weights = weights if basis is None else weights @ basis.T
        self.objective_ = np.concatenate([part.values for part in solved])
        self.duality_gap_ = np.concatenate([part.gaps for part in solved])
        self.coef_, self.intercept_ = weights[:, :-1], weights[:, -1]
        if self.kernel == "linear" and self.standardize:
            # Of the features as they are passed, so that predictions need no scaling.
            self.coef_ = self.coef_ / self._map.statistics.scale_
            self.intercept_ = self.intercept_ - self.coef_ @ self._map.statistics.mean_
        missed = int(np.count_nonzero(self.duality_gap_ > self.tol))
        if missed:
            warnings.warn(
                f"{missed} of {len(positives)} problems did not reach tol={self.tol:g} in "
                f"{self.n_passes_} passes; the worst objective may be "
                f"{self.duality_gap_.max():.2g} of its value above the optimum. Standardize the "
                "features, lower C, or raise tol or max_passes; float64 features are computed "
                "more precisely than float32.",
                ConvergenceWarning,
                stacklevel=level_outside(),
            )

    def _decisions(self, X: ArrayLike | Sliceable) -> Iterator[NDArray[np.float64]]:
        """Yield the decision values of each block, one column per problem."""
        check_is_fitted(self)
        rows = Rows(self, X, self.batch_size, reset=False)
        for _, block in rows.blocks():
            # The weights of a linear machine are of unscaled features, those of the other are not.
            features = block if self.kernel == "linear" else self._map(block)
            yield features @ self.coef_.T + self.intercept_

    def decision_function(self, X: ArrayLike | Sliceable) -> NDArray[np.float64]:
        """Compute decision values, block by block.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples,)
            With two classes, positive for the second.
        """
        decisions = np.concatenate(list(self._decisions(X)))
        return decisions.ravel() if len(self.classes_) == 2 else decisions

    def class_margins(self, X: ArrayLike | Sliceable) -> NDArray[np.float64]:
        """Compute the decision value of each class against the others, also for two classes.

        The class with the largest value is the predicted one, and the value is a measure of
        confidence: at 1 and above, the sample is outside the margin of its class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        decisions = self.decision_function(X)
        return np.stack([-decisions, decisions], axis=1) if decisions.ndim == 1 else decisions

    def predict(self, X: ArrayLike | Sliceable) -> NDArray[Any]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        two = len(getattr(self, "classes_", ())) == 2
        # As in LinearSVC, a value of exactly 0 means the first of two classes.
        winners = [
            (block[:, 0] > 0).astype(np.intp) if two else block.argmax(axis=1)
            for block in self._decisions(X)
        ]
        return self.classes_[np.concatenate(winners)]
