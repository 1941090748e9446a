"""Shared code of the paper replications: single-threaded workers, budget, paired tests, verdict.

A paper's network is trained with a softmax and with an L2-SVM on top, from the same weights and on
the same batches. Each training run is a single-threaded process, because small networks make poor
use of a second thread; all cores train in parallel. The scores of each network on the test set are
written to the folder --keep as soon as they exist, so that an interrupted run can be resumed.
"""

import argparse
import json
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from math import ceil
from multiprocessing import get_context, parent_process
from pathlib import Path
from tempfile import mkdtemp
from threading import Thread

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from devanagari_tables import percent, points, table
from scipy.stats import binomtest

from penultimate.datasets import Dataset, load
from penultimate.evaluation import (
    Interval,
    accuracy_interval,
    compare_accuracies,
    interval_across_splits,
)

METHODS = "softmax", "svm"
N_CLASSES = 10
STEPS_PER_CALL = 10  # training steps per call of the compiled graph
SHARE_FOR_STEPS = 0.9  # of the time budget; the rest is for startup, compilation and scoring
WARM_UP, WATCHED, SECONDS = 2, 4, 6  # untimed calls; minimum number and duration of timed ones


@dataclass(frozen=True)
class Row:
    """A row of the table: a method, its decision rule, and the accuracy reported in the paper."""

    label: str
    method: str
    accuracy: float
    decide: str = "argmax"


@dataclass(frozen=True)
class Paper:
    """A paper's experiment; each script defines the data and the network.

    Attributes: name, title, batch_size, n_steps (of the paper), unit and steps_per_unit (in which
    the number of steps is chosen), precision (default of the hidden layers), and rows, of which the
    first is the softmax.
    """

    def prepare(self, data: Dataset):
        """Return the network's inputs for the training and the test images."""
        raise NotImplementedError

    def compiled(self, method: str, seed: int, n_steps: int):
        """Return the compiled network, with weights that depend only on `seed`."""
        raise NotImplementedError

    def perturb(self, X, share, seed: int, step):
        """Return a batch as it is used at `step`, after this fraction of the training."""
        return X

    def train(self, X, codes, method, seed, n_steps, precision, callbacks=()):
        """Train on batches that depend only on `seed`; return the network and the seconds."""
        import tensorflow as tf

        from penultimate.networks.frameworks.keras_models import computing_in_bfloat16

        n_samples, size = len(X), self.batch_size
        n_batches = n_samples // size
        images, labels = tf.constant(X), tf.constant(codes.astype(np.int32))

        def batches_of_epoch(epoch):
            everyone = tf.range(n_samples, dtype=tf.int32)
            order = tf.random.experimental.stateless_shuffle(everyone, tf.stack([seed, epoch]))
            batches = tf.reshape(order[: n_batches * size], (n_batches, size))
            return tf.data.Dataset.from_tensor_slices(batches)

        def batch(step, samples):
            shown = tf.gather(images, samples)
            share = tf.cast(step, tf.float32) / n_steps
            return self.perturb(shown, share, seed, step), tf.gather(labels, samples)

        epochs = tf.data.Dataset.range(ceil(n_steps / n_batches))
        stream = epochs.flat_map(batches_of_epoch).take(n_steps).enumerate().map(batch)
        stream = stream.apply(tf.data.experimental.assert_cardinality(n_steps))
        network = self.compiled(method, seed, n_steps)
        start = time.perf_counter()
        with computing_in_bfloat16(network) if precision == "bfloat16" else nullcontext():
            network.fit(stream, verbose=0, shuffle=False, callbacks=list(callbacks))
        return network, time.perf_counter() - start


def loss_of(method: str):
    """Return the L2-SVM loss of this package, or the cross-entropy."""
    import keras

    from penultimate.networks.margins.losses import OneVsRestHinge

    if method == "svm":
        return OneVsRestHinge(squared=True)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@cache
def read(paper: Paper, path: str):
    """Return the network's inputs and the labels for training and test."""
    data = load(path)
    X, X_test = paper.prepare(data)
    return X, data.labels[~data.is_test], X_test, data.labels[data.is_test]


def end_with_parent() -> None:
    parent_process().join()
    os._exit(1)


def start_worker() -> None:
    """Use one thread, and exit if the parent process is killed."""
    import tensorflow as tf

    Thread(target=end_with_parent, daemon=True).start()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def measure_speed(paper: Paper, path: str, precision: str) -> float:
    """Measure the warm steps per second in a training run that is stopped after a few seconds."""
    import keras

    times = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            times.append(time.perf_counter())
            timed = times[WARM_UP:]
            self.model.stop_training = len(timed) > WATCHED and timed[-1] - timed[0] > SECONDS

    X, codes, *_ = read(paper, path)
    paper.train(X, codes, "svm", 0, paper.n_steps, precision, [Watch()])
    timed = times[WARM_UP:]
    return STEPS_PER_CALL * (len(timed) - 1) / (timed[-1] - timed[0])


