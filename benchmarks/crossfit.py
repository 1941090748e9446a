"""Cost of cross-fitting compared with the training of one network, in turns.

On the development part of the demo's digits. One network is trained on all of it; then `DeepSVC`
with selection="crossfit" trains five networks on four fifths each and one on everything, extracts
features, searches C and gamma for every fold during the next training run, and refits. Run it with:

    python benchmarks/crossfit.py
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from devanagari_tables import table

from penultimate import DeepSVC, Training
from penultimate.datasets import load_mnist_5k
from penultimate.networks import fit_network
from penultimate.splits import split_test


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/crossfit.md"))
    options = parser.parse_args()
    digits = load_mnist_5k()
    part = split_test(digits.labels).train
    X, y = digits.images[part], digits.labels[part]
    training = Training(options.epochs)
    fit_network("compact", X, y, Training(1))  # warm up whatever happens once per process
    rows = []
    for seed in range(options.rounds):
        start = time.perf_counter()
        fit_network("compact", X, y, training, seed=seed)
        middle = time.perf_counter()
        model = DeepSVC(selection="crossfit", training=training, random_state=seed).fit(X, y)
        one, all_of_it = middle - start, time.perf_counter() - middle
        score = f"{100 * model.best_score_:.2f}"
        rows.append([f"{one:.1f}", f"{all_of_it:.1f}", f"{all_of_it / one:.2f}", score])
        print(*rows[-1], flush=True)
    head = ["one network, s", "cross-fitting, s", "ratio", "selection score, %"]
    options.out.write_text(
        f"""# Cost of cross-fitting

`python benchmarks/crossfit.py --rounds {options.rounds} --epochs {options.epochs}`: five folds of \
{len(y):,} digits, "compact", two cores. Five networks are trained on four fifths of the samples \
each and one on all of them, so the cost is at least that of five training runs. Both are warm: \
the backend has been loaded, but every network is compiled again.

{table(head, rows)}
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
