"""The error of a file that is no bundle, or that is not safe to open."""


class BundleError(ValueError):
    """A file is no bundle, is damaged, or is not safe to open; the message says what to do.

    Examples
    --------
    >>> import penultimate
    >>> from penultimate.bundle import BundleError
    >>> try:
    ...     penultimate.load(b"<html>")
    ... except BundleError as error:
    ...     print(error)
    The file is no bundle: it begins with b'<html>'. Pass a file that penultimate.save wrote.
    """
