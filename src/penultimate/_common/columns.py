"""Names of features: of the columns of a file or data frame, as a model was fitted on them."""

import unicodedata
from collections.abc import Iterable, Sequence

_SHOWN = 5  # names in a message


def names_of(X: object) -> tuple[str, ...] | None:
    """Return the names of a data frame's columns if all are text, as scikit-learn takes them."""
    columns = getattr(X, "columns", None)
    names = () if columns is None else tuple(columns)
    return names if names and all(isinstance(name, str) for name in names) else None


def normalized(name: object) -> str:
    """Return a name without what spreadsheets and other programs change: blanks and case."""
    return unicodedata.normalize("NFC", str(name)).strip().casefold()


def check_columns(columns: Iterable[object], fitted: Sequence[str]) -> None:
    """Raise ``ValueError`` unless columns are those of training, in the same order.

    Values alone do not show that two columns have changed places.
    """
    given = list(columns)
    differ = [
        k for k, pair in enumerate(zip(given, fitted)) if normalized(pair[0]) != normalized(pair[1])
    ]
    if not differ and len(given) == len(fitted):
        return
    place = differ[0] if differ else min(len(given), len(fitted))
    shown = slice(max(0, place - _SHOWN + 1), place + _SHOWN)
    raise ValueError(
        f"The columns are {_listed(given, shown)}, and the model was fitted on "
        f"{_listed(list(fitted), shown)}: they differ from column {place} on (counted from 0). "
        "Pass all of them under these names, in this order."
    )


def _listed(names: list[object], shown: slice) -> str:
    return (
        f"{'... ' if shown.start else ''}{names[shown]}{' ...' if len(names) > shown.stop else ''}"
    )
