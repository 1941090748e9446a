"""Seeds drawn from a `random_state`."""

from sklearn.utils import check_random_state

from penultimate._common.protocols import RandomState


def draw_seed(random_state: RandomState) -> int:
    """Draw the seed of everything that is random in one fit.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        An integer gives the same seed on every call.

    Returns
    -------
    int

    Examples
    --------
    >>> from penultimate._common.seeds import draw_seed
    >>> draw_seed(0) == draw_seed(0)
    True
    """
    return int(check_random_state(random_state).randint(2**31))
