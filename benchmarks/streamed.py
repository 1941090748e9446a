"""StreamedSVC on a memory-mapped file: time, passes, peak memory, and the objective it reaches.

The features are drawn into a file of float32 values, in ten classes that overlap. Each fit runs in
a new process, whose peak of resident memory is read from the operating system; the pages of the
file that it has mapped are part of it. On as many samples as scikit-learn's LinearSVC takes in
reasonable time, the objective is compared with the one that it reaches at tol=1e-6. Run it with:

    python benchmarks/streamed.py
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from devanagari_tables import table

N_FEATURES, N_CLASSES, N_EXACT = 128, 10, 20_000
MACHINES = {
    "linear": {},
    "1,024 random features": {"kernel": "rbf", "n_components": 1024, "random_state": 0},
}


def write(folder, n_samples):
    """Write features and labels into files, a block at a time."""
    rng = np.random.default_rng(0)
    centers = 0.35 * rng.normal(size=(N_CLASSES, N_FEATURES))
    mixing = np.eye(N_FEATURES) + rng.normal(size=(N_FEATURES, N_FEATURES)) / np.sqrt(N_FEATURES)
    shape = n_samples, N_FEATURES
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, shape)
    y = rng.integers(0, N_CLASSES, n_samples)
    for start in range(0, n_samples, 10_000):
        labels = y[start : start + 10_000]
        X[start : start + 10_000] = (
            centers[labels] + rng.normal(size=(len(labels), N_FEATURES))
        ) @ mixing
    X.flush()
    np.save(folder / "y.npy", y)


def fit(folder, n_samples, params, compare):
    """Fit once, in this process; return what was measured."""
    from penultimate import StreamedSVC

    X = np.load(folder / "X.npy", mmap_mode="r")[:n_samples]
    y = np.load(folder / "y.npy")[:n_samples]
    start = time.perf_counter()
    machine = StreamedSVC(**params).fit(X, y)
    found = {
        "seconds": time.perf_counter() - start,
        "processor": time.process_time(),
        "peak": peak_memory(),
        "passes": machine.n_passes_,
        "gap": float(machine.duality_gap_.max()),
    }
    if compare:
        found["above"] = float((machine.objective_ / exact(machine, X, y) - 1).max())
    return found


def peak_memory():
    """Return the most MiB that this process has had resident, on Linux."""
    # `ru_maxrss` would begin with what the parent had: it is kept when a process is started.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 2**10


def exact(machine, X, y):
    """Return the objectives that LinearSVC reaches on the same features, class by class."""
    from sklearn.kernel_approximation import RBFSampler
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    Z = StandardScaler().fit_transform(X)
    if machine.kernel == "rbf":
        Z = RBFSampler(
            gamma=1 / X.shape[1], n_components=machine.n_components, random_state=0
        ).fit_transform(Z)
    best = LinearSVC(C=machine.C, dual=False, tol=1e-6, max_iter=10_000).fit(Z, y)
    signs = np.where(y[:, None] == best.classes_, 1, -1)
    slacks = np.maximum(0, 1 - signs * (Z @ best.coef_.T + best.intercept_))
    norms = (best.coef_**2).sum(axis=1) + best.intercept_**2
    return norms / 2 + machine.C * (slacks**2).sum(axis=0)


def elsewhere(folder, *arguments):
    """Call `fit` in a new process."""
    command = [sys.executable, __file__, "--only", json.dumps([str(folder), *arguments])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/streamed.md"))
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        folder, *arguments = json.loads(options.only)
        print(json.dumps(fit(Path(folder), *arguments)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, options.samples)
        for n_samples in (N_EXACT, options.samples):
            for machine, params in MACHINES.items():
                found = elsewhere(folder, n_samples, params, n_samples == N_EXACT)
                above = f"{100 * found['above']:.4f} %" if "above" in found else ""
                rows.append(
                    [machine, f"{n_samples:,}", f"{found['seconds']:.0f}",
                     f"{found['processor']:.0f}", found["passes"], f"{found['peak']:,.0f}",
                     f"{100 * found['gap']:.4f} %", above]
                )  # fmt: skip
                print(*rows[-1], flush=True)
    header = [
        "features of the machine", "samples", "s", "processor s", "passes", "peak, MiB",
        "above the optimum, at most", "above LinearSVC",
    ]  # fmt: skip
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    size = options.samples * N_FEATURES * 4 / 2**20
    names = "penultimate", "scikit-learn", "numpy", "scipy"
    text = f"""# StreamedSVC on a memory-mapped file

Made by `python benchmarks/streamed.py --samples {options.samples}`; {os.cpu_count()} cores, with \
a load of {load:.1f} at the end, {platform.machine()}, Python {platform.python_version()}, \
{", ".join(f"{name} {version(name)}" for name in names)}.

{N_CLASSES} classes, {N_FEATURES} features in float32 ({size:,.0f} MiB for {options.samples:,} \
samples), C = 1, tol = 1e-4, and otherwise the defaults. The peak is the \
resident memory of the process, including all libraries and the pages of the file that are \
mapped. The last column but one is `duality_gap_`, the last one the difference from the \
objective of scikit-learn's LinearSVC (dual=False, tol=1e-6) on the same features, in float64; \
both for the worst class.

{table(header, rows)}
"""
    options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
