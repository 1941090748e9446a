"""What CONTRIBUTING says of adding things: each is one entry in a table, and all else follows."""

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from penultimate import Dataset, Training, compare
from penultimate.comparison import METHODS, Method, checks
from penultimate.datasets import load, readers
from penultimate.displays import LearningCurvesDisplay
from penultimate.evaluation.checks import ABOUT, Check
from penultimate.networks import NETWORKS
from penultimate.report import pictures


def read_raw(path):
    """Read 60 images of 12 x 12 pixels, with the first two letters of the file as classes."""
    images = np.fromfile(path, np.uint8).reshape(60, 12, 12)
    return Dataset.from_arrays(images, np.repeat(list(path.stem[:2]), 30), name=path.stem)


def tiny(input_shape, n_classes):
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input(input_shape),
            layers.Rescaling(1 / 255),
            layers.Flatten(name="flatten"),
            layers.Dense(8, activation="relu", name="features"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


def too_round(context):
    """Find a number of samples that is suspiciously round."""
    n_samples = len(context.plan.dataset.labels)
    return Check("too-round", f"{n_samples} samples.", "info") if n_samples % 10 == 0 else None


def draw_sizes(comparison):
    accuracies = [[[0.5], [0.75]]]
    return {"Sizes": LearningCurvesDisplay(["mine"], [10, 20], accuracies)}


@pytest.fixture
def extended(monkeypatch):
    monkeypatch.setitem(METHODS, "cnn+mine", Method("features", lambda *_: NearestCentroid()))
    monkeypatch.setitem(NETWORKS, "tiny", tiny)
    monkeypatch.setitem(readers.READERS, ".raw", read_raw)
    monkeypatch.setitem(checks.CHECKS, "too-round", too_round)
    monkeypatch.setitem(ABOUT, "too-round", ("Round numbers are invented.", "Count again."))
    section = pictures.Section("Sizes of mine", "What mine needs.", draw_sizes)
    monkeypatch.setitem(pictures.SECTIONS, "sizes", section)


@pytest.mark.slow
def test_a_head_a_network_a_reader_a_check_and_a_section(extended, shapes, tmp_path):
    images, labels = shapes
    images[np.argsort(labels, kind="stable")].tofile(tmp_path / "ls.raw")
    data = load(tmp_path / "ls.raw")
    assert data.classes == ("l", "s")
    result = compare(
        tmp_path / "ls.raw",
        network="tiny",
        methods=["cnn-softmax", "cnn+mine"],
        training=Training(epochs=2),
        seeds=1,
    )
    assert result.names() == ["cnn-softmax", "cnn+mine"]
    (found,) = (check for check in result.checks if check["id"] == "too-round")
    assert found["advice"] == "Count again."
    page = result.save(tmp_path / "report").read_text()
    for words in ("cnn+mine", "tiny", "60 samples.", "Sizes of mine", "What mine needs."):
        assert words in page
