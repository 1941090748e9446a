"""Where everything in the page's forest plot is drawn, as plain data."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_MARGIN = 0.04  # of the width, on both sides


def forest(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Place the differences to the softmax on a common axis.

    Parameters
    ----------
    rows : list of dict
        ``methods`` of the results, those of one subset or of all samples.

    Returns
    -------
    dict or None
        ``rows``, for each method with a difference its ``name``, the ``difference`` as in the
        results, whether the interval ``leaves_out_zero``, and where its interval and dot are
        (``low``, ``at``, ``high``); ``zero``, where zero is; ``ticks``, each with ``at`` and
        ``label``. Places are shares of the width. None where nothing was compared with a softmax.
    """
    from matplotlib.ticker import MaxNLocator

    compared = [(row["name"], row["vs_softmax"]) for row in rows if row["vs_softmax"]]
    if not compared:
        return None
    ends = [0.0, *(100 * end for _, difference in compared for end in difference["ci95"])]
    ends += [100 * difference["difference"] for _, difference in compared]
    low, high = min(ends), max(ends)
    if low == high:
        low, high = low - 0.5, high + 0.5
    span = (high - low) / (1 - 2 * _MARGIN)

    def place(points: float) -> float:
        return round(_MARGIN + (points - low) / span, 4)

    return {
        "rows": [
            {
                "name": name,
                "difference": difference,
                "leaves_out_zero": difference["ci95"][0] > 0 or difference["ci95"][1] < 0,
                "low": place(100 * difference["ci95"][0]),
                "at": place(100 * difference["difference"]),
                "high": place(100 * difference["ci95"][1]),
            }
            for name, difference in compared
        ],
        "zero": place(0.0),
        "ticks": [
            {"at": place(points), "label": _signed(points) if points else "0"}
            for points in np.round(MaxNLocator(7).tick_values(low, high), 6).tolist()
            if 0 <= place(points) <= 1
        ],
    }


def _signed(points: float) -> str:
    return f"{points:+.6g}".replace("-", "\u2212")
