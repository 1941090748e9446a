"""What a comparison says of itself: its answer, its verdict, its text.

The words are those of the report, made from the same figures by the same functions, so that the two
cannot differ.
"""

from penultimate.results.answer_text import answer
from penultimate.results.check_list import alarms, describe
from penultimate.results.outcome import Outcome
from penultimate.results.overview import tables_as_text
from penultimate.results.verdict import verdict


def sentences(outcome: Outcome) -> list[str]:
    """Return the answer, the verdict, and what the checks found, the most harmful first.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    list of str
        One line each. There is no verdict if no SVM head was compared with a softmax.
    """
    results = outcome.headlines()
    found = [describe(check) for check in alarms(results["checks"])]
    return [line for line in (answer(results), verdict(results), *found) if line]


class Statements(Outcome):
    """An outcome in words; a part of `Comparison`."""

    @property
    def answer(self) -> str:
        """How good the best method is: the first sentences of the report.

        How often it is right, with the interval; how often guessing is; and whether it is shown to
        be better than the other methods.
        """
        return answer(self.headlines())

    @property
    def verdict(self) -> str:
        """Whether the SVM head beat the softmax that has the same information, in words."""
        found = verdict(self.headlines())
        return found or "No verdict: no SVM head was compared with a softmax or a logistic head."

    def __repr__(self) -> str:
        # Not the fields: images, features and probabilities would fill the screen.
        seeds = f"{len(self.seeds)} seed{'s' * (len(self.seeds) > 1)}"
        return f"<{type(self).__name__} on {self.dataset.name}, {seeds}>\n{self}"

    def __str__(self) -> str:
        # What was selected is no alarm, and does not show in a table.
        selected = [describe(check) for check in self.checks if check["id"] == "selected-features"]
        return "\n".join([*sentences(self), tables_as_text(self), *selected])
