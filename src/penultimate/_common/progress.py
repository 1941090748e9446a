"""How long work tells of its progress: one small observer, silent unless overridden."""


class Progress:
    """Hears what long work is doing; this base class ignores it.

    Override either method to show something. Both are called from the thread that works, and
    must return quickly.
    """

    def update(self, step: str, done: float, total: float) -> None:
        """Hear that ``done`` of ``total`` units of `step` are finished."""

    def scored(self, method: str, seed: int, accuracy: float) -> None:
        """Hear that `method` got `accuracy`, a fraction, on the test part with `seed`."""


SILENT = Progress()
