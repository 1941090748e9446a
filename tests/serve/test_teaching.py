"""Teaching over HTTP: what a lesson changes, what is refused, and that nothing is lost."""

import asyncio
import json
import sqlite3
import threading

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter
from typer.testing import CliRunner

from penultimate import Teacher, load, save
from penultimate.bundle import new_key, sign
from penultimate.cli import serve  # noqa: F401  registers the command
from penultimate.cli.app import app
from penultimate.serve import Models
from penultimate.serve import teaching_answers as described
from penultimate.svm import SVC
from penultimate.teaching import TeachingError
from tests.bundle.digits import digit_images

from .conftest import as_file, as_text, in_loop, serving
from .test_app import PNG, check_problem
from .test_guard import TOKEN

IMAGES, LABELS = digit_images()
SEVENS = [as_text(as_file(image)) for image in IMAGES[LABELS == 7]]
KNOWN = IMAGES[LABELS < 7]  # the first 300 were fitted, the next 100 held out


def opened(path, **options):
    return serving(Models([path], threads=1), teach=True, **options)


def teach(client, images, labels, **more):
    return client.post("/v1/teach", json={"images": images, "labels": labels} | more)


@in_loop
async def test_from_a_wrong_answer_to_a_version_that_knows(taught, teachable):
    before = load(taught).sha256
    async with opened(taught) as client:
        start = (await client.get("/v1/teach")).json()
        assert (start["number"], start["version"], start["lessons"]) == (1, before, [])
        assert (start["n_held_out"], start["n_looks"], start["comparison"]) == (100, 0, None)
        answer = (await teach(client, SEVENS[:3], [7, 7, 7])).json()
        lesson = answer["lesson"]
        assert lesson["after"] == [7, 7, 7]
        assert 7 not in lesson["before"]
        assert lesson["new_classes"] == [7]
        assert lesson["certified"]
        assert "3 right now" not in lesson["words"][0]
        assert "0 right before and 3 now" in lesson["words"][0]
        assert answer["status"]["new_classes"] == [7]
        assert answer["status"] == (await client.get("/v1/teach")).json()

        both = (await client.post("/v1/teach/predict", json={"images": SEVENS[:2]})).json()
        assert both["taught"] == [7, 7]
        assert 7 not in [each["label"] for each in both["predictions"]]
        assert both["model"]["version"] == before
        assert taught.read_bytes() == teachable

        compared = (await client.post("/v1/teach/compare")).json()
        found = compared["comparison"]
        assert found["n_samples"] == 100
        assert found["difference"]["value"] == pytest.approx(
            found["taught"]["value"] - found["serving"]["value"]
        )
        assert found["difference"]["low"] <= found["difference"]["high"]
        assert compared["status"]["n_looks"] == found["n_looks"] == 1
        assert (await client.get("/v1/teach")).json()["comparison"] == found
        await teach(client, SEVENS[3:4], [7])
        assert (await client.get("/v1/teach")).json()["comparison"] is None, "of other lessons"

        promoted = (await client.post("/v1/teach/promote")).json()
        assert promoted["promotion"]["number"] == 2
        assert promoted["promotion"]["serves"]
        assert promoted["promotion"]["parent"] == before
        assert promoted["promotion"]["kept"] == "digits.v1.zip"
        assert promoted["status"]["lessons"] == []
        answer = (await client.post("/v1/predict", json={"images": SEVENS[:1]})).json()
        assert answer["predictions"][0]["label"] == 7
        assert answer["model"]["version"] == promoted["promotion"]["version"]

        restored = (await client.post("/v1/teach/restore")).json()
        assert restored["promotion"]["version"] == before
        assert len(restored["status"]["lessons"]) == 2
        assert taught.read_bytes() == teachable
        answer = (await client.post("/v1/predict", json={"images": SEVENS[:1]})).json()
        assert answer["model"]["version"] == before
        metrics = (await client.get("/metrics")).text
        assert 'penultimate_taught_total{action="lesson",model="digits"} 2.0' in metrics


