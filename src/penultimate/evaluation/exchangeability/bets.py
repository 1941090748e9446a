"""A bet against the uniformity of p-values, whose stake is not spent while nothing happens.

Someone who bets at fair odds that p-values are not uniform multiplies the capital by a function of
each p-value whose mean under uniformity is 1. The capital is then a martingale: whatever the bets,
it ever reaches 100 times the stake with a probability of at most 1 % (Ville's inequality).

How to bet is a matter of power alone. Straight lines win if p-values move up or down by a little,
parabolas if they crowd in the middle, as those of a camera that is stuck, or at both ends, powers
if a few of them are tiny; capital is spread over several of both, as no one knows before,
and a little of it changes over after each step, as in the Simple Jumper (Vovk and others, 2021).
A bet against uniform p-values loses exponentially, so one that began at the first sample would be
ruined when, after months, something happens. Most of the stake therefore waits: a part of it enters
with every sample, in parts so small that after t samples 1 / (1 + log2(1 + t) / 3) is still there.
A change at the t-th sample then costs some log(t) of growth, not t times a constant.
"""

from math import log2

_SLOPES = (-2.0, -1.0, 1.0, 2.0)
_POWERS = (0.25, 0.5, 0.75)
_BENDS = (-0.5, 0.9)
_N_BETS = len(_SLOPES) + len(_POWERS) + len(_BENDS)
_CHANGING = 0.001
_WAITING = 3.0
# Beyond any alarm: what is above is given away, so that numbers stay finite.
_MOST = 1e100


class Bettor:
    """Capital of 1 that is bet on p-values.

    Attributes
    ----------
    capital : float
        What it has become.
    """

    def __init__(self) -> None:
        self.capital = 1.0
        self._n_seen = 0
        self._waiting = 1.0
        self._placed = [0.0] * _N_BETS

    def bet(self, p_value: float) -> float:
        """Bet on one more p-value, above 0, and return the capital after it."""
        # In Python's own numbers: arrays so short would take ten times as long.
        self._n_seen += 1
        left = 1 / (1 + log2(1 + self._n_seen) / _WAITING)
        entering = (self._waiting - left) / _N_BETS
        self._waiting = left
        mean = sum(self._placed) / _N_BETS
        moved = [(1 - _CHANGING) * each + _CHANGING * mean + entering for each in self._placed]
        self._placed = [each * odds for each, odds in zip(moved, odds_of(p_value))]
        total = sum(self._placed)
        if total > _MOST:
            self._placed = [each * (_MOST / total) for each in self._placed]
            total = _MOST
        self.capital = total + left
        return self.capital


def odds_of(p_value: float) -> list[float]:
    """Return what each bet pays; over uniform p-values, 1 on average."""
    lines = [1 + slope * (p_value - 0.5) for slope in _SLOPES]
    powers = [power * p_value ** (power - 1) for power in _POWERS]
    parabolas = [1 + bend * (12 * (p_value - 0.5) ** 2 - 1) for bend in _BENDS]
    return lines + powers + parabolas
