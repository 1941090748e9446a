"""A feature store: what goes in comes out, and everything else is said."""

import json
import os
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

from penultimate import SVC, SVCSearchCV
from penultimate.store import FeatureStore, content_hashes, feature_store, is_store, mapped

pq = pytest.importorskip("pyarrow.parquet")

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
SAMPLES = np.arange(40)[:, np.newaxis]
HASHES = content_hashes(SAMPLES)
FEATURES = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a störe"


@pytest.fixture
def store(path):
    with FeatureStore(path, key="k1", description={"network": "wide", "layer": "gap"}) as store:
        store.append(HASHES, FEATURES)
    return store


def parts_of(store):
    return sorted((store.path / "parts").iterdir())


def test_what_was_appended_is_taken_in_any_order(store):
    order = np.random.default_rng(1).permutation(40)
    for opened in (store, FeatureStore(store.path)):
        np.testing.assert_array_equal(opened.take(HASHES[order]), FEATURES[order])
        np.testing.assert_array_equal(opened.take(list(HASHES[[3, 3]])), FEATURES[[3, 3]])
        assert opened.take([]).shape == (0, 6)
        assert (len(opened), opened.n_features, opened.shape) == (40, 6, (40, 6))
        assert opened.description == {"network": "wide", "layer": "gap"}
        assert repr(opened) == (
            "<FeatureStore of 'k1' (network: wide, layer: gap): 40 samples of 6 features, float32>"
        )


def test_a_change_costs_only_what_is_new(store):
    """Shuffled, two changed, one new, and one of these twice."""
    order = np.random.default_rng(2).permutation(40)
    samples = SAMPLES[order]
    samples[[5, 9]] += 1000
    hashes = content_hashes(np.concatenate([samples, [[77]], samples[[5]]]))
    assert store.missing(hashes).tolist() == [5, 9, 40]
    store.append(hashes[[5, 9, 40]], FEATURES[:3])
    assert store.missing(hashes).size == 0
    expected = np.concatenate([FEATURES[order], FEATURES[:1], FEATURES[:1]])
    expected[[5, 9, 40]] = FEATURES[:3]
    np.testing.assert_array_equal(store.take(hashes), expected)


def test_what_is_pending_counts_as_stored(path):
    store = FeatureStore(path, key="k1")
    batch = FEATURES.copy()
    store.append(HASHES, batch)
    batch[:] = 0  # the caller's, which may be used again
    assert store.missing(HASHES).size == 0
    assert len(store) == 40
    np.testing.assert_array_equal(store.take(HASHES), FEATURES)
    assert len(FeatureStore(path)) == 0
    store.flush()
    assert len(FeatureStore(path)) == 40


def test_parts_are_written_as_rows_come_together(path, monkeypatch):
    monkeypatch.setattr(feature_store, "_ROWS", 16)
    store = FeatureStore(path, key="k1")
    store.append(HASHES, FEATURES)
    assert [pq.read_metadata(part).num_rows for part in parts_of(store)] == [16, 16]
    np.testing.assert_array_equal(store.take(HASHES), FEATURES)  # of two parts, and of none yet


def test_a_slow_network_loses_half_a_minute(path, monkeypatch):
    store = FeatureStore(path, key="k1")
    store.append(HASHES[:1], FEATURES[:1])
    assert len(FeatureStore(path)) == 0
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 31)
    store.append(HASHES[1:2], FEATURES[1:2])
    assert len(FeatureStore(path)) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_ctrl_c_loses_nothing(path, error):
    def interrupted():
        with FeatureStore(path, key="k1") as store:
            store.append(HASHES[:3], FEATURES[:3])
            raise error

    with pytest.raises(error):
        interrupted()
    np.testing.assert_array_equal(FeatureStore(path).take(HASHES[:3]), FEATURES[:3])


def test_ctrl_c_while_a_part_is_written(path, monkeypatch):
    def interrupted(*arguments):
        monkeypatch.undo()
        raise KeyboardInterrupt

    store = FeatureStore(path, key="k1")
    store.append(HASHES[:3], FEATURES[:3])
    monkeypatch.setattr(feature_store, "write_part", interrupted)
    with pytest.raises(KeyboardInterrupt), store:
        store.flush()
    assert len(FeatureStore(path)) == 3


