import copy
import pickle
import re
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from penultimate import DeepSVC, FeatureExtractor, MarginClassifier, Specialists, Training
from penultimate.networks import build_network, fit_network, load_network, save_network
from penultimate.networks.frameworks.backend import import_keras
from penultimate.provenance.fingerprints import fingerprint, hash_samples
from penultimate.provenance.leakage import LeakageError, LeakageWarning, report_leak
from penultimate.provenance.records import Provenance, provenance_of, record, set_provenance
from penultimate.svm import SVC

pytestmark = pytest.mark.usefixtures("solved_networks")
keras = import_keras()
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 8, 8), dtype=np.uint8)
QUICK = Training(epochs=2, augmentation=None)


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(3), st.integers(2, 5))))
def test_the_same_pixels_are_the_same_in_any_form(images):
    images = images.copy()
    images[:, 0, 0] = 200  # else values up to 1 are taken for a share of 255
    expected = fingerprint(images)
    for form in (
        images[..., np.newaxis],
        images.astype(np.int64),
        images.astype(np.float32),
        images.astype(np.float64),
        images.astype(np.float32) / np.float32(255),
        images / 255,
        np.asfortranarray(images),
    ):
        np.testing.assert_array_equal(fingerprint(form), expected)


def test_a_sample_has_the_same_hash_alone_and_among_others():
    floats = RNG.normal(size=(50, 30))
    whole = hash_samples(floats)
    assert whole.shape == (50, 2)
    assert len(np.unique(whole)) == 100
    alone = np.concatenate([hash_samples(row[np.newaxis]) for row in floats])
    np.testing.assert_array_equal(alone, whole)
    np.testing.assert_array_equal(hash_samples(np.asfortranarray(floats)), whole)


def test_another_pixel_another_shape_or_another_order_is_another_sample():
    changed = IMAGES.copy()
    changed[:, 3, 3] ^= 1
    assert not np.isin(fingerprint(changed), fingerprint(IMAGES)).any()
    assert not np.isin(fingerprint(IMAGES.reshape(20, 4, 16)), fingerprint(IMAGES)).any()
    assert not np.isin(fingerprint(IMAGES.transpose(0, 2, 1)), fingerprint(IMAGES)).any()


def test_vectors_are_no_pixels():
    small, large = fingerprint([[0.2, 1.0]]), fingerprint([[51.0, 255.0]])
    assert small != large
    assert fingerprint([[0.0, 1.0]]) == fingerprint([[-0.0, 1.0]])
    assert fingerprint([[0.1, 1.0]]) == fingerprint(np.array([[0.1, 1.0]], np.float32))


def test_images_that_are_no_pixels_are_hashed_as_they_are():
    tiny = IMAGES / 1e9
    assert len(np.unique(fingerprint(tiny))) == 20
    assert len(np.unique(fingerprint(IMAGES / 255 - 0.5))) == 20
    assert len(fingerprint(np.full((2, 3, 3), np.nan))) == 2


def test_what_is_no_array_of_numbers_is_refused():
    with pytest.raises(ValueError, match="must be an array of numbers; got dtype <U1"):
        fingerprint(np.array(["a"]))


@pytest.mark.slow
def test_a_million_samples_take_less_than_ten_mebibytes():
    prints = RNG.integers(0, 2**64, 1_000_000, dtype=np.uint64)
    seen = Provenance.of(prints, "trained")
    assert len(seen.to_bytes()) < 10 << 20
    assert (np.diff(seen.trained.astype(object)[:1000]) > 0).all()
    assert seen.holds(prints[:1000]).all()
    assert not seen.holds(prints[:1000] + np.uint64(1)).any()


def test_roles_are_kept_apart(tmp_path):
    prints = fingerprint(IMAGES)
    seen = Provenance.of(prints[:5], "trained") | Provenance.of(prints[5:10], "tested")
    assert seen.holds(prints).sum() == 5
    assert seen.holds(prints, ["tested"]).tolist() == [5 <= k < 10 for k in range(20)]
    seen.write(tmp_path / "seen.safetensors")
    again = Provenance.read(tmp_path / "seen.safetensors")
    np.testing.assert_array_equal(again.trained, seen.trained)
    np.testing.assert_array_equal(again.tested, seen.tested)
    with pytest.raises(ValueError, match="'role' parameter of Provenance must be one of"):
        Provenance.of(prints, "seen")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("n_seen", [20, 0])
