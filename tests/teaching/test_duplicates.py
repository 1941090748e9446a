"""Samples that are the same, whatever their scale."""

import numpy as np
import pytest

from penultimate.teaching.duplicates import same_samples

ROW = np.array([1.0, -2.0, 3.0], np.float32)


def same(row, known):
    return same_samples(row[None], np.stack(known))[0].tolist()


@pytest.mark.parametrize("scale", [1e-30, 1, 1e15, 1e30])
def test_rounding_makes_no_other_sample(scale):
    row = (ROW * scale).astype(np.float32)
    assert same(row, [row * np.float32(1 + 1e-6), row * np.float32(1.01), row]) == [0, 2]


@pytest.mark.parametrize("scale", [1e15, 1e30, 1e38])
def test_a_sample_whose_squares_overflow_is_not_one_of_others(scale):
    large = (ROW * scale).astype(np.float32)
    assert same(large, [ROW, -large]) == []
    assert same(ROW, [large, ROW]) == [1]


def test_a_sample_of_zeros():
    assert same(np.zeros(3, np.float32), [ROW, np.zeros(3, np.float32)]) == [1]