def test_what_is_stored_stays_as_it_is(store):
    store.append(HASHES, FEATURES + 1)
    store.flush()
    np.testing.assert_array_equal(store.take(HASHES), FEATURES)
    assert len(parts_of(store)) == 1
    new = content_hashes(np.array([[77], [77]]))  # twice in one call
    store.append(new, FEATURES[:2])
    np.testing.assert_array_equal(store.take(new), FEATURES[[0, 0]])
    assert len(store) == 41


def test_half_precision(path):
    with FeatureStore(path, key="k1", dtype="float16") as store:
        store.append(HASHES, FEATURES)
    half = FEATURES.astype(np.float16).astype(np.float32)
    opened = FeatureStore(path)
    assert (opened.stored_dtype, opened.dtype) == ("float16", np.float32)
    np.testing.assert_array_equal(opened.take(HASHES), half)
    np.testing.assert_array_equal(np.asarray(opened), half)
    with pytest.raises(ValueError, match=r"1 row holds values too large for float16: 2.*'float32'"):
        store.append(HASHES[:3] + 1, [[1.0] * 6, [2.0] * 6, [1e5] * 6])
    with pytest.raises(ValueError, match=r"holds float16; got dtype='float32'"):
        FeatureStore(path, dtype="float32")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (FEATURES[:3, :5], r"holds 6 features per sample; got 5"),
        (FEATURES[:2], r"one row per hash .* got shape \(2, 6\) for 3 hashes"),
        (FEATURES[0], r"one row per hash .* got shape \(6,\)"),
        (np.full((3, 6), "a"), "must be numbers; got an array of dtype <U1"),
        (np.where(np.eye(3, 6), np.nan, 1), r"3 rows hold NaN or infinity: 0, 1, 2. None of"),
        (np.full((3, 6), 1e39), r"3 rows hold values too large for float32: 0, 1, 2. .*stored.$"),
    ],
)
def test_bad_features_are_refused(store, features, message):
    with pytest.raises(ValueError, match=message):
        store.append(content_hashes(np.array([[50], [51], [52]])), features)
    store.flush()
    assert len(store) == len(FeatureStore(store.path)) == 40


def test_samples_without_features(store):
    with pytest.raises(KeyError, match=r"1 sample of 2 has no features in .* store.missing"):
        store.take([bytes(16), HASHES[0].tobytes()])
    with pytest.raises(KeyError, match="1 sample of 1 has"):
        store.matrix([bytes(16)])
    assert not list((store.path / "mapped").iterdir())  # nor anything half written
    assert store.has([bytes(16), HASHES[0].tobytes()]).tolist() == [False, True]


def test_another_network_is_refused_with_both_fingerprints(store):
    with pytest.raises(ValueError, match="other network or preprocessing") as refused:
        FeatureStore(store.path, key="k2", description="another one")
    for said in ("'k1' (network: wide, layer: gap)", "'k2' (another one)", str(store.path)):
        assert said in str(refused.value)
    assert len(FeatureStore(store.path, key="k1", description="in other words")) == 40


def test_other_weights_that_are_described_alike_are_refused_in_these_words(store):
    alike = {"network": "wide", "layer": "gap"}
    with pytest.raises(
        ValueError, match="those of 'k2', which has the same description but differs"
    ):
        FeatureStore(store.path, key="k2", description=alike)
    with pytest.raises(ValueError, match=r"those of 'k2' \(n: 3, path: a\)"):
        FeatureStore(store.path, key="k2", description={"n": np.int64(3), "path": Path("a")})


