import numpy as np
import pytest

from penultimate._common.progress import SILENT
from penultimate.comparison.given import read_given

X = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
Y = [0, 1, 0, 1]


def read(X, y, *, test=None):
    return read_given(X, y, test, "compact", SILENT)[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [(X, X > 99), (X, (X > 99).astype(int)), (X / 255, X.astype(float)), (X / 1.0, X / 255)],
)
def test_a_test_set_on_another_scale(first, second):
    with pytest.raises(ValueError, match="goes up to .* different scales"):
        read(first, Y, test=(second, Y))
    assert read(first, Y, test=(first, Y)).is_test.sum() == 4
