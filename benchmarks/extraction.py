"""Extraction of features from photos, from arrays and from a store, against the bare parts.

All contestants take turns in one run, the first one rotating, and ratios are those of the times of
one round: on a busy machine, ratios within a round are more reliable than times. Beside the time
that passed there is the processors' time, which other programs disturb less.

From photos, `FeatureExtractor.transform` is compared with decoding and preparing alone, with ONNX
Runtime alone, with a loop that decodes a batch (in as many threads) and then runs it, and with one
photo at a time. Where decoding and the network each keep all cores busy, no program can be as fast
as the slower of them: the best is their sum. So that share is given as well.

Run it with: python benchmarks/extraction.py PHOTOS [--out RESULTS.md] [--number 128] [--rounds 5]
PHOTOS is a folder or archive of JPEG files, such as TrashNet's. Needs the extras [pretrained] and
[store].
"""

import argparse
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime

from penultimate import FeatureExtractor, FeatureStore
from penultimate._common.decoding import decode_image
from penultimate.networks.pretrained import PRETRAINED
from penultimate.networks.stored import extract_to_store, key_of

NETWORK = "efficientnet-lite0"
BATCH = 16  # the fastest of 8, 16, 32 and 64 for ONNX Runtime alone, at 224 x 224
FEATURES = "features"  # the tensor that ONNX Runtime alone computes
N_THREADS = os.cpu_count() or 1
N_STORED, N_CHANGED = 100_000, 100
MANY = (500, 5000)
# Of the images whose peak memory is measured. Batches hold as many values whatever the size, and at
# 320 the same takes ten times as long.
PEAK_SIZE = 96


def take_turns(contestants, n_rounds):
    """Return times of shape (rounds, contestants, 2): elapsed, and of the processors."""
    for run in contestants.values():
        run()
    found = np.empty((n_rounds, len(contestants), 2))
    for number in range(n_rounds):
        for column in np.roll(np.arange(len(contestants)), number):
            start = time.perf_counter(), time.process_time()
            list(contestants.values())[column]()
            found[number, column] = (
                time.perf_counter() - start[0],
                time.process_time() - start[1],
            )
    return found


def spread(ratios):
    """Return the median, the minimum and the maximum of the rounds, as text."""
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"


def table(contestants, found, n_photos):
    """Yield the lines of a table: milliseconds per photo, and the speed of the first in terms."""
    yield "| | elapsed, ms | processors, ms | elapsed time / ours | processors' time / ours |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for column, name in enumerate(contestants):
        each = 1000 * np.median(found[:, column], axis=0) / n_photos
        ratios = [spread(found[:, column, which] / found[:, 0, which]) for which in (0, 1)]
        yield f"| {name} | {each[0]:.1f} | {each[1]:.1f} | {ratios[0]} | {ratios[1]} |"


