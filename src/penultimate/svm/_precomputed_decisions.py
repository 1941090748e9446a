"""The classifier that scorers are given in a joint search."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate.svm._grid_engine import Outcome, Setting
from penultimate.svm.svc import SVC


class PrecomputedDecisions(SVC):
    """A setting on a fold: its predictions for the validation samples are looked up.

    Anything beyond that (other samples, support vectors) is answered by a real `SVC`, which is
    fitted when it is first needed; everything is, if the outcome is None.
    """

    _outcome: Outcome | None
    _samples: NDArray[Any]  # the validation samples, recognized by identity
    _fit_alone: Callable[[], SVC]
    _alone: SVC | None

    @classmethod
    def of(
        cls,
        setting: Setting,
        outcome: Outcome | None,
        classes: NDArray[Any],
        samples: NDArray[Any],
        fit_alone: Callable[[], SVC],
    ) -> Self:
        """Make one that answers for `samples`, and calls `fit_alone` for anything else."""
        made = cls()
        made.__dict__.update(
            vars(setting.estimator),  # its parameters, without validating them once more
            classes_=classes,
            _outcome=outcome,
            _samples=samples,
            _fit_alone=fit_alone,
            _alone=None,
        )
        return made

    def _winners(self, X: ArrayLike) -> NDArray[np.int32]:
        # By identity: a comparison of values would cost as much as the predictions.
        if self._outcome is None or X is not self._samples:
            return self._real()._winners(X)
        return self._outcome.winners

    def _decisions(self, X: ArrayLike) -> NDArray[Any]:
        decisions = None if self._outcome is None else self._outcome.decisions
        if decisions is None or X is not self._samples:
            return self._real()._decisions(X)
        return decisions

    def _real(self) -> SVC:
        if self._alone is None:
            self._alone = self._fit_alone()
        return self._alone

    def __getattr__(self, name: str) -> object:
        if name in _ONLY_ALONE and "_alone" in vars(self):
            return getattr(self._real(), name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


PrecomputedDecisions.__name__ = PrecomputedDecisions.__qualname__ = "SVC"  # in scorers' messages

# Fitted attributes that the joint solution lacks; `__getattr__` takes them from the real SVC.
_ONLY_ALONE = (
    "support_",
    "support_vectors_",
    "n_support_",
    "dual_coef_",
    "intercept_",
    "n_iter_",
    "optimality_gap_",
    "status_",
    "fit_status_",
    "shape_fit_",
    "class_weight_",
    "n_features_in_",
)
