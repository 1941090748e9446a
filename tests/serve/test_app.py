"""What a service answers: the same as the model in this process, or why not."""

import asyncio
import json
import subprocess
import sys

import jsonschema
import numpy as np
import pytest
from PIL import Image

from penultimate.bundle.archive import pack
from penultimate.serve import Models
from tests.bundle.handmade import make_parts, of_features

from .conftest import as_file, as_text, digits, in_loop, serving

PNG = {"Content-Type": "image/png"}


def check_problem(response, status, words):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert content["status"] == status
    assert "Entity" not in content["title"]  # one name on all versions of Python
    assert words in content["detail"]
    assert "Body" not in content["detail"]  # the names of our classes are nobody's business


@in_loop
async def test_one_image_as_a_raw_body(models, files):
    offline = models["digits"].find(None).predictor.predict_all(files[0])
    async with serving(models["digits"]) as client:
        answer = (await client.post("/v1/predict", content=files[0], headers=PNG)).json()
    (said,) = answer["predictions"]
    assert said["label"] == offline.labels[0].item()
    for name in ("scores", "margins", "probabilities"):
        np.testing.assert_allclose(said[name], getattr(offline, name)[0], atol=1e-5)
    assert said["margin"] == said["margins"][said["label"]]
    assert said["confidence"] == pytest.approx(offline.confidence[0], abs=1e-5)
    assert said["abstained"] is not bool(offline.accepted[0])
    assert said["novel"] is None
    assert said["subset"] is None
    assert answer["notes"] == []
    assert answer["model"]["name"] == "digits"
    assert answer["model"]["classes"] == list(range(10))
    assert len(answer["model"]["version"]) == 64


@in_loop
async def test_requests_at_once_have_the_answers_of_each_alone(models, files):
    """Requests have one, some or many images of two subsets, and some passes serve several."""
    predictor = models["special"].find(None).predictor
    wanted = [(files[k : k + 1 + k % 3], (None, "round")[k % 2]) for k in range(18)]
    async with serving(models["special"], delay=0.05) as client:
        responses = await asyncio.gather(*[
            client.post("/v1/predict", json={"images": list(map(as_text, part)), "subset": subset})
            for part, subset in wanted
        ])  # fmt: skip
        metrics = (await client.get("/metrics")).text
    for response, (part, subset) in zip(responses, wanted, strict=True):
        offline = predictor.predict_all(part, subset=subset)
        found = response.json()["predictions"]
        np.testing.assert_allclose([each["scores"] for each in found], offline.scores, atol=1e-5)
        assert [each["label"] for each in found] == offline.labels.tolist()
        assert [each["subset"] for each in found] == offline.subsets.tolist()
    passes = float(metrics.partition("penultimate_pass_samples_count ")[2].split()[0])
    assert passes < len(wanted) / 2
    assert (
        f'penultimate_samples_total{{model="special"}} {sum(len(p) for p, _ in wanted)}' in metrics
    )


@in_loop
async def test_whether_it_abstains_is_open_where_a_subset_is_named(files, tmp_path):
    (tmp_path / "both.zip").write_bytes(digits(subsets=True))
    async with serving(Models([tmp_path / "both.zip"])) as client:
        for subset, expected in ((None, {True, False}), ("round", {None})):
            asked = {"images": [as_text(each) for each in files[:5]]}
            asked |= {} if subset is None else {"subset": subset}
            answer = (await client.post("/v1/predict", json=asked)).json()
            assert {each["abstained"] for each in answer["predictions"]} <= expected
        assert 'penultimate_abstained_total{model="both"}' in (await client.get("/metrics")).text


@in_loop
async def test_features(models):
    rows = np.eye(4)[[2, 0]].tolist()
    async with serving(models["columns"]) as client:
        found = (await client.post("/v1/predict", json={"features": rows})).json()["predictions"]
        assert [each["label"] for each in found] == ["c", "a"]
        assert found[0]["margin"] is None
        assert found[0]["abstained"] is False
        for bad, words in (
            ([[1.0, 2.0]], "features of shape (n_samples, 4); got (1, 2)"),
            ([[1.0, 2.0], [1.0]], "differ in length"),
            ([[1e300, 0, 0, 0]], "beyond those of float32"),
            ([["1", 0, 0, 0]], "features[0][0]: Input should be a valid number."),
            ([[True, 0, 0, 0]], "features[0][0]"),
            ([], "at least 1 item"),
        ):
            response = await client.post("/v1/predict", json={"features": bad})
            check_problem(response, 422, words)
        response = await client.post("/v1/predict", content=as_file([[1]]), headers=PNG)
        check_problem(response, 422, "takes features, 4 per sample, not images")


