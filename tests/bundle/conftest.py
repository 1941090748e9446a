import pytest

from penultimate.bundle.archive import pack

from .handmade import OF_IMAGES, make_parts, of_features, of_images


@pytest.fixture(scope="session")
def feature_parts():
    return make_parts(of_features())


@pytest.fixture(scope="session")
def image_parts():
    return make_parts(of_images(), **OF_IMAGES)


@pytest.fixture(scope="session")
def feature_bundle(feature_parts):
    return pack(feature_parts)


@pytest.fixture(scope="session")
def image_bundle(image_parts):
    return pack(image_parts)
