import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penultimate.networks import Augmentation

STILL = Augmentation(rotation=0, zoom=0, aspect=0, shift=0, shear=0, elastic=0)


@given(
    st.sampled_from(["uint8", "float32"]),
    st.sampled_from([(8, 8, 1), (9, 14, 3)]),
    st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=30)
def test_warps_keep_shape_dtype_and_range(dtype, shape, seed):
    images = np.random.default_rng(0).integers(20, 200, (5, *shape)).astype(dtype)
    warped = Augmentation().warp(images, seed=seed, epoch=0)
    assert (warped.shape, warped.dtype) == (images.shape, images.dtype)
    assert warped.min() >= images.min()
    assert warped.max() <= images.max()


def test_no_warp_is_the_identity():
    images = np.random.default_rng(0).integers(0, 255, (3, 9, 12, 3), dtype=np.uint8)
    np.testing.assert_array_equal(STILL.warp(images, seed=0, epoch=0), images)


def test_same_seed_and_epoch_give_the_same_warp():
    images = np.random.default_rng(0).integers(0, 255, (4, 12, 12, 1), dtype=np.uint8)
    first = Augmentation().warp(images, seed=1, epoch=2)
    np.testing.assert_array_equal(first, Augmentation().warp(images, seed=1, epoch=2))
    for key in ({"seed": 1, "epoch": 3}, {"seed": 2, "epoch": 2}):
        assert (first != Augmentation().warp(images, **key)).any()


def test_more_samples_than_a_chunk_are_all_warped():
    images = np.random.default_rng(0).integers(0, 255, (700, 24, 24, 1), dtype=np.uint8)
    warped = Augmentation().warp(images, seed=0, epoch=0)
    assert (warped != images).any(axis=(1, 2, 3)).all()


def one_dot(y, x):
    image = np.zeros((1, 41, 41, 1), np.float32)
    image[0, y - 1 : y + 2, x - 1 : x + 2] = 1
    return image


def center(image):
    y, x = np.mgrid[:41, :41]
    return np.array([(image * y).sum(), (image * x).sum()]) / image.sum()


def test_rotation_keeps_the_distance_from_the_center_and_is_within_its_limit():
    dot = np.repeat(one_dot(10, 20), 200, axis=0)
    warp = Augmentation(rotation=30, zoom=0, aspect=0, shift=0, shear=0, elastic=0)
    offsets = np.array([center(image[..., 0]) for image in warp.warp(dot, seed=0, epoch=0)]) - 20
    angles = np.degrees(np.arctan2(offsets[:, 1], -offsets[:, 0]))
    np.testing.assert_allclose(np.hypot(*offsets.T), 10, atol=0.3)
    assert 25 < np.abs(angles).max() <= 31


def test_shift_is_a_fraction_of_the_size():
    dot = np.repeat(one_dot(20, 20), 200, axis=0)
    warp = Augmentation(rotation=0, zoom=0, aspect=0, shift=0.1, shear=0, elastic=0)
    offsets = np.array([center(image[..., 0]) for image in warp.warp(dot, seed=0, epoch=0)]) - 20
    assert 3.5 < np.abs(offsets).max() <= 4.2


def test_border_repeats():
    bright = np.full((20, 16, 16, 1), 255, np.uint8)
    assert (Augmentation(shift=0.5).warp(bright, seed=0, epoch=0) == 255).all()


@pytest.mark.parametrize(
    "wrong", [{"zoom": 1.0}, {"rotation": -1}, {"elastic": np.nan}, {"shift": 2}]
)
def test_bad_parameter(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"'{name}' parameter of Augmentation must be a number"):
        Augmentation(**wrong).warp(np.zeros((1, 8, 8, 1), np.uint8), seed=0, epoch=0)


def test_samples_that_are_not_images():
    with pytest.raises(ValueError, match=r"pass Training\(augmentation=None\)"):
        Augmentation().warp(np.zeros((4, 9), np.float32), seed=0, epoch=0)
