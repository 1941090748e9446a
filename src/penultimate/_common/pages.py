"""What all pages share: how their templates are filled, and their looks (`templates/page.css`)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def templates_of(*packages: str) -> "Environment":
    """Return the templates of packages, which can include those that all pages share.

    Parameters
    ----------
    *packages : str
        Names of packages with a folder ``templates``; the first that has a template counts.

    Returns
    -------
    jinja2.Environment
        It escapes what it is given, and refuses what it is not given.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loaders = [PackageLoader(each) for each in (*packages, "penultimate._common")]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
