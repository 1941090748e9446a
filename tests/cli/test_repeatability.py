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

SIZES = (8, 32, 80)
# The largest networks come first, while the threads are still starting: if operations run
# concurrently, this is where the difference shows (in one process out of four).
COMMANDS = """
import sys
from penultimate.cli.compare import app
data, out, sizes = sys.argv[1], sys.argv[2], sys.argv[3:]
for size in reversed(sizes):
    options = ["--out", f"{out}/{size}", "--checkpoints", f"{out}/{size} networks"]
    options += ["--image-size", size, "--seeds", "1", "--epochs", "3"]
    options += ["--methods", "cnn-softmax,cnn+svm-rbf"]
    if code := app(["compare", data, *options], standalone_mode=False):
        sys.exit(code)
"""
NETWORKS = """
import hashlib
import numpy as np
from penultimate.networks import NETWORKS, Training, fit_network
rng = np.random.default_rng(0)
for name in NETWORKS:
    for side, channels, precision in (
        (10, 3, "bfloat16"), (28, 1, "float32"), (40, 3, "float32"), (40, 3, "bfloat16")
    ):
        X = rng.integers(0, 256, (40, side, side, channels)).astype(np.uint8)
        recipe = Training(epochs=1, batch_size=16, precision=precision, validation_size=0)
        model, _ = fit_network(name, X, np.arange(40) % 4, recipe)
        weights = b"".join(array.tobytes() for array in model.get_weights())
        print(name, side, channels, precision, hashlib.sha256(weights).hexdigest())
"""


def in_a_fresh_process(code, *arguments, number):
    """Run code in a fresh process, without the thread settings of this one."""
    settings = {"TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"}
    environment = {k: v for k, v in os.environ.items() if k not in settings}
    environment["PYTHONHASHSEED"] = str(number)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def write_photos(folder, *, backwards):
    """Write noise of three slightly different classes, which cannot be memorized."""
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (3, 30, 64, 64, 3))
    for number in range(3):
        photos[number, :, 16 * number : 16 * number + 24] //= 2
    order = [(number, index) for number in range(3) for index in range(30)]
    for number, index in reversed(order) if backwards else order:
        path = folder / f"class {number}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photos[number, index].astype(np.uint8)).save(path)
    return folder


@pytest.mark.slow
def test_the_same_command_gives_the_same_result(tmp_path):
    seen = []
    for number in (1, 2):
        data = write_photos(tmp_path / f"{number}" / "photos", backwards=number == 2)
        out = tmp_path / f"{number}" / "out"
        in_a_fresh_process(COMMANDS, data, out, *SIZES, number=number)
        seen.append(out)
    for size in map(str, SIZES):
        first, again = (sorted((out / f"{size} networks").iterdir()) for out in seen)
        assert [path.name for path in first] == [path.name for path in again] != []
        for one, two in zip(first, again, strict=True):
            one, two = load_file(one), load_file(two)
            assert one.keys() == two.keys()
            different = [name for name in one if one[name].tobytes() != two[name].tobytes()]
            assert not different, f"{len(different)} of {len(one)} arrays differ at {size} pixels"
        results = [
            json.loads((out / size / "results.json").read_text(encoding="utf-8")) for out in seen
        ]
        assert untimed(results[0]) == untimed(results[1])


def untimed(value):
    """Return the figures of a report without times and without the folder's name."""
    if isinstance(value, dict):
        return {k: untimed(v) for k, v in value.items() if "second" not in k and k != "created"}
    return [untimed(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_the_same_call_gives_the_same_network():
    """Every named network, in Python: even without asking for determinism, on any backend."""
    first, again = (in_a_fresh_process(NETWORKS, number=number) for number in (1, 2))
    assert first == again
    # Three networks, on samples of three shapes, one of them in both precisions.
    assert len(set(first.split()[4::5])) == 12
