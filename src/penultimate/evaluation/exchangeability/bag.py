"""Conformal p-values of a stream: each score is ranked among all before it, and then joins them.

If the scores are exchangeable, the place of the latest one among all so far is uniform, whatever
the distribution and however few were there at the beginning; with ties broken at random, p-values
are exactly uniform, and independent of each other (Vovk, 2003). Ranks among a fixed calibration set
are not: given the set, their distribution is off by as much as the set is unusual, and over an
endless stream a bet on that wins for sure.

Memory is constant: scores are counted in bins of their leading bits as float32. The bins do not
depend on data and ties are broken at random, so p-values are as exact as without them.
"""

import numpy as np
from numpy.typing import NDArray

# Of 32 bits: the sign, the exponent, and 9 of 23 bits of the mantissa, that is steps of .2 %.
_BITS = 18
_SIDE = 1 << _BITS // 2


class Bag:
    """Scores that were seen, counted.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Those to begin with, of any order.
    rng : numpy.random.Generator
        Breaks ties; it must not depend on the scores.
    """

    def __init__(self, scores: NDArray[np.floating], rng: np.random.Generator) -> None:
        self._rng = rng
        bins = np.bincount(_bins_of(scores), minlength=_SIDE**2)
        # In rows, with their totals: a rank is then two short sums.
        self._counts = bins.reshape(_SIDE, _SIDE)
        self._rows = self._counts.sum(axis=1)

    def __len__(self) -> int:
        return int(self._rows.sum())

    def p_values(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Rank scores, one after the other, and add them.

        Parameters
        ----------
        scores : ndarray of shape (n_samples,)

        Returns
        -------
        ndarray of shape (n_samples,)
            Small where a score is among the highest.
        """
        p_values = np.empty(len(scores))
        n_all = len(self)
        shares = self._rng.random(len(scores))  # as many as one after the other would draw
        for k, place in enumerate(_bins_of(scores).tolist()):
            row, column = divmod(place, _SIDE)
            n_tied = int(self._counts[row, column]) + 1  # and itself
            n_below = int(self._rows[:row].sum() + self._counts[row, :column].sum())
            n_all += 1
            n_above = n_all - n_below - n_tied
            # Of (0, 1]: a bet on small p-values must not be infinite.
            p_values[k] = (n_above + (1 - shares[k]) * n_tied) / n_all
            self._counts[row, column] += 1
            self._rows[row] += 1
        return p_values


def _bins_of(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return bins whose order is that of the scores; NaN is above all."""
    values = np.asarray(scores, np.float32) + np.float32(0)  # -0 and 0 are one
    bits = np.where(np.isnan(values), np.float32(np.nan), values).view(np.uint32)
    # Of negative numbers all bits are flipped, of others the sign alone: then their order is right.
    bits = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return (bits >> (32 - _BITS)).astype(np.int64)
