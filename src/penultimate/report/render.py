"""The page: a Jinja template filled with the summary, every picture inside it."""

import base64
import io
from dataclasses import asdict
from typing import Any

from penultimate.displays.feature_map import COLOURS
from penultimate.report.pictures import SECTIONS

_PIXELS_PER_INCH = 90  # of a picture on the page
_SELECTION = {
    "heldout": "heads are chosen on samples that the network and the candidates were not fitted "
    "on, then refitted on all of development",
    "crossfit": "heads are chosen by cross-validation in which each fold has a network of its own, "
    "then refitted on all of development",
    "resubstitution": "heads are chosen by cross-validation on features of samples that the "
    "network was trained on",
}


def render_html(summary: dict[str, Any]) -> str:
    """Render the summary of a comparison as one offline page.

    Parameters
    ----------
    summary : dict
        As `summarize` gives it.

    Returns
    -------
    str
        HTML.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("penultimate.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value, digits=2: f"{100 * value:.{digits}f}"
    environment.filters["points"] = lambda value: f"{100 * value:+.2f}".replace("-", "\u2212")
    environment.filters["p_value"] = _p_value
    sprites = summary["sprites"]
    return environment.get_template("report.html.j2").render(
        **summary | {"sprites": None if sprites is None else asdict(sprites)},
        sections={name: _section(name, made) for name, made in summary["pictures"].items()},
        selection_words=_SELECTION[summary["results"]["protocol"]["selection"]],
        axis=_axis(summary["results"]),
    )


def _p_value(p: float | None) -> str:
    if p is None:
        return "\u2013"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _axis(results: dict[str, Any]) -> tuple[float, float]:
    """Ends of the table's accuracy axis, as fractions: round, and around every interval."""
    low = min(method["ci95"][0] for method in results["methods"])
    high = max(method["ci95"][1] for method in results["methods"])
    margin = max(0.05 * (high - low), 0.001)
    return max(0.0, low - margin), min(1.0, high + margin)


def _section(name: str, displays: dict[str, Any]) -> dict[str, Any]:
    """Draw the displays of a section."""
    section = SECTIONS[name]
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
    """Draw a display as SVG, in a ``data:`` address; the same display gives the same text."""
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "penultimate",
        "font.size": 10,
        "axes.prop_cycle": cycler(color=COLOURS),
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width, 3.6), layout="constrained")
        display.plot(ax=figure.add_subplot())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
