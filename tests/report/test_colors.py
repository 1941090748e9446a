"""Pictures that follow the reader's color scheme."""

import re

import pytest

from penultimate.report.colors import INK, PAPER, follow_scheme, on_dark

# As matplotlib writes a picture drawn in these colors; black is its default for lines.
PICTURE = (
    f'<?xml version="1.0"?><svg width="4pt"><path style="stroke: {INK}; fill: {PAPER.upper()}"/>'
    '<path style="stroke: #000000"/><text style="fill: #000000">7</text>'
    '<path style="fill: #0072B2"/><path style="fill: #abcdef"/></svg>'
)


def test_ink_paper_and_lines_become_variables_and_numbers_stay_black():
    drawn = follow_scheme(PICTURE)
    rest = re.search(r"</style>(.*)", drawn, re.DOTALL)[1]
    assert rest.count(f"stroke: var(--c{INK[1:]})") == 2  # the ink, and the black line
    assert f"fill: var(--c{PAPER[1:]})" in rest
    assert "fill: var(--c0072b2)" in rest
    assert "fill: #000000" in rest
    assert "fill: #abcdef" in rest  # not in the table: seen on both papers


def test_every_variable_has_a_value_in_both_schemes():
    drawn = follow_scheme(PICTURE)
    light, dark = re.search(
        r"<style>svg\{(.*?)\}@media\(prefers-color-scheme:dark\)\{svg\{(.*?)\}\}</style>", drawn
    ).groups()
    names = set(re.findall(r"var\((--c\w+)\)", drawn))
    assert names
    for scheme in (light, dark):
        values = dict(entry.split(":") for entry in scheme.rstrip(";").split(";"))
        assert names <= set(values)
        assert all(re.fullmatch("#[0-9a-f]{6}", value) for value in values.values())
    assert light != dark


@pytest.mark.parametrize(("color", "expected"), [("#0072B2", "#3d9bdc"), ("#123456", "#123456")])
def test_colors_on_dark_paper(color, expected):
    assert on_dark(color) == expected


def luminance(color):
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color", [INK, "#333333", "#0072b2", "#d55e00", "#009e73"])
def test_colors_on_dark_paper_can_be_told_from_it(color):
    lighter, darker = sorted((luminance(on_dark(color)), luminance(on_dark(PAPER))), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) > 3  # WCAG 2.1, graphical objects
