"""Axes of a display, created if the caller passes none."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # matplotlib is loaded only when something is plotted
    from matplotlib.axes import Axes


def new_axes(ax: "Axes | None") -> "Axes":
    """Return the given axes, or those of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]