@in_loop
async def test_bad_bodies_are_refused_with_what_is_wrong(models, files):
    good = as_text(files[0])
    async with serving(models["digits"]) as client:
        for body, words in (
            (b"", "Invalid JSON"),
            (b"[" * 9000, "Invalid JSON"),
            (b'{"images": ["' + b"\xff" + b'"]}', "Invalid JSON"),
            (json.dumps({"images": []}), "at least 1 item"),
            (json.dumps({"images": ["/etc/passwd"]}), "images[0] is not in base64"),
            (json.dumps({"images": [good, as_text(b"<html>")]}), "Image 1 cannot be read"),
            (json.dumps({"images": [as_text(files[0][:60])]}), "Image 0"),
            (json.dumps({"images": [good], "sub": "round"}), "sub"),
            (json.dumps({"images": [good], "subset": "round"}), "no subset 'round'"),
            (json.dumps({"images": [good], "features": [[1]]}), "Extra inputs"),
            (json.dumps({"images": [as_text(as_file([[1]], "PPM"))]}), "send one of BMP, GIF"),
            (b"{}", "images: Field required, or features: Field required."),
            (b"[]", "Input should be an object."),
            (b'{"images": [5]}', "images[0]: Input should be a valid string."),
            (b'{"images": ["A"], "im\\u0061ges": ["B"]}', "The key 'images' is there 2 times"),
            (b'{"images": ["A"], "subset": ":", "subset": null}', "The key 'subset' is there 2"),
        ):
            headers = {"Content-Type": "application/json; charset=utf-8"}
            response = await client.post("/v1/predict", content=body, headers=headers)
            check_problem(response, 422, words)
            assert good not in response.text
        for headers in ({}, {"Content-Type": "text/html"}, PNG | {"Content-Encoding": "gzip"}):
            response = await client.post("/v1/predict", content=files[0], headers=headers)
            check_problem(response, 415, "Content-")
        for query, status, words in (
            ("?subste=round", 400, "There is no parameter 'subste' here"),
            ("?subset=a&subset=b", 400, "given twice"),
            ("?model=other", 404, "There is no model 'other'"),
            ("?subset=round", 422, "There is no subset 'round'"),
            (f"?model={'a' * 300}", 422, "255"),
        ):
            response = await client.post(f"/v1/predict{query}", content=files[0], headers=PNG)
            check_problem(response, status, words)
        check_problem(await client.get("/v1/predict"), 405, "There is no GET /v1/predict")
        check_problem(await client.get("/../etc/passwd"), 404, "There is no GET")


@in_loop
async def test_one_bad_request_harms_no_other_of_its_pass(models, files):
    async with serving(models["digits"], delay=0.05) as client:
        cut = as_file(np.random.default_rng(0).integers(0, 255, (90, 90)))[:3000]
        responses = await asyncio.gather(*[
            client.post("/v1/predict", content=content, headers=PNG)
            for content in [files[0], files[1], cut, files[2]]
        ])  # fmt: skip
    assert [response.status_code for response in responses] == [200, 200, 422, 200]


@in_loop
async def test_what_was_done_to_an_image_is_said_to_its_sender_alone(models, files):
    frames = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (0, 200)]
    film = as_file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    async with serving(models["digits"], delay=0.05) as client:
        responses = await asyncio.gather(*[
            client.post("/v1/predict", json={"images": [as_text(content)]})
            for content in (files[0], film, files[1])
        ])  # fmt: skip
    notes = [response.json()["notes"] for response in responses]
    assert notes[0] == notes[2] == []
    assert "the first frame was taken" in notes[1][0]


@in_loop
async def test_several_models(bundles, files):
    models = Models(bundles.values(), threads=1)
    async with serving(models) as client:
        assert (await client.get("/v1/models")).json() == {"models": list(bundles)}
        check_problem(await client.get("/v1/model"), 400, "name one of")
        about = (await client.get("/v1/model?model=special")).json()
        assert about["subsets"]["round"] == [0, 6, 8, 9]
        assert about["kind"] == "images"
        response = await client.post(
            "/v1/predict?model=special&subset=round", content=files[0], headers=PNG
        )
        assert response.json()["model"]["name"] == "special"
        assert response.json()["predictions"][0]["subset"] == "round"


