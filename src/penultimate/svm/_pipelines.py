"""A pipeline as the SVC at its end and the steps before it.

The steps are fitted by the pipeline itself, with a `Recorder` in the place of the SVC: it keeps the
samples, labels and weights that reach it. So whatever a pipeline does on the way (nested pipelines,
caches, metadata, pandas output) is done by scikit-learn's own code, and an SVC on these samples is
the SVC of the pipeline. For scorers the pipeline is put together again, with answers computed
beforehand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import joblib
import numpy as np
import sklearn.svm
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import sparray, spmatrix
from sklearn import get_config
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, validate_data

from penultimate._common.per_sample import take, take_rows
from penultimate._common.protocols import PerSample
from penultimate.svm import _native
from penultimate.svm._grid_engine import Fold
from penultimate.svm._problem import NotJointError
from penultimate.svm.svc import SVC

_FLOATS = (np.float64, np.float32)


def is_svc(classifier: BaseEstimator) -> bool:
    """Return whether a classifier is our `SVC` or scikit-learn's, and no subclass of them."""
    # A subclass may override anything, so what it computes is not known.
    return type(classifier) in (SVC, sklearn.svm.SVC)


def split_off_svc(estimator: BaseEstimator) -> tuple[str, Any]:
    """Return the name of a pipeline's last step, such as ``"inner__svc"``, and the step itself.

    Of any other estimator the name is empty.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from penultimate import SVC
    >>> from penultimate.svm._pipelines import split_off_svc
    >>> split_off_svc(make_pipeline(StandardScaler(), make_pipeline(SVC())))
    ('pipeline__svc', SVC())
    """
    names = []
    while isinstance(estimator, Pipeline) and estimator.steps:
        name, estimator = estimator.steps[-1]
        names.append(name)
    return "__".join(names), estimator


def with_svc(estimator: BaseEstimator) -> BaseEstimator:
    """Return a pipeline whose last step is no classifier as one that ends with an `SVC`.

    Candidates put a classifier there; until then, scikit-learn makes no scorer for the pipeline.
    """
    path, last = split_off_svc(estimator)
    if not path or (hasattr(last, "get_params") and is_classifier(last)):
        return estimator
    return with_params(estimator, {path: SVC()})


def as_ours(classifier: BaseEstimator) -> SVC:
    """Return the `SVC` that solves the same problem as scikit-learn's; ours as it is.

    Raises
    ------
    NotJointError
        If there is none.
    """
    if not is_svc(classifier):
        made = type(classifier)
        named = f"{made.__module__.partition('.')[0]}'s {made.__qualname__}"
        raise NotJointError(
            f"the estimator is {named}; penultimate.SVC and scikit-learn's SVC are solved jointly"
        )
    if type(classifier) is SVC:
        return classifier
    params = classifier.get_params(deep=False)
    if params.get("probability") is True:
        raise NotJointError("probability=True calibrates each fit on folds of its own")
    if params["kernel"] not in _native.KERNELS:
        raise NotJointError(f"only scikit-learn's SVC has kernel={params['kernel']!r}")
    return SVC(**params)


def with_params(estimator: BaseEstimator, params: Mapping[str, Any]) -> BaseEstimator:
    """Return a copy of an estimator with other parameters, which may be estimators."""
    # safe=False also copies values that are no estimators, such as lists.
    return clone(estimator).set_params(**clone(dict(params), safe=False))


def key_of_steps(params: Mapping[str, Any], path: str) -> tuple[Any, ...]:
    """Return a key that is equal for candidates whose steps before the SVC are equal.

    Parameters
    ----------
    params : dict
        A candidate.
    path : str
        The name of the SVC.
    """
    # Parameters of the SVC itself do not change what the steps make of the samples.
    others = {
        name: value
        for name, value in params.items()
        if name != path and not name.startswith(f"{path}__")
    }
    # Sorted, since several grids may list the same parameters in different orders.
    return tuple((name, *_identity(others[name])) for name in sorted(others))


def _identity(value: object) -> tuple[str, object]:
    # With its type: one component is not the same as a share of 1.0.
    if value is None or isinstance(value, (str, bool, int, float, np.number)):
        return type(value).__name__, value
    try:
        return "content", joblib.hash(value)
    except Exception:  # not everything can be hashed; the same object is equal to itself
        return "id", id(value)


def as_dense(X: PerSample, memory_limit: int | str | None) -> NDArray[Any]:
    """Return samples that may be sparse as an array.

    Raises
    ------
    NotJointError
        If the array exceeds the memory limit.
    """
    if not isinstance(X, (spmatrix, sparray)):
        return np.asarray(X)
    needed, memory = np.prod(X.shape) * X.dtype.itemsize, _native.memory_in_bytes(memory_limit)
    if needed > memory:
        raise NotJointError(
            f"the sparse samples would take {needed / 2**20:.3g} MiB as an array, more than the "
            f"memory limit of {memory / 2**20:.3g} MiB"
        )
    return X.toarray()