def test_what_is_no_store(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no feature store .*pass key="):
        FeatureStore(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("a")
    for key in (None, "k1"):
        with pytest.raises(ValueError, match="is a file; a feature store is a folder"):
            FeatureStore(tmp_path / "file", key=key)
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match=r"is empty. To create"):
        FeatureStore(tmp_path / "photos")
    (tmp_path / "photos" / "cat.png").touch()
    for key in (None, "k1"):
        with pytest.raises(ValueError, match=r"is not a feature store: .* holds 'cat.png'"):
            FeatureStore(tmp_path / "photos", key=key)
    assert not is_store(tmp_path / "photos")
    with pytest.raises(ValueError, match="non-empty string; got ' '"):
        FeatureStore(tmp_path / "new", key=" ")
    FeatureStore(tmp_path / "deep" / "er", key="k1")
    assert is_store(tmp_path / "deep" / "er")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, r"has format 2, of a newer version .* up to 1. Update penultimate"),
        ({"dtype": "float8"}, "is not the manifest of a feature store"),
        ({"key": None}, "is not the manifest of a feature store"),
        ({"description": ["a"]}, "is not the manifest of a feature store"),
    ],
)
def test_a_manifest_of_another_kind(store, change, message):
    file = store.path / "feature-store.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | change))
    with pytest.raises(ValueError, match=message):
        FeatureStore(store.path)


