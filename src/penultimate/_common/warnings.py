"""Warnings that are shared by several parts of the package."""


class PerformanceWarning(UserWarning):
    """The request is carried out in a way that takes several times as long.

    Examples
    --------
    Turn it into an error instead of waiting:

    >>> import warnings
    >>> from penultimate import PerformanceWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", PerformanceWarning)
    """
