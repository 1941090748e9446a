"""Axes of a display, created if the caller passes none, and the texts on them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # matplotlib is loaded only when something is plotted
    from matplotlib.axes import Axes


def new_axes(ax: "Axes | None") -> "Axes":
    """Return the given axes, or those of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def keep_names_literal(ax: "Axes") -> None:
    """Keep what is written on axes from being read as a formula: a class may be called "$1 to $5".

    Call it last: it changes the texts that are there.
    """
    from matplotlib.text import Text

    for text in ax.findobj(Text):
        text.set_parse_math(False)
