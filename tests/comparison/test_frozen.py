"""Comparisons on frozen networks of any kind, whose features are computed once."""

import numpy as np
import pytest
from PIL import Image

from penultimate import Dataset, FeatureExtractor, Protocol, compare, load_data
from penultimate.comparison.few_samples import learning_curves
from penultimate.networks import Preprocessing
from penultimate.provenance import LeakageError, provenance_of, record
from penultimate.provenance.leakage import UnknownProvenanceWarning
from penultimate.splits import split_test

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
IMAGES = RNG.integers(0, 120, (60, 20, 24, 3), dtype=np.uint8)
for _k in range(3):
    IMAGES[_k == Y, :, :, _k] += 100
QUICK = {"methods": ["cnn+svm-linear", "cnn+logistic"], "seeds": 2, "verbose": 0}


class Means:
    """A function from a batch to the mean of each channel, which counts what it is given."""

    def __init__(self):
        self.n_samples = 0

    def __call__(self, batch):
        self.n_samples += len(batch)
        return batch.mean(axis=(1, 2))


def accuracies(comparison):
    return {row["name"]: row["accuracy"] for row in comparison.to_dict()["methods"]}


@pytest.mark.filterwarnings("ignore::penultimate.provenance.leakage.UnknownProvenanceWarning")
def test_features_are_computed_once_for_all_seeds_and_splits():
    means = Means()
    extractor = FeatureExtractor(means, preprocessing=Preprocessing(size=8))
    result = compare(IMAGES, Y, network=extractor, **QUICK)
    assert set(accuracies(result).values()) == {1.0}
    # One more for the check of the cut, and twice two for that of a sample's own features.
    assert len(IMAGES) <= means.n_samples <= len(IMAGES) + 5
    assert result.to_dict()["protocol"]["network"] == "Means"


@pytest.fixture
def folder(tmp_path):
    for k, (image, label) in enumerate(zip(IMAGES, Y)):
        place = tmp_path / "data" / f"class {label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((200 + k % 3, 160)).save(place / f"{k}.png")
    return tmp_path / "data"


@pytest.mark.filterwarnings("ignore::penultimate.provenance.leakage.UnknownProvenanceWarning")
@pytest.mark.parametrize("form", ["path", "dataset", "archive"])
def test_files_are_read_at_their_own_size(folder, form, tmp_path):
    import shutil

    seen = []

    def sizes(batch):
        seen.append(batch.shape[1:])
        return batch.mean(axis=(1, 2))

    data = folder
    if form == "dataset":
        data = load_data(folder, image_size=16)
    elif form == "archive":
        data = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    extractor = FeatureExtractor(sizes, preprocessing=Preprocessing(size=(40, 48)))
    result = compare(data, network=extractor, **QUICK)
    assert set(seen) == {(40, 48, 3)}
    assert set(accuracies(result).values()) == {1.0}
    message = next(c["message"] for c in result.checks if c["id"] == "network-input")
    assert "read at their own size" in message


@pytest.mark.filterwarnings("ignore::penultimate.provenance.leakage.UnknownProvenanceWarning")
def test_files_that_are_gone_are_said_to_be(folder, tmp_path):
    import shutil

    data = load_data(shutil.make_archive(str(tmp_path / "packed"), "zip", folder), image_size=16)
    extractor = FeatureExtractor(Means(), preprocessing=Preprocessing(size=40))
    result = compare(data, network=extractor, **QUICK)
    assert any("16 x 16 pixels, as they were read" in note for note in result.dataset.notes)


def test_learning_curves_of_an_extractor():
    extractor = FeatureExtractor(Means(), preprocessing=Preprocessing(size=8))
    few = {"sizes": [5], "seeds": 1, "methods": ["cnn+svm-linear"], "layers": "penultimate"}
    curves = learning_curves(extractor, IMAGES, Y, split_test(Y), **few)
    assert curves.accuracies.min() == 1


def test_an_extractor_of_an_extractor_is_refused():
    with pytest.raises(TypeError, match="is an extractor already"):
        FeatureExtractor(FeatureExtractor(Means())).fit()


@pytest.fixture
def module():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(6, 3),
    )  # fmt: skip


def test_a_torch_module_with_its_own_softmax(module):
    X = np.moveaxis(IMAGES, -1, 1).astype(np.float32) / 255
    with pytest.warns(UnknownProvenanceWarning):
        result = compare(X, Y, network=module, methods=["cnn-softmax", "cnn+logistic"], seeds=1)
    assert accuracies(result)["cnn+logistic"] == 1
    assert module.training
    found = result.to_dict()["protocol"]
    assert (found["network"], found["frozen"]) == ("Sequential", True)


def test_what_a_torch_module_has_seen(module):
    import copy

    X = np.moveaxis(IMAGES, -1, 1).astype(np.float32) / 255
    assert not provenance_of(module).known
    twin = copy.deepcopy(module)
    record(module, X[:30])
    assert len(provenance_of(module).trained) == 30
    assert not hasattr(module, "_penultimate_provenance")
    # A copy, an extractor of it, and what is cut from it have seen the same.
    for other in (copy.deepcopy(module), twin, FeatureExtractor(module), module[:4]):
        assert len(provenance_of(other).trained) == 30
    with pytest.raises(LeakageError, match="the network was trained on them"):
        compare(X, Y, network=module, **QUICK)
    result = compare(
        X, Y, network=module, protocol=Protocol(on_leak="ignore"), **{**QUICK, "seeds": 1}
    )
    assert any(check["id"] == "test-samples-seen" for check in result.checks)


def test_a_torch_module_without_a_preprocessing_on_images(module):
    result_of = Dataset.from_arrays(IMAGES, Y)
    record(module, [])
    assert accuracies(compare(result_of, network=module, **QUICK))["cnn+logistic"] == 1
