import numpy as np

from penultimate._common.seeds import draw_seed


def test_a_seed_follows_from_the_random_state():
    assert draw_seed(3) == draw_seed(3) == int(np.random.RandomState(3).randint(2**31))
    generator = np.random.RandomState(3)
    assert [draw_seed(generator), draw_seed(generator)] == np.random.RandomState(3).randint(
        2**31, size=2
    ).tolist()
