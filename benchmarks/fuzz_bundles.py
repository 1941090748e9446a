"""Bundles that were damaged at random: none may crash the process, or cost much memory or time.

Damage is done on four levels: to the bytes of the zip; to the manifest, in a zip that is whole; to
the tensors, and to the graph, with sizes, hashes and declared shapes that were made to match, so
that it reaches ONNX Runtime. What can be opened also predicts. On a fifth level nothing is damaged:
bundles of `benchmarks.hostile_bundles` are opened. On the sixth, the part for teaching is damaged,
with a hash that was made to match, and what is opened is opened for teaching as well. A worker
process does so, which reports its time on the processor and its memory; a worker that dies is a
crash. Run it with:
python -m benchmarks.fuzz_bundles [--bundles 10000] [--out RESULTS.md]
"""

import argparse
import copy
import json
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from benchmarks.hostile_bundles import hostile
from onnx import numpy_helper
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from tests.bundle.handmade import OF_IMAGES, make_parts, of_features, of_images

import penultimate
from penultimate import SVC, AbstainingClassifier
from penultimate.bundle import BundleError, describe_part
from penultimate.bundle.archive import MANIFEST, pack, unpack
from penultimate.bundle.operators import OPERATORS
from penultimate.bundle.teaching_part import TEACH
from penultimate.teaching.version import Version

ROOT = Path(__file__).resolve().parents[1]
LEVELS = ("zip", "manifest", "tensors", "graph", "hostile", "teach")
NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    255,
    2**16,
    2**20,
    2**31 - 1,
    2**31,
    2**32,
    2**62,
    2**63 - 1,
    -(2**63),
)
MEMORY, SECONDS = 64 * 2**20, 1.0
_VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**63,
    2**70,
    0.5,
    -1e308,
    "",
    "a",
    "\0",
    "..",
    [],
    {},
]


def originals():
    """Return the parts of the whole bundles that are damaged."""
    return [make_parts(of_features()), make_parts(of_images(), **OF_IMAGES)]


