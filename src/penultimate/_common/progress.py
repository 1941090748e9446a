"""Observer of the progress of long operations, silent unless overridden."""


class Progress:
    """Observer of long operations; this base class ignores all reports.

    Override either method to show progress. Both are called from the working thread and must return
    quickly.
    """

    def update(self, step: str, done: float, total: float) -> None:
        """Called when ``done`` of ``total`` units of `step` are finished."""

    def scored(self, method: str, seed: int, accuracy: float) -> None:
        """Called when `method` reached `accuracy`, a fraction, on the test set with `seed`."""


SILENT = Progress()
