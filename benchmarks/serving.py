"""What a bundle costs: its head, its whole graph, its first answer, and a folder of photos.

- The nodes of a head in ONNX Runtime, against scikit-learn's and our own `SVC.predict`, all fed
  with the same array of features: RBF, 10 classes, about 2,000 support vectors. "All answers" are
  labels, scores and margins; "label alone" is what `predict` gives.
- The whole graph, from pixels to all answers, against its network alone on prepared images.
- A process that imports, loads a bundle and predicts one image.
- `penultimate predict` on files of photos, against `FeatureExtractor.transform` of the same files.
- The peak memory of `penultimate predict`, by the number of files.

Contestants take turns in one run, and ratios are those of one round. Beside the time that passed
there is the processors' time: other programs disturb it less, and it counts every thread. Run it
with: python -m benchmarks.serving PHOTOS [--out RESULTS.md] [--quick] [--skip head,graph,...]
PHOTOS is a folder with one folder of JPEG files per class, or an archive of one, as TrashNet's is.
Needs the extras [pretrained] and [predict].
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from itertools import cycle, islice
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnx
import onnxruntime
import sklearn.svm
from onnx.utils import Extractor
from PIL import Image

import penultimate
from penultimate import SVC, DeepSVC, FeatureExtractor
from penultimate.bundle.graph import _pairs, build_graph
from penultimate.networks import Preprocessing, build_network
from penultimate.networks.exporting import export_network

N_CLASSES, N_SUPPORT, C = 10, 2000, 10.0
LITE = "efficientnet-lite0"
PARTS = ("head", "graph", "start", "predict", "memory")
MANY = (500, 5000, 100_000)  # files whose peak memory is measured; the most are tiny
RESULT = "RESULT "  # begins the line with the figures of a process


def take_turns(contestants, n_rounds, n_calls):
    """Return times per call of shape (rounds, contestants, 2): elapsed, and of the processors."""
    runs = list(contestants.values())
    found = np.empty((n_rounds, len(runs), 2))
    for number in range(n_rounds):
        for column in np.roll(np.arange(len(runs)), number):
            runs[column]()  # finds the caches full of another contestant's data
            used, times = time.process_time(), []
            for _ in range(n_calls):
                start = time.perf_counter()
                runs[column]()
                times.append(time.perf_counter() - start)
            found[number, column] = np.median(times), (time.process_time() - used) / n_calls
    return found


def rows_of(case, contestants, found, per=1):
    """Yield lines of a table: milliseconds, and the first contestant's time by each one's own."""
    for column, name in enumerate(contestants):
        wall, used = 1000 * np.median(found[:, column], axis=0) / per
        ratios = [spread(found[:, 0, which] / found[:, column, which]) for which in (0, 1)]
        least = found[:, 0, 0].min() / found[:, column, 0].min()
        cells = f"{wall:.3g} | {used:.3g} | {ratios[0]} | {least:.1f} | {ratios[1]}"
        yield f"| {case} | {name} | {cells} |"


def spread(ratios):
    """Return the median, the minimum and the maximum of the rounds, as text."""
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"


def header(case, first):
    yield (
        f"| {case} | | elapsed, ms | processors, ms | elapsed time of {first} / own | by smallest "
        f"| processors' time of {first} / own |"
    )
    yield "| ---: | --- |" + " ---: |" * 5


def session_of(model):
    """Open a graph as bundles are: in all threads, which do not wait busily for the next turn."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def of_head(n_features, n_rounds):
    """Yield the table of a head on so many features."""
    rng = np.random.default_rng(0)
    n_samples = N_SUPPORT + 200  # nearly all of these classes' samples are support vectors
    labels = np.arange(n_samples + 256) % N_CLASSES
    centers = 0.35 * rng.normal(size=(N_CLASSES, n_features))
    X = (centers[labels] + rng.normal(size=(len(labels), n_features))).astype(np.float32)
    fit = X[:n_samples], labels[:n_samples]
    settings = {"C": C, "gamma": 1 / n_features}
    theirs, ours = sklearn.svm.SVC(**settings).fit(*fit), SVC(**settings).fit(*fit)
    graph = build_graph(ours)
    inferred = onnx.shape_inference.infer_shapes(graph)
    graphs = {
        "graph, label alone": Extractor(inferred).extract_model(["features"], ["label"]),
        "graph, all answers": graph,
        "graph in float64, all answers": in_double(ours),
    }
    sessions = {name: session_of(each) for name, each in graphs.items()}
    yield f"{n_features} features, {len(ours.support_):,} support vectors:"
    yield ""
    yield from header("batch", "scikit-learn")
    for size, n_calls in {1: 100, 256: 2}.items():
        rows = X[n_samples:][:size]
        expected = theirs.predict(rows)
        contestants = {
            "`sklearn.svm.SVC.predict`": lambda rows=rows: theirs.predict(rows),
            "`penultimate.SVC.predict`": lambda rows=rows: ours.predict(rows),
            **{
                name: lambda rows=rows, each=each: each.run(None, {"features": rows})
                for name, each in sessions.items()
            },
        }
        for each in sessions.values():
            assert (each.run(["label"], {"features": rows})[0] == expected).all()
        yield from rows_of(size, contestants, take_turns(contestants, n_rounds, n_calls))
    yield ""