def train_one(paper, path, method, seed, n_steps, precision, file: Path) -> None:
    """Train a network, score the test set once, and save the scores."""
    X, codes, X_test, y_test = read(paper, path)
    network, seconds = paper.train(X, codes, method, seed, n_steps, precision)
    scores = network.predict(X_test, batch_size=1000, verbose=0)
    unfinished = file.with_suffix(".part")
    with unfinished.open("wb") as stream:
        np.savez_compressed(stream, scores=scores, y_test=y_test, seconds=seconds)
    unfinished.replace(file)


def choose_steps(paper: Paper, arguments, pool, begun: float) -> dict:
    """Choose the number of steps per network: as requested, as in the resumed run, or by time."""
    asked = {name: getattr(arguments, name) for name in ("units", "minutes", "precision")}
    plan_file = arguments.keep / f"{paper.name}.json"
    if plan_file.exists():
        plan = json.loads(plan_file.read_text(encoding="utf-8"))
        if plan["asked"] != asked:
            sys.exit(f"{arguments.keep} holds networks with other settings: {plan['asked']}.")
        return plan
    plan = {"asked": asked}
    chosen = None if arguments.units is None else arguments.units * paper.steps_per_unit
    if chosen is None:
        watched = [
            pool.submit(measure_speed, paper, arguments.data, arguments.precision)
            for _ in range(arguments.workers)
        ]
        plan["speed"] = min(future.result() for future in watched)
        turns = ceil(arguments.seeds * len(METHODS) / arguments.workers)
        left = 60 * arguments.minutes * SHARE_FOR_STEPS - (time.perf_counter() - begun)
        units = int(plan["speed"] * left / turns) // paper.steps_per_unit
        chosen = min(paper.n_steps, max(1, units) * paper.steps_per_unit)
    plan["n_steps"] = chosen
    plan_file.write_text(json.dumps(plan), encoding="utf-8")
    return plan


def run(paper: Paper, arguments):
    """Train missing networks; return the plan, scores and seconds by method and seed, labels."""
    begun = time.perf_counter()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    jobs = [(method, seed) for seed in range(1, arguments.seeds + 1) for method in METHODS]
    files = {job: arguments.keep / f"{paper.name}-{job[0]}-{job[1]}.npz" for job in jobs}
    pool = ProcessPoolExecutor(arguments.workers, get_context("spawn"), start_worker)
    with pool:
        plan = choose_steps(paper, arguments, pool, begun)
        print(plan, file=sys.stderr, flush=True)
        steps, precision = plan["n_steps"], arguments.precision
        pending = {
            pool.submit(train_one, paper, arguments.data, *job, steps, precision, file): job
            for job, file in files.items()
            if not file.exists()
        }
        for future in as_completed(pending):
            future.result()
            print(time.strftime("%H:%M:%S"), *pending[future], file=sys.stderr, flush=True)
    plan["trained_now"], plan["wall"] = len(pending), time.perf_counter() - begun
    kept = {job: np.load(file) for job, file in files.items()}
    scores = {
        method: np.stack([kept[job]["scores"] for job in jobs if job[0] == method])
        for method in METHODS
    }
    seconds = {m: [float(kept[job]["seconds"]) for job in jobs if job[0] == m] for m in METHODS}
    return plan, scores, seconds, kept[jobs[0]]["y_test"]


DECISIONS = {
    "argmax": lambda scores: scores.argmax(axis=-1),
    "argmax of signs": lambda scores: np.sign(scores).argmax(axis=-1),
}


def verdict(claimed: float, found: Interval) -> str:
    """State how the 95 % interval of a difference relates to the claimed difference."""
    claim = f"the paper's claim ({100 * claimed:+.2f} percentage points for the L2-SVM)"
    if found.low <= 0 <= found.high:
        direction = f"The interval includes zero: the direction of {claim} is not decided"
    elif np.sign(found.value) == np.sign(claimed):
        direction = f"The direction of {claim} is borne out"
    else:
        direction = f"The direction of {claim} is contradicted"
    size = "within" if found.low <= claimed <= found.high else "outside"
    return f"{direction}. Found: {points(found)}; the claimed size is {size} this interval."


def accuracies(rows, correct):
    """Tabulate the paper's accuracies and ours, with those of each seed."""
    n_seeds = len(next(iter(correct.values())))
    header = ["output layer", "paper", "here, mean and 95 % interval"]
    lines = [
        [row.label, f"{100 * row.accuracy:.2f}", percent(accuracy_interval(correct[row])),
         *(f"{100 * value:.2f}" for value in correct[row].mean(axis=1))]
        for row in rows
    ]  # fmt: skip
    return table([*header, *(f"seed {s}" for s in range(1, n_seeds + 1))], lines)


