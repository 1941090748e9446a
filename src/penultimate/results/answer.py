"""How good the best method is, and whether it is shown to be better than the others.

The best of several methods is chosen on the test images, so "best" alone is no finding. It is
compared with every other method that knows as much about an image, on the same images and seeds,
and the p-values are adjusted for that many comparisons: it is shown to be better than those that
remain significantly worse. Next to a network that did not train properly nothing is shown: any head
would beat its softmax.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from penultimate.evaluation import Interval, compare_accuracies, holm

if TYPE_CHECKING:
    from penultimate.results.outcome import Outcome

_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Answer:
    """Answer to "how good is it?".

    Attributes
    ----------
    best : str
        The most accurate method. With subsets, methods that are given the subset of an image are
        only considered if all are.
    accuracy : Interval
        Its accuracy on the test images; the same as in every table.
    guessing : float
        Accuracy of always answering the most frequent class of development.
    guess : str
        That class.
    others : tuple of str
        The methods that it was compared with, in the order of the comparison.
    undecided : tuple of str
        Those of them that it is not shown to be better than.
    tied : tuple of str
        Those of them that are exactly as accurate.
    """

    best: str
    accuracy: Interval
    guessing: float
    guess: str
    others: tuple[str, ...]
    undecided: tuple[str, ...]
    tied: tuple[str, ...] = ()

    @property
    def beats_guessing(self) -> bool:
        """Whether the interval of the accuracy lies above the guessing rate."""
        return self.accuracy.low > self.guessing

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain data, as in ``results.json``.

        Returns
        -------
        dict
        """
        return {
            "best": self.best,
            "accuracy": self.accuracy.value,
            "ci95": [self.accuracy.low, self.accuracy.high],
            "guessing": self.guessing,
            "guess": self.guess,
            "compared_with": list(self.others),
            "not_shown_better_than": list(self.undecided),
            "tied_with": list(self.tied),
        }


def shown_method(outcome: "Outcome") -> str:
    """Return the method that is shown first: the one that the verdict is about, or the best.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    str
    """
    headline = outcome.protocol["headline"]
    return headline if headline in outcome.names() else find_answer(outcome).best


def find_answer(outcome: "Outcome") -> Answer:
    """Find the best method, and what it is shown to be better than.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    Answer
    """
    knowing = all(method.knows_subset for method in outcome.methods)
    names = [m.name for m in outcome.methods if m.knows_subset == knowing]
    headline = outcome.protocol["headline"]
    # Of equally accurate methods, the one that the verdict is about; otherwise the first.
    ranked = sorted(names, key=lambda name: (-outcome.accuracy(name).value, name != headline))
    best = ranked[0]
    others = [name for name in names if name != best]
    p = [
        # Accuracies below that of the best only: its difference from each is never negative.
        compare_accuracies(outcome.correct(best), outcome.correct(name), groups=outcome.groups()).p
        for name in others
    ]
    adjusted = holm([1.0 if value is None else value for value in p])
    undertrained = any(check["id"] == "network-undertrained" for check in outcome.checks)
    counts = np.bincount(np.delete(outcome.dataset.labels, outcome.test))
    guess = int(counts.argmax())
    return Answer(
        best,
        outcome.accuracy(best),
        float(np.mean(outcome.dataset.labels[outcome.test] == guess)),
        outcome.dataset.classes[guess],
        tuple(others),
        tuple(
            name for name, value in zip(others, adjusted) if undertrained or value >= _SIGNIFICANT
        ),
        tuple(
            name for name in others if outcome.accuracy(name).value == outcome.accuracy(best).value
        ),
    )
