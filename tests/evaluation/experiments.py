"""Simulated experiments of which the truth is known: who is right on which sample."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

# Standard deviations of the parts of a sample's score; it is classified rightly if the score is
# above zero. What samples differ by is large: over seeds, mostly the same ones are wrong.
DIFFICULTY, METHOD, NETWORK_NOISE, METHOD_NOISE = 2.0, 0.4, 0.6, 0.4
GROUP, GROUP_METHOD = 0.6, 0.3


@dataclass(frozen=True)
class Setting:
    """Experiments alike: samples, seeds, accuracy, how much seeds differ, and groups of samples.

    `seed_effects` are standard deviations of the scores: what a seed's network gives all methods,
    and what it gives each (left out with one seed, or no two methods would be equally good).
    """

    n_test: int
    n_seeds: int
    accuracy: float
    seed_effects: tuple[float, float] = (0.0, 0.0)
    n_groups: int = 0

    def simulate(self, rng):
        """Draw test samples and seeds anew, and return three methods' answers and their accuracies.

        The first two methods are equally good, the third makes 40 % less errors. True accuracies
        are over all samples and seeds; with one seed, over all samples.
        """
        n, k = self.n_test, self.n_seeds
        shared, own = self.seed_effects if k > 1 else (self.seed_effects[0], 0.0)
        accuracies = np.array([self.accuracy, self.accuracy, 1 - 0.6 * (1 - self.accuracy)])
        parts = [DIFFICULTY, METHOD, NETWORK_NOISE, METHOD_NOISE]
        groups = None
        if self.n_groups:
            parts += [GROUP, GROUP_METHOD]
            shares = rng.dirichlet(np.full(self.n_groups, 3.0))
            groups = np.repeat(np.arange(self.n_groups), rng.multinomial(n, shares))
        within = np.sqrt(np.square(parts).sum())
        means = ndtri(accuracies) * np.hypot(within, np.hypot(shared, own))

        def normal(*shape):
            return rng.standard_normal(shape, dtype=np.float32)

        sample = DIFFICULTY * normal(n) + METHOD * normal(3, n)
        if groups is not None:
            of_group = GROUP * normal(self.n_groups) + GROUP_METHOD * normal(3, self.n_groups)
            sample += of_group[:, groups]
        seed = (shared * normal(k) + own * normal(3, k)) + means[:, None]
        noise = NETWORK_NOISE * normal(k, n) + METHOD_NOISE * normal(3, k, n)
        correct = sample[:, None, :] + noise + seed[:, :, None] > 0
        if k == 1:
            accuracies = ndtr(seed[:, 0] / within)
        return correct, accuracies, groups