class Recorder(SVC):
    """Stands in for the SVC of a pipeline, and keeps what reaches it.

    Attributes
    ----------
    X_, y_, weights_
        Arguments of `fit`, validated as `SVC` does.
    held_out_ : ndarray
        Argument of `decision_function`.
    """

    _takes_sparse: bool

    @classmethod
    def of(cls, classifier: BaseEstimator) -> Self:
        """Make one that requests the same metadata as a classifier."""
        made = cls(**as_ours(classifier).get_params(deep=False))
        if get_config()["enable_metadata_routing"]:
            # The pipeline passes on only what was requested, and would withhold the weights.
            made.set_fit_request(**classifier.get_metadata_routing().fit.requests)
        # Ours takes no sparse samples: a search over it must not accept what its refit refuses.
        made._takes_sparse = type(classifier) is not SVC
        return made

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Keep the training samples."""
        samples, self.y_ = validate_data(
            self, X, y, dtype=_FLOATS, order="C", accept_sparse=self._takes_sparse
        )
        check_classification_targets(self.y_)
        self.X_ = as_dense(samples, self.memory_limit)
        self.weights_ = None
        if sample_weight is not None:
            self.weights_ = np.asarray(sample_weight, dtype=np.float64)
            check_consistent_length(self.X_, self.weights_)
        self.classes_ = np.unique(self.y_)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Keep the samples; the returned values mean nothing."""
        samples = validate_data(
            self, X, dtype=_FLOATS, order="C", accept_sparse=self._takes_sparse, reset=False
        )
        self.held_out_ = as_dense(samples, self.memory_limit)
        return np.zeros(len(self.held_out_))


@dataclass(frozen=True)
class FittedSteps:
    """The steps before an SVC, fitted on one fold, and what they make of its samples.

    Attributes
    ----------
    pipeline : Pipeline
        With a fitted `Recorder` at its end.
    recorder : Recorder
        What reaches the SVC.
    X_test, y_test
        The validation samples as they reach the pipeline, and their labels.
    """

    pipeline: Pipeline
    recorder: Recorder
    X_test: PerSample
    y_test: PerSample

    @classmethod
    def on(
        cls,
        pipeline: Pipeline,
        X: PerSample,
        y: PerSample,
        fold: Fold,
        params: Mapping[str, Any],
    ) -> Self:
        """Fit the steps on the training samples of a fold; `params` are those of `fit`."""
        path, classifier = split_off_svc(pipeline)
        recorder = Recorder.of(classifier)
        # A copy, since candidates of the same steps share the pipeline.
        pipeline = clone(pipeline).set_params(**{path: recorder})
        train, test = fold.train, fold.test
        X_train, X_test = take(X, train), take(X, test)
        if get_tags(pipeline).input_tags.pairwise:  # a Gram matrix has the samples on both axes
            X_train, X_test = X_train[:, train], X_test[:, train]
        pipeline.fit(X_train, take(y, train), **take_rows(params, train, len(y)))
        # The steps transform the samples on their way to the recorder, which keeps them.
        pipeline.decision_function(X_test)
        return cls(pipeline, recorder, X_test, take(y, test))

    def samples(
        self, y_test: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None]:
        """Return samples, labels and weights of the SVC's problem; validation samples come last."""
        made, n_test = self.recorder, len(y_test)
        y = np.concatenate([made.y_, y_test])
        X = np.concatenate([made.X_, made.held_out_])
        if made.kernel == "precomputed":
            # A Gram matrix has a column for each sample, but of validation samples none is used.
            X = np.pad(X, [(0, 0), (0, n_test)])
        weights = made.weights_
        # Nothing is fitted on validation samples, so that their weights do not matter.
        return X, y, None if weights is None else np.concatenate([weights, np.ones(n_test)])

    def ending_with(self, classifier: SVC, samples: NDArray[Any]) -> Pipeline:
        """Return the pipeline for scorers: its classifier is asked directly where that is right.

        Parameters
        ----------
        classifier : SVC
            The fitted classifier.
        samples : ndarray
            What the steps make of `X_test`.
        """
        scored = _ending_with(self.pipeline, classifier, _answering(self.pipeline.__class__))
        scored.__dict__.update(_held_out=self.X_test, _samples=samples, _classifier=classifier)
        return scored


def _ending_with(
    pipeline: Pipeline, classifier: BaseEstimator, kind: type | None = None
) -> Pipeline:
    # No `clone`, which would drop the fitted steps, and no deep copy, which would double them.
    copied: Pipeline = object.__new__(kind or type(pipeline))
    copied.__dict__.update(vars(pipeline))
    name, last = pipeline.steps[-1]
    # The SVC may be at the end of a pipeline within the pipeline.
    if isinstance(last, Pipeline):
        classifier = _ending_with(last, classifier)
    copied.steps = [*pipeline.steps[:-1], (name, classifier)]
    return copied


class _Answering:
    """Mixin of a pipeline that knows what its steps make of the held-out samples.

    Scorers ask for predictions of the very object that they were given: without this every
    candidate would transform the same samples once more.
    """

    _held_out: PerSample
    _samples: NDArray[Any]
    _classifier: SVC

    def predict(self, X: PerSample, **params: object) -> NDArray[Any]:
        """Predict the class of each sample."""
        if X is self._held_out and not params:
            return self._classifier.predict(self._samples)
        return super().predict(X, **params)  # type: ignore[misc]

    def decision_function(self, X: PerSample, **params: object) -> NDArray[Any]:
        """Compute decision values."""
        if X is self._held_out and not params:
            return self._classifier.decision_function(self._samples)
        return super().decision_function(X, **params)  # type: ignore[misc]

    def score(
        self,
        X: PerSample,
        y: PerSample | None = None,
        sample_weight: PerSample | None = None,
        **params: object,
    ) -> float:
        """Compute the accuracy."""
        if X is self._held_out and not params:
            return self._classifier.score(self._samples, y, sample_weight)
        return super().score(X, y, sample_weight=sample_weight, **params)  # type: ignore[misc]


@cache
def _answering(kind: type) -> type:
    # Under the name of the original: it appears in messages of scorers.
    return type(kind.__name__, (_Answering, kind), {"__module__": kind.__module__})
