"""Processes that write into one store at once, some of which are killed.

A small process forks them, which takes milliseconds where a new one takes a second to import.
"""

import os
import subprocess
import sys

import pytest

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")

COMMON = """
import os, random, signal, sys, time, traceback
import numpy as np
import pyarrow.parquet  # here, as it takes every process half a second
from penultimate.store import FeatureStore, content_hashes

folder = sys.argv[1]
hashes = content_hashes(np.arange(8_000))
features = np.tile(hashes, 8).astype(np.float32)  # so that each row says whose it is


def fork(work):
    child = os.fork()
    if child:
        return child
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    os._exit(status)


def check(store, n=None):
    found = np.array(store.hashes)
    assert len(set(map(bytes, found))) == len(found)
    assert n is None or len(found) == n, len(found)
    if len(found):
        np.testing.assert_array_equal(store.take(found), np.tile(found, 8))
    return len(found)
"""
KILLED = """
def write(order, size=500):
    with FeatureStore(folder, key="k1") as store:
        while len(rest := store.missing(hashes[order])):
            chosen = order[rest[:size]]
            store.append(hashes[chosen], features[chosen])
            store.flush()
            os.write(said, len(chosen).to_bytes(2, "big"))

rng = random.Random(0)
stored = 0
for turn in range(8):
    heard, said = os.pipe()
    orders = [np.random.default_rng(2 * turn + k).permutation(8_000) for k in (0, 1)]
    children = [fork(lambda: write(order)) for order in orders]
    time.sleep(rng.uniform(0, 0.2))
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.close(said)
    with os.fdopen(heard, "rb") as pipe:
        content = pipe.read()
    n = check(FeatureStore(folder)) if os.path.exists(f"{folder}/feature-store.json") else 0
    assert n >= stored, (n, stored)
    if content:  # what either of them has flushed is there
        assert n > stored
    stored = n
said = os.open(os.devnull, os.O_WRONLY)
write(np.arange(8_000), 4000)
check(FeatureStore(folder, on_damage="raise"), 8_000)
print(sorted(os.listdir(folder)), stored)
"""
AT_ONCE = """
def write(order):
    with FeatureStore(folder, key="k1") as store:
        for start in range(0, 8_000, 1000):
            chosen = order[start : start + 1000]
            chosen = chosen[store.missing(hashes[chosen])]
            store.append(hashes[chosen], features[chosen])

orders = [np.random.default_rng(k).permutation(8_000) for k in range(2)]
for child in [fork(lambda: write(order)) for order in orders]:
    assert os.waitpid(child, 0)[1] == 0
check(FeatureStore(folder), 8_000)
"""
RACE = """
for turn in range(12):
    place = f"{folder}/{turn}"
    start = time.monotonic() + 0.005

    def create(key):
        while time.monotonic() < start:
            pass
        try:
            store = FeatureStore(place, key=key)
        except ValueError as error:
            assert "'k0'" in str(error) and "'k1'" in str(error), error
            os._exit(3)
        try:
            store.append(hashes[:1], np.ones((1, 2 if k < 2 else 3)))
        except ValueError as error:
            assert "features per sample" in str(error), error
            os._exit(4)

    children = []
    for k in range(4):
        children.append(fork(lambda: create(f"k{k % 2}")))
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    kept = FeatureStore(place)
    wins = int(kept.key[1])
    assert [ends[1 - wins], ends[3 - wins]] == [3, 3], ends
    # Of the two that agree on the key, one has claimed its number of features.
    expected = {2: [0, 4], 3: [4, 0]}[kept.n_features]
    assert [ends[wins], ends[2 + wins]] == expected, ends
"""


def run(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", COMMON + code, str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_writers_may_be_killed_at_any_moment(tmp_path):
    print(run(KILLED, tmp_path / "store"))


def test_two_writers_at_once(tmp_path):
    run(AT_ONCE, tmp_path / "store")


def test_the_first_creator_wins(tmp_path):
    run(RACE, tmp_path)
