"""Words for numbers, in notes and messages."""


def quantity(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number and the noun that it counts.

    Parameters
    ----------
    n : int
    noun : str
        In the singular.
    plural : str, optional
        By default, the singular with an *s*.

    Examples
    --------
    >>> from penultimate._common.wording import quantity
    >>> quantity(1, "image"), quantity(1200, "image"), quantity(2, "class", "classes")
    ('1 image', '1,200 images', '2 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
