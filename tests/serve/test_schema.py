"""Random requests: none finds a fault of the server, or a status its document does not have."""

import json
import sys
from importlib.util import find_spec
from subprocess import run

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penultimate.serve import Models

from .conftest import as_file, as_text, in_loop, serving
from .test_running import Server

GOOD = as_text(as_file([[1, 2], [3, 4]]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just(GOOD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["images", "features", "subset", "model", "other"])
DOCUMENTS = st.dictionaries(NAMES, VALUES | st.lists(st.just(GOOD), min_size=1), max_size=3)
BODIES = st.one_of(
    DOCUMENTS.map(json.dumps).map(str.encode),
    st.binary(max_size=200),
    st.binary(max_size=60).map(lambda end: as_file([[1, 2], [3, 4]])[:-20] + end),
)
KINDS = st.sampled_from(["application/json", "image/png", "image/tiff", "text/plain", ""])
KNOWN = {200, 400, 404, 413, 415, 422}  # of its document, as test_app.py sees
QUERIES = st.dictionaries(NAMES, st.text(max_size=8), max_size=2)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests=st.lists(st.tuples(BODIES, KINDS, QUERIES), min_size=8, max_size=20))
@in_loop
async def test_random_bodies(models, requests):
    async with serving(models["special"]) as client:
        for body, kind, query in requests:
            response = await client.post(
                "/v1/predict", content=body, headers={"Content-Type": kind}, params=query
            )
            assert response.status_code < 500
            assert response.status_code in KNOWN


LABELS = st.lists(st.integers() | st.text(max_size=4) | st.floats() | st.booleans(), max_size=3)
LESSONS = st.fixed_dictionaries(
    {},
    optional={
        "images": st.lists(st.just(GOOD), max_size=2) | VALUES,
        "features": st.lists(st.lists(st.floats(), max_size=2)) | VALUES,
        "labels": LABELS | VALUES,
        "subset": VALUES,
    },
)
STEPS = st.sampled_from(["", "/undo", "/compare", "/promote", "/restore", "/predict", "/other"])
NUMBERS = st.dictionaries(st.sampled_from(["number", "model"]), st.integers() | st.text(max_size=4))
KNOWN_TO_TEACHING = KNOWN | {409}


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(STEPS, LESSONS, NUMBERS), min_size=8, max_size=16))
@in_loop
async def test_random_lessons(taught, teachable, steps):
    taught.write_bytes(teachable)  # as in the first example
    for each in taught.parent.glob("digits.*"):
        if each != taught:
            each.unlink()
    async with serving(Models([taught], threads=1), teach=True) as client:
        for path, lesson, query in steps:
            body = json.dumps(lesson).encode()
            response = await client.post(
                f"/v1/teach{path}",
                content=body,
                headers={"Content-Type": "application/json"},
                params=query,
            )
            assert response.status_code in KNOWN_TO_TEACHING
        assert (await client.get("/v1/teach")).status_code == 200


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("schemathesis") is None, reason="schemathesis is not installed: make test-schema"
)
@pytest.mark.parametrize("teach", [False, True])
def test_schemathesis_finds_nothing(teach, bundles, teachable, request, tmp_path):
    taught, path = tmp_path / "taught.zip", tmp_path / "specialists.zip"
    taught.write_bytes(teachable)
    if teach:
        path.write_bytes(request.getfixturevalue("specialists"))
        server = Server(taught, path, "--teach", "--threads", 1)
    else:
        server = Server(bundles["special"], bundles["columns"], taught, "--threads", 1)
    with server.client:
        checks = (
            "not_a_server_error,status_code_conformance,content_type_conformance,"
            "response_schema_conformance,response_headers_conformance,unsupported_method"
        )
        address = f"http://127.0.0.1:{server.port}/openapi.json"
        command = [sys.executable, "-m", "schemathesis.cli", "run", address, "--checks", checks]
        # Lessons and promotions take longer than predictions.
        examples = "20" if teach else "50"
        found = run([*command, "--max-examples", examples], capture_output=True, text=True)
        assert server.client.get("/v1/model", params={"model": "taught"}).status_code == 200
        server.process.terminate()
        server.process.communicate(timeout=30)
    assert found.returncode == 0, found.stdout
