"""Teaching over HTTP: how long it takes from the click to the new answer, and what kills lose.

``python benchmarks/teaching_service.py`` writes ``benchmarks/results/teaching_service.md``. A
request with one sample is sent over loopback to a server in a process of its own, which notes how
long the parts of the lesson take.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from pathlib import Path

import numpy as np

sys.path.insert(0, os.path.dirname(__file__))
from teaching import saved

PARTS = {  # of a lesson, by what does them
    "read": ("penultimate.serve.teaching_routes", "_lesson_in"),
    "duplicates": ("penultimate.teaching.teacher", "look_up"),
    "refit": ("penultimate.teaching.heads", "Heads.taught"),
    "journal": ("penultimate.teaching.journal", "Journal.add_lesson"),
    "sync": ("penultimate.teaching.journal", "Journal.commit"),
    "hash": ("penultimate.teaching.heads", "Heads.digest"),
}


def _noting(times):
    """Let the parts of a lesson note their milliseconds: elapsed, and of the processor."""

    def timed(name, function, *arguments, **options):
        start = np.array([time.perf_counter(), time.process_time()])
        try:
            return function(*arguments, **options)
        finally:
            spent = [time.perf_counter(), time.process_time()] - start
            times[name] = times.get(name, 0) + 1000 * spent

    for name, (module, path) in PARTS.items():
        *owners, attribute = path.split(".")
        owner = import_module(module)
        for each in owners:
            owner = getattr(owner, each)
        function = getattr(owner, attribute)

        def noted(*arguments, _name=name, _function=function, **options):
            return timed(_name, _function, *arguments, **options)

        setattr(owner, attribute, noted)


def _serve(path, pipe, notes):
    from penultimate.serve import Models, run

    times, parent = {}, os.getppid()

    def say(line):
        if line.startswith("Serving"):
            pipe.send(int(line.partition("127.0.0.1:")[2].partition(".")[0]))

    def answer():  # what the parts took since the last question, and the CPU time so far
        with suppress(EOFError):
            while parent == os.getppid():
                pipe.recv()
                pipe.send((dict(times), 1000 * time.process_time()))
                times.clear()

    if notes:
        _noting(times)
    threading.Thread(target=answer, daemon=True).start()
    run(Models([path]), port=0, teach=True, say=say)


class Server:
    """A server that can be taught, in a process that has imported everything already."""

    def __init__(self, path, notes=False):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["penultimate.serve.teaching", "penultimate.serve.running"])
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(path, other, notes))
        self.process.start()
        other.close()
        self.connection = HTTPConnection("127.0.0.1", self.pipe.recv(), timeout=120)

    def post(self, address, document=None):
        """Return what is answered."""
        body = b"" if document is None else json.dumps(document).encode()
        self.connection.request("POST", address, body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            raise ValueError(answer["detail"])
        return answer

    def noted(self):
        """Return what the parts took since the last call, and the CPU time so far."""
        self.pipe.send(None)
        return self.pipe.recv()

    def kill(self):
        """End it at once."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.connection.close()


def timed(folder, n_samples, n_features, n_lessons):
    """Return milliseconds of lessons, elapsed and of the processor: whole, and by parts."""
    path = Path(folder, f"{n_samples}-{n_features}.zip")
    X, y = saved(path, n_samples, n_features, 500)
    server = Server(path, notes=True)
    rows = []
    for k in range(min(n_lessons, len(X))):
        lesson = {"features": X[k : k + 1].tolist(), "labels": [int(y[k])]}
        _, before = server.noted()
        start = time.perf_counter()
        answer = server.post("/v1/teach", lesson)
        whole = 1000 * (time.perf_counter() - start)
        parts, after = server.noted()
        assert answer["lesson"]["certified"]
        rows.append({"request": np.array([whole, after - before]), **parts})
        server.post("/v1/teach/undo")
    server.kill()
    rows = rows[1:]  # the first one fills caches
    medians = {name: np.median([row[name] for row in rows], axis=0) for name in rows[0]}
    return medians | {"slowest": np.max([row["request"] for row in rows], axis=0)}


def killed(folder, n_kills):
    """Return how many kills lost nothing that was acknowledged, lessons and promotions."""
    from penultimate import Teacher

    path = Path(folder, "killed.zip")
    X, y = saved(path, 500, 16, 100)
    rng = np.random.default_rng(0)
    acknowledged, promoted, n_whole = set(), 1, 0
    for number in range(n_kills):
        server = Server(path)
        kill = threading.Timer(random.uniform(0.05, 3), partial(os.kill, server.process.pid, 9))
        kill.start()
        with suppress(OSError, HTTPException):
            for k in range(1000):
                row = X[k % len(X)] + rng.normal(size=X.shape[1])
                lesson = {"features": [row.tolist()], "labels": [int(y[k % len(X)])]}
                acknowledged.add(server.post("/v1/teach", lesson)["lesson"]["number"])
                if k % 2:
                    promoted = server.post("/v1/teach/promote")["promotion"]["number"]
        kill.join()
        server.process.join()
        with Teacher(path) as teacher:  # checks the whole bundle, and that the journal is of it
            events = teacher._journal._db.execute("SELECT DISTINCT event FROM samples")
            found = {event for (event,) in events}
            is_whole = acknowledged <= found and teacher.number >= promoted
        n_whole += is_whole
        print(f"kill {number + 1}: {len(acknowledged)} lessons, version {promoted}", flush=True)
    return n_whole, len(acknowledged), promoted - 1


def main():
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/teaching_service.md"))
    parser.add_argument("--kills", type=int, default=50)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    columns = ["request", "slowest", *PARTS]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n_samples, n_features, n in ((5000, 128, 11), (5000, 1280, 11), (50000, 128, 6)):
            found = timed(folder, n_samples, n_features, n)
            cells = " | ".join("{:.1f} / {:.1f}".format(*found[name]) for name in columns)
            rows.append(f"| {n_samples:,} x {n_features:,} | {cells} |")
            print(rows[-1], flush=True)
        n_whole, n_lessons, n_promotions = killed(folder, options.kills)
    text = f"""# Teaching over HTTP

By `python benchmarks/teaching_service.py`; {os.cpu_count()} cores, load {load:.1f} at the start.
Ten classes, RBF kernel, features of one misclassified sample in a request over loopback, taken back
after it. Milliseconds, elapsed / CPU time of the server; medians of ten lessons (five at 50,000):
of the request, from its first byte to the new answer, the slowest request, and the parts.

| samples | {" | ".join(columns)} |
| --- | {" | ".join("---:" for _ in columns)} |
{chr(10).join(rows)}

- *read*: the document, checked. *duplicates*: the sample among those of the fit and the held-out
  ones. *journal*, *sync*: the lesson is written, and is on the disk. *hash*: of the taught head.
- A server that was killed (-9) at a random moment while it was taught and promoted over HTTP had
  lost nothing acknowledged {n_whole} of {options.kills} times, and its bundle was whole
  ({n_lessons} lessons and {n_promotions} promotions acknowledged).
"""
    options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
