"""Servers that are killed (-9) while they are taught, and the visit to one."""

import runpy
import shutil
import sys
import threading
from contextlib import suppress
from pathlib import Path

import httpx2 as httpx
import pytest

from penultimate import Teacher
from tests.bundle.digits import digit_images

from .conftest import as_file, as_text
from .test_running import Server

VISIT = Path(__file__).parents[2] / "examples" / "visit.py"


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_a_kill(taught):
    images, labels = digit_images()
    acknowledged, promoted = set(), 1
    samples = iter(images[labels > 6])
    for seconds in (0.4, 1.0):
        server = Server(taught, "--teach", "--threads", 1)
        maps = Path(f"/proc/{server.process.pid}/maps")
        if maps.exists():
            assert "tensorflow" not in maps.read_text()
        kill = threading.Timer(seconds, server.process.kill)
        kill.start()
        with server.client, suppress(httpx.HTTPError):
            for k, image in enumerate(samples):
                body = {"images": [as_text(as_file(image))], "labels": [7]}
                headers = {"Content-Type": "application/json"}
                response = server.client.post("/v1/teach", json=body, headers=headers)
                acknowledged.add(response.json()["lesson"]["number"])
                if k % 3 == 2:
                    response = server.client.post("/v1/teach/promote")
                    promoted = response.json()["promotion"]["number"]
        kill.join()
        server.process.communicate()
        with Teacher(taught) as teacher:
            rows = teacher._journal._db.execute("SELECT DISTINCT event FROM samples")
            assert acknowledged <= {event for (event,) in rows}
            assert teacher.number >= promoted
    assert acknowledged


@pytest.mark.slow
@pytest.mark.browser
def test_the_visit(teachable, tmp_path, monkeypatch, capsys):
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("Chromium and chromedriver are not installed")
    model = tmp_path / "model.zip"
    model.write_bytes(teachable)
    (tmp_path / "pictures").mkdir()
    arguments = ["--model", model, "--pictures", tmp_path / "pictures"]
    monkeypatch.setattr(sys, "argv", ["visit.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(VISIT), run_name="__main__")
    said = capsys.readouterr().out
    assert ended.value.code == 0, said
    assert "The seven is drawn again. The model says: 7" in said
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert pictures == ["known.png", "promoted.png", "teach.png"]
