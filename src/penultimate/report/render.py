"""The page: a Jinja template filled with the summary, with every picture embedded."""

import base64
import io
from typing import TYPE_CHECKING, Any

from penultimate._common.digits import percent, percent_interval, points, points_interval
from penultimate._common.pages import templates_of
from penultimate._common.wording import quantity
from penultimate.displays.feature_map import COLORS
from penultimate.report.colors import INK, PAPER, follow_scheme
from penultimate.report.pictures import SECTIONS, Section
from penultimate.results.selected import spell_pair

if TYPE_CHECKING:
    from jinja2 import Environment

_MINUS = "\u2212"
_PIXELS_PER_INCH = 90  # scale of the pictures on the page
_SELECTION = {
    "heldout": "heads are selected on samples that neither the network nor the candidates were "
    "fitted on, then refitted on all development samples",
    "crossfit": "heads are selected by cross-validation with a separate network per fold, then "
    "refitted on all development samples",
    "resubstitution": "heads are selected by cross-validation on features of samples that the "
    "network was trained on",
}


def render_html(summary: dict[str, Any]) -> str:
    """Render the summary of a comparison as one offline page.

    Parameters
    ----------
    summary : dict
        Returned by `summarize`.

    Returns
    -------
    str
        HTML.
    """
    results = summary["results"]
    environment = environment_for(results["dataset"]["n_test"])
    return environment.get_template("report.html.j2").render(
        **summary,
        sections={
            name: draw_section(SECTIONS[name], made) for name, made in summary["pictures"].items()
        },
        selection_words=_SELECTION[results["protocol"]["selection"]],
        axis=_axis(results),
    )


def environment_for(n_test: int) -> "Environment":
    """Return the templates, with filters that write figures of so many test samples."""
    environment = templates_of("penultimate.report")
    environment.filters |= {
        "quantity": quantity,
        "one": lambda noun: f"{'an' if noun == 'image' else 'a'} {noun}",
        "percent": lambda value: percent(value, n_test),
        "percent_interval": lambda ends: percent_interval(tuple(ends), n_test),
        "share": percent,
        "share_interval": lambda ends, n: percent_interval(tuple(ends), n),
        "points": lambda value: points(value, n_test).replace("-", _MINUS),
        "points_interval": lambda ends: points_interval(tuple(ends), n_test).replace("-", _MINUS),
        "p_value": _p_value,
        "pair": spell_pair,
    }
    return environment


def _p_value(p: float | None) -> str:
    if p is None:
        return "\u2013"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _axis(results: dict[str, Any]) -> tuple[float, float]:
    """Return the ends of the table's accuracy axis, as fractions that enclose every interval."""
    low = min(method["ci95"][0] for method in results["methods"])
    high = max(method["ci95"][1] for method in results["methods"])
    margin = max(0.05 * (high - low), 0.001)
    return max(0.0, low - margin), min(1.0, high + margin)


def draw_section(section: Section, displays: dict[str, Any]) -> dict[str, Any]:
    """Draw the displays of a section; return its words and pictures."""
    return {
        "title": section.title,
        "note": section.note,
        "pictures": [
            {
                "caption": caption,
                "text": f"{section.title}: {caption}" if caption else section.title,
                "uri": _picture(display, section.width),
                "width": round(_PIXELS_PER_INCH * section.width),
            }
            for caption, display in displays.items()
        ],
    }


def _picture(display: Any, width: float) -> str:
    """Draw a display as SVG in a ``data:`` URI; the same display always gives the same text."""
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.figure import Figure

    # A fixed salt and no date make the SVG reproducible; text stays text, so it can be searched.
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "penultimate",
        "font.size": 10,
        "axes.prop_cycle": cycler(color=COLORS),
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "legend.facecolor": PAPER,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
        ),
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width, 3.6), layout="constrained")
        display.plot(ax=figure.add_subplot())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = follow_scheme(buffer.getvalue().decode())
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