def test_whether_all_is_known_is_written_with_it(known, n_seen, tmp_path):
    seen = replace(Provenance.of(fingerprint(IMAGES)[:n_seen], "trained"), known=known)
    seen.write(tmp_path / "seen.safetensors")
    network = build_network("compact", (8, 8, 1), 2)
    set_provenance(network, seen)
    save_network(network, tmp_path / "network.keras")
    del network, seen  # equal weights would find them
    for again in (
        Provenance.read(tmp_path / "seen.safetensors"),
        provenance_of(load_network(tmp_path / "network.keras")),
    ):
        assert (again.known, len(again.trained)) == (known, n_seen)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "seen.safetensors"
    path.write_bytes(Provenance.of(fingerprint(IMAGES), "trained").to_bytes()[:-3])
    with pytest.raises(ValueError, match="is damaged or holds no provenance"):
        Provenance.read(path)


def test_leaks_are_reported_with_their_number_and_three_examples():
    leaked = np.array([3, 14, 15, 92])
    told = "4 of 1,000 test samples were seen in training (exact copies): 3, 14, 15 ..."
    with pytest.raises(LeakageError, match=re.escape(told)):
        report_leak(leaked, 1000)
    with pytest.warns(LeakageWarning, match=re.escape(told)):
        report_leak(leaked, 1000, on_leak="warn")
    assert told in report_leak(leaked, 1000, on_leak="ignore")
    assert report_leak(leaked[:0], 1000) == ""


@pytest.mark.slow
def test_the_record_of_a_network_follows_its_copies(tmp_path):
    network, _ = fit_network("compact", IMAGES[:, ..., None], np.arange(20) % 2, QUICK)
    seen = provenance_of(network)
    assert len(seen.trained) + len(seen.selected) == 20
    assert seen.holds(fingerprint(IMAGES)).all()
    for again in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):  # noqa: S301
        assert provenance_of(again).holds(fingerprint(IMAGES)).all()
    path = tmp_path / "network.keras"
    save_network(network, path)
    assert [file.name for file in tmp_path.iterdir()] == ["network.keras"]
    del network, again
    assert provenance_of(load_network(path)).holds(fingerprint(IMAGES)).all()


def test_a_network_trained_elsewhere_can_be_told():
    network = build_network("compact", (8, 8, 1), 2, seed=5)  # no weights of another test's
    assert not provenance_of(network).holds(fingerprint(IMAGES)).any()
    record(network, IMAGES[:4])
    record(network, fingerprints=fingerprint(IMAGES[4:6]), role="selected")
    assert provenance_of(network).holds(fingerprint(IMAGES)).sum() == 6
    assert provenance_of(FeatureExtractor(network)).holds(fingerprint(IMAGES)).sum() == 6
    with pytest.raises(
        TypeError, match="'network' must be a Keras model, a torch module or an ONNX network; got 3"
    ):
        record(3, IMAGES)
    with pytest.raises(ValueError, match="Pass X"):
        record(network)


def test_scores_of_seen_samples_are_warned_of(shapes):
    X, y = shapes
    model = DeepSVC(training=QUICK, head=SVC(), random_state=0).fit(X[:40], y[:40])
    with pytest.warns(LeakageWarning, match="10 of 30 test samples .* 0, 1, 2 ..."):
        model.score(X[30:], y[30:])
    model.score(X[40:], y[40:])  # a warning would be an error


@pytest.mark.slow
def test_what_a_frozen_network_has_seen_counts(shapes):
    X, y = shapes
    network, _ = fit_network("compact", X[:20, ..., None], np.arange(20) % 2, QUICK)
    model = DeepSVC(network, head=SVC()).fit(X[20:40], y[20:40])
    with pytest.warns(LeakageWarning, match="40 of 60"):
        model.score(X, y)
    assert model.provenance_.holds(fingerprint(X)).sum() == 40
    kept = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert kept.provenance_.holds(fingerprint(X)).sum() == 40


def test_streams_are_remembered():
    X = RNG.normal(size=(30, 4))
    y = np.arange(30) % 2
    model = MarginClassifier().partial_fit(X[:10], y[:10], classes=[0, 1])
    model.partial_fit(X[10:20], y[10:20])
    with pytest.warns(LeakageWarning, match="20 of 30"):
        model.score(X, y)


