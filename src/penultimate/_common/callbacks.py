"""scikit-learn's callbacks, such as its ``ProgressBar``: from version 1.9 on.

An estimator inherits `CallbackSupportMixin` and reports a tree of tasks: its fit, and parts of it.
With scikit-learn 1.8, which has no callbacks, the same reports go nowhere.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from penultimate._common.progress import Progress, observer

__all__ = ["CallbackSupportMixin", "Task", "TaskProgress", "part_of", "with_callbacks"]


class Task(Protocol):
    """A task that is reported: scikit-learn's ``CallbackContext``."""

    def subcontext(self, task_name: str, *, max_subtasks: int | None = 0) -> "Task":
        """Return a part of the task."""

    def propagate_callback_context(self, sub_estimator: object) -> AbstractContextManager[object]:
        """Make the tasks of another estimator parts of this one."""

    def call_on_fit_task_begin(self, *, estimator: object, **reported: object) -> object:
        """Report its begin."""

    def call_on_fit_task_end(self, *, estimator: object, **reported: object) -> bool:
        """Report its end; return whether to stop."""


try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class _NoTask:
        """A task of scikit-learn 1.8, reported to nobody."""

        def subcontext(self, *args: object, **params: object) -> "_NoTask":
            """Return a part of the task."""
            return self

        def call_on_fit_task_begin(self, **params: object) -> "_NoTask":
            """Begin the task."""
            return self

        def call_on_fit_task_end(self, **params: object) -> bool:
            """End the task; False, as nobody asks to stop."""
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Mixin for estimators that report their tasks; there is no ``set_callbacks``."""

        def _init_callback_context(self, *args: object, **params: object) -> _NoTask:
            return _NoTask()

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method unchanged."""
        return method


@contextmanager
def part_of(parent: Task | None, name: str, owner: object, fitted: object = None) -> Iterator[None]:
    """Report a part of a task, during which another estimator may be fitted.

    Parameters
    ----------
    parent : CallbackContext or None
        None reports nothing.
    name : str
    owner : estimator
        The one whose task it is.
    fitted : estimator, optional
        The one that is fitted; its own tasks become parts of this one, if it reports any.
    """
    if parent is None:
        yield
        return
    task = parent.subcontext(name)
    # Without the check, scikit-learn warns of each estimator that reports nothing.
    inner = task.propagate_callback_context(fitted) if hasattr(fitted, "set_callbacks") else None
    with inner or nullcontext():
        task.call_on_fit_task_begin(estimator=owner)
        yield
    task.call_on_fit_task_end(estimator=owner)


class TaskProgress(Progress):
    """A task in equal steps, reported as a fraction of it is done.

    Parameters
    ----------
    estimator : estimator
        The one that is being fitted.
    parent : CallbackContext
        The task that this one is a part of.
    name, step : str
        Names of the task and of each of its steps.
    n_steps : int

    Examples
    --------
    >>> from penultimate import SVC
    >>> from penultimate._common.callbacks import TaskProgress
    >>> model = SVC()
    >>> task = model._init_callback_context(max_subtasks=1)
    >>> with TaskProgress(model, task, "training", "epoch", 10) as progress:
    ...     progress.reach(0.3)
    >>> progress.n_done
    10
    """

    def __init__(self, estimator: object, parent: Task, name: str, step: str, n_steps: int) -> None:
        self.estimator, self.step, self.n_steps, self.n_done = estimator, step, n_steps, 0
        self._task = parent.subcontext(name, max_subtasks=n_steps)

    def __enter__(self) -> "TaskProgress":
        self._task.call_on_fit_task_begin(estimator=self.estimator)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After an error it stays unfinished, and so it is shown.
        if kind is None:
            self.reach(1.0)
            self._task.call_on_fit_task_end(estimator=self.estimator)

    def reach(self, fraction: float) -> None:
        """Report the steps up to this fraction, in [0, 1]."""
        # A little more, because 0.29 * 100 is less than 29 in floating point.
        while self.n_done < min(self.n_steps, int(fraction * self.n_steps + 1e-9)):
            step = self._task.subcontext(self.step)
            step.call_on_fit_task_begin(estimator=self.estimator)
            step.call_on_fit_task_end(estimator=self.estimator)
            self.n_done += 1

    def update(self, step: str, done: float, total: float) -> None:
        """Report the steps up to ``done`` of ``total`` units, also to the observer of the fit."""
        self.reach(done / total)
        observer().update(step, done, total)

    def foresees(self, step: str, seconds: float) -> None:
        """Pass a guess on to the observer of the fit."""
        observer().foresees(step, seconds)
