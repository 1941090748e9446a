"""A service withdraws the guarantee when images are no longer as they were."""

import asyncio
import base64
import io

import numpy as np
import pytest
from PIL import Image

from penultimate.bundle import Predictor
from penultimate.serve import Models
from penultimate.serve.watching import Watch
from tests.bundle.digits import digit_images, watched_digits

from .conftest import as_file, as_text, digits, in_loop, serving
from .test_app import PNG, check_problem


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("watched") / "digits.zip"
    path.write_bytes(watched_digits())
    return path


@pytest.fixture
def watched(path):
    return Models([path], threads=1)


@pytest.fixture(scope="module")
def clean():
    images = digit_images()[0][1::2]
    order = np.random.default_rng(0).permutation(len(images))
    return [as_text(as_file(image)) for image in images[order[:60]]]


@pytest.fixture(scope="module")
def inverted():
    images = digit_images()[0][1::2]
    order = np.random.default_rng(1).permutation(len(images))
    return [as_text(as_file(255 - image)) for image in images[order[:60]]]


async def ask(client, images, query=""):
    response = await client.post(f"/v1/predict{query}", json={"images": images})
    assert response.status_code == 200, response.text
    return response.json()["watch"]


@in_loop
async def test_every_answer_says_that_the_guarantee_is_withdrawn(watched, clean, inverted):
    said = []
    async with serving(watched, say=said.append) as client:
        state = await ask(client, clean)
        assert state["withdrawn"] is False
        assert state["withdrawn_since"] is None
        assert state["alarm_at"] == pytest.approx(100)
        assert state["n_seen"] == 60
        state = await ask(client, inverted)
        assert state["withdrawn"] is True
        assert state["since"] <= state["withdrawn_since"]
        assert state["martingale"] > 100
        assert (await ask(client, clean[:1]))["withdrawn"] is True
        raw = base64.b64decode(clean[0])
        answer = (await client.post("/v1/predict", content=raw, headers=PNG)).json()
        assert answer["watch"]["withdrawn"] is True
        assert (await client.get("/v1/model")).json()["watch"] == answer["watch"]
        metrics = (await client.get("/metrics")).text
        (line,) = said
        assert line.startswith("digits: the guarantee is withdrawn")
        assert 'penultimate_watch_alarms_total{model="digits"} 1.0' in metrics
        shown = metrics.partition('penultimate_watch_martingale{model="digits"} ')[2].split()[0]
        assert float(shown) == pytest.approx(answer["watch"]["martingale"], rel=1e-6)


@in_loop
async def test_the_images_that_did_it(watched, clean, inverted):
    async with serving(watched) as client:
        await ask(client, clean)
        for image in inverted:
            if (await ask(client, [image]))["withdrawn"]:
                break
        report = (await client.get("/v1/watch")).json()
        assert report["watch"]["withdrawn"] is True
        assert 1 <= len(report["images"]) <= 8
        wanted = {61 + k: base64.b64decode(image) for k, image in enumerate(inverted)}
        n_inverted = 0
        for each in report["images"]:
            content = base64.b64decode(each["image"].removeprefix("data:image/png;base64,"))
            if each["number"] in wanted:
                n_inverted += 1
                original = Image.open(io.BytesIO(wanted[each["number"]]))
                np.testing.assert_array_equal(Image.open(io.BytesIO(content)), original)
        assert n_inverted >= 3


@in_loop
async def test_a_person_begins_anew(watched, inverted):
    said = []
    async with serving(watched, say=said.append) as client:
        await ask(client, inverted)
        report = (await client.post("/v1/watch/reset")).json()
        assert report["images"] == []
        assert report["watch"]["withdrawn"] is False
        assert report["watch"]["n_seen"] == 0
        assert said[-1] == "digits: the watch begins anew."
        assert (await ask(client, inverted[:1]))["withdrawn"] is False
        assert (await ask(client, inverted))["withdrawn"] is True  # and a second alarm is counted
        assert (
            'penultimate_watch_alarms_total{model="digits"} 2.0'
            in (await client.get("/metrics")).text
        )
        check_problem(await client.post("/v1/watch/reset?name=digits"), 400, "no parameter 'name'")
        check_problem(await client.post("/v1/watch/reset?model=x"), 404, "no model 'x'")
        headers = {"Origin": "http://elsewhere.example"}
        check_problem(await client.post("/v1/watch/reset", headers=headers), 403, "other origins")
    async with serving(watched, token="a-token-of-20-letters") as client:
        for response in (await client.post("/v1/watch/reset"), await client.get("/v1/watch")):
            check_problem(response, 401, "Send the token")


@in_loop
async def test_what_is_not_a_sample_is_not_counted(watched, inverted):
    async with serving(watched) as client:
        state = await ask(client, inverted, "?watch=false")
        assert (state["n_seen"], state["withdrawn"]) == (0, False)
        response = await client.post("/v1/predict?watch=perhaps", json={"images": inverted})
        assert response.status_code == 422
        assert (await client.get("/v1/watch")).json()["images"] == []


@in_loop
async def test_requests_at_once_are_all_counted(watched, clean):
    async with serving(watched) as client:
        await asyncio.gather(*[ask(client, [image]) for image in clean])
        assert (await client.get("/v1/watch")).json()["watch"]["n_seen"] == len(clean)


@in_loop
async def test_models_that_cannot_be_watched(models, bundles, files, path):
    async with serving(models["digits"]) as client:
        assert await ask(client, [as_text(files[0])]) is None
        assert (await client.get("/v1/watch")).json() == {"watch": None, "images": []}
        check_problem(await client.post("/v1/watch/reset"), 404, "'digits' is not watched")
    with pytest.raises(ValueError, match="cannot be watched"):
        Models([bundles["digits"]], threads=1, watch=True)
    async with serving(Models([path], threads=1, watch=False)) as client:
        assert await ask(client, [as_text(files[0])]) is None


@in_loop
async def test_a_new_version_begins_anew(inverted, tmp_path):
    path = tmp_path / "digits.zip"
    path.write_bytes(watched_digits())
    models = Models([path], threads=1)
    async with serving(models) as client:
        assert (await ask(client, inverted))["withdrawn"] is True
        path.write_bytes(watched_digits(abstains=False))
        models.refresh(client.app.state.service._note)
        state = await ask(client, inverted[:1])
        assert (state["withdrawn"], state["n_seen"]) == (False, 1)
        path.write_bytes(digits())
        models.refresh(client.app.state.service._note)
        assert await ask(client, inverted[:1]) is None


def test_copies_are_small_and_upright(path):
    watch = Watch(Predictor(path.read_bytes(), threads=1))
    watch.note(
        Predictor(path.read_bytes(), threads=1).predict_all(list(255 - digit_images()[0][:40]))
    )
    number = watch.report()["images"][0]["number"]
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side
    buffer = io.BytesIO()
    Image.new("CMYK", (400, 200)).save(buffer, "JPEG", exif=exif)
    watch.show(number, buffer.getvalue())
    shown = watch.report()["images"][0]["image"]
    copy = Image.open(io.BytesIO(base64.b64decode(shown.partition(",")[2])))
    assert copy.size == (48, 96)
    watch.show(number, b"no image")
    assert watch.report()["images"][0]["image"] == shown
