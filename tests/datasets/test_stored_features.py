"""A feature store as a data set."""

import tarfile

import numpy as np
import pytest

from penultimate import compare, datasets
from penultimate.store import FeatureStore, content_hashes

pytest.importorskip("pyarrow")

SAMPLES = np.arange(40)[:, np.newaxis]
HASHES = content_hashes(SAMPLES)
FEATURES = np.random.default_rng(0).normal(size=(40, 20)).astype(np.float32)
Y = np.repeat(["cat", "dog"], 20)


@pytest.fixture
def store(tmp_path):
    with FeatureStore(tmp_path / "pets", key="k1", description={"network": "gap"}) as store:
        store.append(HASHES[::-1], FEATURES[::-1])
        store.write_samples(HASHES, label=Y, file=[f"{k}.png" for k in range(40)])
    return store


def test_a_store_is_read_as_a_data_set(store):
    (store.path.parent / "3.png").touch()
    data = datasets.load(store.path)
    np.testing.assert_array_equal(data.images, FEATURES)
    with pytest.raises(ValueError, match="read-only"):  # mapped, not read into memory
        data.images[0] = 1
    assert (data.name, data.classes) == ("pets", ("cat", "dog"))
    assert data.labels.tolist() == [0] * 20 + [1] * 20
    assert data.notes == (f"Read from the feature store {str(store.path)!r} (network: gap).",)
    assert data.files.tolist()[3:5] == [str(store.path.parent / "3.png"), "4.png"]


def test_split_groups_and_subsets(store):
    labels = np.array(list("abcd"))[np.arange(40) % 4]
    store.write_samples(
        HASHES,
        label=labels,
        group=np.arange(40) // 8,
        subset=np.where(np.isin(labels, ["a", "b"]), "s", "t"),
        split=np.where(np.arange(40) < 30, "train", "test"),
    )
    data = datasets.load(store.path, subsets=True)
    assert data.classes == ("s/a", "s/b", "t/c", "t/d")
    assert data.is_test.sum() == 10
    assert len(set(data.groups)) == 5


def test_an_interrupted_extraction(store):
    hashes = content_hashes(SAMPLES - 10)
    store.write_samples(hashes, label=Y)
    with pytest.raises(ValueError, match=r"10 samples of 40 in .* have no features yet.*Run it ag"):
        datasets.load(store.path)
    data = datasets.load(store.path, skip_corrupt=True)
    np.testing.assert_array_equal(data.images, FEATURES[:30])
    assert data.labels.tolist() == [0] * 10 + [1] * 20
    assert data.notes[1:] == ("10 samples were left out: they have no features there.",)
    store.write_samples(content_hashes(SAMPLES + 100), label=Y)
    with pytest.raises(ValueError, match="None of the samples"):
        datasets.load(store.path, skip_corrupt=True)


def test_a_damaged_part(store):
    with store:
        store.append(content_hashes(SAMPLES + 100), FEATURES)
    store.write_samples(content_hashes(np.concatenate([SAMPLES, SAMPLES + 100])), label=[*Y, *Y])
    part = max((store.path / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(ValueError, match=part.name):
        datasets.load(store.path)
    with pytest.warns(UserWarning, match=part.name):
        data = datasets.load(store.path, skip_corrupt=True)
    np.testing.assert_array_equal(data.images, FEATURES)


def test_a_store_without_labels(tmp_path):
    store = FeatureStore(tmp_path / "pets", key="k1")
    for columns in ({}, {"file": Y}):
        with pytest.raises(ValueError, match=r"lists no samples with labels"):
            datasets.load(store.path)
        store.write_samples(HASHES, **columns)


def test_a_packed_store(store, tmp_path):
    with tarfile.open(tmp_path / "pets.tar", "w") as archive:
        archive.add(store.path, "pets")
    np.testing.assert_array_equal(datasets.load(tmp_path / "pets.tar").images, FEATURES)


def test_heads_are_compared_on_a_store(store):
    expected = compare(FEATURES, Y, methods=["logistic"], seeds=1)
    for result in (
        compare(store.path, methods=["logistic"], seeds=1),
        compare(store, Y, methods=["logistic"], seeds=1),
    ):
        found, wanted = result.methods[0], expected.methods[0]
        np.testing.assert_array_equal(found.predictions, wanted.predictions)


def test_a_folder_of_stores_is_a_cache_and_no_data(store):
    with pytest.raises(ValueError, match=r"holds feature stores, such as .* as the cache"):
        datasets.load(store.path.parent)
