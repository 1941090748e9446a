"""Errors and warnings for data leakage, and for networks of unknown provenance."""

import warnings
from typing import Any

from numpy.typing import NDArray

from penultimate.provenance.records import holds_unknown_network

ON_LEAK = ("raise", "warn", "ignore")
_EXAMPLES = 3


class LeakageError(ValueError):
    """Test samples were seen in training."""


class LeakageWarning(UserWarning):
    """Scored samples were seen in training."""


class UnknownProvenanceWarning(UserWarning):
    """The training samples of a network were not recorded; use `record`."""


def report_leak(
    leaked: NDArray[Any],
    n_tested: int,
    *,
    on_leak: str = "raise",
    advice: str = "",
    numbered: str = "",
    stacklevel: int = 3,
) -> str:
    """Raise or warn if test samples were seen in training.

    Parameters
    ----------
    leaked : ndarray
        Positions, or names, of the samples that were seen.
    n_tested : int
        Number of test samples.
    on_leak : {"raise", "warn", "ignore"}, default="raise"
        Action if there are leaked samples.
    advice : str, default=""
        Advice to the user, appended to the error or warning.
    numbered : str, default=""
        What positions count, as it is put before them, such as ``"rows of X: "``.
    stacklevel : int, default=3
        Stack level of the warning.

    Returns
    -------
    str
        The message without advice; empty if nothing leaked.

    Raises
    ------
    LeakageError
        If samples leaked and `on_leak` is ``"raise"``.
    """
    if not len(leaked):
        return ""
    examples = ", ".join(str(sample) for sample in leaked[:_EXAMPLES].tolist())
    message = (
        f"{len(leaked):,} of {n_tested:,} test samples were seen in training (exact copies): "
        f"{numbered}{examples}{' ...' if len(leaked) > _EXAMPLES else '.'}"
    )
    if on_leak == "raise":
        raise LeakageError(f"{message} {advice}".rstrip())
    if on_leak == "warn":
        warnings.warn(f"{message} {advice}".rstrip(), LeakageWarning, stacklevel=stacklevel)
    return message


def warn_if_unknown(model: object, consequence: str, *, stacklevel: int = 2) -> None:
    """Warn if the training samples of a network, or of the one in a classifier, are unknown.

    Parameters
    ----------
    model : object
        Network or classifier, as accepted by `provenance_of`.
    consequence : str
        What would be wrong if the network was trained on these samples, for the warning.
    stacklevel : int, default=2
        Stack level, as in `warnings.warn`, counted from this function.
    """
    if not holds_unknown_network(model):
        return
    warnings.warn(
        f"It is unknown which samples the network was trained on; if these are among them, "
        f"{consequence}. Record them first: penultimate.provenance.record(network, X) with its "
        "training samples, or record(network, []) if it was trained on none of yours.",
        UnknownProvenanceWarning,
        stacklevel=stacklevel,
    )
