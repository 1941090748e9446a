"""The page: a Jinja template filled with the summary, every picture inside it."""

import base64
import io
from typing import Any

from penultimate.report.displays import TrainingCurvesDisplay


def render_html(summary: dict[str, Any]) -> str:
    """Render the summary of a comparison as one offline page.

    Parameters
    ----------
    summary : dict
        As `summarise` gives it.

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
    pictures = {
        f"Selection accuracy of {name}, mean over seeds": _picture(display)
        for name, display in summary["heatmaps"].items()
    }
    curves = None
    if summary["histories"]:
        display = TrainingCurvesDisplay.from_histories(summary["histories"])
        curves = _picture(display, width=8.0)
    return environment.get_template("report.html.j2").render(
        **summary, heatmap_pictures=pictures, curves=curves, axis=_axis(summary["results"])
    )


def _axis(results: dict[str, Any]) -> tuple[float, float]:
    """Ends of the table's accuracy axis, as fractions: round, and around every interval."""
    low = min(method["ci95"][0] for method in results["methods"])
    high = max(method["ci95"][1] for method in results["methods"])
    margin = max(0.05 * (high - low), 0.001)
    return max(0.0, low - margin), min(1.0, high + margin)


def _picture(display: Any, width: float = 5.2) -> str:
    """Draw a display as SVG, in a ``data:`` address; the same display gives the same text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "penultimate", "font.size": 10}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width, 3.6), layout="constrained")
        display.plot(ax=figure.add_subplot())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