@cache
def teachable():
    """Return the parts of a bundle that can be taught, and abstains."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 30)
    X = (rng.normal(size=(90, 4)) + 3 * np.eye(4)[y]).astype(np.float32)
    model = AbstainingClassifier(SVC(), coverage=0.8, random_state=0).fit(X, y)
    kept = {"teach": model.fitted_, "calibration": model.heldout_, "held_out": np.arange(9)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.zip")
        penultimate.save(model, path, X, **{k: (X[rows], y[rows]) for k, rows in kept.items()})
        return {name: bytes(each) for name, each in unpack(path.read_bytes()).items()}


def parts_for(level, rng):
    """Return the parts of a whole bundle to be damaged on a level."""
    return teachable() if level == "teach" else rng.choice(originals())


def damage(parts, level, rng):
    """Return the bytes of a bundle with damage on one level."""
    if level == "hostile":
        return pack(hostile(parts, rng, with_part))
    names = {"zip": "", "manifest": MANIFEST, "tensors": "head.safetensors", "teach": TEACH}
    name = names.get(level, "model.onnx")
    whole = parts.get(name) or pack(parts)
    changes = {MANIFEST: _damage_json, "head.safetensors": _damage_tensors, TEACH: _damage_samples}
    change = changes.get(name, _damage_graph if name else _damage_bytes)
    if rng.random() < 0.2:
        change = _damage_bytes
    content = whole
    while content == whole:
        content = change(whole, rng)
    if not name:
        return content
    return pack({**parts, name: content} if name == MANIFEST else with_part(parts, name, content))


def flip(content, rng):
    """Return a bundle with one byte changed."""
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ rng.randrange(1, 256)]) + content[place + 1 :]


def with_part(parts, name, content):
    """Return parts with another content of one, which the manifest describes as it is."""
    document = json.loads(parts["manifest.json"])
    entry = document["parts"][name]
    try:
        entry |= describe_part(name, content)
    except BundleError:  # its tensors cannot be described; hash and size can
        entry |= describe_part("README.md", content)
    return {**parts, name: content, "manifest.json": json.dumps(document).encode()}


def _damage_bytes(content, rng):
    found = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        place = rng.randrange(len(found) + 1)
        length = min(rng.choice([1, 1, 2, 4, 8, 64]), len(found) - place)
        other = rng.randrange(len(found) + 1)
        match rng.randrange(6):
            case 0 if place < len(found):
                found[place] ^= 1 << rng.randrange(8)
            case 1:
                found[place : place + length] = rng.randbytes(length)
            case 2:
                del found[place : place + length]
            case 3:
                found[place:place] = found[other : other + length]
            case 4:
                number = rng.choice(NUMBERS) & (2**32 - 1)
                found[place : place + 4] = struct.pack("<I", number)
            case 5 if rng.random() < 0.2:
                del found[place:]
    return bytes(found)


def _damage_json(content, rng):
    document = json.loads(content)
    for _ in range(rng.choice([1, 1, 2, 3])):
        place = document
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            if not keys:
                break
            key = rng.choice(list(keys))
            if isinstance(place[key], (dict, list)) and rng.random() < 0.7:
                place = place[key]
                continue
            if rng.random() < 0.2:
                del place[key]
            else:
                place[key] = copy.deepcopy(rng.choice(_VALUES))
            break
    return json.dumps(document).encode()


def _damage_tensors(content, rng):
    length = int.from_bytes(content[:8], "little")
    header = _damage_json(content[8 : 8 + length], rng)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _damage_samples(content, rng):
    if rng.random() < 0.3:
        return _damage_tensors(content, rng)
    tensors = {name: values.copy() for name, values in load_tensors(content).items()}
    for _ in range(rng.choice([1, 1, 2, 8])):
        values = tensors[rng.choice(sorted(tensors))].reshape(-1)
        number = rng.choice([*NUMBERS, np.nan, np.inf, 1e308, 1e-308])
        if values.dtype.kind == "i" and not abs(number) < 2**63:
            number = 2**62
        if values.size:
            with np.errstate(all="ignore"):
                values[rng.randrange(values.size)] = number
    return save_tensors(tensors)


def _damage_graph(content, rng):
    model = onnx.ModelProto.FromString(content)
    graph = model.graph
    for _ in range(rng.choice([1, 1, 2, 3])):
        node = rng.choice(graph.node)
        match rng.randrange(7):
            case 0:
                node.op_type = rng.choice([*sorted(OPERATORS), "Loop"])
            case 1 if node.attribute:
                attribute = rng.choice(node.attribute)
                attribute.i = rng.choice(NUMBERS)
                del attribute.ints[:]
                attribute.ints.extend(rng.choices(NUMBERS, k=rng.randrange(5)))
            case 2 if graph.initializer:
                _damage_initializer(rng.choice(graph.initializer), rng)
            case 3 if node.input:
                names = [each.name for each in (*graph.initializer, *graph.input)]
                for each in graph.node:
                    if each is node or each == node:
                        break
                    names += each.output
                node.input[rng.randrange(len(node.input))] = rng.choice(names)
            case 4:
                node.input.append(rng.choice(graph.initializer).name)
            case 5:
                graph.node.remove(node)
            case 6:
                graph.node.insert(rng.randrange(len(graph.node) + 1), node)
        if not graph.node:
            break
    return model.SerializeToString()


def _damage_initializer(tensor, rng):
    try:
        values = numpy_helper.to_array(tensor).copy()
    except ValueError:  # damaged before
        return
    if not values.size or rng.random() < 0.2:
        tensor.dims.append(rng.choice(NUMBERS))
        return
    number = rng.choice(NUMBERS)
    with np.errstate(all="ignore"):
        values.reshape(-1)[rng.randrange(values.size)] = np.int64(number).astype(values.dtype)
        if rng.random() < 0.3:
            values = values.astype(rng.choice([np.int64, np.int32, np.uint8, np.float64]))
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def use(content, key=None, *, predict=True):
    """Open a bundle, with a key if one is given, and predict; return what happened."""
    samples = [np.zeros((1, 1, 1, 3), np.uint8), np.ones((2, 9, 7, 3), np.uint8)]
    try:
        model = penultimate.load(content, threads=1, key=key)
    except BundleError:
        return "refused"
    if not predict:
        return "opens"
    try:
        if model.manifest.kind == "features":
            model.predict_all(np.ones((2, model.manifest.input["n_features"])))
        else:
            for each in samples:
                model.predict_all(each)
    except (BundleError, ValueError):
        return "fails to predict"
    str(model), model._repr_html_(), model.provenance
    if model.manifest.teach is not None:
        try:
            heads = Version.of(content, key, 1).heads
            heads.each[0].taught(np.ones((1, 4), np.float32), [1])
        except BundleError:
            return "refused"
        except ValueError:
            return "fails to predict"
    return "predicts"


def _work(start, stop):
    """Report one line for each bundle; run in a process of its own."""
    for parts in (*originals(), teachable()):
        use(pack(parts))  # what is loaded once is not counted
    for seed in range(start, stop):
        rng = random.Random(seed)
        level = LEVELS[seed % len(LEVELS)]
        content = damage(parts_for(level, rng), level, rng)
        Path("/proc/self/clear_refs").write_text("5")  # forgets the largest size so far
        before, began = _memory("VmRSS"), time.process_time()
        outcome = use(content, predict=level != "hostile")
        seconds, memory = time.process_time() - began, _memory("VmHWM") - before
        print(json.dumps([seed, level, outcome, seconds, memory - len(content)]), flush=True)


def _memory(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def run(n_bundles):
    """Return the reports of all bundles, and the seeds of those that ended the process."""
    reports, crashed = [], []
    start = 0
    while start < n_bundles:
        command = [sys.executable, "-m", "benchmarks.fuzz_bundles", "--worker"]
        command += [str(start), str(n_bundles)]
        worker = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        lines = [json.loads(line) for line in worker.stdout.splitlines() if line.startswith("[")]
        reports += lines
        start = lines[-1][0] + 1 if lines else start
        if worker.returncode:
            print(f"seed {start}: {worker.returncode} {worker.stderr[-600:]}", file=sys.stderr)
            crashed.append(start)
            start += 1
    return reports, crashed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundles", type=int, default=10_000)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", type=int, nargs=2)
    options = parser.parse_args()
    if options.worker:
        _work(*options.worker)
        return 0
    reports, crashed = run(options.bundles)
    rng = random.Random(0)
    whole = [pack(parts) for parts in (*originals(), teachable())]
    n_refused = sum(use(flip(rng.choice(whole), rng)) == "refused" for _ in range(options.flips))
    text = describe(reports, crashed, n_refused, options)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    slow = [each for each in reports if each[3] > SECONDS or each[4] > MEMORY]
    return int(bool(crashed or slow or n_refused < options.flips))


def describe(reports, crashed, n_refused, options):
    """Return the results as Markdown."""
    rows = defaultdict(Counter)
    for _, level, outcome, _, _ in reports:
        rows[level][outcome] += 1
    columns = ("refused", "opens", "fails to predict", "predicts")
    lines = [
        "# Damaged bundles",
        "",
        f"`python -m benchmarks.fuzz_bundles --bundles {options.bundles} --out "
        "benchmarks/results/fuzz_bundles.md`",
        "",
        f"| damage to | bundles | {' | '.join(columns)} | most CPU time, s | most memory, MiB |",
        "| --- " + "| ---: " * 7 + "|",
    ]
    for level in LEVELS:
        own = [each for each in reports if each[1] == level]
        counts = " | ".join(f"{rows[level][name]:,}" for name in columns)
        most = max((each[3] for each in own), default=0)
        memory = max((each[4] for each in own), default=0) / 2**20
        lines.append(f"| {level} | {len(own):,} | {counts} | {most:.3f} | {memory:.1f} |")
    lines += [
        "",
        f"{len(crashed)} ended the process. Memory is what opening and predicting added at their "
        "peak, minus the size of the bundle.",
        "",
        f"Of {options.flips:,} bundles with one byte changed, {n_refused:,} were refused.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
