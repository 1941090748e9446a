"""The error of teaching."""


class TeachingError(ValueError):
    """A model cannot be taught this, or not now; the message says what to do."""
