import errno
import inspect
import json
import os
import signal
import time

import numpy as np
import pytest
from safetensors import safe_open

from penultimate._common.progress import Progress
from penultimate.networks import Augmentation, Training, build_network, fit_network, train
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.training.checkpoints import Checkpoint

NAME = "network.ckpt.safetensors"
RECIPE = Training(epochs=3, batch_size=16)


@pytest.fixture(scope="module")
def samples(shapes):
    images, labels = shapes
    return images[..., None], (labels == "standing").astype(int)


@pytest.fixture
def path(tmp_path):
    return tmp_path / NAME


class StopAt(Progress):
    """Acts like Ctrl-C after a number of epochs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def update(self, step, done, total):
        if done >= self.epochs:
            raise KeyboardInterrupt


def interrupt(epochs, *arguments, **kwargs):
    with pytest.raises(KeyboardInterrupt):
        fit_network(*arguments, **kwargs, progress=StopAt(epochs))


def assert_same_weights(one, two):
    # Bit for bit only with the backend's determinism, which the test with a killed process turns
    # on.
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def little(shape, n_classes):
    """A network with all kinds of state: batch statistics and two random generators."""
    layers = import_keras().layers
    return import_keras().Sequential(
        [
            layers.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.GaussianNoise(0.1),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def after_an_epoch(samples, tmp_path_factory):
    """The content of the file after the first epoch."""
    path = tmp_path_factory.mktemp("interrupted") / NAME
    interrupt(1, little, *samples, RECIPE, checkpoint=path)
    return path.read_bytes()


@pytest.fixture
def interrupted(after_an_epoch, path):
    """The file that a training left that was interrupted after its first epoch."""
    path.write_bytes(after_an_epoch)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "interruptions"), [("float32", (0.5, 2.6)), ("bfloat16", (2.6,))]
)
def test_a_resumed_training_ends_with_the_same_network(samples, path, precision, interruptions):
    recipe = Training(epochs=4, batch_size=16, precision=precision)
    unbroken, history = fit_network(little, *samples, recipe, seed=1)
    for epochs in interruptions:
        interrupt(epochs, little, *samples, recipe, seed=1, checkpoint=path)
        assert os.listdir(path.parent) == ([NAME] if epochs >= 1 else [])
    resumed, again = fit_network(little, *samples, recipe, seed=1, checkpoint=path)
    np.testing.assert_allclose(again.loss, history.loss, rtol=1e-4)
    np.testing.assert_allclose(again.validation_loss, history.validation_loss, rtol=1e-4)
    assert_same_weights(resumed, unbroken)


@pytest.mark.slow
def test_best_weights_from_before_the_interruption_are_kept(samples, path):
    X, codes = samples
    recipe = Training(epochs=5, batch_size=8, learning_rate=0.05, augmentation=None)
    # Where the labels are wrong, the loss grows as the network learns.
    contrary = (np.tile(X[40:], (5, 1, 1, 1)), np.tile(1 - codes[40:], 5))
    models = [build_network(little, X.shape[1:], 2, seed=1) for _ in range(3)]
    history = train(models[0], X[:40], codes[:40], contrary, recipe)
    assert history.best_epoch < 4
    with pytest.raises(KeyboardInterrupt):
        train(
            *(models[1], X[:40], codes[:40], contrary, recipe),
            progress=StopAt(4.5),
            checkpoint=path,
        )
    again = train(models[2], X[:40], codes[:40], contrary, recipe, checkpoint=path)
    assert again.best_epoch == history.best_epoch
    assert_same_weights(models[2], models[0])


def test_a_finished_training_returns_immediately(samples, path, solved_steps):
    first, history = fit_network(little, *samples, RECIPE, checkpoint=path)
    written = path.stat().st_mtime_ns
    reported = []

    class Listener(Progress):
        def update(self, step, done, total):
            reported.append((done, total))

    again, same = fit_network(little, *samples, RECIPE, checkpoint=path, progress=Listener())
    assert (same, reported) == (history, [(3, 3)])
    assert_same_weights(first, again)
    assert path.stat().st_mtime_ns == written


def test_without_a_validation_slice_the_last_weights_are_kept(samples, path, solved_steps):
    X, codes = samples
    model = little(X.shape[1:], 2)
    history = train(model, X, codes, None, RECIPE, checkpoint=path)
    other = little(X.shape[1:], 2)
    assert train(other, X, codes, None, RECIPE, checkpoint=str(path)) == history
    assert history.best_epoch == 2
    assert_same_weights(model, other)


@pytest.mark.parametrize(
    ("changed", "kind", "differing"),
    [
        ({"seed": 5}, "network", "seed"),
        ({"training": Training(epochs=4, batch_size=16)}, "network", "epochs"),
        (
            {"training": Training(epochs=3, batch_size=16, augmentation=Augmentation(zoom=0.2))},
            "network",
            "augmentation",
        ),
        ({"network": "compact"}, "network", "architecture"),
        ({"X": 0}, "samples", "X, validation X"),
        ({"codes": 0}, "samples", "codes, .*validation codes"),
    ],
)
def test_another_training_is_rejected_with_both_fingerprints(
    samples, interrupted, changed, kind, differing
):
    X, codes = samples
    ours = {"network": little, "X": X, "codes": codes, "training": RECIPE, "seed": 0}
    content = interrupted.read_bytes()
    if "X" in changed:
        changed = {"X": 255 - X}
    if "codes" in changed:
        changed = {"codes": 1 - codes}
    message = (
        f"network.ckpt.safetensors' belongs to another training: the fingerprint of the {kind} is "
        r"[0-9a-f]{12} there and [0-9a-f]{12} here; they differ in "
        rf".*{differing}.*\. Pass another path, or delete the file"
    )
    with pytest.raises(ValueError, match=message):
        fit_network(**{**ours, **changed}, checkpoint=interrupted)
    assert interrupted.read_bytes() == content


def test_equal_networks_have_the_same_fingerprint_whatever_keras_names_them(
    samples, interrupted, solved_steps
):
    little((4, 4, 1), 3)
    fit_network(little, *samples, RECIPE, checkpoint=interrupted)


def damage(content, how):
    if how == "truncated":
        return content[:-100]
    if how == "one bit":
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    return {"empty": b"", "text": b"no checkpoint at all"}[how]


@pytest.mark.parametrize("how", ["truncated", "one bit", "empty", "text"])
def test_a_damaged_file_is_rejected(samples, interrupted, how):
    interrupted.write_bytes(damage(interrupted.read_bytes(), how))
    with pytest.raises(
        ValueError, match="is damaged or is not a checkpoint: .* Delete it to train"
    ):
        fit_network(little, *samples, RECIPE, checkpoint=interrupted)


def test_another_safetensors_file_is_rejected(samples, path):
    from safetensors.numpy import save_file

    save_file({"weights": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="its format is None, not 'penultimate checkpoint 1'"):
        fit_network(little, *samples, RECIPE, checkpoint=path)


def test_a_full_disk_keeps_the_last_good_file_and_the_training_continues(
    samples, interrupted, solved_steps, monkeypatch
):
    path, good = interrupted, interrupted.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning, match="not be written: No space left.* is from an earlier"):
        _, history = fit_network(little, *samples, RECIPE, checkpoint=path)
    assert len(history.loss) == 3
    assert path.read_bytes() == good
    assert os.listdir(path.parent) == [NAME]


@pytest.mark.slow
def test_the_folder_is_created_and_leftovers_of_killed_runs_are_removed(
    samples, tmp_path, solved_steps
):
    path = tmp_path / "run" / NAME
    path.parent.mkdir()
    for name in (f".{NAME}.abcd_123.tmp", ".other.abcd_123.tmp"):
        (path.parent / name).mkdir()
        (path.parent / name / NAME).write_bytes(b"half")
    fit_network(little, *samples, RECIPE, checkpoint=path)
    assert sorted(os.listdir(path.parent)) == [".other.abcd_123.tmp", NAME]
    fit_network(little, *samples, RECIPE, checkpoint=tmp_path / "new" / "folder" / NAME)


def test_the_file_holds_no_pickle_and_describes_itself(interrupted):
    with safe_open(interrupted, framework="numpy") as file:
        metadata = file.metadata()
        groups = {name.partition(".")[0] for name in file.keys()}  # noqa: SIM118
    assert groups == {"model", "optimizer", "best"}
    assert json.loads(metadata["network"])["epochs"] == 3
    assert len(json.loads(metadata["course"])["loss"]) == 1


KILLED = f"""
import hashlib, os
from pathlib import Path
import numpy as np
from penultimate._common.progress import Progress
from penultimate.datasets import load_mnist_5k
from penultimate.networks import Training, fit_network, make_deterministic
from penultimate.networks.frameworks.backend import import_keras

