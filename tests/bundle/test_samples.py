"""What a predictor is given."""

import io

import numpy as np
import pytest
from PIL import Image

from penultimate.bundle.samples import as_features, as_images


def test_large_jpeg_files_are_decoded_as_they_were_for_training():
    file = io.BytesIO()
    Image.fromarray(np.zeros((96, 128, 3), np.uint8)).save(file, "JPEG")
    for prepare, shape in (
        ({"size": [12, 12], "crop": None, "draft": True}, (24, 32)),
        ({"size": [12, 12], "crop": None, "draft": False}, (96, 128)),
        ({"size": [12, 12]}, (96, 128)),  # of a model from before there was the choice
        ({"size": None, "draft": True}, (96, 128)),
        (None, (96, 128)),
    ):
        images = as_images([file.getvalue()], None, None, prepare)
        assert images[0].shape[:2] == shape


def test_masked_features_are_refused():
    X = np.ma.masked_greater(np.arange(6.0).reshape(3, 2), 4)
    with pytest.raises(ValueError, match="masked values"):
        as_features(X, 2, None)
    assert as_features(X[:2], 2, None).shape == (2, 2)  # nothing is masked here
