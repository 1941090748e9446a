from pathlib import Path

import pytest

from penultimate.datasets.listing import groups_from_names


@pytest.mark.parametrize("pattern", ["(?P<group>[^_]+)_", "^([^_]+)", "(x)?(?P<group>00.)_"])
def test_group_is_found(pattern):
    assert groups_from_names([Path("a/005_03.jpg"), Path("b/007_1.jpg")], pattern) == ["005", "007"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is not a regular expression: .*got '\\('"),
        ("abc", "has no group in parentheses; got 'abc'"),
        ("([a-z]+)_", "finds no group in '005_03.jpg'"),
        ("(x?)005", "finds no group in '005_03.jpg'"),
    ],
)
def test_bad_pattern(pattern, message):
    with pytest.raises(ValueError, match=message):
        groups_from_names([Path("a/005_03.jpg")], pattern)
