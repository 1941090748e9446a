"""Decimals that the number of test samples supports: the same on the page and in a terminal.

One image among 92 is worth 1.1 percentage points, and chance moves an accuracy by five times as
much: "58.70 %" would show digits of nothing. `results.json` keeps all of them.
"""

# Half of a confidence interval, at an accuracy of 50 %, is 5 percentage points with 400 samples,
# and 1 with 10,000.
_FIRST_DECIMAL, _SECOND_DECIMAL = 400, 10_000
_MOST = 4


def decimals(n_samples: int) -> int:
    """Return how many decimals of a percentage a number of test samples supports.

    Parameters
    ----------
    n_samples : int
        Number of test samples, without counting seeds.

    Returns
    -------
    int

    Examples
    --------
    >>> from penultimate._common.digits import decimals
    >>> [decimals(n) for n in (92, 1000, 10_000)]
    [0, 1, 2]
    """
    return (n_samples >= _FIRST_DECIMAL) + (n_samples >= _SECOND_DECIMAL)


def percent(value: float, n_samples: int) -> str:
    """Write a fraction in percent, without the sign.

    Parameters
    ----------
    value : float
    n_samples : int
        Number of test samples that it was measured on.

    Returns
    -------
    str
        With more decimals where 0 or 100 would hide that it is neither.

    Examples
    --------
    >>> from penultimate._common.digits import percent
    >>> percent(0.587, 92), percent(0.997, 92), percent(1.0, 92)
    ('59', '99.7', '100')
    """
    digits = decimals(n_samples)
    while 0 < value < 1 and digits < _MOST and f"{100 * value:.{digits}f}" in _whole(digits):
        digits += 1
    return f"{100 * value:.{digits}f}"


def percent_interval(interval: tuple[float, float], n_samples: int) -> str:
    """Write an interval of fractions in percent: ``"44 to 73"``.

    Parameters
    ----------
    interval : tuple of float
        Its ends.
    n_samples : int

    Returns
    -------
    str

    Examples
    --------
    >>> from penultimate._common.digits import percent_interval
    >>> percent_interval((0.44, 0.731), 92)
    '44 to 73'
    """
    digits = decimals(n_samples)
    return " to ".join(f"{100 * end:.{digits}f}" for end in interval)


def points(value: float, n_samples: int, *, signed: bool = True) -> str:
    """Write a difference of fractions in percentage points.

    Parameters
    ----------
    value : float
    n_samples : int
    signed : bool, default=True
        Whether a plus is written.

    Returns
    -------
    str
        Zero has no sign, also if it was rounded to.

    Examples
    --------
    >>> from penultimate._common.digits import points
    >>> points(0.021, 92), points(-0.001, 92), points(-0.0213, 1000)
    ('+2', '0', '-2.1')
    """
    digits = decimals(n_samples)
    text = f"{100 * value:{'+' if signed else ''}.{digits}f}"
    return text if text.strip("+-0.") else f"{0:.{digits}f}"


def points_interval(interval: tuple[float, float], n_samples: int, *, signed: bool = True) -> str:
    """Write an interval of differences in percentage points: ``"-4 to +8"``.

    Parameters
    ----------
    interval : tuple of float
        Its ends.
    n_samples : int
    signed : bool, default=True
        Whether a plus is written.

    Returns
    -------
    str
        With more decimals where an end that is not zero would read as zero, although whether the
        interval holds zero is the point.

    Examples
    --------
    >>> from penultimate._common.digits import points_interval
    >>> points_interval((-0.04, 0.081), 92), points_interval((0.003, 0.081), 92)
    ('-4 to +8', '+0.3 to +8.1')
    """
    digits = decimals(n_samples)
    if interval[0] > 0 or interval[1] < 0:
        nearest = min(interval, key=abs)
        while digits < _MOST and not float(f"{100 * nearest:.{digits}f}"):
            digits += 1
    texts = [f"{100 * end:{'+' if signed else ''}.{digits}f}" for end in interval]
    return " to ".join(text if text.strip("+-0.") else f"{0:.{digits}f}" for text in texts)


def _whole(digits: int) -> tuple[str, str]:
    return f"{0:.{digits}f}", f"{100:.{digits}f}"
