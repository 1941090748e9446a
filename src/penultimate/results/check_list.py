"""The findings of the checks in words, and in the order in which they should be read."""

from typing import Any

# What makes every figure of the page meaningless comes first, what only blurs it last. A finding
# that is not listed comes after those that are.
_BY_HARM = (
    "test-samples-seen",
    "network-undertrained",
    "misordered-labels",
    "one-hot-labels",
    "groups-split",
    "duplicates-across-classes",
    "scaler-fitted-on-test",
    "selection-on-training-samples",
    "duplicates-in-selection",
    "training-samples-unknown",
    "other-training-samples",
    "unstable-features",
    "images-left-out",
    "class-imbalance",
    "few-test-samples",
    "probabilities-as-features",
    "unscaled-features",
    "grid-edge",
)
# No check of the data: what all figures of an interrupted comparison are about.
_CUT_SHORT = "cut-short"
_LEVELS = ("error", "warning")
_WORDS = {"info": "Note", "warning": "Warning", "error": "ERROR"}


def describe(check: dict[str, str]) -> str:
    """Write what a check found, and what to do about it, in one line.

    Parameters
    ----------
    check : dict
        One of the ``checks`` of the results.

    Returns
    -------
    str

    Examples
    --------
    >>> from penultimate.results.check_list import describe
    >>> describe({"id": "leak", "level": "error", "message": "It leaks.", "advice": "Split it."})
    'ERROR [leak]: It leaks. Split it.'
    """
    named = f" [{check['id']}]" if "advice" in check else ""
    line = f"{_WORDS[check['level']]}{named}: {check['message']} {check.get('advice', '')}"
    return " ".join(line.split())


def alarms(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return that a comparison was cut short, then errors and warnings, the most harmful first.

    Parameters
    ----------
    checks : list of dict
        ``checks`` of the results.

    Returns
    -------
    list of dict

    Examples
    --------
    >>> from penultimate.results.check_list import alarms
    >>> found = [{"id": "few-test-samples", "level": "warning"}, {"id": "x", "level": "info"},
    ...     {"id": "groups-split", "level": "warning"}]
    >>> [check["id"] for check in alarms(found)]
    ['groups-split', 'few-test-samples']
    """
    place = {name: k for k, name in enumerate(_BY_HARM)}
    return sorted(
        (check for check in checks if check["level"] in _LEVELS),
        key=lambda check: (
            check["id"] != _CUT_SHORT,
            _LEVELS.index(check["level"]),
            place.get(check["id"], len(place)),
        ),
    )
