import numpy as np
import pytest

from penultimate import DeepSVC
from penultimate.classifiers._sample_form import SampleForm


def test_booleans_are_on_the_scale_of_pixels():
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8), np.uint8)
    for fitted in (images, images / 255, images > 99):
        form = SampleForm.of(fitted, True)
        form.check(images > 99, "DeepSVC")  # without a word
        np.testing.assert_array_equal(form.convert(images > 99)[..., 0], 255 * (images > 99))
    with pytest.warns(UserWarning, match="X holds integers, none above 1: .*Pass booleans"):
        DeepSVC("compact")._convert((images > 99).astype(int), True)
