"""Colors of pictures in the reader's color scheme, light or dark.

A picture is drawn once. Its ink and its paper are drawn in two colors that nothing else has; then
every color that would be hard to see on dark paper becomes a CSS variable, with a value for each
scheme. Black and white themselves stay: they are the numbers in the cells of a heat map.
"""

import re

INK, PAPER = "#1d2431", "#fefeff"
# Light and dark value of each color; ink and paper are those of the page.
_SCHEMES = {
    INK: ("#1d2430", "#e7eaf0"),
    PAPER: ("#ffffff", "#1d232d"),
    "#333333": ("#333333", "#d5d9e0"),
    "#0072b2": ("#0072b2", "#3d9bdc"),
    "#d55e00": ("#d55e00", "#f07f2b"),
    "#009e73": ("#009e73", "#19bd8f"),
}


def on_dark(color: str) -> str:
    """Return the color that stands for another one on dark paper.

    Parameters
    ----------
    color : str
        As hexadecimal digits.

    Returns
    -------
    str

    Examples
    --------
    >>> from penultimate.report.colors import on_dark
    >>> on_dark("#333333"), on_dark("#CC79A7")
    ('#d5d9e0', '#CC79A7')
    """
    return _SCHEMES.get(color.lower(), ("", color))[1]


def follow_scheme(svg: str) -> str:
    """Let a picture follow the reader's color scheme.

    Parameters
    ----------
    svg : str
        Drawn with `INK` and `PAPER`.

    Returns
    -------
    str
    """
    names = {color: f"--c{color[1:]}" for color in _SCHEMES}
    # Lines are black by default; black text keeps its color, as it may lie on a colored cell.
    svg = svg.replace("stroke: #000000", f"stroke: {INK}")
    svg = re.sub(
        "|".join(_SCHEMES), lambda found: f"var({names[found[0].lower()]})", svg, flags=re.I
    )
    light, dark = (
        "".join(f"{names[color]}:{pair[k]};" for color, pair in _SCHEMES.items()) for k in (0, 1)
    )
    style = f"<style>svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    return re.sub(r"(<svg\b[^>]*>)", lambda found: found[0] + style, svg, count=1)
