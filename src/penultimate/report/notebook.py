"""What a notebook shows of a comparison: the report's first sentences and the tables, as HTML."""

from penultimate._common.pages import templates_of
from penultimate.results.outcome import Outcome
from penultimate.results.overview import overview
from penultimate.results.statements import sentences


def render_notebook(comparison: Outcome) -> str:
    """Render the answer, the verdict, the findings of the checks, and the tables.

    Parameters
    ----------
    comparison : Outcome

    Returns
    -------
    str
        A small ``div`` without scripts, in the colors of the notebook around it, light or dark.
    """
    environment = templates_of("penultimate.report")
    first, *others = sentences(comparison)
    return environment.get_template("notebook.html.j2").render(
        answer=first, sentences=others, tables=overview(comparison)
    )
