"""The exact grid search compared with those of scikit-learn and scikit-learn-intelex, in turns.

The task is that of the original code: GridSearchCV(SVC(), {"kernel": ["rbf"], "C": [1, 10, 100,
1000], "gamma": [1e-3, 1e-4]}), five folds, refit included; then in a pipeline that standardizes
first, and with one held-out split instead of five folds. Scikit-learn runs one warm process per
core, scikit-learn-intelex the better of its own threads and of such processes. Then single fits
with default parameters, predictions, and dual objectives at tol=1e-6. All sides of a row take
turns, with the same data in the same memory.

Run it with: python benchmarks/svm_search.py --data FEATURES [--sizes 5000 20000] [--rounds 3]
FEATURES is a folder with ``mnist_cnn128.npz`` (easy) and ``cifar_cnn128.npz`` (hard), each with the
arrays X_train, y_train and X_test. Wider features are the same ones, embedded isometrically.
Prints Markdown tables; ``--out`` saves them.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from sklearn import svm
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penultimate import SVC, SVCSearchCV
from penultimate.svm import _native

try:
    from sklearnex import svm as intel_svm
except ImportError:
    intel_svm = None

GRID = {"kernel": ["rbf"], "C": [1, 10, 100, 1000], "gamma": [1e-3, 1e-4]}
NAMES = {"mnist": "easy", "cifar": "hard"}
CORES = os.cpu_count()
HELD_OUT = StratifiedShuffleSplit(1, test_size=0.2, random_state=0)


def embed(X, width):
    """Embed features isometrically in the width of a larger backbone."""
    if width == X.shape[1]:
        return X
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(width, X.shape[1])))
    return np.ascontiguousarray(X @ basis.T.astype(X.dtype))


class Side:
    """One of the competitors that take turns: its times, last result and peak memory."""

    def __init__(self, name, make, variant=""):
        self.name, self.make, self.variant = name, make, variant
        self.seconds, self.peaks = [], []

    def run(self, job):
        before, kept = _forget_peaks(), _native.VARIANT
        _native.VARIANT = self.variant
        start = time.perf_counter()
        self.result = job(self.make())
        self.seconds.append(time.perf_counter() - start)
        _native.VARIANT = kept
        self.peaks.append(_memory("VmHWM") - before)


def _processes():
    """Return the process ids of the benchmark and its workers."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    return [str(os.getpid()), *(children.read_text().split() if children.exists() else [])]


def _memory(field):
    """Return the sum of a field of /proc/PID/status over all processes, in bytes."""
    total = 0
    for process in _processes():
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                total += int(line.split()[1]) * 1024
    return total


def _forget_peaks():
    for process in _processes():
        Path(f"/proc/{process}/clear_refs").write_text("5")
    return _memory("VmRSS")


def take_turns(sides, job, rounds):
    for _ in range(rounds):
        for side in sides:
            side.run(job)


def ratios(theirs, ours):
    """Return the ratio of times per round: median, minimum and maximum."""
    of_rounds = np.array(theirs.seconds) / np.array(ours.seconds)
    return f"{np.median(of_rounds):.1f} ({of_rounds.min():.1f} to {of_rounds.max():.1f})"


def seconds(side):
    return f"{np.median(side.seconds):.3f}"


