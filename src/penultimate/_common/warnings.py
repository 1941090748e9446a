"""Warnings that more than one part of the package gives."""


class PerformanceWarning(UserWarning):
    """What was asked for is done in a way that takes several times as long.

    Examples
    --------
    To be stopped rather than made to wait:

    >>> import warnings
    >>> from penultimate import PerformanceWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", PerformanceWarning)
    """