@in_loop
async def test_undo(taught):
    async with opened(taught) as client:
        check_problem(await client.post("/v1/teach/undo"), 409, "no lesson")
        digests = [(await teach(client, SEVENS[k : k + 1], [7])).json()["lesson"]["digest"]
                   for k in range(3)]  # fmt: skip
        check_problem(await client.post("/v1/teach/undo?number=9"), 409, "of number 9 to undo")
        check_problem(await client.post("/v1/teach/undo?number=0"), 422, "number")
        check_problem(await client.post("/v1/teach/restore"), 409, "undo its lessons [1, 2, 3]")
        undone = (await client.post("/v1/teach/undo")).json()
        assert undone["lesson"]["number"] == 3
        assert undone["lesson"]["digest"] == digests[1]
        undone = (await client.post("/v1/teach/undo?number=1")).json()
        assert [each["number"] for each in undone["status"]["lessons"]] == [2]
        await client.post("/v1/teach/promote")
        # The last lesson is asked for, and there is none: the promotion stays.
        check_problem(await client.post("/v1/teach/undo"), 409, "no lesson")
        assert (await client.get("/v1/teach")).json()["number"] == 2
        check_problem(await client.post("/v1/teach/promote"), 409, "Nothing was taught")


@in_loop
async def test_pictures_of_lessons(taught):
    async with opened(taught) as client:
        await teach(client, SEVENS[:2], [7, 7])
        response = await client.get("/page/lessons/1/1.png")
        assert response.headers["content-type"] == "image/png"
        assert response.content.startswith(b"\x89PNG")
        for path in ("1/2", "1/-1", "2/0"):
            check_problem(await client.get(f"/page/lessons/{path}.png"), 404, "no picture")