def differences(rows, correct):
    """Tabulate the L2-SVM minus the softmax: over seeds and samples, and over seeds."""
    softmax = correct[rows[0]]
    lines = []
    for row in rows[1:]:
        ours = correct[row]
        by_seed = interval_across_splits((ours.mean(axis=1) - softmax.mean(axis=1)), 0)
        claimed = 100 * (row.accuracy - rows[0].accuracy)
        lines.append(
            [row.label, f"{claimed:+.2f}", points(compare_accuracies(ours, softmax)),
             points(by_seed) if len(ours) > 1 else ""]
        )  # fmt: skip
    header = [
        "difference from softmax (percentage points)",
        "paper",
        "95 % interval over samples and seeds",
    ]
    return table([*header, "paired t-test over seeds"], lines)


def disagreements(rows, correct):
    """Count the samples that only one of the two classifies correctly; McNemar's exact test."""
    softmax = correct[rows[0]]
    lines = []
    for row in rows[1:]:
        cells = []
        for ours, theirs in zip(correct[row], softmax):
            wins, losses = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
            p = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
            cells.append(f"{wins} to {losses}, p {p:.3f}")
        lines.append([row.label, *cells])
    header = [
        "only this correct : only the softmax correct",
        *(f"seed {s + 1}" for s in range(len(softmax))),
    ]
    return table(header, lines)


def steps_in_words(paper: Paper, n_steps: int) -> str:
    done, full = n_steps // paper.steps_per_unit, paper.n_steps // paper.steps_per_unit
    if n_steps >= paper.n_steps:
        done = f"All {full:,} {paper.unit} of the paper"
    else:
        done = f"**{done:,} of the paper's {full:,} {paper.unit}** ({100 * done / full:.3g} %)"
    return f"{done}, {n_steps:,} steps of {paper.batch_size} images."


def report(paper: Paper, arguments, plan, scores, seconds, y_test) -> str:
    """Return the text of the results page."""
    correct = {row: DECISIONS[row.decide](scores[row.method]) == y_test for row in paper.rows}
    softmax = paper.rows[0]
    found = [
        f"{row.label}: "
        + verdict(
            row.accuracy - softmax.accuracy, compare_accuracies(correct[row], correct[softmax])
        )
        for row in paper.rows[1:]
    ]
    paragraphs = "\n\n".join(found)
    names = "penultimate", "keras", "tensorflow-cpu", "numpy"
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    given = (
        f" --minutes {arguments.minutes:g}"
        if arguments.units is None
        else f" --{paper.unit} {arguments.units}"
    )
    speed = f", {plan['speed']:.1f} steps per second each at the start" if "speed" in plan else ""
    timing = "; ".join(
        f"{row.label} {min(seconds[row.method]):.0f} to {max(seconds[row.method]):.0f} s"
        for row in paper.rows
        if row.decide == "argmax"
    )
    return f"""# {paper.title}

Made by `python benchmarks/{paper.name}.py --data mnist.tar --seeds {arguments.seeds}{given}`; \
{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {versions}.

## Protocol

{paper.protocol}

Here: {steps_in_words(paper, plan["n_steps"])} {arguments.seeds} seeds; for each seed, both \
methods start from the same weights and see the same samples in the same order with the same \
perturbations. Hidden layers compute in {arguments.precision}, weights are float32. The test set, \
{len(y_test):,} images, was scored once by each network, with its final weights; nothing was \
selected on it.

## Test accuracy, %

{accuracies(paper.rows, correct)}

The L2-SVM minus the softmax, paired over the same samples and seeds, with 95 % intervals:

{differences(paper.rows, correct)}

Test images that only one of the two classifies correctly, with McNemar's exact test:

{disagreements(paper.rows, correct)}

## Conclusion about the paper

{paragraphs}

## Times

Training of one network on one thread, {arguments.workers} at a time{speed}: {timing}. \
{plan["trained_now"]} of the networks were trained in this run, which took \
{plan["wall"] / 60:.1f} minutes.
"""


def parse(paper: Paper, description: str, arguments=None):
    parser = argparse.ArgumentParser(description=description)
    place = os.environ.get("PENULTIMATE_DATA")
    default = None if place is None else str(Path(place, "mnist.tar"))
    parser.add_argument("--data", default=default, required=default is None)
    parser.add_argument("--out", default=f"benchmarks/results/{paper.name}.md", type=Path)
    parser.add_argument("--keep", type=Path, help="folder of an interrupted run to resume")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--minutes", type=float, default=30, help="wall-clock budget for all networks"
    )
    parser.add_argument(f"--{paper.unit}", dest="units", type=int, help="instead of --minutes")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default=paper.precision)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    return parser.parse_args(arguments)


def main(paper: Paper, description: str) -> None:
    arguments = parse(paper, description)
    if arguments.keep is None:
        arguments.keep = Path(mkdtemp())
    text = report(paper, arguments, *run(paper, arguments))
    arguments.out.write_text(text, encoding="utf-8")
    print(text)
