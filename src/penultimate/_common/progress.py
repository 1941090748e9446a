"""Observer of the progress of long operations, silent unless overridden.

What is called with an observer passes it on. A fit that scikit-learn's interface calls, or a clone
in another estimator, can be passed none: `observer` finds the one of whoever started it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Progress:
    """Observer of long operations; this base class ignores all reports.

    Override any method to show progress. All are called from the working thread and must return
    quickly.
    """

    def update(self, step: str, done: float, total: float) -> None:
        """Called when ``done`` of ``total`` units of `step` are finished."""

    def foresees(self, step: str, seconds: float) -> None:
        """Called where the first unit of `step` takes long, with a guess of what each will take."""

    def tests_on(self, n_samples: int) -> None:
        """Called before anything is scored, with the number of test samples."""

    def scored(self, method: str, seed: int, accuracy: float) -> None:
        """Called when `method` reached `accuracy`, a fraction, on the test set with `seed`."""

    def expects(self, network: int, n_networks: int, seconds: float | None) -> None:
        """Called when network `network` of `n_networks`, counted from 1, is being trained.

        `seconds` is an estimate of the time until the end of the whole operation; it is None until
        enough was seen for one.
        """

    def message(self, text: str) -> None:
        """Called with a sentence for the user, such as how long the operation will take."""


SILENT = Progress()
_observer: ContextVar[Progress] = ContextVar("observer", default=SILENT)


@contextmanager
def observed_by(progress: Progress) -> Iterator[None]:
    """Let estimators that are fitted meanwhile, in this thread, report to an observer.

    Parameters
    ----------
    progress : Progress
    """
    token = _observer.set(progress)
    try:
        yield
    finally:
        _observer.reset(token)


def observer() -> Progress:
    """Return the observer of this thread, a silent one unless `observed_by` named another."""
    return _observer.get()


def in_words(seconds: float) -> str:
    """Return a duration as an estimate that promises no more than it can keep.

    Examples
    --------
    >>> from penultimate._common.progress import in_words
    >>> [in_words(seconds) for seconds in (4, 43, 100, 700, 3700, 40000)]
    ['a few seconds', 'about 45 s', 'about 2 min', 'about 12 min', 'about 1 h', 'about 11 h']
    """
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {5 * round(seconds / 5)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min"
    hours, minutes = divmod(5 * round(seconds / 300), 60)
    return f"about {hours} h {minutes} min" if minutes and hours < 10 else f"about {hours} h"
