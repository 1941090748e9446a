import numpy as np
import pytest

from penultimate.networks.pooling import pool, pooled_size

MAPS = np.random.default_rng(0).normal(size=(2, 3, 4, 5))


@pytest.mark.parametrize(("pooling", "by_hand"), [("avg", np.mean), ("max", np.max)])
def test_average_and_maximum(pooling, by_hand):
    np.testing.assert_allclose(pool(MAPS, pooling), by_hand(MAPS, axis=(1, 2)))
    np.testing.assert_allclose(pool(MAPS, pooling, 1), by_hand(MAPS, axis=(2, 3)))
    tokens = MAPS[:, 0]
    np.testing.assert_allclose(pool(tokens, pooling), by_hand(tokens, axis=1))


def test_the_generalized_mean_lies_between():
    positive = np.abs(MAPS)
    gem = pool(positive, "gem")
    assert (pool(positive, "avg") < gem).all()
    assert (gem < pool(positive, "max")).all()
    assert np.isfinite(pool(-positive, "gem")).all()


def test_vectors_stay_and_none_flattens():
    vectors = MAPS[:, :, 0, 0]
    np.testing.assert_array_equal(pool(vectors, "avg"), vectors)
    np.testing.assert_array_equal(pool(MAPS, None), MAPS.reshape(2, -1))


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("pooling", ["avg", "max", "gem", None])
def test_the_size_is_known_before(pooling, axis):
    assert pooled_size(MAPS.shape[1:], pooling, axis) == pool(MAPS, pooling, axis).shape[1]


def test_a_size_that_is_open():
    assert pooled_size((None, None, 7), "avg") == 7
    assert pooled_size((7, None, None), "avg", 1) == 7
    assert pooled_size((None, None, 7), None) is None