def test_added_subsets_are_remembered(two_subsets):
    images, y = two_subsets.images, two_subsets.labels
    first = y < 2
    model = Specialists(subsets={"bright": [0, 1]}, training=QUICK, head=SVC(), random_state=0).fit(
        images[first], y[first]
    )
    assert not model.provenance_.holds(fingerprint(images[~first])).any()
    model.add_subset("dark", images[~first][:20], y[~first][:20])
    assert model.provenance_.holds(fingerprint(images)).sum() == first.sum() + 20


@pytest.mark.slow
@pytest.mark.serial
def test_fingerprints_cost_little_compared_with_features():
    images = RNG.integers(0, 256, (1500, 28, 28, 1), dtype=np.uint8)
    extractor = FeatureExtractor(build_network("compact", (28, 28, 1), 10)).fit()
    extractor.transform(images[:512])
    shares = []
    for _ in range(3):
        start = time.perf_counter()
        extractor.transform(images)
        middle = time.perf_counter()
        fingerprint(images)
        shares.append((time.perf_counter() - middle) / (middle - start))
    assert min(shares) < 0.02


@pytest.mark.parametrize("nothing", [[], np.zeros((0, 8, 8)), np.zeros((0, 5), np.float32)])
def test_no_samples_have_no_fingerprints(nothing):
    assert fingerprint(nothing).shape == (0,)


def base_and_head(seed=0, frozen=False):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,))
    normal = keras.layers.BatchNormalization()(inputs)
    hidden = keras.layers.Dense(5, activation="relu", name="hidden", trainable=not frozen)(normal)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(hidden))


def hidden_of(network):
    return keras.Model(network.inputs[0], network.get_layer("hidden").output)


def copied(network):
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


@pytest.mark.parametrize("change", [lambda cut: cut, copied, lambda cut: keras.Sequential([cut])])
@pytest.mark.parametrize("kept", [True, False])
def test_a_network_that_was_cut_has_seen_what_it_was_cut_from_has(change, kept):
    network = base_and_head(1)
    record(network, IMAGES[:4])
    cut = hidden_of(network)
    if not kept:
        del network
    cut = change(cut)
    seen = provenance_of(cut)
    assert seen.known
    assert seen.holds(fingerprint(IMAGES)).tolist() == [k < 4 for k in range(20)]
    cut.trainable = False
    assert len(provenance_of(cut).trained) == 4


def test_what_a_new_head_has_seen_is_unknown_until_it_is_told():
    network = base_and_head(2)
    record(network, IMAGES[:4])
    cut = hidden_of(network)
    other = keras.Sequential([cut, keras.layers.Dense(3)])
    other.build((None, 6))
    seen = provenance_of(other)
    assert not seen.known
    assert len(seen.trained) == 4
    record(other, IMAGES[4:6])
    assert provenance_of(other).known
    assert len(provenance_of(other).trained) == 6
    assert len(provenance_of(network).trained) == 4


def test_networks_on_the_same_frozen_layers_have_not_seen_each_others_samples():
    first = base_and_head(3, frozen=True)
    record(first, IMAGES[:4])
    second = base_and_head(4, frozen=True)
    second.get_layer("hidden").set_weights(first.get_layer("hidden").get_weights())
    assert len(provenance_of(second).trained) == 0
    assert not provenance_of(second).known


def test_untrained_networks_share_nothing_that_tells():
    zeros = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2, kernel_initializer="zeros")])
    record(zeros, IMAGES[:4])
    other = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(2, kernel_initializer="zeros"),
            keras.layers.Dense(3),
        ]
    )
    assert len(provenance_of(other).trained) == 0
    assert not provenance_of(other).known


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.full((2, 8, 8), 9, np.uint8), ""),
        (np.full((2, 8, 8), 0.5, np.float32), "from 0.5 to 0.5, and the network takes pixels"),
        (np.full((2, 6, 8), 9, np.uint8), "of 6 x 8 pixels, and the network takes 8 x 8"),
    ],
)
def test_samples_that_the_network_was_not_fed(samples, words):
    network = build_network("compact", (8, 8, 1), 2, seed=11)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        record(network, samples)
    assert len(said) == bool(words)
    if words:
        assert words in str(said[0].message)
        assert said[0].filename == __file__