{inspect.getsource(little)}

def wait(at):
    pipe.send(at)
    pipe.recv()

class Steps(Progress):
    def update(self, step, done, total):
        wait(done)

if in_a_write:
    os.fsync = lambda descriptor: wait("in a write")
make_deterministic()
digits = load_mnist_5k()
for checkpoint in checkpoints:
    model, history = fit_network(
        little, digits.images[::20], digits.labels[::20], Training(epochs=4), progress=Steps(),
        checkpoint=checkpoint,
    )
    weights = b"".join(np.ascontiguousarray(w).tobytes() for w in model.get_weights())
    pipe.send((hashlib.sha256(weights).hexdigest(), str(history)))
"""


@pytest.mark.slow
@pytest.mark.one_backend
def test_a_training_killed_at_a_random_moment_and_in_a_write_ends_with_the_same_bits(
    tmp_path, new_processes
):
    """Real digits, augmentation, dropout; benchmarks/resume.py repeats this twenty times."""

    def start(*folders, in_a_write=False):
        ours, theirs = new_processes.Pipe()
        variables = {
            "pipe": theirs,
            "checkpoints": [folder / NAME for folder in folders],
            "in_a_write": in_a_write,
        }
        process = new_processes.Process(target=exec, args=(KILLED, variables), daemon=True)
        process.start()
        theirs.close()
        return process, ours

    def kill(process):
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL

    killed = tmp_path / "killed"
    killed.mkdir()
    rng = np.random.default_rng()
    moment = rng.uniform(0, 2.4)
    process, pipe = start(killed)
    while pipe.recv() < moment:
        pipe.send("go on")
    pipe.send("go on")
    time.sleep(rng.uniform(0, 0.01))  # anywhere between two steps
    kill(process)
    process, pipe = start(killed, in_a_write=True)
    while pipe.recv() != "in a write":
        pipe.send("go on")
    kill(process)
    assert any(name.endswith(".tmp") for name in os.listdir(killed))
    # The last process resumes the training, and then repeats it without interruption.
    process, pipe = start(killed, tmp_path / "unbroken")
    done = []
    while len(done) < 2:
        if isinstance(answer := pipe.recv(), tuple):
            done.append(answer)
        else:
            pipe.send("go on")
    process.join()
    assert process.exitcode == 0
    assert done[0] == done[1], f"killed after {moment} epochs, and in a write"
    assert os.listdir(killed) == [NAME]


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        ValueError, match=r"The folder of the checkpoint '.*file' is a file; choose"
    ):
        Checkpoint(tmp_path / "file" / "a.safetensors", {}, {}).read(None)
