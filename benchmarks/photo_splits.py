"""How much the drawing of the test part decides about the accuracy on 480 photographs.

What `penultimate compare PHOTOS --network efficientnet-lite0 --splits N` does for its RBF machine,
on many splits: layer, normalization, C and gamma are selected by five folds within each development
part, and the test part is scored once. Run it with:

    python benchmarks/photo_splits.py PHOTOS
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from devanagari_tables import percent, table

from penultimate import FeatureExtractor, SVCSearchCV
from penultimate.datasets import load
from penultimate.evaluation import interval_across_splits
from penultimate.networks import PRETRAINED
from penultimate.selection.heldout import fit_layers
from penultimate.selection.normalization import choices
from penultimate.splits import split_folds, split_test

NETWORK = "efficientnet-lite0"
RATIO = 1 / 4  # test samples per development sample


def score(features, y, train, test):
    """Return the accuracy on the test part, the selection score, and what was selected."""
    of_part = {layer: values[train] for layer, values in features.items()}
    fitted = fit_layers(
        SVCSearchCV(),
        of_part,
        y[train],
        split_folds(y[train], seed=0),
        preprocessing=choices(features, ["standardize", "l2"]),
    )
    right = fitted.pipeline.predict(features[fitted.layer][test]) == y[test]
    best = max(fitted.selection_scores.values())
    return right.mean(), best, f"{fitted.layer}, {fitted.normalization}"


def row(words, found):
    """Return a row of the table for some splits."""
    accuracy, selection, _ = zip(*found)
    spread = f"{100 * np.std(accuracy, ddof=1):.1f}"
    interval = percent(interval_across_splits(np.array(accuracy), RATIO), 1)
    return [words, len(found), interval, spread, f"{100 * np.mean(selection):.1f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="Folder with a folder of photos per class.")
    parser.add_argument("--splits", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=10, help="Of five folds.")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/photo_splits.md"))
    options = parser.parse_args()
    data = load(options.photos)
    y, layers = data.labels, list(PRETRAINED[NETWORK].layers)
    extractor = FeatureExtractor(NETWORK, layer=layers).fit()
    features = dict(zip(layers, extractor.extract_each(np.array(data.sources, object))))
    drawn = [split_test(y, seed=seed) for seed in range(options.splits)]
    folds = [fold for seed in range(options.repeats) for fold in split_folds(y, seed=seed)]
    random, folded = (
        [score(features, y, each.train, each.held_out) for each in splits]
        for splits in (drawn, folds)
    )
    rows = [
        row("drawn at random, the first 5 (`--splits 5`)", random[:5]),
        row("drawn at random, the first 10 (`--splits 10`)", random[:10]),
        row("drawn at random, the others", random[10:]),
        row(f"five folds, {options.repeats} times", folded),
    ]
    header = [
        "test parts",
        "splits",
        "accuracy, %",
        "standard deviation between splits, points",
        "selection score within development, %",
    ]
    often = Counter(words for *_, words in random + folded).most_common()
    selected = "; ".join(f"{words} ({count})" for words, count in often)
    options.out.write_text(
        f"""# How much the split decides

`python benchmarks/photo_splits.py PHOTOS`: {len(y)} photographs of six classes, `{NETWORK}`, an \
SVM with an RBF kernel. {len(drawn[0].train)} photographs are in each development part and \
{len(drawn[0].held_out)} in each test part; after the selection the machine is fitted on all of \
development. Intervals of 95 % are Nadeau and Bengio's.

{table(header, rows)}

Selected: {selected}.

The procedure is the same in all rows, and was chosen by none of them; that the network is fed 320 \
x 320 pixels was decided with these photographs (photos.md). Every photograph is in many test \
parts, so the rows are estimates of one figure, not fresh test sets. Few splits miss it by a \
point or two, either way.
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
