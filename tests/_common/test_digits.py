import pytest

from penultimate._common.digits import decimals, percent, percent_interval, points, points_interval


@pytest.mark.parametrize(
    ("n_samples", "expected"), [(1, 0), (399, 0), (400, 1), (9_999, 1), (10_000, 2), (10**6, 2)]
)
def test_decimals(n_samples, expected):
    assert decimals(n_samples) == expected


@pytest.mark.parametrize(
    ("value", "n_samples", "text"),
    [
        (0.587, 92, "59"),
        (0.587, 1000, "58.7"),
        (1.0, 92, "100"),
        (0.0, 92, "0"),
        (299 / 300, 300, "99.7"),
        (1 / 300, 300, "0.3"),
        (9_999 / 10_000, 10_000, "99.99"),
        (0.99999999, 92, "100.0000"),
    ],
)
def test_percent(value, n_samples, text):
    assert percent(value, n_samples) == text


def test_intervals():
    assert percent_interval((0.4412, 0.7288), 92) == "44 to 73"
    assert percent_interval((0.4412, 0.7288), 1000) == "44.1 to 72.9"


@pytest.mark.parametrize(
    ("value", "n_samples", "signed", "text"),
    [
        (0.0213, 92, True, "+2"),
        (0.0213, 92, False, "2"),
        (-0.0213, 1000, True, "-2.1"),
        (0.0, 92, True, "0"),
        (-0.001, 92, True, "0"),
        (0.0001, 1000, True, "0.0"),
    ],
)
def test_points(value, n_samples, signed, text):
    assert points(value, n_samples, signed=signed) == text


def test_an_interval_never_seems_to_hold_zero():
    assert points_interval((0.002, 0.031), 92) == "+0.2 to +3.1"
    assert points_interval((-0.031, -0.0004), 1000) == "-3.10 to -0.04"
    assert points_interval((-0.002, 0.031), 92) == "0 to +3"
    assert points_interval((0.0, 0.031), 92, signed=False) == "0 to 3"
