"""Coordinates of everything in the page's forest plot, as plain data.

The plot itself is SVG markup in the template: computing the coordinates here keeps arithmetic out
of Jinja and lets the tests check the geometry without a browser.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

# Fraction of the width left free on each side, so that the end caps and dots are not clipped.
_MARGIN = 0.04


def forest(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Place the differences from the softmax on a common axis.

    Parameters
    ----------
    rows : list of dict
        The ``methods`` entries of the results that belong to one subset, or to all samples.

    Returns
    -------
    dict or None
        ``rows``, with one entry per method that has a difference: its ``name``, ``family`` and
        ``difference`` as in the results, whether the interval excludes zero
        (``leaves_out_zero``), and the positions of the interval and the dot (``low``, ``at``,
        ``high``); ``zero``, the position of zero; and ``ticks``, each with ``at`` and ``label``.
        Positions are fractions of the width. None if nothing was compared with a softmax.
    """
    from matplotlib.ticker import MaxNLocator

    compared = [(row, row["vs_softmax"]) for row in rows if row["vs_softmax"]]
    if not compared:
        return None
    ends = [0.0, *(100 * end for _, difference in compared for end in difference["ci95"])]
    ends += [100 * difference["difference"] for _, difference in compared]
    low, high = min(ends), max(ends)
    # All differences are exactly zero, for example identical predictions: any axis will fit.
    if low == high:
        low, high = low - 0.5, high + 0.5
    span = (high - low) / (1 - 2 * _MARGIN)

    def place(points: float) -> float:
        return round(_MARGIN + (points - low) / span, 4)

    return {
        "rows": [
            {
                "name": row["name"],
                "family": row["family"],
                "difference": difference,
                "leaves_out_zero": difference["ci95"][0] > 0 or difference["ci95"][1] < 0,
                "low": place(100 * difference["ci95"][0]),
                "at": place(100 * difference["difference"]),
                "high": place(100 * difference["ci95"][1]),
            }
            for row, difference in compared
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
