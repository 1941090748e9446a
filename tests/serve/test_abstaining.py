"""Models that abstain, over HTTP: what they leave open, and what teaching makes of it."""

import numpy as np
import pytest

import penultimate
from penultimate.serve import Models
from tests.teaching.conftest import KNOWN, SEVENS, X, y
from tests.teaching.test_certifying import saved

from .conftest import in_loop, serving

X_KNOWN, Y_KNOWN = X[KNOWN], y[KNOWN]
NOISE = np.random.default_rng(0).uniform(X.min(), X.max(), (20, X.shape[1]))


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("abstaining") / "model.zip"
    saved(path, risk=0.1, novelty=0.1)
    return path.read_bytes()


@pytest.fixture
def path(content, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(content)
    return path


async def ask(client, features, **query):
    address = "/v1/teach/predict" if query.pop("taught", False) else "/v1/predict"
    answer = await client.post(address, json={"features": np.asarray(features).tolist()})
    assert answer.status_code == 200, answer.text
    return answer.json()


@in_loop
async def test_doubt_and_strangeness_are_those_of_python(path):
    given = np.concatenate([X_KNOWN[-40:], NOISE])
    model = penultimate.load(path, threads=1)
    async with serving(Models([path], threads=1)) as client:
        said = (await ask(client, given))["predictions"]
    assert [each["abstained"] for each in said] == (~model.accepts(given)).tolist()
    assert [each["novel"] for each in said] == model.is_novel(given).tolist()
    assert np.mean([each["novel"] for each in said[40:]]) > 0.8
    assert not all(each["abstained"] for each in said[:40])
    assert all(each["abstained"] for each in said if each["novel"])


@in_loop
async def test_a_new_class_is_answered_once_it_is_promoted(path):
    """What was a stranger becomes a class; of others it says whether it is sure, as its file."""
    async with serving(Models([path], threads=1), teach=True) as client:
        before = await ask(client, SEVENS[-10:])
        assert np.mean([each["abstained"] for each in before["predictions"]]) > 0.4
        body = {"features": SEVENS[:30].tolist(), "labels": [7] * 30}
        lesson = (await client.post("/v1/teach", json=body)).json()
        assert lesson["lesson"]["new_classes"] == [7]
        taught = await ask(client, SEVENS[-10:], taught=True)
        assert taught["taught"].count(7) >= 8
        compared = (await client.post("/v1/teach/compare")).json()["comparison"]
        assert compared["n_samples"] > 0
        promoted = await client.post("/v1/teach/promote")
        assert promoted.status_code == 200, promoted.text
        after = await ask(client, X_KNOWN[-40:])
        assert 7 in after["model"]["classes"]
    model = penultimate.load(path, threads=1)
    accepts = model.accepts(X_KNOWN[-40:])
    assert [not each["abstained"] for each in after["predictions"]] == accepts.tolist()
    assert 0.4 < accepts.mean() <= 1