@in_loop
async def test_bad_lessons_are_refused_and_nothing_is_taught(taught):
    frames = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (0, 200)]
    film = as_text(as_file(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    seven = SEVENS[:1]
    async with opened(taught, batch=4, pixels=1000) as client:
        for images, labels, status, words in (
            (seven, ["7"], 422, "labels of this model are of type int; got '7'"),
            (seven, [7.0], 422, "type int"),
            (seven, [True], 422, "type int"),
            (seven, [7, 7], 422, "1 samples and 2 labels"),
            (seven, [], 422, "at least 1 item"),
            (seven, [None], 422, "labels[0]"),
            (seven, [2**70], 422, "more than 64 bits"),
            ([], [], 422, "at least 1 item"),
            (seven * 5, [7] * 5, 413, "send 4"),
            ([as_text(b"<html>")], [7], 422, "Image 0 cannot be read"),
            ([as_text(as_file(IMAGES[0])[:70])], [7], 422, "Image 0"),
            ([as_text(as_file(np.zeros((40, 40))))], [7], 413, "1,600 pixels"),
            (["/etc/passwd"], [7], 422, "images[0] is not in base64"),
            (seven * 2, [7, 1], 409, "in this lesson"),
        ):
            check_problem(await teach(client, images, labels), status, words)
        for content, kind, status, words in (
            (as_file(IMAGES[0]), "image/png", 415, "a document as application/json"),
            (b"{", "application/json", 422, "Invalid JSON"),
            (b'{"images": ["aa"], "labels": [NaN]}', "application/json", 422, "labels[0]"),
            (json.dumps({"features": [[0.0] * 64]}).encode(), "application/json", 422, "labels"),
        ):
            headers = {"Content-Type": kind}
            response = await client.post("/v1/teach", content=content, headers=headers)
            check_problem(response, status, words)
        check_problem(await teach(client, seven, [7], extra=1), 422, "extra")
        check_problem(await client.post("/v1/teach?modle=x", json={}), 400, "no parameter 'modle'")
        check_problem(await client.post("/v1/teach?model=x", json={}), 404, "no model 'x'")
        assert (await client.get("/v1/teach")).json()["lessons"] == []

        large = as_text(as_file(Image.fromarray(IMAGES[LABELS == 7][0]).resize((31, 20))))
        assert (await teach(client, [large], [7])).json()["lesson"]["after"] == [7]
        notes = (await teach(client, [film], [8])).json()["lesson"]["notes"]
        assert notes == [
            "Of images with several frames, such as animations, the first frame was taken."
        ]
        check_problem(await teach(client, [large], [7]), 409, "taught already")
        check_problem(await teach(client, [large], [1]), 409, "as 7 in lesson 1, and now as 1")
        features = {"features": [[0.5] * 64], "labels": [3]}
        assert (await client.post("/v1/teach", json=features)).json()["lesson"]["number"] == 3
        features = {"features": [[0.5] * 63], "labels": [3]}
        check_problem(await client.post("/v1/teach", json=features), 422, "(n_samples, 64)")


@in_loop
async def test_the_leak_guard_speaks_in_the_answer(taught):
    held_out, label = KNOWN[320], int(LABELS[LABELS < 7][320])
    async with opened(taught) as client:
        lesson = (await teach(client, [as_text(as_file(held_out))], [label])).json()["lesson"]
        assert "1 of these samples are among the held-out ones" in lesson["notes"][0]
        assert lesson["notes"][0] in lesson["words"]
        found = (await client.post("/v1/teach/compare")).json()["comparison"]
        assert (found["n_samples"], found["n_left_out"]) == (99, 1)


@in_loop
async def test_a_new_class_of_specialists_names_its_subset(specialists, tmp_path):
    (tmp_path / "digits.zip").write_bytes(specialists)
    async with opened(tmp_path / "digits.zip") as client:
        check_problem(await teach(client, SEVENS[:1], [7]), 409, "subset")
        check_problem(await teach(client, SEVENS[:1], [7], subset="odd"), 422, "no subset 'odd'")
        lesson = (await teach(client, SEVENS[:1], [7], subset="high")).json()["lesson"]
        assert lesson["after"] == [7]
        assert (await teach(client, [as_text(as_file(KNOWN[0]))], [3])).status_code == 200
        asked = {"images": SEVENS[:1], "subset": "high"}
        assert (await client.post("/v1/teach/predict", json=asked)).json()["taught"] == [7]
        raw = {"content": as_file(IMAGES[LABELS == 7][0]), "headers": PNG}
        answer = await client.post("/v1/teach/predict?subset=high", **raw)
        assert answer.json()["taught"] == [7]
        found = (await client.post("/v1/teach/compare")).json()["comparison"]
        assert found["routed"]["low"] <= found["routed"]["value"] <= found["routed"]["high"]


@pytest.fixture
def named(tmp_path):
    """A model of features whose classes have names."""
    few = np.array([[0.0, 0], [2, 0], [0, 3], [2, 3]])
    svc = SVC(kernel="linear").fit(few, ["low", "high"] * 2)
    save(svc, tmp_path / "level.zip", few, teach=(few, ["low", "high"] * 2))
    return tmp_path / "level.zip"


@in_loop
async def test_names_of_classes(named):
    async with opened(named) as client:

        async def called(label, x=9.0):
            return await client.post("/v1/teach", json={"features": [[x, x]], "labels": [label]})

        script = "<script>alert(1)</script>"
        assert (await called(script)).json()["lesson"]["after"] == [script]
        for label in ("", "  ", "x" * 10_000, "a\x1b[2J"):
            response = await called(label, 8.0)
            check_problem(response, 422, "")
            assert len(response.json()["detail"]) < 300
        check_problem(await called(7, 8.0), 422, "type str")
        check_problem(await client.post("/v1/teach/compare"), 409, "no held-out samples")
        check_problem(await client.get("/page/lessons/1/0.png"), 404, "no picture")
        assert (await client.post("/v1/teach/promote")).status_code == 200
        answer = (await client.post("/v1/predict", json={"features": [[9.0, 9.0]]})).json()
        assert answer["predictions"][0]["label"] == script
        assert answer["model"]["classes"] == ["high", "low", script]


@in_loop
async def test_a_full_disk_loses_nothing(taught, monkeypatch):
    """The journal may not grow by a page; then no file can be written."""
    async with opened(taught) as client:
        await teach(client, SEVENS[:1], [7])
        teacher = client.app.state.teaching._teachers["digits"]
        db = teacher._journal._db
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
        response = await teach(client, SEVENS[1:9], [7] * 8)
        check_problem(response, 507, "The disk is full: nothing was written to the journal")
        status = (await client.get("/v1/teach")).json()
        assert [each["number"] for each in status["lessons"]] == [1]
        db.execute("PRAGMA max_page_count = 4294967294")

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("penultimate.teaching.replacing.write_content", full)
            check_problem(await client.post("/v1/teach/promote"), 507, "No space left")
        assert (await client.get("/v1/teach")).json() == status
        assert (await teach(client, SEVENS[1:2], [7])).status_code == 200
        assert (await client.post("/v1/teach/promote")).json()["promotion"]["number"] == 2


@pytest.mark.parametrize("kind", [OSError, TeachingError, ValueError])
@in_loop
async def test_folders_are_for_the_log_alone(taught, monkeypatch, kind):
    """Whatever fails, clients read the name of a file, and whoever runs the service its place."""
    said = []

    def fail(*_, **__):
        raise kind(f"{str(taught)!r} is locked, and so is {taught.parent / 'digits.journal'}.")

    async with opened(taught, say=said.append) as client:
        monkeypatch.setattr(Teacher, "teach", fail)
        answer = await teach(client, SEVENS[:1], [7])
    assert answer.json()["detail"] == "'digits.zip' is locked, and so is digits.journal."
    assert said == [
        f"Teaching failed: {str(taught)!r} is locked, and so is {taught.parent / 'digits.journal'}."
    ]


@in_loop
async def test_other_teachers(taught):
    async with opened(taught, seconds=0.3) as client:
        with Teacher(taught) as other:
            other.teach([KNOWN[0] // 2], [8])
            status = (await teach(client, SEVENS[:1], [7])).json()["status"]
            assert [each["labels"] for each in status["lessons"]] == [[8], [7]]
            other.promote()
            status = (await client.get("/v1/teach")).json()
            assert (status["number"], status["lessons"]) == (2, [])
        blocker = sqlite3.connect(f"{taught}.teach.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        response = await teach(client, SEVENS[1:2], [7])
        check_problem(response, 503, "Another teacher has held the journal")
        assert response.headers["retry-after"] == "1"
        blocker.execute("ROLLBACK")
        blocker.close()
        assert (await teach(client, SEVENS[1:2], [7])).status_code == 200


@in_loop
async def test_lessons_at_once_are_taught_one_after_the_other(taught):
    async with opened(taught) as client:
        lessons = [teach(client, SEVENS[k : k + 1], [7]) for k in range(5)]
        others = [client.post("/v1/predict", json={"images": SEVENS[:1]}) for _ in range(5)]
        responses = await asyncio.gather(*lessons, *others)
        assert {response.status_code for response in responses} == {200}
        numbers = [response.json()["lesson"]["number"] for response in responses[:5]]
        assert sorted(numbers) == [1, 2, 3, 4, 5]
        assert client.app.state.service._memory.held == 0


@in_loop
async def test_who_waits_too_long_for_a_turn_is_told_so(taught, monkeypatch):
    async with opened(taught, seconds=0.2) as client:
        teacher = client.app.state.teaching._teachers["digits"]
        begun, goes_on = threading.Event(), threading.Event()
        real = teacher.teach

        def slow(*arguments, **options):
            begun.set()
            goes_on.wait(10)
            return real(*arguments, **options)

        monkeypatch.setattr(teacher, "teach", slow)
        first = asyncio.create_task(teach(client, SEVENS[:1], [7]))
        assert await asyncio.to_thread(begun.wait, 10)
        check_problem(await client.post("/v1/teach/compare"), 503, "Others were teaching for 0.2")
        goes_on.set()
        assert (await first).status_code == 200, "what was begun is finished"


@in_loop
async def test_promotion_while_requests_run_loses_none(taught):
    async with opened(taught) as client:
        await teach(client, SEVENS[:1], [7])
        statuses, versions = set(), set()

        async def ask():
            for _ in range(25):
                response = await client.post("/v1/predict", json={"images": SEVENS[:1]})
                statuses.add(response.status_code)
                versions.add(response.json()["model"]["version"])

        promoted, *_ = await asyncio.gather(client.post("/v1/teach/promote"), ask(), ask())
        await ask()
        assert promoted.json()["promotion"]["serves"]
        assert statuses == {200}
        assert promoted.json()["promotion"]["version"] in versions


@in_loop
async def test_a_signed_model_is_promoted_by_who_has_the_key(taught):
    mine = new_key()
    sign(taught, mine.private)
    async with serving(Models([taught], key=mine.public, threads=1), teach=True) as client:
        await teach(client, SEVENS[:1], [7])
        check_problem(await client.post("/v1/teach/promote"), 409, "Promote with a private key")
    async with opened(taught) as client:
        words = (await client.post("/v1/teach/promote")).json()["promotion"]["words"]
        assert any("not signed" in each for each in words)


@in_loop
async def test_another_file_in_its_place(taught, bundles):
    async with opened(taught) as client:
        await teach(client, SEVENS[:1], [7])
        content = taught.read_bytes()
        for other, words in (
            (b"<html>", "no bundle"),
            (bundles["digits"].read_bytes(), "holds no"),
        ):
            taught.write_bytes(other)
            check_problem(await client.get("/v1/teach"), 409, words)
            check_problem(await teach(client, SEVENS[1:2], [7]), 409, words)
        taught.unlink()
        check_problem(await client.post("/v1/teach/promote"), 409, "No such file")
        taught.write_bytes(content)
        assert (await teach(client, SEVENS[1:2], [7])).json()["lesson"]["number"] == 2


@in_loop
async def test_who_may_teach(taught, models):
    async with opened(taught, token=TOKEN, hosts=None) as client:
        for path in ("", "/undo", "/compare", "/promote", "/restore", "/predict"):
            check_problem(await client.post(f"/v1/teach{path}"), 401, "token")
        check_problem(await client.get("/v1/teach"), 401, "token")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/v1/teach", headers=headers)).status_code == 200
    async with opened(taught) as client:
        foreign = {"Origin": "https://evil.example"}
        check_problem(await client.post("/v1/teach/promote", headers=foreign), 403, "origins")
        foreign = {"Host": "evil.example"}
        check_problem(await client.get("/v1/teach", headers=foreign), 421, "not known")
    async with serving(models["digits"]) as client:  # without teach
        check_problem(await client.get("/v1/teach"), 404, "no GET /v1/teach")
        assert "/v1/teach" not in (await client.get("/openapi.json")).text


@in_loop
async def test_its_document_describes_what_it_answers(taught):
    raw = {"content": as_file(KNOWN[0]), "headers": PNG}
    async with opened(taught) as client:
        document = (await client.get("/openapi.json")).json()
        assert {"TaughtImagesBody", "TaughtFeaturesBody"} <= set(document["components"]["schemas"])
        assert "507" in document["paths"]["/v1/teach"]["post"]["responses"]
        assert "507" not in document["paths"]["/v1/predict"]["post"]["responses"]
        for kind, response in (
            (described.Taught, await teach(client, SEVENS[:1], [7])),
            (described.TaughtAnswer, await client.post("/v1/teach/predict", **raw)),
            (described.Comparison, await client.post("/v1/teach/compare")),
            (described.TeachingStatus, await client.get("/v1/teach")),
            (described.Promoted, await client.post("/v1/teach/promote")),
        ):
            adapter = TypeAdapter(kind)
            found = adapter.validate_python(response.json(), strict=True)
            assert adapter.dump_python(found) == response.json()


@pytest.mark.parametrize("what", ["no samples", "journal"])
def test_what_cannot_be_taught_is_refused_by_name(what, taught, bundles):
    path, words = bundles["digits"], "was not saved to be taught"
    if what == "journal":
        path, words = taught, "is no journal"
        taught.with_name("digits.zip.teach.db").write_bytes(b"")
        db = sqlite3.connect(f"{taught}.teach.db")
        db.execute("CREATE TABLE mine (x)")
        db.commit()
        db.close()
    result = CliRunner().invoke(app, ["serve", str(path), "--teach"])
    said = " ".join(result.stderr.split())
    assert result.exit_code == 1
    assert words in said
    assert str(path) in said
    if what == "no samples":
        assert "penultimate fit --teachable" in said
