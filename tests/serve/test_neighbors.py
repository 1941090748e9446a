import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics.pairwise import rbf_kernel

import penultimate
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.teaching_part import TEACH
from penultimate.serve import Models
from penultimate.serve.neighbors import MOST, Neighbors, has_pictures, kernel_distances
from penultimate.teaching import Teacher
from tests.bundle.digits import digit_images

from .conftest import as_file, as_text, in_loop, serving
from .test_app import PNG, check_problem

IMAGES, LABELS = digit_images()
IMAGES, LABELS = IMAGES[LABELS < 7], LABELS[LABELS < 7]  # of which the first 40 have pictures


@pytest.fixture(scope="module")
def model(pictured):
    return penultimate.load(pictured, threads=1)


@pytest.fixture(scope="module")
def neighbors(model):
    return Neighbors(model, threads=1)


def shown(picture):
    """Return the digit in a picture, at its own size."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
    assert pixels.shape == (64, 64)
    return pixels[4::8, 4::8]


def test_the_nearest_support_vectors_of_the_class(model, neighbors):
    from safetensors.numpy import load

    X = IMAGES[300:320]
    said = model.predict_all(X)
    found = neighbors.find(said, MOST, images=X)
    samples, rows = (load(model.part(TEACH))[f"0.{each}features"] for each in ("", "held_out_"))
    support = load(model.part("head.safetensors"))["features.head.support_"]
    gamma = load(model.part(TEACH))["0.gamma"]
    assert neighbors.n_pictures == 40
    for row, label, near in zip(rows[:20], said.labels.tolist(), found, strict=True):
        known = np.array([k for k in range(40) if LABELS[k] == label and k in support])
        kernel = rbf_kernel(row[None], samples[known], gamma=gamma)[0]
        wanted = known[np.argsort(-kernel, kind="stable")[:MOST]]
        of_class = np.flatnonzero(LABELS[:40] == label)
        assert [of_class[each.place] for each in near] == wanted.tolist()
        assert all(each.code == label for each in near)
        distances = [each.distance for each in near]
        np.testing.assert_allclose(distances, np.sqrt(2 - 2 * np.sort(kernel)[::-1][: len(near)]),
                                   atol=1e-3)  # fmt: skip


def test_a_picture_is_the_sample(neighbors, model):
    of_class = {code: np.flatnonzero(LABELS[:40] == code) for code in range(7)}
    for code, places in of_class.items():
        for place, sample in enumerate(places):
            found = shown(neighbors.picture(code, place))
            np.testing.assert_allclose(found, np.rint(IMAGES[sample]), atol=1)
    assert neighbors.picture(0, len(of_class[0])) is None
    assert neighbors.picture(99, 0) is None


@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf"])
def test_distances(kernel):
    from sklearn.metrics.pairwise import pairwise_kernels

    rng = np.random.default_rng(0)
    row, others = rng.normal(size=(1, 3)), rng.normal(size=(5, 3))
    settings = {"gamma": 0.7, "degree": 2, "coef0": 1.0}
    found = kernel_distances(row, others, kernel=kernel, **settings)

    def k(a, b):
        return pairwise_kernels(a, b, metric=kernel, filter_params=True, **settings).item()

    wanted = [(k(row, row) + k(z[None], z[None]) - 2 * k(row, z[None])) ** 0.5 for z in others]
    np.testing.assert_allclose(found, wanted, atol=1e-7)


@in_loop
async def test_over_http(pictured):
    async with serving(Models([pictured], threads=1)) as client:
        about = (await client.get("/v1/model")).json()["pictures"]
        assert about["n"] == 40
        assert "Features of the training" in about["privacy"]
        files = [as_text(as_file(image)) for image in IMAGES[300:303]]
        answer = await client.post("/v1/predict?neighbors=3", json={"images": files})
        for said in answer.json()["predictions"]:
            assert 0 < len(said["neighbors"]) <= 3
            for near in said["neighbors"]:
                assert near["label"] == said["label"]
                picture = await client.get(f"/{near['picture']}")
                assert picture.headers["content-type"] == "image/png"
                assert picture.headers["cache-control"] == "no-store"
                shown(picture.content)
        one = await client.post("/v1/predict", content=as_file(IMAGES[300]), headers=PNG)
        assert one.json()["predictions"][0]["neighbors"] is None  # not asked for
        for path, status in (("0/99", 404), ("99/0", 404), ("-1/0", 422), ("x/0", 422)):
            check_problem(await client.get(f"/v1/pictures/{path}.png"), status, "")
        many = await client.post(f"/v1/predict?neighbors={MOST + 1}", json={"images": files})
        check_problem(many, 422, "neighbors")


@in_loop
async def test_pictures_are_for_who_has_the_token(pictured):
    token = "a-token-of-20-letters"
    async with serving(Models([pictured], threads=1), token=token, hosts=None) as client:
        check_problem(await client.get("/v1/pictures/0/0.png"), 401, "token")
        right = {"Authorization": f"Bearer {token}"}
        found = await client.get("/v1/pictures/0/0.png", headers=right)
        assert found.status_code == 200


@in_loop
async def test_without_pictures_there_is_nothing(models, files):
    async with serving(models["digits"]) as client:
        assert (await client.get("/v1/model")).json()["pictures"] is None
        answer = await client.post("/v1/predict?neighbors=3", content=files[0], headers=PNG)
        assert answer.json()["predictions"][0]["neighbors"] is None
        check_problem(await client.get("/v1/pictures/0/0.png"), 404, "no picture 0 of class 0")


def test_without_onnx_there_are_none(model, monkeypatch):
    from penultimate.serve import neighbors as module

    assert has_pictures(model)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert not has_pictures(model)


def test_after_teaching(taught):
    sevens, labels = digit_images()
    with Teacher(taught, threads=1) as teacher:
        teacher.teach(sevens[labels == 7][:4], [7] * 4)
        teacher.promote()
    model = penultimate.load(taught, threads=1)
    assert has_pictures(model)
    neighbors = Neighbors(model, threads=1)
    X = IMAGES[300:310]
    found = neighbors.find(model.predict_all(X), 2, images=X)
    assert all(found)
    known = neighbors.find(
        model.predict_all(sevens[labels == 7][:1]), 2, images=sevens[labels == 7][:1]
    )
    assert known == [[]]  # what was taught has no picture in the file


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([{"class": 0, "rows": [300]}], "picture of sample 300 of 300"),
        ([{"class": 7, "rows": [0]}], "class 7, twice or without"),
        ([{"class": 0, "rows": [0]}] * 2, "class 0, twice or without"),
    ],
)
def test_a_manifest_in_error(model, pictures, message):
    from dataclasses import replace

    from penultimate.bundle.errors import BundleError
    from penultimate.bundle.teaching_part import _check_pictures

    manifest: Manifest = model.manifest
    with pytest.raises(BundleError, match=message):
        _check_pictures(replace(manifest), manifest.teach | {"pictures": pictures})