def test_names_of_models_have_to_differ(bundles, tmp_path):
    (tmp_path / "digits.zip").write_bytes(bundles["digits"].read_bytes())
    with pytest.raises(ValueError, match="are both named 'digits'"):
        Models([bundles["digits"], tmp_path / "digits.zip"])
    with pytest.raises(ValueError, match="no model to serve"):
        Models([])


@in_loop
async def test_answers_are_what_the_document_says(models, files):
    async with serving(models["special"], token="a token of 16 or more") as client:
        client.headers["Authorization"] = "Bearer a token of 16 or more"
        document = (await client.get("/openapi.json")).json()
        posted = document["paths"]["/v1/predict"]["post"]
        image = await client.post("/v1/predict", content=files[0], headers=PNG)
        refused = await client.post("/v1/predict", content=b"", headers=PNG)
        answers = {
            "Answer": image,
            "About": await client.get("/v1/model"),
            "Names": await client.get("/v1/models"),
            "State": await client.get("/readyz"),
            "Problem": refused,
        }
    assert document["security"] == [{"token": []}]
    assert set(posted["requestBody"]["content"]) >= {"application/json", "image/png", "image/webp"}
    for name, response in answers.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(response.json())
    assert str(refused.status_code) in posted["responses"]


@in_loop
async def test_infinity_is_null(tmp_path):
    graph = of_features()
    head = graph.graph.initializer[0]
    head.raw_data = np.full((4, 3), 3e38, np.float32).tobytes()
    (tmp_path / "large.zip").write_bytes(pack(make_parts(graph)))
    async with serving(Models([tmp_path / "large.zip"])) as client:
        response = await client.post("/v1/predict", json={"features": [[9.0, 9, 9, 9]]})
    assert response.json()["predictions"][0]["scores"] == [None] * 3


@in_loop
async def test_a_new_version_replaces_the_old_and_a_bad_file_does_not(tmp_path, files):
    path, said = tmp_path / "digits.zip", []
    path.write_bytes(digits())
    models = Models([path], threads=1)
    first = models.find(None)
    async with serving(models, say=said.append) as client:

        async def version_after(content):
            path.write_bytes(content)
            models.refresh(client.app.state.service._note)
            response = await client.post("/v1/predict", content=files[0], headers=PNG)
            return response.json()["model"]["version"]

        assert await version_after(b"not a bundle") == first.sha256
        assert "digits: The file is no bundle" in said[0]
        assert said[0].endswith("The version before goes on serving.")
        second = await version_after(digits(abstains=False))
        assert second != first.sha256
        assert said[1:] == [f"digits: version {second[:12]} follows {first.sha256[:12]}."]
        path.unlink()
        models.refresh(client.app.state.service._note)
        models.refresh(client.app.state.service._note)
        assert len(said) == 3  # once
        metrics = (await client.get("/metrics")).text
    assert 'penultimate_reloads_total{model="digits",outcome="refused"} 2.0' in metrics
    assert 'penultimate_reloads_total{model="digits",outcome="loaded"} 1.0' in metrics
    assert metrics.count('penultimate_model_version{model="digits"') == 1


@in_loop
async def test_ready_is_what_predicts(models):
    async with serving(models["digits"]) as client:
        assert (await client.get("/readyz")).status_code == 200
        client.app.state.service._tasks[0].cancel()
        await asyncio.sleep(0.01)
        check_problem(await client.get("/readyz"), 503, "starting or stopping")
        assert (await client.get("/healthz")).json() == {"status": "alive"}


@pytest.mark.slow
def test_nothing_that_made_a_model_is_imported(bundles):
    code = """
import sys
from penultimate.serve import Models, create_app, run
create_app(Models([sys.argv[1]], threads=1)).openapi()
foreign = {"keras", "tensorflow", "torch", "jax", "sklearn", "scipy", "pandas", "onnx"}
print(foreign & {name.partition(".")[0] for name in sys.modules})
"""
    command = [sys.executable, "-c", code, str(bundles["digits"])]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