def in_double(machine):
    chosen = _pairs._float32_suffices
    try:
        _pairs._float32_suffices = lambda *_: False
        return build_graph(machine)
    finally:
        _pairs._float32_suffices = chosen


def of_graph(name, model, images, batches, n_rounds):
    """Yield lines of the table of a whole graph, which must have this share of its network."""
    graph = build_graph(model)
    inferred = onnx.shape_inference.infer_shapes(graph)
    prepare = session_of(Extractor(inferred).extract_model(["images"], ["prepared"]))
    whole, network = session_of(graph), session_of(export_network(model.extractor_))
    shapes = {each.name: each.shape for each in whole.get_inputs()}
    none = np.zeros((0, shapes["features"][1]), np.float32)
    size = f"{images.shape[1]} x {images.shape[2]}"
    for batch, n_calls in batches.items():
        pixels = np.stack(list(islice(cycle(images), batch)))
        (prepared,) = prepare.run(None, {"images": pixels})
        contestants = {
            "network alone": lambda x=prepared: network.run(None, {"prepared": x}),
            "whole graph": lambda x=pixels: whole.run(None, {"images": x, "features": none}),
            "preparing alone": lambda x=pixels: prepare.run(None, {"images": x}),
        }
        found = take_turns(contestants, n_rounds, n_calls)
        yield from rows_of(f"{name}, {size}, {batch}", contestants, found)


def of_graphs(paths, photo_model, quick):
    """Yield the table of whole graphs."""
    rounds = 3 if quick else 9
    yield from header("network, images, batch", "the network")
    digits = np.random.default_rng(0).integers(0, 256, (300, 28, 28, 1), dtype=np.uint8)
    compact = small_model(digits, np.arange(300) % N_CLASSES)
    yield from of_graph("compact", compact, digits, {1: 100, 32: 4, 256: 1}, rounds)
    photos = np.stack([np.asarray(Image.open(path)) for path in paths[:8]])
    square = np.stack([np.asarray(Image.open(path).resize((320, 320))) for path in paths[:8]])
    batches = {1: 2} if quick else {1: 3, 32: 1}
    for images in (square, photos):
        yield from of_graph(LITE, photo_model, images, batches, rounds)
    yield ""


def small_model(images, labels, size=None):
    """Return a model on a network with random weights, which takes as long as a trained one."""
    shape = images.shape[1:] if size is None else (size, size, 3)
    network = build_network("compact", shape, N_CLASSES)
    prepare = Preprocessing(size=shape[0], scale=1.0, channels="gray" if shape[2] == 1 else "rgb")
    return DeepSVC(FeatureExtractor(network, preprocessing=prepare), head=SVC()).fit(images, labels)


def of_start(bundle, photo, n_rounds):
    """Yield the sentence about the first answer of a process."""
    script = (
        "import time; start = time.perf_counter(); import json, sys, penultimate; "
        "model = penultimate.load(sys.argv[1]); model.predict(sys.argv[2]); "
        f"print({RESULT!r} + json.dumps([time.perf_counter() - start, time.process_time()]))"
    )
    found = [run_python("-c", script, bundle, photo)[0] for _ in range(n_rounds)]
    inside, used = np.array(found).T
    yield (
        f"Import, load and the first prediction of a photo, in a fresh process ({LITE}, "
        f"{bundle.stat().st_size / 2**20:.1f} MiB): {np.median(inside):.2f} s ({inside.min():.2f} "
        f"to {inside.max():.2f}), of the processors {np.median(used):.2f} s with the start of "
        "Python."
    )
    yield ""