def search_row(label, X, y, cv, rounds, with_intel, in_pipeline=False):
    """Time both searches; in a pipeline each has a scaler that is fitted on every fold."""
    complete, grid = (lambda classifier: classifier), GRID
    if in_pipeline:
        complete = lambda classifier: make_pipeline(StandardScaler(), classifier)  # noqa: E731
        grid = {f"svc__{name}": values for name, values in GRID.items()}
    ours = Side("this", lambda: SVCSearchCV(complete(SVC()), grid, cv=cv))
    slower = Side("this, AVX2", ours.make, "avx2")
    theirs = Side(
        "scikit-learn", lambda: GridSearchCV(complete(svm.SVC()), grid, cv=cv, n_jobs=CORES)
    )
    sides = [theirs, ours, slower]
    intel = []
    if with_intel and intel_svm is not None:
        for n_jobs in (1, CORES):
            make = lambda n=n_jobs: GridSearchCV(intel_svm.SVC(), GRID, cv=cv, n_jobs=n)  # noqa: E731
            intel.append(Side(f"intelex, {n_jobs}", make))
    take_turns([*sides, *intel], lambda search: search.fit(X, y), rounds)
    best = min(intel, key=lambda side: np.median(side.seconds), default=None)
    scores = [side.result.cv_results_["mean_test_score"] for side in (ours, theirs)]
    assert ours.result.solver_ == "joint", ours.result.solver_
    best_svc = ours.result.best_estimator_[-1] if in_pipeline else ours.result.best_estimator_
    converged = set(best_svc.status_) == {"converged"}
    return [
        label,
        seconds(theirs),
        seconds(best) if best else "",
        seconds(ours),
        ratios(theirs, ours),
        ratios(best, ours) if best else "",
        ratios(theirs, slower) if "avx2" in _native.core.variants() else "",
        "yes" if ours.result.best_params_ == theirs.result.best_params_ else "no",
        f"{np.abs(scores[0] - scores[1]).max():.4f}",
        "yes" if converged else "no",
        f"{max(ours.peaks) / 2**20:.0f} / {max(theirs.peaks) / 2**20:.0f}",
    ]


def fit_rows(label, X, y, X_test, rounds):
    """Time single fits with default parameters, and predictions of many rows with them."""
    makers = {"scikit-learn": svm.SVC, "this": SVC}
    if intel_svm is not None:
        makers["intelex"] = intel_svm.SVC
    fits = [Side(name, make) for name, make in makers.items()]
    predictions = [Side(name, make) for name, make in makers.items()]
    for fit, predict in zip(fits, predictions):
        fitted = clone(fit.make()).fit(X, y)
        predict.make = lambda fitted=fitted: fitted
    take_turns(fits, lambda model: model.fit(X, y), rounds)
    take_turns(predictions, lambda model: model.predict(X_test), rounds)
    for what, sides in (("fit", fits), (f"predict {len(X_test)}, fitted on", predictions)):
        theirs, ours, *others = sides
        row = [f"{what} {label}", seconds(theirs), *map(seconds, others), seconds(ours)]
        yield [*row, ratios(theirs, ours), *(ratios(other, ours) for other in others)]


def objective_row(label, X, y):
    """Compare the dual objectives of all pairs at tol=1e-6 with scikit-learn's."""
    worst, gap = 0.0, 0.0
    for C, gamma in [(1, 1e-3), (1000, 1e-4)]:
        models = [make(C=C, gamma=gamma, tol=1e-6).fit(X, y) for make in (SVC, svm.SVC)]
        ours, theirs = (dual_objectives(model, X) for model in models)
        worst = max(worst, float(np.max((ours - theirs) / np.abs(theirs))))
        gap = max(gap, float(models[0].optimality_gap_.max()))
    return [label, f"{worst:.1e}", f"{gap:.1e}"]


def dual_objectives(model, X):
    """Return the dual objective of each pair, to be minimized: 1/2 b'Kb - |b|'1."""
    starts = np.concatenate([[0], np.cumsum(model.n_support_)])
    vectors = X[model.support_].astype(np.float64)
    vectors -= X.mean(axis=0, dtype=np.float64)
    norms = np.einsum("ij,ij->i", vectors, vectors)
    gamma = model.gamma
    values = []
    for i in range(len(model.classes_)):
        for j in range(i + 1, len(model.classes_)):
            rows = np.r_[starts[i] : starts[i + 1], starts[j] : starts[j + 1]]
            b = np.r_[
                model.dual_coef_[j - 1, starts[i] : starts[i + 1]],
                model.dual_coef_[i, starts[j] : starts[j + 1]],
            ]
            rows, b = rows[b != 0], b[b != 0]
            Z, z = vectors[rows], norms[rows]
            K = np.exp(-gamma * np.maximum(z[:, None] + z - 2 * Z @ Z.T, 0))
            values.append(0.5 * b @ K @ b - np.abs(b).sum())
    return np.array(values)


