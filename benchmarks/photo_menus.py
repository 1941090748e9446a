"""Which layers, normalizations and views to select among by default, asked of development parts.

Of TrashNet's 480 photographs a test part is drawn five times, as `penultimate compare --splits 5`
does, and laid aside: what is done with the rest does not see it. Each development part is divided
into five folds. On four of them every pair of layer and normalization is scored by
cross-validation, with C and gamma; a menu takes the best of its pairs, which is then scored on the
fifth. So menus of any length are compared without the optimism of the longer one. Run it with:

    python benchmarks/photo_menus.py PHOTOS
"""

import argparse
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
from devanagari_tables import percent, points, table
from PIL import Image

from penultimate import FeatureExtractor, SVCSearchCV
from penultimate.evaluation import interval_across_splits
from penultimate.selection.normalization import NORMALIZATIONS, make_normalization
from penultimate.splits import split_folds, split_test

NETWORK = "efficientnet-lite0"
SINGLE = ["features", "stage_7", "stage_6", "stage_5"]
LAYERS = (
    *SINGLE[:3],
    "features + stage_7",
    "stage_7 + stage_6",
    "features + stage_7 + stage_6",
    "stage_7 + stage_6 + stage_5",
)
VIEWS = ("plain", "mirror")
SPLITS, FOLDS = 5, 5
LAST, BEFORE, BOTH = "features", "stage_7", "features + stage_7"
UNIT = ("standardize", "l2")
DEFAULT = (("plain",), (LAST, BEFORE), UNIT)
# Views, layers and normalizations to select among; the first is that of the command line.
MENUS = {
    "last layer and block before; standardize, l2 (the default)": DEFAULT,
    "the same of the mirror average": (("mirror",), (LAST, BEFORE), UNIT),
    "the same, and whether to average mirror images": (VIEWS, (LAST, BEFORE), UNIT),
    "the same with sqrt-l2": (("plain",), (LAST, BEFORE), NORMALIZATIONS[:3]),
    "the same with sqrt-l2 and none": (("plain",), (LAST, BEFORE), NORMALIZATIONS),
    "both layers, and their concatenation": (("plain",), (LAST, BEFORE, BOTH), UNIT),
    "the concatenation of both alone": (("plain",), (BOTH,), UNIT),
    "last layer; stage_7 + stage_6": (("plain",), (LAST, "stage_7 + stage_6"), UNIT),
    "features + stage_7 + stage_6; three normalizations": (
        ("plain",),
        ("features + stage_7 + stage_6",),
        NORMALIZATIONS[:3],
    ),
    "stage_7 + stage_6 + stage_5; three normalizations": (
        ("plain",),
        ("stage_7 + stage_6 + stage_5",),
        NORMALIZATIONS[:3],
    ),
    "everything above": (("plain",), LAYERS, NORMALIZATIONS),
    "everything, of the mirror average": (("mirror",), LAYERS, NORMALIZATIONS),
}


def extract(paths):
    """Return the features of each view and layer."""
    extractor = FeatureExtractor(NETWORK, layer=SINGLE).fit()
    plain = dict(zip(SINGLE, extractor.extract_each(paths)))
    images = [np.asarray(Image.open(path).convert("RGB"))[:, ::-1] for path in paths]
    mirrored = dict(zip(SINGLE, extractor.extract_each(images)))
    average = {layer: (plain[layer] + mirrored[layer]) / 2 for layer in SINGLE}
    return {"plain": plain, "mirror": average}


def run(features, y):
    """Return, by fold and configuration, the selection score, the accuracy and the best C."""
    found = {}
    for seed in range(SPLITS):
        development = split_test(y, test_size=0.2, seed=seed).train
        of_part = y[development]
        for number, fold in enumerate(split_folds(of_part, n_folds=FOLDS, seed=100 + seed)):
            inner = split_folds(of_part[fold.train], n_folds=5, seed=1)
            cv = [(each.train, each.held_out) for each in inner]
            for view, layers, name in itertools.product(VIEWS, LAYERS, NORMALIZATIONS):
                X = np.hstack([features[view][each] for each in layers.split(" + ")])[development]
                scaler = make_normalization(name).fit(X[fold.train])
                search = SVCSearchCV(cv=cv).fit(
                    scaler.transform(X[fold.train]), of_part[fold.train]
                )
                right = search.predict(scaler.transform(X[fold.held_out])) == of_part[fold.held_out]
                result = search.best_score_, right.mean(), search.best_params_["C"]
                found[seed, number, view, layers, name] = result
            print(f"development part {seed}, fold {number}", flush=True)
    return found


def rows_of(found):
    """Yield a row of the table per menu."""
    folds = list(dict.fromkeys(key[:2] for key in found))
    first = None
    for words, menu in MENUS.items():
        chosen = [
            max((found[(*fold, *each)] for each in itertools.product(*menu)), key=lambda r: r[0])
            for fold in folds
        ]
        accuracy = np.array([each[1] for each in chosen])
        first = accuracy if first is None else first
        interval = percent(interval_across_splits(accuracy, 1 / (FOLDS - 1)), 1)
        difference = ""
        if words != next(iter(MENUS)):
            difference = points(interval_across_splits(accuracy - first, 1 / (FOLDS - 1)))
        yield [words, interval, difference]


def report(found):
    """Return the results as Markdown."""
    values = Counter(C for *_, C in found.values())
    chosen = "; ".join(f"{C:g}: {count}" for C, count in sorted(values.items()))
    header = ["menu", "held-out accuracy, %", "difference from the first, points"]
    return f"""# What to select among by default

`python benchmarks/photo_menus.py PHOTOS`: development parts of {SPLITS} splits of 480 photos, \
each divided into {FOLDS} folds; none sees the test part of its split. `{NETWORK}`, an SVM with an \
RBF kernel. A menu takes the pair of layer and normalization (and the view) with the best score in \
cross-validation on four folds, and is scored on the fifth. There are {len(MENUS)} menus.

{table(header, rows_of(found))}

No menu is shown to be better than the default one, and the longest are worse if anything, so it \
stays. The mirror average takes twice as long and is no better, so it stays an option \
(`mirror=True`, `--mirror`) that nothing selects by itself. The grid suffices, too: C was selected \
from 1, 3, 10 and 30, over all folds and configurations ({chosen}).
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="Folder with a folder of photos per class.")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/photo_menus.md"))
    options = parser.parse_args()
    paths = sorted(options.photos.rglob("*.jpg"))
    y = np.unique([path.parent.name for path in paths], return_inverse=True)[1]
    options.out.write_text(report(run(extract(paths), y)), encoding="utf-8")


if __name__ == "__main__":
    main()
