"""Measure how seldom a watched model raises a false alarm, and how soon it notices a change.

Three sets: digits (MNIST) and Devanagari characters (NHCD) by networks that are trained here, and
waste (TrashNet's subset) by a pretrained network. Each head is saved as a bundle, whose graph gives
the scores of clean and of changed samples. Streams are drawn of these, each with a calibration set
of its own, and an `ExchangeabilityMonitor` is shown them. Run it with:

    python benchmarks/shelf_life.py --data ../shared/data --cache /tmp/features
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from devanagari_tables import table

from penultimate import SVC, FeatureExtractor, Training, load, save
from penultimate.bundle.watching_part import watched_scores
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.datasets import load as load_dataset
from penultimate.evaluation import ExchangeabilityMonitor, wilson_interval
from penultimate.networks import PRETRAINED, build_network, train

PRETRAINED_NAME = "efficientnet-lite0"
LEVEL = 0.01
N_CHANGED = 100  # streams
WITHIN = 500  # images in which a change is to be noticed
HEADS = {"RBF": SVC(C=10), "linear": SVC(kernel="linear", C=0.1)}


def cached(file, compute):
    """Return arrays from a file, which is written first if there is none."""
    if not file.exists():
        np.savez(file, **compute())
    return dict(np.load(file))


def trained(X, y, epochs):
    """Return a function from images to features of a network trained on X and y."""
    codes = np.unique(y, return_inverse=True)[1]
    model = build_network("compact", X.shape[1:], int(codes.max()) + 1)
    train(model, X, codes, None, Training(epochs=epochs))
    return FeatureExtractor(model).fit(X[:2]).transform


def blurred(images, width):
    """Return images after a Gaussian blur whose deviation is `width` pixels."""
    found = np.stack([cv2.GaussianBlur(image, (0, 0), width) for image in images])
    return found.reshape(images.shape)


def digits(data):
    """4,000 training images; test images clean, blurred and inverted."""
    images = load_dataset(data / "mnist.tar")
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.flatnonzero(~images.is_test))[:4000]
    test = images.images[images.is_test]
    features = trained(images.images[rows], images.labels[rows], 8)
    return {
        "train": features(images.images[rows]),
        "y": images.labels[rows],
        "clean": features(test),
        "blurred by 1 of 28 pixels": features(blurred(test[:3000], 1.0)),
        "inverted": features(255 - test[:3000]),
    }


def characters(data):
    """Six tenths of the writers: part for training, part clean; the others are other writers."""
    images = load_dataset(data / "nhcd.tar.gz", subsets=True)
    writers = np.array([Path(file).name.split("_")[0] for file in images.files])
    rng = np.random.default_rng(1)
    order = rng.permutation(np.unique(writers))
    own = np.isin(writers, order[: len(order) * 6 // 10])
    rows = rng.permutation(np.flatnonzero(own))
    seen, held_out = np.split(rows, [len(rows) * 6 // 10])
    features = trained(images.images[seen], images.labels[seen], 6)
    return {
        "train": features(images.images[seen]),
        "y": images.labels[seen],
        "clean": features(images.images[held_out]),
        "other writers": features(images.images[~own]),
    }


def photographs(data):
    """Half of the photographs for training; the others clean and blurred."""
    images = load_dataset(data / "trashnet.tar")
    rows = np.random.default_rng(0).permutation(len(images.labels))
    seen, held_out = np.split(rows, [len(rows) // 2])
    prepare = replace(PRETRAINED[PRETRAINED_NAME].preprocessing, draft=False)
    extractor = FeatureExtractor(PRETRAINED_NAME, layer=["stage_7"], preprocessing=prepare)
    features = extractor.fit(images.images[:2]).transform
    width = images.images.shape[2] / 100
    return {
        "train": features(images.images[seen]),
        "y": images.labels[seen],
        "clean": features(images.images[held_out]),
        "blurred by 1 % of the width": features(blurred(images.images[held_out], width)),
    }


SETS = {  # and calibration samples, and length of clean streams
    "MNIST": (digits, 500, 2000),
    "NHCD": (characters, 400, 1000),
    "TrashNet": (photographs, 77, 160),
}


def scored(given, head):
    """Return the scores of every kind of samples, as a bundle gives them."""
    model = FeatureClassifier(head, random_state=0).fit(given["train"], given["y"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.zip")
        save(model, path, given["clean"][:100], held_out=(given["clean"], None))
        predictor = load(path)
    names = predictor.manifest.watch["scores"]
    kinds = [kind for kind in given if kind not in ("train", "y")]
    return names, {kind: watched_scores(predictor.predict_all(given[kind]), names)
                   for kind in kinds}  # fmt: skip


def shown(calibration, *parts, seed):
    """Return at which sample of the last part there is an alarm, infinity if at none."""
    monitor = ExchangeabilityMonitor(LEVEL, random_state=seed).fit(calibration)
    before = sum(map(len, parts[:-1]))
    monitor.update(np.concatenate(parts))
    return np.inf if monitor.alarmed_at_ is None else monitor.alarmed_at_ - before


def clean_streams(scores, n_calibration, length, n_streams):
    """Return the number of clean streams with an alarm."""
    n_alarms = 0
    for seed in range(n_streams):
        rows = np.random.default_rng(seed).permutation(len(scores))
        calibration, stream = np.split(rows, [n_calibration])
        n_alarms += np.isfinite(shown(scores[calibration], scores[stream[:length]], seed=seed))
    return int(n_alarms)


def changed_streams(clean, changed, n_calibration, n_before, n_streams):
    """Return after how many changed samples there is an alarm, per stream."""
    found = []
    for seed in range(n_streams):
        rng = np.random.default_rng(10_000 + seed)
        calibration, rest = np.split(rng.permutation(len(clean)), [n_calibration])
        late = changed[rng.permutation(len(changed))[:WITHIN]]
        found.append(shown(clean[calibration], clean[rest[:n_before]], late, seed=seed))
    return np.array(found)


def alarm_row(name, head, n_calibration, length, n_alarms, n_streams):
    found = wilson_interval(n_alarms, n_streams)
    interval = f"{100 * found.low:.2f} to {100 * found.high:.2f} %"
    return [name, head, str(n_calibration), f"{length:,}", f"{n_alarms} of {n_streams}", interval]


def change_row(name, head, kind, n_before, found):
    noticed = np.isfinite(found) & (found > 0)
    median, late = np.quantile(np.where(noticed, found, np.inf), [0.5, 0.95], method="higher")
    words = [f"{each:.0f}" if np.isfinite(each) else f"over {WITHIN}" for each in (median, late)]
    share = f"{100 * noticed.mean():.0f} %"
    return [name, head, kind, f"{n_before:,}", *words, share]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/shelf_life.md")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    alarms, changes, by_head = [], [], []
    for name in options.sets:
        make, n_calibration, length = SETS[name]
        start = time.perf_counter()
        file = options.cache / f"shelf_life_{name.lower()}.npz"
        given = cached(file, lambda make=make: make(options.data))
        for head, machine in HEADS.items():
            names, scores = scored(given, machine)
            by_head.append([name, head, " and ".join(names)])
            clean = scores.pop("clean")
            n_alarms = clean_streams(clean, n_calibration, length, options.streams)
            alarms.append(alarm_row(name, head, n_calibration, length, n_alarms, options.streams))
            print(alarms[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
            for kind, changed in scores.items():
                for n_before in (0, 1000) if length >= 1000 else (0,):
                    found = changed_streams(clean, changed, n_calibration, n_before, N_CHANGED)
                    changes.append(change_row(name, head, kind, n_before, found))
                    print(changes[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
    options.out.write_text(report(alarms, changes, by_head), encoding="utf-8")


def report(alarms, changes, by_head):
    columns = ["set", "head", "calibration", "length", "streams with an alarm", "95 % interval"]
    found = ["set", "head", "change", "clean before", "median", "95 %", f"within {WITHIN}"]
    return f"""# Shelf life: false alarms, and how soon a change is noticed

Made by `python benchmarks/shelf_life.py --data ../shared/data --cache /tmp/features`.

## Protocol

Features of `compact`, trained on 4,000 MNIST images and on 6 tenths of the NHCD characters by 6 \
tenths of its writers; of TrashNet, those of `{PRETRAINED_NAME}` (half of 480 photographs are for \
training). On them an SVM, RBF with C = 10 or linear with C = .1, saved as a bundle. Its graph \
gives the scores of test samples, clean and changed. A stream is a draw of these without \
replacement, and so is its calibration set, from the clean ones: streams overlap, so they are not \
independent of each other. Alarm level {LEVEL:.0%}.

What was looked at before: bets, scores and constants were chosen on 10,000 other MNIST images, \
and on another division of the writers of NHCD, whose characters are partly the same. TrashNet, \
and the test images of MNIST, were first used for this table.

Scores by which they are watched:

{table(["set", "head", "scores"], by_head)}

## Clean streams

{table(columns, alarms)}

## Changes

Samples after the change until there is an alarm, over {N_CHANGED} streams; "clean before" is \
how many clean ones came first. A stream that had an alarm before counts as not noticed.

{table(found, changes)}
"""


if __name__ == "__main__":
    main()