class Report:
    """Lines of Markdown, printed as they are added."""

    def __init__(self):
        self.lines = []

    def add(self, *cells):
        self.say("| " + " | ".join(str(cell) for cell in cells) + " |")

    def begin(self, *headings):
        self.say("")
        self.add(*headings)
        self.say("| --- " * len(headings) + "|")

    def say(self, line):
        self.lines.append(line)
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000, 20000])
    parser.add_argument("--widths", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    loaded = {}
    for name, label in NAMES.items():
        with np.load(arguments.data / f"{name}_cnn128.npz") as data:
            loaded[label] = data["X_train"], data["y_train"], data["X_test"]
    warm = loaded["easy"][0][:300], loaded["easy"][1][:300]
    GridSearchCV(svm.SVC(), {"C": [1, 2]}, n_jobs=CORES).fit(*warm)
    report, rounds, smallest = Report(), arguments.rounds, min(arguments.sizes)
    report.say(
        f"{CORES} cores, {_native.core.variants()[0]}. Seconds are medians of {rounds} rounds, in "
        "turns (one round above 10,000 samples); ratios are per round: median (minimum to "
        "maximum). "
        "Memory is the increase over that of the processes before, including workers; 0 if freed "
        "memory was reused."
    )
    cold = Side("this, cold", lambda: SVCSearchCV(param_grid=GRID))
    X, y, _ = loaded["hard"]
    cold.run(lambda search: search.fit(X[:smallest], y[:smallest]))
    report.say("")
    report.say(
        f"This library in a fresh process, hard {smallest} x {X.shape[1]}: {seconds(cold)} s."
    )
    report.begin(
        "grid search", "scikit-learn", "intelex", "this", "ratio", "vs intelex", "ratio, AVX2 only",
        "same best", "largest score difference", "converged", "peak MiB, this / scikit-learn",
    )  # fmt: skip
    for label, (X, y, _) in loaded.items():
        jobs = [(n, X.shape[1], None, False) for n in arguments.sizes]
        jobs += [(smallest, width, None, False) for width in arguments.widths]
        jobs += [(smallest, width, None, True) for width in arguments.widths]
        jobs.append((smallest, X.shape[1], HELD_OUT, False))
        for n, width, cv, in_pipeline in jobs:
            name = f"{label} {n} x {width}" + ("" if cv is None else ", one held-out split")
            name += ", in a pipeline" if in_pipeline else ""
            few = 1 if n > 10_000 else rounds
            with_intel = n <= 10_000 and width == X.shape[1] and not in_pipeline
            samples = embed(X[:n], width)
            report.add(*search_row(name, samples, y[:n], cv, few, with_intel, in_pipeline))
    peers = ["scikit-learn"] + (["intelex"] if intel_svm is not None else [])
    report.begin("one fit, or prediction", *peers, "this", *(f"vs {peer}" for peer in peers))
    for label, (X, y, X_test) in loaded.items():
        for n in sorted({1000, *arguments.sizes}):
            for row in fit_rows(f"{label} {n}", X[:n], y[:n], X_test, rounds):
                report.add(*row)
    report.begin("tol=1e-6", "dual objective above scikit-learn's, relative", "largest gap")
    for label, (X, y, _) in loaded.items():
        for width in (X.shape[1], max(arguments.widths)):
            name = f"{label} {smallest} x {width}"
            report.add(*objective_row(name, embed(X[:smallest], width), y[:smallest]))
    if arguments.out:
        arguments.out.write_text("\n".join(report.lines) + "\n")


if __name__ == "__main__":
    main()