def run_python(*arguments):
    """Run a process; return what it reports, and its peak memory in MiB, elapsed and CPU time."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)], stdout=output, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, arguments
        elapsed = time.perf_counter() - start
        output.seek(0)
        lines = [line for line in output if line.startswith(RESULT)]
    report = json.loads(lines[-1].removeprefix(RESULT)) if lines else None
    return report, used.ru_maxrss / 1024, elapsed, used.ru_utime + used.ru_stime


def of_predict(bundle, paths, folder, sizes, n_rounds):
    """Yield the sentence about photos, for which start and end of the processes do not count."""
    few, many = (linked(paths, n, folder) for n in sizes)
    script = (
        "import sys; from pathlib import Path; from penultimate import FeatureExtractor; "
        f"FeatureExtractor({LITE!r}).fit().transform(sorted(Path(sys.argv[1]).iterdir()))"
    )
    rows = Path(folder, "rows.csv")
    commands = {
        "`FeatureExtractor.transform`": lambda files: ("-c", script, files),
        "`penultimate predict`": lambda files: (
            *("-m", "penultimate", "predict", bundle, files, "--out", rows),
        ),
    }
    found = np.empty((n_rounds, 2, 2))
    for number in range(n_rounds):
        for column in np.roll(np.arange(2), number):
            command = list(commands.values())[column]
            times = [np.array(run_python(*command(files))[2:]) for files in (few, many)]
            found[number, column] = times[1] - times[0]
    yield f"{sizes[1] - sizes[0]:,} photos of 384 x 512, {LITE}, {n_rounds} rounds; per photo:"
    yield ""
    yield from header("photos", "the extraction")
    yield from rows_of(sizes[1] - sizes[0], commands, found, per=sizes[1] - sizes[0])
    yield ""


def linked(paths, number, folder):
    """Return a folder with so many links to photos."""
    made = Path(folder, f"{number}-files")
    made.mkdir()
    for index, path in enumerate(islice(cycle(paths), number)):
        try:
            os.link(path, made / f"{index:07}{path.suffix}")
        except OSError:  # another file system
            (made / f"{index:07}{path.suffix}").symlink_to(path)
    return made


def of_memory(paths, folder, quick):
    """Yield the sentence about peak memory."""
    photos = np.stack([np.asarray(Image.open(path)) for path in paths[:40]])
    model = small_model(photos, np.arange(len(photos)) % N_CLASSES, size=64)
    bundle = Path(folder, "small.zip")
    penultimate.save(model, bundle, photos[:4])
    tiny = Path(folder, "tiny.png")
    Image.fromarray(photos[0]).resize((16, 16)).save(tiny)
    found = []
    for number in MANY[:2] if quick else MANY:
        files = linked([tiny] if number == max(MANY) else paths, number, folder)
        rows = Path(folder, "rows.csv")
        _, peak, elapsed, _ = run_python(
            *("-m", "penultimate", "predict", bundle, files, "--out", rows)
        )
        assert len(rows.read_text().splitlines()) == number + 1
        what = "images of 16 x 16" if number == max(MANY) else "photos"
        found.append(f"{peak:.0f} MiB for {number:,} {what} ({number / elapsed:,.0f} a second)")
    yield "Peak memory of `penultimate predict` (compact, 64 x 64): " + "; ".join(found) + "."
    yield ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="Folder or archive of JPEG files.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="Few rounds and photos.")
    parser.add_argument("--skip", default="", help=f"Parts to leave out: {', '.join(PARTS)}.")
    given = parser.parse_args()
    parts = [name for name in PARTS if name not in given.skip]
    # Whether the models are any good is not measured here.
    warnings.filterwarnings("ignore", message="It is unknown which samples")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        photos = given.photos
        if photos.is_file():
            with tarfile.open(photos) as archive:
                archive.extractall(folder, filter="data")
            photos = Path(folder)
        for line in measured(sorted(photos.rglob("*.jpg")), Path(folder), parts, given.quick):
            print(line, flush=True)
            lines.append(line)
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def measured(paths, folder, parts, quick):
    """Yield the lines of all parts that are wanted."""
    yield (
        f"{os.cpu_count()} processors, onnxruntime {onnxruntime.__version__}, scikit-learn "
        f"{sklearn.__version__}; load average before the run {os.getloadavg()[0]:.1f}."
    )
    yield ""
    if "head" in parts:
        for n_features in (128, 1280):
            yield from of_head(n_features, 5 if quick else 25)
    if {"graph", "start", "predict"} & set(parts):
        some = paths[:: max(1, len(paths) // 120)]
        model = DeepSVC(LITE, head=SVC()).fit(some, [path.parent.name for path in some])
        bundle = folder / "model.zip"
        penultimate.save(model, bundle, some[:8])
    if "graph" in parts:
        yield from of_graphs(paths, model, quick)
    if "start" in parts:
        yield from of_start(bundle, paths[0], 5)
    if "predict" in parts:
        sizes, rounds = ((16, 80), 2) if quick else ((40, MANY[1]), 2)
        yield from of_predict(bundle, paths, folder, sizes, rounds)
    if "memory" in parts:
        yield from of_memory(paths, folder, quick)


if __name__ == "__main__":
    main()
