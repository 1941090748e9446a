"""Columns are recognized by their names, whatever blanks and case a spreadsheet has changed."""

import pytest

from penultimate._common.columns import check_columns, names_of


class Frame:
    def __init__(self, columns):
        self.columns = columns


@pytest.mark.parametrize("columns", [["a", "b"], [" A", "b "], ("a", "B")])
def test_the_same_columns(columns):
    check_columns(columns, ["a", "b"])


@pytest.mark.parametrize("columns", [["b", "a"], ["a"], ["a", "b", "c"], ["a", "c"], [0, 1]])
def test_other_columns_are_refused(columns):
    with pytest.raises(ValueError, match="they differ from column"):
        check_columns(columns, ["a", "b"])


def test_a_message_shows_where_many_columns_differ():
    names = [f"f{k}" for k in range(1000)]
    moved = [*names[:700], names[701], names[700], *names[702:]]
    with pytest.raises(ValueError, match=r"'f699', 'f701', 'f700'") as raised:
        check_columns(moved, names)
    assert "from column 700 on" in str(raised.value)
    assert len(str(raised.value)) < 500


def test_names_of_data_frames_are_text_or_none():
    assert names_of(Frame(["a", "b"])) == ("a", "b")
    assert names_of(Frame([0, "b"])) is None
    assert names_of(Frame([])) is None
    assert names_of([[1.0]]) is None
