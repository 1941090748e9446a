"""The errors of teaching."""


class TeachingError(ValueError):
    """A model cannot be taught this, or not now; the message says what to do."""


class JournalBusyError(TeachingError):
    """Another teacher has held the journal for too long; nothing was changed, and one may retry."""