def bare_session():
    """Return a session of ONNX Runtime up to the features, and the name of its input."""
    import onnx
    from onnx.utils import Extractor

    model = onnx.shape_inference.infer_shapes(onnx.load(PRETRAINED[NETWORK].cached_file))
    name = model.graph.input[0].name
    part = Extractor(model).extract_model([name], [FEATURES])
    session = onnxruntime.InferenceSession(
        part.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return lambda batch: session.run(None, {name: batch})[0]


def of_photos(paths, n_rounds):
    """Yield the lines about photos and arrays."""
    ours = FeatureExtractor(NETWORK).fit()
    prepare = ours.preprocessing_
    run = bare_session()
    pool = ThreadPoolExecutor(N_THREADS)
    starts = range(0, len(paths), BATCH)

    def prepared(path):
        return prepare.apply(decode_image(path).pixels)

    def decode_alone():
        for start in starts:  # without keeping more than a batch, as all the others
            list(pool.map(prepared, paths[start : start + BATCH]))

    X = np.stack(list(pool.map(prepared, paths)))

    def runtime_alone():
        return np.concatenate([run(X[start : start + BATCH]) for start in starts])

    def loop():
        batches = (
            np.stack(list(pool.map(prepared, paths[start : start + BATCH]))) for start in starts
        )
        return np.concatenate([run(batch) for batch in batches])

    def one_at_a_time():
        return np.concatenate([run(prepared(path)[np.newaxis]) for path in paths])

    contestants = {
        "`transform` of files": lambda: ours.transform(paths),
        "decoding and preparing alone": decode_alone,
        "ONNX Runtime alone": runtime_alone,
        "decode a batch, then run it": loop,
        "one photo at a time": one_at_a_time,
    }
    difference = max(
        float(np.abs(ours.transform(paths) - f()).max()) for f in (runtime_alone, loop)
    )
    found = take_turns(contestants, n_rounds)
    elapsed, used = found[..., 0], found[..., 1]
    yield f"Files: {len(paths)} JPEG photos, {N_THREADS} threads, {n_rounds} rounds; per photo:"
    yield ""
    yield from table(contestants, found, len(paths))
    yield ""
    slower = np.maximum(elapsed[:, 1], elapsed[:, 2])
    yield (
        f"`transform` has {spread(slower / elapsed[:, 0])} of the speed of the slower of the two "
        f"parts alone; {spread((elapsed[:, 1] + elapsed[:, 2]) / elapsed[:, 0])} of that of their "
        f"sum, and in processors' time {spread((used[:, 1] + used[:, 2]) / used[:, 0])}. Its "
        f"features differ from those of the others by {difference:.1g} at most."
    )
    yield ""
    bare = FeatureExtractor(PRETRAINED[NETWORK].cached_file, layer=FEATURES, pooling="avg").fit(X)
    images = np.stack(
        [np.round(x.transpose(1, 2, 0) * prepare.std + prepare.mean).clip(0, 255) for x in X]
    ).astype(np.uint8)
    contestants = {
        "`transform` of prepared arrays": lambda: bare.transform(X),
        "ONNX Runtime alone": runtime_alone,
        "`transform` of images of that size, 8 bits": lambda: ours.transform(images),
    }
    found = take_turns(contestants, n_rounds)
    yield "Arrays:"
    yield ""
    yield from table(contestants, found, len(paths))
    yield ""


def peak_of(paths, n_photos):
    """Return the peak memory in MiB of a process that extracts so many photos."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(n_photos):
            path = paths[number % len(paths)]
            try:
                os.link(path, Path(folder, f"{number}.jpg"))
            except OSError:  # another file system
                Path(folder, f"{number}.jpg").symlink_to(path)
        command = [sys.executable, __file__, folder, "--peak"]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def report_peak(folder):
    paths = sorted(Path(folder).iterdir())
    prepare = replace(PRETRAINED[NETWORK].preprocessing, size=PEAK_SIZE)
    extractor = FeatureExtractor(NETWORK, preprocessing=prepare).fit()
    for _ in extractor.stream(paths):
        pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def of_store(n_samples=N_STORED, n_changed=N_CHANGED):
    """Return the times of the first and of the second extraction to a store, and what was new."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n_samples, 16, 16, 1), dtype=np.uint8)

    from penultimate.networks import build_network

    extractor = FeatureExtractor(build_network("compact", X.shape[1:], 10)).fit(X[:1])
    seconds, computed = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            start = time.perf_counter()
            store = FeatureStore(Path(folder, "store"), key=key_of(extractor))
            computed.append(extract_to_store(extractor, X, store).n_computed)
            seconds.append(time.perf_counter() - start)
            X = X[rng.permutation(n_samples)]
            X[:n_changed] = rng.integers(0, 256, (n_changed, 16, 16, 1), dtype=np.uint8)
    return seconds, computed


def unpacked(photos, folder):
    """Return the paths of the JPEG files in a folder or archive."""
    if photos.is_file():
        with tarfile.open(photos) as archive:
            archive.extractall(folder, filter="data")
        photos = Path(folder)
    return sorted(photos.rglob("*.jpg"))


def load_average():
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="Folder or archive of JPEG files.")
    parser.add_argument("--number", type=int, default=128, help="How many photos are timed.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--skip", default="", help="Parts to leave out: photos, memory, store.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        report_peak(arguments.photos)
        return
    lines = [
        f"Extraction with {NETWORK}; {N_THREADS} processors, onnxruntime "
        f"{onnxruntime.__version__}; load average before the run {load_average():.1f}.",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        paths = unpacked(arguments.photos, folder)
        if "photos" not in arguments.skip:
            chosen = paths[:: max(1, len(paths) // arguments.number)][: arguments.number]
            lines += of_photos(chosen, arguments.rounds)
        if "memory" not in arguments.skip:
            peaks = [peak_of(paths, n) for n in MANY]
            lines.append(
                f"Peak memory of a process that streams {MANY[0]:,} photos (512 x 384, prepared at "
                f"{PEAK_SIZE} x {PEAK_SIZE}): {peaks[0]:.0f} MiB; "
                f"{MANY[1]:,} photos: {peaks[1]:.0f} MiB."
            )
            lines.append("")
    if "store" not in arguments.skip:
        seconds, computed = of_store()
        lines.append(
            f'A store of {N_STORED:,} samples ("compact", 16 x 16): the first extraction takes '
            f"{seconds[0]:.1f} s; once more, shuffled and {N_CHANGED} changed ({computed[1]} "
            f"computed), {seconds[1]:.2f} s: {100 * seconds[1] / seconds[0]:.1f} %."
        )
    print("\n".join(lines))
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
