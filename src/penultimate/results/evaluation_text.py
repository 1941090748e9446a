"""What was seen of a saved model beside what its file promises, in words."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from penultimate._common.digits import percent, percent_interval
from penultimate._common.wording import quantity
from penultimate.evaluation.intervals.accuracy import Interval

if TYPE_CHECKING:
    from penultimate.results.evaluation import Evaluation


def answer(found: "Evaluation") -> str:
    """Say how good a model is, in a sentence.

    Parameters
    ----------
    found : Evaluation

    Returns
    -------
    str
    """
    noun, n = found.dataset.noun, found.n_samples
    all_of_them = quantity(n, noun)
    if found.accuracy is None:
        return f"{found.model} abstains from {'the' if n == 1 else 'all'} {all_of_them}."
    right = int(found.correct[found.answered].sum())
    answers = all_of_them
    if found.n_answered < n:
        answers = f"the {found.n_answered:,} it answers, of {all_of_them}"
    return f"{found.model} is right on {right:,} of {answers}."


def against_guessing(accuracy: Interval, labels: NDArray[np.integer]) -> str:
    """Say that a model may be no better than guessing; empty if it is shown to be better.

    Parameters
    ----------
    accuracy : Interval
    labels : ndarray of shape (n_samples,), int
        The true classes that it was measured on.

    Returns
    -------
    str

    Notes
    -----
    Guessing is to name the most frequent class always, as `DummyClassifier` does.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation import accuracy_interval
    >>> from penultimate.results.evaluation_text import against_guessing
    >>> right = np.array([True] * 10 + [False] * 8)
    >>> print(against_guessing(accuracy_interval(right), np.repeat([0, 1], 9)))
    That is not shown to be better than guessing: ... is right on 50 %. More samples ...
    """
    guess = float(np.bincount(labels).max() / len(labels))
    if accuracy.low > guess or len(np.unique(labels)) == 1:
        return ""
    return (
        "That is not shown to be better than guessing: naming the most frequent class always is "
        f"right on {percent(guess, len(labels))} %. More samples per class help, and for "
        "photographs a pretrained network."
    )


def against_stated(found: "Evaluation") -> str:
    """Compare the accuracy with what the file says to expect.

    Parameters
    ----------
    found : Evaluation
        With an accuracy.

    Returns
    -------
    str

    Notes
    -----
    Intervals that do not touch leave no doubt that the two differ. Overlapping ones leave some, and
    nothing is claimed then.
    """
    stated, seen = found.stated, found.accuracy
    assert seen is not None
    if not stated:
        return "The file does not say what to expect."
    expected = percent(stated["accuracy"], stated["n"])
    if stated["low"] is None or stated["high"] is None:
        return f"The file gives {expected} % ({stated['what']}), and no interval to compare with."
    ends = percent_interval((stated["low"], stated["high"]), stated["n"])
    said = f"The file says to expect {expected} % ({ends} %; {stated['what']})"
    if seen.high < stated["low"]:
        return (
            f"{said}. This is clearly less: these {found.dataset.noun}s are harder, or unlike "
            "those that the model was made with."
        )
    if seen.low > stated["high"]:
        return f"{said}. This is clearly more: these {found.dataset.noun}s are easier."
    return f"{said}; what was seen does not contradict that."


def guarantee_kept(found: "Evaluation") -> str:
    """Compare the errors among the answers with what the file guarantees; empty if it does not.

    Parameters
    ----------
    found : Evaluation

    Returns
    -------
    str
    """
    promise, seen = found.abstention, found.risk
    if promise is None or promise["threshold"] is None:
        return ""
    bound = f"{100 * promise['bound']:.2g} %"
    said = f"The file guarantees that at most {bound} of its answers are wrong"
    if seen is None:
        return f"{said}; there are none to hold against that."
    wrong = int((~found.correct & found.answered).sum())
    share = f"{wrong:,} of {found.n_answered:,} are"
    if seen.low > promise["bound"]:
        return (
            f"{said}; {share}, clearly more. The guarantee is for samples drawn like those it was "
            "made with."
        )
    if seen.value > promise["bound"]:
        return f"{said}; {share}, which is more, but within what chance allows."
    return f"{said}; {share}: kept."