@pytest.mark.parametrize("name", ["feature-store.json", "n-features.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"n_features": "6"}'])
def test_a_damaged_manifest_is_named(store, name, content):
    (store.path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        FeatureStore(store.path)


DAMAGE = {
    "truncated": lambda content: content[:-100],
    "empty": lambda content: b"",
    "no Parquet": lambda content: b"a" * len(content),
    "in the hashes": lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
    "in the features": lambda content: content[:1200] + bytes([content[1200] ^ 1]) + content[1201:],
    "in the footer": lambda content: content[:-60] + bytes([content[-60] ^ 1]) + content[-59:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_part_is_named_or_left_out(store, damage):
    with FeatureStore(store.path) as more:
        more.append(content_hashes(SAMPLES + 100), FEATURES + 1)
    first = min(parts_of(store))
    first.write_bytes(damage(first.read_bytes()))

    with pytest.raises(ValueError, match=r"Delete it, and .*on_damage='skip'") as refused:
        FeatureStore(store.path).take(HASHES)
    assert str(first) in str(refused.value)

    with pytest.warns(UserWarning, match=first.name):
        skipping = FeatureStore(store.path, on_damage="skip")
    np.testing.assert_array_equal(skipping.missing(HASHES), np.arange(40))
    np.testing.assert_array_equal(skipping.take(content_hashes(SAMPLES + 100)), FEATURES + 1)
    with skipping:
        skipping.append(HASHES, FEATURES)
    first.unlink()
    np.testing.assert_array_equal(FeatureStore(store.path).take(HASHES), FEATURES)


def test_any_flipped_byte_is_found(path):
    with FeatureStore(path, key="k1") as store:
        store.append(HASHES[:2], FEATURES[:2])
    (part,) = parts_of(store)
    content = part.read_bytes()
    for at in range(0, len(content), 7):
        part.write_bytes(content[:at] + bytes([content[at] ^ 64]) + content[at + 1 :])
        with pytest.raises(ValueError, match=part.name):
            FeatureStore(path).take(HASHES[:2])


def test_a_part_of_another_store(store, tmp_path):
    with FeatureStore(tmp_path / "other", key="k2") as other:
        other.append(HASHES, FEATURES)
    with FeatureStore(tmp_path / "wider", key="k1") as wider:
        wider.append(HASHES, np.ones((40, 7)))
    for source, message in ((other, "of another store, with the key 'k2'"), (wider, "7 .*of 6")):
        copied = Path(shutil.copy(parts_of(source)[0], store.path / "parts"))
        with pytest.raises(ValueError, match=message):
            FeatureStore(store.path)
        copied.unlink()


def test_the_store_is_an_array(store):
    X = np.asarray(store)
    np.testing.assert_array_equal(X, FEATURES)
    assert (store.shape, store.ndim, store.dtype, len(store)) == (X.shape, 2, X.dtype, len(X))
    assert np.asarray(store, np.float64).dtype == np.float64
    for rows in (3, slice(2, 9), [5, 1], np.arange(40) % 2 == 0, (slice(4), 2)):
        np.testing.assert_array_equal(store[rows], FEATURES[rows])
    with pytest.raises(ValueError, match="read-only"):
        store[:][0] = 1


def test_estimators_take_a_store(store):
    y = np.arange(40) % 2
    for estimator in (SVC(), LogisticRegression(), SVCSearchCV(param_grid={"C": [0.1, 1]}, cv=2)):
        expected = clone(estimator).fit(FEATURES, y).decision_function(FEATURES)
        fitted = estimator.fit(store, y)
        np.testing.assert_array_equal(fitted.decision_function(store), expected)
    scaled = StandardScaler().fit_transform(store)
    np.testing.assert_array_equal(scaled, StandardScaler().fit_transform(FEATURES))
    scores = cross_val_score(LogisticRegression(), store, y, cv=4)
    np.testing.assert_array_equal(scores, cross_val_score(LogisticRegression(), FEATURES, y, cv=4))


def test_it_is_mapped_and_built_once(store):
    def matrices():
        return {p.name: p.stat().st_ino for p in (store.path / "mapped").iterdir()}

    assert isinstance(FeatureStore(store.path).matrix(), np.memmap)
    before = matrices()
    assert FeatureStore(store.path).matrix().shape == (40, 6)
    assert matrices() == before  # opened, not built again
    with store:
        store.append(content_hashes([[99]]), FEATURES[:1])
    np.testing.assert_array_equal(store, np.concatenate([FEATURES, FEATURES[:1]]))
    assert len(matrices()) == 2
    (store.path / "mapped" / next(iter(before))).write_bytes(b"cut off")
    np.testing.assert_array_equal(FeatureStore(store.path).matrix(HASHES), FEATURES)


def test_few_matrices_are_kept(store):
    for n in range(1, 9):
        np.testing.assert_array_equal(store.matrix(HASHES[:n]), FEATURES[:n])
    assert len(list((store.path / "mapped").iterdir())) == mapped._KEPT


def test_batches(store):
    order = np.random.default_rng(3).permutation(40)
    batches = list(store.batches(HASHES[order], size=16))
    assert [len(batch) for batch in batches] == [16, 16, 8]
    np.testing.assert_array_equal(np.concatenate(batches), FEATURES[order])
    with pytest.raises(ValueError, match="size"):
        next(store.batches(size=0))


def test_an_empty_store(path):
    store = FeatureStore(path, key="k1")
    assert (store.n_features, store.shape, len(store.hashes)) == (None, (0, 0), 0)
    assert repr(store) == "<FeatureStore of 'k1': 0 samples, float32>"
    assert store.missing(HASHES[[0, 1, 0]]).tolist() == [0, 1]
    assert np.asarray(store).shape == (0, 0)
    assert list(store.batches()) == []
    store.flush()


def test_listed_samples_are_the_rows(store):
    """Rows come in the order listed, some of them twice and others not at all."""
    rows = np.array([7, 3, 3, 20])
    store.write_samples(HASHES[rows], label=[1, 0, 0, 1], file=["ä.png", "b", "c", "\udcff"])
    for opened in (store, FeatureStore(store.path)):
        np.testing.assert_array_equal(opened, FEATURES[rows])
        np.testing.assert_array_equal(opened.hashes, HASHES[rows])
        assert opened.shape == (4, 6)
        assert repr(opened).endswith("4 samples of 6 features, float32; 40 stored>")
        assert opened.samples == {
            "label": ["1", "0", "0", "1"],
            "file": ["ä.png", "b", "c", "\\udcff"],
        }
    with pytest.raises(ValueError, match=r"must be one of .*; got 'labels'. Did you mean 'label'"):
        store.write_samples(HASHES, labels=SAMPLES)
    with pytest.raises(ValueError, match=r"There are 40 samples, but 'label' has 2 entries"):
        store.write_samples(HASHES, label=["a", "b"])
    with pytest.raises(ValueError, match=r"'group' has no entry for sample 1"):
        store.write_samples(HASHES[:2], group=["a", None])


def test_a_damaged_list_of_samples_is_named(store):
    store.write_samples(HASHES, label=SAMPLES)
    (store.path / "samples.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"samples.parquet.* can't be used.*their features stay"):
        len(FeatureStore(store.path))
    assert "40 samples" in repr(FeatureStore(store.path))


def test_a_pickled_store_has_the_same_rows(store):
    copy = pickle.loads(pickle.dumps(store))  # noqa: S301
    with store:  # which the copy, made before, does not have
        store.append(content_hashes([[99]]), FEATURES[:1])
    np.testing.assert_array_equal(copy, FEATURES)
    pickled = pickle.dumps(copy)
    assert len(pickled) < 1000
    again = pickle.loads(pickled)  # noqa: S301
    np.testing.assert_array_equal(again, FEATURES)  # not what came since
    store.write_samples(HASHES[:2])
    with pytest.raises(ValueError, match="listed again"):
        pickle.loads(pickled)  # noqa: S301


def test_what_another_writer_has_stored_is_found(store):
    other = FeatureStore(store.path, key="k1")
    new = content_hashes([[88], [89]])
    store.append(new, FEATURES[:2])
    with other:
        other.append(new[1:], FEATURES[5:6])
    assert len(store) == 42
    store.refresh()  # what is pending here is there by now
    assert len(store) == len(set(map(bytes, store.hashes))) == 42
    store.flush()
    for opened in (store, FeatureStore(store.path)):
        np.testing.assert_array_equal(opened.take(new), FEATURES[[0, 5]])
    with FeatureStore(store.path) as last, pytest.raises(ValueError, match="6 features .* got 5"):
        last.append(new, FEATURES[:2, :5])


def test_a_full_disk(store, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    store.append(content_hashes([[99]]), FEATURES[:1])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device.*Free some space"):
            store.flush()
        with pytest.raises(OSError, match="Free some space"):
            FeatureStore(store.path.with_name("new"), key="k1")
    # A hole in a mapped file would end the process where it is filled.
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="Free some space"):
        store.matrix()
    monkeypatch.undo()
    assert len(parts_of(store)) == 2  # written after all: it was still pending
    assert np.asarray(store).shape == (41, 6)


@pytest.mark.skipif(AS_ROOT, reason="the administrator may write anywhere")
def test_a_read_only_store_is_read(store):
    folders = [store.path / "parts", store.path]
    for folder in folders:
        folder.chmod(0o555)
    try:
        opened = FeatureStore(store.path)
        np.testing.assert_array_equal(opened, FEATURES)
        opened.append(content_hashes([[99]]), FEATURES[:1])
        with pytest.raises(PermissionError, match="Choose a file and a folder"):
            opened.flush()
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_matrix_of_a_read_only_store_is_mapped_from_elsewhere(store, monkeypatch):
    def read_only(path):
        raise PermissionError(13, "Permission denied", str(path))

    whole = FeatureStore(store.path).matrix()  # before it was read-only
    monkeypatch.setattr(mapped, "write_atomically", read_only)
    monkeypatch.setattr(os, "utime", read_only)
    assert store.matrix().filename == whole.filename
    matrix = store.matrix(HASHES[::-1])
    assert isinstance(matrix, np.memmap)
    np.testing.assert_array_equal(matrix, FEATURES[::-1])
    with pytest.raises(ValueError, match="read-only"):
        matrix[0] = 1


def test_what_killed_writers_left_is_removed_when_old(store):
    folder = store.path / "parts"
    for name, age in ((".old.x1.tmp", 4000), (".young.x2.tmp", 0)):
        (folder / name).mkdir()
        (folder / name / "half.parquet").write_bytes(b"PAR1")
        os.utime(folder / name, (time.time() - age,) * 2)
    assert len(FeatureStore(store.path)) == 40
    with FeatureStore(store.path) as opened:
        opened.append(content_hashes([[99]]), FEATURES[:1])
    assert {p.name for p in folder.iterdir() if p.name.startswith(".")} == {".young.x2.tmp"}


def test_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setattr("penultimate._common.imports.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'penultimate\[store\]'"):
        FeatureStore(tmp_path / "new", key="k1")
    assert not (tmp_path / "new").exists()


def test_a_matrix_is_written_where_space_can_not_be_reserved_by_the_system(store, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(mapped, "_BLOCK", 100)
    np.testing.assert_array_equal(store, FEATURES)


def test_of_two_writers_of_a_sample_the_first_counts(path):
    first, second = (FeatureStore(path, key="k1") for _ in range(2))
    first.append(HASHES, FEATURES)
    second.append(HASHES, FEATURES + 1)
    first.flush()
    second.flush()
    first.refresh()
    for store in (first, FeatureStore(path)):
        assert len(store) == 40
        np.testing.assert_array_equal(store.take(HASHES), FEATURES)
