"""Cells of CSV files."""

import pytest

from penultimate._common.spreadsheets import safe_cell


@pytest.mark.parametrize("cell", ["=1+1", "+x", "-x", "@x", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_formulas_become_text(cell):
    assert safe_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "-1", "+1e3", -1, None, 2.5, True])
def test_the_rest_stays(cell):
    assert safe_cell(cell) is cell
