"""The same command gives the same result: every bit of the networks, every figure of the report.

Compared are two processes that have nothing in common but the command: each has its own order of
sets and its own copy of the photos, written in another order.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from penultimate.networks import NETWORKS

# The backend compiles for seconds per network, the longer the more layers: every network once, and
# both precisions. `compact` and `plane` need not be deep: they repeat the stages of `wide`, with
# the pooling in another place. A large network comes first, while the threads are still starting:
# if operations run concurrently, this is where the difference shows (in one process out of four).
# Two steps each, as the first one of Adam hides how large a gradient is.
CALLS = (
    ("wide", 40, 3, "float32"),
    ("compact", 10, 3, "bfloat16"),
    ("plane", 8, 1, "float32"),
)
TRAINING = f"""
import hashlib
import numpy as np
from penultimate.networks import Training, fit_network
rng = np.random.default_rng(0)
for name, side, channels, precision in {CALLS}:
    X = rng.integers(0, 256, (40, side, side, channels)).astype(np.uint8)
    recipe = Training(epochs=1, batch_size=16, precision=precision, validation_size=0)
    model, _ = fit_network(name, X, np.arange(40) % 4, recipe)
    weights = b"".join(array.tobytes() for array in model.get_weights())
    print(hashlib.sha256(weights).hexdigest(), flush=True)
"""
# Afterwards, as the command asks for determinism, which cannot be taken back. No pictures: figures
# are compared.
COMMAND = """
import sys
from penultimate.cli import main
from penultimate.report import render
render._picture = lambda display, width: "data:,"
data, out = sys.argv[1:]
options = ["--out", f"{out}/report", "--checkpoints", f"{out}/networks", "--image-size", "20"]
options += ["--seeds", "1", "--epochs", "2", "--methods", "cnn-softmax,cnn+svm-rbf"]
sys.argv[1:] = ["compare", data, *options]
main()
"""


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """The folder and the output of two fresh processes, without the thread settings of this one."""
    settings = {"TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"}
    environment = {k: v for k, v in os.environ.items() if k not in settings}
    seen = []
    for number in (1, 2):
        out = tmp_path_factory.mktemp(f"process{number}")
        data = write_photos(out / "photos", backwards=number == 2)
        done = subprocess.run(
            [sys.executable, "-c", TRAINING + COMMAND, data, out],
            capture_output=True,
            text=True,
            env={**environment, "PYTHONHASHSEED": str(number)},
        )
        assert done.returncode == 0, done.stderr[-2000:]
        seen.append((out, done))
    return seen


def write_photos(folder, *, backwards):
    """Write noise of three slightly different classes, which cannot be memorized."""
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (3, 30, 32, 32, 3))
    for number in range(3):
        photos[number, :, 8 * number : 8 * number + 12] //= 2
    order = [(number, index) for number in range(3) for index in range(30)]
    for number, index in reversed(order) if backwards else order:
        path = folder / f"class {number}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photos[number, index].astype(np.uint8)).save(path)
    return folder


@pytest.mark.slow
def test_the_same_command_gives_the_same_result(processes):
    for out, done in processes:
        assert done.stderr == ""
        assert f"Report: {out / 'report' / 'report.html'}" in done.stdout
    seen = [out for out, _ in processes]
    first, again = (sorted((out / "networks").iterdir()) for out in seen)
    assert [path.name for path in first] == [path.name for path in again] != []
    for one, two in zip(first, again, strict=True):
        one, two = load_file(one), load_file(two)
        assert one.keys() == two.keys()
        different = [name for name in one if one[name].tobytes() != two[name].tobytes()]
        assert not different, f"{len(different)} of {len(one)} arrays differ"
    results = [json.loads((out / "report" / "results.json").read_text("utf-8")) for out in seen]
    assert untimed(results[0]) == untimed(results[1])


def untimed(value):
    """Return the figures of a report without times and without the folder's name."""
    if isinstance(value, dict):
        return {k: untimed(v) for k, v in value.items() if "second" not in k and k != "created"}
    return [untimed(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_the_same_call_gives_the_same_network(processes):
    """Every named network, in Python: even without asking for determinism, on any backend."""
    first, again = (done.stdout.splitlines()[: len(CALLS)] for _, done in processes)
    assert first == again
    assert len(set(first)) == len(CALLS)
    assert {len(line) for line in first} == {64}
    assert {name for name, *_ in CALLS} == set(NETWORKS)
