"""What is said where test samples were seen in training, or where nobody can know."""

import warnings
from typing import Any

from numpy.typing import NDArray

from penultimate.provenance.records import holds_unknown_network

ON_LEAK = ("raise", "warn", "ignore")
_EXAMPLES = 3


class LeakageError(ValueError):
    """Test samples were seen in training."""


class LeakageWarning(UserWarning):
    """Samples that are scored were seen in training."""


class UnknownProvenanceWarning(UserWarning):
    """Nobody said which samples a network has seen; `record` does."""


def report_leak(
    leaked: NDArray[Any],
    n_tested: int,
    *,
    on_leak: str = "raise",
    advice: str = "",
    stacklevel: int = 3,
) -> str:
    """Raise or warn if test samples were seen in training.

    Parameters
    ----------
    leaked : ndarray
        Positions, or names, of the samples that were.
    n_tested : int
        How many are tested.
    on_leak : {"raise", "warn", "ignore"}, default="raise"
    advice : str, default=""
        What to do, for the error or the warning.
    stacklevel : int, default=3
        Of the warning.

    Returns
    -------
    str
        What was seen; empty where nothing leaked.

    Raises
    ------
    LeakageError
        If something leaked, and `on_leak` is ``"raise"``.
    """
    if not len(leaked):
        return ""
    examples = ", ".join(str(sample) for sample in leaked[:_EXAMPLES].tolist())
    message = (
        f"{len(leaked):,} of {n_tested:,} test samples were seen in training, exactly as they are: "
        f"{examples}{' ...' if len(leaked) > _EXAMPLES else '.'}"
    )
    if on_leak == "raise":
        raise LeakageError(f"{message} {advice}".rstrip())
    if on_leak == "warn":
        warnings.warn(f"{message} {advice}".rstrip(), LeakageWarning, stacklevel=stacklevel)
    return message


def warn_if_unknown(seer: Any, consequence: str, *, stacklevel: int = 2) -> None:
    """Warn where nobody said what a network, or the one in a classifier, has seen.

    Parameters
    ----------
    seer : object
        As `provenance_of` takes it.
    consequence : str
        What is not so if it has seen these samples, for the warning.
    stacklevel : int, default=2
        As in `warnings.warn`, counted from here.
    """
    if not holds_unknown_network(seer):
        return
    warnings.warn(
        f"Nobody said which samples the network was trained on; if these are among them, "
        f"{consequence}. Say so first: penultimate.provenance.record(network, X) with the samples "
        "that it has seen, or record(network, []) if it has seen none of yours.",
        UnknownProvenanceWarning,
        stacklevel=stacklevel,
    )
