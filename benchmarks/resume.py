"""Kill a real training run at random moments, resume it, and compare the results bit by bit.

A training run of "compact", with augmentation, first runs uninterrupted. Then, for each kill, the
same run starts in a process that is killed (SIGKILL), alternating between a random moment and a
moment while a checkpoint is being written. A second process resumes from the checkpoint. Its
weights and history must be bit-identical to those of the uninterrupted run. Run it with:
python benchmarks/resume.py --out benchmarks/results/resume.md [--data DATA] [--kills 20]
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CHECKPOINT = "network.ckpt.safetensors"


def train_here(data, folder, epochs):
    """Train or resume training; save the digest of the weights and the history in a file."""
    import numpy as np

    from penultimate._common.progress import Progress
    from penultimate.datasets import load, load_mnist_5k
    from penultimate.networks import Training, fit_network, make_deterministic

    class Start(Progress):
        def update(self, step, done, total):
            (folder / "started").touch()

    make_deterministic()
    dataset = load_mnist_5k() if data is None else load(data)
    model, history = fit_network(
        "compact",
        dataset.images,
        dataset.labels,
        Training(epochs=epochs),
        progress=Start(),
        checkpoint=folder / CHECKPOINT,
    )
    weights = b"".join(np.ascontiguousarray(w).tobytes() for w in model.get_weights())
    course = {name: value for name, value in vars(history).items() if name != "seconds"}
    result = {"weights": hashlib.sha256(weights).hexdigest(), "course": course}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


class Run:
    """A training run in a separate process that can be killed."""

    def __init__(self, arguments, folder):
        self.folder = folder
        (folder / "started").unlink(missing_ok=True)
        command = [sys.executable, __file__, "--child", folder, "--epochs", arguments.epochs]
        if arguments.data is not None:
            command += ["--data", arguments.data]
        self.process = subprocess.Popen([str(part) for part in command])
        while not (folder / "started").exists():
            if self.process.poll() is not None:
                raise SystemExit(f"The training run exited with {self.process.returncode}.")
            time.sleep(0.01)
        self.started = time.perf_counter()

    def finish(self):
        if self.process.wait() != 0:
            raise SystemExit(f"The training run failed with {self.process.returncode}.")
        return json.loads((self.folder / "result.json").read_text(encoding="utf-8"))

    def kill_after(self, seconds, writing):
        """Kill, if `writing` during the next checkpoint; return whether it was still running."""
        time.sleep(seconds)
        while writing and not self.leftovers() and self.process.poll() is None:
            time.sleep(0.0002)
        self.after = time.perf_counter() - self.started
        self.process.kill()
        return self.process.wait() != 0

    def leftovers(self):
        return [name for name in os.listdir(self.folder) if name.endswith(".tmp")]

    def epochs_done(self):
        from safetensors import safe_open

        if not (self.folder / CHECKPOINT).exists():
            return 0
        with safe_open(self.folder / CHECKPOINT, framework="numpy") as file:
            return len(json.loads(file.metadata()["course"])["loss"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, help="Data as for penultimate compare; by default MNIST-5k."
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="Seed of the moments.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        train_here(arguments.data, arguments.child, arguments.epochs)
        return

    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        unbroken = Run(arguments, Path(folder))
        expected = unbroken.finish()
        seconds = time.perf_counter() - unbroken.started
        size = (Path(folder) / CHECKPOINT).stat().st_size
    rows, n_same = [], 0
    for kill in range(arguments.kills):
        with tempfile.TemporaryDirectory() as folder:
            run = Run(arguments, Path(folder))
            while not run.kill_after(moments.uniform(0, seconds), writing=kill % 2 == 1):
                (Path(folder) / CHECKPOINT).unlink()  # it had already finished: draw another moment
                run = Run(arguments, Path(folder))
            done, left = run.epochs_done(), bool(run.leftovers())
            resumed = Run(arguments, Path(folder))
            same = resumed.finish() == expected and not resumed.leftovers()
            n_same += same
            row = (
                kill + 1,
                f"{run.after:.2f}",
                done,
                "yes" if left else "",
                "yes" if same else "NO",
            )
            rows.append("| " + " | ".join(map(str, row)) + " |")
            print(rows[-1], flush=True)
    lines = [
        f"{n_same} of {arguments.kills} bit-identical: weights and history of a training run of "
        f'"compact", {arguments.epochs} epochs on '
        f"{'MNIST-5k' if arguments.data is None else arguments.data.name}, killed with SIGKILL and "
        f"resumed. {os.cpu_count()} cores; uninterrupted, it takes {seconds:.0f} s; a checkpoint "
        f"has {size / 2**20:.1f} MiB.",
        "",
        "| kill | after, s | epochs in the checkpoint | half-written file left | bit-identical |",
        "| --- | --- | --- | --- | --- |",
        *rows,
    ]
    print(lines[0])
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if n_same < arguments.kills:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
