"""Large JPEG photos decoded at reduced size, as by `Preprocessing(draft=True)`, or whole.

Two kinds of photos, both from TrashNet's subset: as they are, at a network's input so small (96)
that they are decoded at half size; and made 10 times as large, to 20 megapixels, with noise as of a
camera's sensor, which are decoded at a quarter for the usual input of 320. Each is extracted twice,
reduced and whole; a support vector machine is selected and tested on both with the same folds.

Run it with: python benchmarks/draft.py PHOTOS [--out RESULTS.md] [--number 240]
PHOTOS is a folder with a folder of JPEG files per class. Needs the extra [pretrained].
"""

import argparse
import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from devanagari_tables import percent, points, table
from PIL import Image
from sklearn.metrics import pairwise_distances

from penultimate import FeatureExtractor
from penultimate._common.decoding import decode_image
from penultimate.comparison.methods import svm_rbf
from penultimate.evaluation import interval_across_splits
from penultimate.networks import PRETRAINED
from penultimate.selection.normalization import make_normalization
from penultimate.splits import split_folds

NETWORK = "efficientnet-lite0"
LAYERS = ["features", "stage_7"]
USUAL = PRETRAINED[NETWORK].preprocessing
ENLARGED, NOISE = 10, 6.0  # the noise's standard deviation, of 255
REPEATS, FOLDS, BATCH = 4, 5, 16
NOISES = np.random.default_rng(0).normal(0, NOISE, (1024, 1024, 3)).astype(np.float32)


def enlarged(path):
    """Return the contents of a JPEG file 10 times as large on each side, with noise."""
    with Image.open(path) as image:
        size = image.width * ENLARGED, image.height * ENLARGED
        pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    out = np.empty_like(pixels)
    side = len(NOISES)
    for top in range(0, len(pixels), side):
        for left in range(0, pixels.shape[1], side):
            tile = pixels[top : top + side, left : left + side]
            noisy = tile + NOISES[: tile.shape[0], : tile.shape[1]]
            out[top : top + side, left : left + side] = np.rint(noisy).clip(0, 255)
    file = io.BytesIO()
    Image.fromarray(out).save(file, "JPEG", quality=92)
    return file.getvalue()


def features_of(paths, preprocessing, make):
    """Return the features of both kinds, by layer, and the milliseconds to decode and prepare."""
    kinds = {"whole": replace(preprocessing, draft=False), "reduced": preprocessing}
    extractors = {
        kind: FeatureExtractor(NETWORK, layer=LAYERS, preprocessing=each).fit()
        for kind, each in kinds.items()
    }
    found = {kind: {layer: [] for layer in LAYERS} for kind in kinds}
    seconds = dict.fromkeys(kinds, 0.0)
    timed = 0
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), BATCH):
            contents = list(pool.map(make, paths[start : start + BATCH]))
            for kind, extractor in extractors.items():
                for layer, rows in zip(LAYERS, extractor.extract_each(contents)):
                    found[kind][layer].append(rows)
                begun = time.process_time()
                for content in contents[:2]:
                    prepare = extractor.preprocessing_
                    prepare.apply(decode_image(content, at_least=prepare.decoded_size).pixels)
                seconds[kind] += time.process_time() - begun
            timed += len(contents[:2])
            print(f"{start + len(contents)} of {len(paths)}", flush=True)
    joined = {
        kind: {layer: np.concatenate(rows) for layer, rows in by_layer.items()}
        for kind, by_layer in found.items()
    }
    return joined, {kind: 1000 * each / timed for kind, each in seconds.items()}


def accuracies(X, y):
    """Return the accuracy of a selected machine in every fold of every repeat."""
    found = []
    for seed in range(REPEATS):
        for fold in split_folds(y, n_folds=FOLDS, seed=seed):
            scaler = make_normalization("standardize").fit(X[fold.train])
            search = svm_rbf(None, 0).fit(scaler.transform(X[fold.train]), y[fold.train])
            right = search.predict(scaler.transform(X[fold.held_out])) == y[fold.held_out]
            found.append(right.mean())
    return np.array(found)


def rows_of(name, found, y):
    """Yield a row of the table per layer."""
    ratio = 1 / (FOLDS - 1)
    for layer in LAYERS:
        whole, reduced = (found[kind][layer] for kind in ("whole", "reduced"))
        apart = np.median(pairwise_distances(whole)[np.triu_indices(len(whole), 1)])
        moved = np.linalg.norm(reduced - whole, axis=1)
        scores = {kind: accuracies(found[kind][layer], y) for kind in ("whole", "reduced")}
        yield [
            name,
            layer,
            f"{100 * np.median(moved) / apart:.2g} ({100 * moved.max() / apart:.2g})",
            *(percent(interval_across_splits(each, ratio), 1) for each in scores.values()),
            points(interval_across_splits(scores["reduced"] - scores["whole"], ratio)),
        ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--number", type=int, default=240, help="How many photos are enlarged.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    paths = sorted(options.photos.rglob("*.jpg"))
    y = np.unique([path.parent.name for path in paths], return_inverse=True)[1]
    some = np.unique(np.linspace(0, len(paths) - 1, min(options.number, len(paths))).astype(int))
    small = replace(USUAL, size=96)
    rows, times = [], []
    for name, chosen, prepare, make in (
        ("512 x 384, input 96: 1/2", np.arange(len(paths)), small, Path.read_bytes),
        ("5120 x 3840, input 320: 1/4", some, USUAL, enlarged),
    ):
        found, each = features_of([paths[k] for k in chosen], prepare, make)
        rows += rows_of(name, found, y[chosen])
        times.append(f"{name}: {each['whole']:.0f} ms whole, {each['reduced']:.0f} ms reduced")
    header = ["photos", "layer", "features moved, % (most)", "whole, %", "reduced, %", "difference"]
    text = f"""# Large photos decoded at reduced size

`python benchmarks/draft.py PHOTOS --number {options.number}`: TrashNet's subset, {len(paths)} \
photos as they are and {len(some)} made {ENLARGED} times as large with noise; `{NETWORK}`, an SVM \
on standardized features, {FOLDS} folds, {REPEATS} times, the same for both. "Moved" is the median \
(and largest) distance between the features of a photo decoded reduced and whole, in % of the \
median distance between two photos. Accuracies have intervals of 95 %; differences, in points, are \
paired.

{table(header, rows)}

Processor's time to decode and prepare one photo: {"; ".join(times)}.

Selection cannot tell the two apart, so `Preprocessing(draft=True)` is the default.
"""
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
