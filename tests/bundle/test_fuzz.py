"""Bundles that were damaged at random; ``benchmarks/fuzz_bundles.py`` does the same at length."""

import importlib
import random
import sys
from pathlib import Path

import pytest

from penultimate.bundle import BundleError, Predictor, new_key
from penultimate.bundle.archive import pack
from penultimate.bundle.signatures import make_signature

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fuzz():
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("the benchmarks are not here")
    sys.path.insert(0, str(ROOT))
    yield importlib.import_module("benchmarks.fuzz_bundles")
    sys.path.remove(str(ROOT))


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:.*did not reach")
@pytest.mark.parametrize("level", ["zip", "manifest", "tensors", "graph", "teach"])
def test_damage_is_refused_or_harmless(fuzz, level):
    """Another error than one of ours would end the test."""
    rng, n = random.Random(f"{level} 1"), 20 if level == "teach" else 60
    outcomes = [fuzz.use(fuzz.damage(fuzz.parts_for(level, rng), level, rng)) for _ in range(n)]
    # A feature of another value is no fault that anyone could see.
    assert outcomes.count("refused") > (n / 2 if level == "teach" else 2 * n / 3)


def test_hostile_contents_with_right_hashes_are_refused_or_open_within_limits(fuzz):
    """Loops, branches, huge sizes, weights elsewhere, deep JSON: see `hostile_bundles`."""
    originals = fuzz.originals()
    rng = random.Random(0)
    outcomes = []
    for _ in range(60):
        content = fuzz.damage(rng.choice(originals), "hostile", rng)
        outcomes.append(fuzz.use(content, predict=False))
    assert outcomes.count("refused") > 40


def test_damage_reaches_the_runtime(fuzz):
    """The hashes match, or nothing below the manifest would be tested."""
    parts = fuzz.originals()[0]
    content = pack(fuzz.with_part(parts, "head.safetensors", parts["head.safetensors"]))
    assert fuzz.use(content) == "predicts"
    rng = random.Random(0)
    outcomes = {fuzz.use(fuzz.damage(parts, "graph", rng)) for _ in range(60)}
    assert outcomes >= {"refused", "predicts"}


def test_a_thousand_flipped_bytes_are_a_thousand_refusals(fuzz):
    rng = random.Random(0)
    whole = [pack(parts) for parts in (*fuzz.originals(), fuzz.teachable())]
    for _ in range(1000):
        with pytest.raises(BundleError):
            Predictor(fuzz.flip(rng.choice(whole), rng))


def test_no_damage_to_a_signed_bundle_is_taken_for_its_signers(fuzz):
    pair, rng = new_key(), random.Random(0)
    for parts in fuzz.originals():
        parts["signature.json"], _ = make_signature(parts["manifest.json"], pair.private)
        assert fuzz.use(pack(parts), pair.public) == "predicts"
        for level in ("zip", "manifest", "tensors", "graph"):
            damaged = [fuzz.damage(parts, level, rng) for _ in range(15)]
            assert {fuzz.use(content, pair.public) for content in damaged} == {"refused"}
        for _ in range(100):
            signature = fuzz.flip(parts["signature.json"], rng)
            content = pack({**parts, "signature.json": signature})
            assert fuzz.use(content, pair.public) == "refused"


def test_what_was_not_damaged_is_not_refused(fuzz):
    for parts in (*fuzz.originals(), fuzz.teachable()):
        assert fuzz.use(pack(parts)) == "predicts"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by way of /proc")
def test_a_few_bundles_in_processes_of_their_own(fuzz):
    reports, crashed = fuzz.run(40)
    assert len(reports) == 40
    assert crashed == []
    assert max(memory for *_, memory in reports) < fuzz.MEMORY
