"""The limits, one by one: a clear refusal, and nothing held afterwards."""

import asyncio
import io
import json
import threading
import zlib

import numpy as np
import pytest

from penultimate.serve import Limits

from .conftest import as_file, as_text, in_loop, serving
from .test_app import PNG, check_problem


async def endless(part=b"\0" * 1000, pause=0.0):
    """A body that never ends."""
    while True:
        yield part
        await asyncio.sleep(pause)


async def check_nothing_is_held(client, files):
    service = client.app.state.service
    assert service._memory.held == 0
    assert service._n_waiting == 0
    response = await client.post("/v1/predict", content=files[0], headers=PNG)
    assert response.status_code == 200


@in_loop
async def test_bytes_are_counted_as_they_come(models, files, monkeypatch):
    monkeypatch.setattr("penultimate.serve.bodies._LINGER", 0.02)
    async with serving(models["digits"], body=5000) as client:
        large = await client.post("/v1/predict", content=b"\0" * 5001, headers=PNG)
        check_problem(large, 413, "more than 5,000 bytes")
        assert large.headers["connection"] == "close"
        lying = PNG | {"Content-Length": "10"}
        for headers in (PNG, lying):
            response = await client.post("/v1/predict", content=endless(), headers=headers)
            check_problem(response, 413, "more than 5,000 bytes")
        await check_nothing_is_held(client, files)


@in_loop
async def test_a_body_has_its_time(models, files):
    async with serving(models["digits"], reading_seconds=0.1) as client:
        slow = endless(b"\0", pause=0.03)
        response = await client.post("/v1/predict", content=slow, headers=PNG)
        check_problem(response, 408, "did not arrive within 0.1 seconds")
        await check_nothing_is_held(client, files)


def bomb(width=60_000, height=60_000):
    """A PNG of a few kilobytes with a header that promises gigabytes."""
    head = bytearray(as_file([[0]])[:33])
    head[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, "big")
    data = zlib.compress(b"\0" * 100_000)
    chunk = b"IDAT" + data
    return bytes(head) + len(data).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")


@in_loop
async def test_pixels_are_counted_before_they_are_decoded(models, files, monkeypatch):
    monkeypatch.setattr("penultimate.bundle.predictor.Predictor.stream", None)
    async with serving(models["digits"], pixels=50_000) as client:
        for width, height, words in (
            (60_000, 60_000, "too many pixels"),
            (8000, 8000, "64,000,000 pixels; at most 50,000"),
        ):
            content = bomb(width, height)
            raw = await client.post("/v1/predict", content=content, headers=PNG)
            check_problem(raw, 413, words)
            coded = await client.post("/v1/predict", json={"images": [as_text(content)]})
            check_problem(coded, 413, words)
        many = await client.post(
            "/v1/predict", json={"images": [as_text(as_file(np.zeros((200, 200))))] * 2}
        )
        check_problem(many, 413, "With image 1 there are 80,000 pixels")


@in_loop
async def test_samples_in_a_request(models, files):
    async with serving(models["digits"], batch=2) as client:
        images = [as_text(files[0])] * 3
        response = await client.post("/v1/predict", json={"images": images})
        check_problem(response, 413, "3 samples are too many; send 2")
        response = await client.post("/v1/predict", json={"features": [[0.0] * 64] * 3})
        check_problem(response, 413, "3 samples are too many")
        await check_nothing_is_held(client, files)


@in_loop
async def test_numbers_are_counted_before_they_are_parsed(models, monkeypatch):
    async with serving(models["columns"], batch=8) as client:
        monkeypatch.setattr("penultimate.serve.bodies._EITHER", None)
        body = json.dumps({"features": [[0.0] * 500]})
        headers = {"Content-Type": "application/json"}
        response = await client.post("/v1/predict", content=body, headers=headers)
        check_problem(response, 413, "more values than 8 samples have")


@pytest.fixture
def held(monkeypatch):
    """Predictions that wait until they are let go."""
    from penultimate.serve import batching

    gate = threading.Event()
    real = batching._predict
    monkeypatch.setattr(batching, "_predict", lambda jobs: gate.wait(20) and real(jobs))
    yield gate
    gate.set()


async def ask(client, content):
    return await client.post("/v1/predict", content=content, headers=PNG)


@in_loop
async def test_requests_that_wait(models, files, held):
    async with serving(models["digits"], waiting=2) as client:
        first = [asyncio.create_task(ask(client, files[k])) for k in range(2)]
        while client.app.state.service._n_waiting < 2:
            await asyncio.sleep(0.01)
        response = await ask(client, files[2])
        check_problem(response, 503, "2 requests are waiting. Ask again")
        assert response.headers["retry-after"] == "1"
        held.set()
        assert [(await each).status_code for each in first] == [200, 200]
        await check_nothing_is_held(client, files)


@in_loop
async def test_bytes_of_all_requests(models, files, held):
    size = len(files[0])
    async with serving(models["digits"], body=size, memory=size) as client:
        first = asyncio.create_task(ask(client, files[0]))
        while client.app.state.service._n_waiting < 1:
            await asyncio.sleep(0.01)
        check_problem(await ask(client, files[0]), 503, "as many as fit")
        held.set()
        assert (await first).status_code == 200
        await check_nothing_is_held(client, files)


@in_loop
async def test_a_prediction_has_its_time(models, files, held):
    async with serving(models["digits"], seconds=0.1) as client:
        responses = await asyncio.gather(ask(client, files[0]), ask(client, files[1]))
        for response in responses:
            check_problem(response, 503, "no answer within 0.1 seconds")
        held.set()
        await check_nothing_is_held(client, files)


@in_loop
async def test_one_alone_never_waits_for_company(models, files):
    """The delay is a minute, so requests that waited for it would take minutes."""
    async with serving(models["digits"], delay=60.0) as client:
        for content in files[:5]:
            assert (await ask(client, content)).status_code == 200


def test_limits_that_are_none():
    with pytest.raises(ValueError, match="'batch' parameter of Limits must be an integer"):
        Limits(batch=0)
    with pytest.raises(ValueError, match="'memory' parameter of Limits must be at least body"):
        Limits(memory=10)


def test_bomb_is_one():
    from PIL import Image

    with Image.open(io.BytesIO(bomb(5000, 5000))) as image:
        assert image.size == (5000, 5000)
