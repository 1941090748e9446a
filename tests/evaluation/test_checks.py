"""Each beginner's error is committed, and caught by its check; else the check is silent."""

import inspect
import re

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from penultimate import DeepSVC, FeatureExtractor, Training
from penultimate.datasets import load
from penultimate.evaluation import checks
from penultimate.networks import fit_network
from penultimate.networks.frameworks.backend import import_keras
from penultimate.provenance.fingerprints import fingerprint
from penultimate.provenance.records import record
from penultimate.splits import split_test
from penultimate.svm import SVC

pytestmark = pytest.mark.usefixtures("solved_networks")
DIGITS, LABELS = load_digits(return_X_y=True)
IMAGES = (DIGITS.reshape(-1, 8, 8) * 15).astype(np.uint8)
RNG = np.random.default_rng(0)
QUICK = Training(epochs=1, augmentation=None)


def test_every_check_says_why_and_what_to_do():
    for why, advice in checks.ABOUT.values():
        assert why.endswith(".")
        assert advice.endswith(".")
    check = checks.Check("grid-edge", "seen")
    assert set(check.to_dict()) == {"id", "level", "message", "why", "advice"}


def test_every_check_is_public():
    for name in checks.__all__:
        assert inspect.getdoc(getattr(checks, name)) or name == "ABOUT"


def test_the_test_set_is_a_slice_of_the_training_set():
    """The mistake of seed 000: trained on all, "tested" on samples 500 to 1,000 of them."""
    network, _ = fit_network("compact", IMAGES[:1000, ..., None], LABELS[:1000], QUICK)
    check = checks.check_seen(fingerprint(IMAGES[500:1000]), network)
    assert (check.id, check.level) == ("test-samples-seen", "error")
    assert "500 of 500" in check.message
    assert checks.check_seen(fingerprint(IMAGES[1000:]), network) is None
    named = checks.check_seen(fingerprint(IMAGES[998:1002]), network, names=["a", "b", "c", "d"])
    assert named.message.endswith("(exact copies): a, b.")


def test_parameters_are_selected_on_what_the_network_was_trained_on():
    """The mistake of both seeds."""
    network, _ = fit_network("compact", IMAGES[:100, ..., None], LABELS[:100], QUICK)
    prints = fingerprint(IMAGES[50:150])
    check = checks.check_selection("heldout", network=network, fingerprints=prints)
    assert check.id == "selection-on-training-samples"
    assert "50 of the 100" in check.message
    assert checks.check_selection("resubstitution").id == check.id
    assert checks.check_selection("heldout") is None
    assert checks.check_selection("crossfit") is None
    new = fingerprint(IMAGES[200:300])
    assert checks.check_selection("heldout", network=network, fingerprints=new) is None


def test_classifiers_were_trained_on_different_samples():
    """The mistake of seed 002: one network on all classes against others on fewer samples."""
    first, _ = fit_network("compact", IMAGES[:100, ..., None], LABELS[:100], QUICK)
    record(first, IMAGES[100:110])
    model = DeepSVC(first, head=SVC()).fit(IMAGES[110:150], LABELS[110:150])
    check = checks.check_same_training({"shared": first, "own": model, "unknown": SVC()})
    assert check.id == "other-training-samples"
    assert checks.check_same_training({"one": first, "again": first}) is None
    assert checks.check_same_training({"unknown": SVC()}) is None


def test_writers_are_on_both_sides():
    """The mistake of seed 002: a random split of files whose names carry the writer."""
    rng = np.random.default_rng(1)
    writers, labels = rng.integers(0, 30, 600), rng.integers(0, 10, 600)
    files = [f"{label}/{w:03d}_{k:02d}.jpg" for k, (label, w) in enumerate(zip(labels, writers))]
    split = split_test(labels)
    found = checks.check_groups(split.train, split.held_out, files=files, labels=labels)
    assert found.id == "groups-split"
    assert re.search("; (2[5-9]|30) are on both sides", found.message)
    assert checks.check_groups(split.train, split.held_out, groups=writers).id == "groups-split"
    apart = split_test(labels, groups=writers)
    for given in ({"groups": writers}, {"files": files, "labels": labels}):
        assert checks.check_groups(apart.train, apart.held_out, **given) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda k, label: f"{label}_{k}.png",  # a class's name, and no group
        lambda k, label: f"img_{k}.png",  # the same for all
        lambda k, label: f"{k}_x.png",  # another for each
        lambda k, label: f"{k}.png",
    ],
)
def test_other_names_of_files_are_no_groups(make):
    labels = np.arange(200) % 5
    files = [make(k, label) for k, label in enumerate(labels)]
    split = split_test(labels)
    assert checks.check_groups(split.train, split.held_out, files=files, labels=labels) is None


@pytest.mark.slow
def test_probabilities_are_fed_to_the_svm():
    network, _ = fit_network("compact", IMAGES[:100, ..., None], LABELS[:100], QUICK)
    probabilities = network.predict(IMAGES[:50, ..., None].astype(np.float32), verbose=0)
    found = checks.check_features(probabilities, standardized=True)
    assert [check.id for check in found] == ["probabilities-as-features"]
    features = FeatureExtractor(network).fit_transform(IMAGES[:50, ..., None])
    assert checks.check_features(features, standardized=True) == []


def test_features_of_unlike_scales():
    X = RNG.normal(size=(100, 3)) * [1, 1000, 1]
    assert [check.id for check in checks.check_features(X)] == ["unscaled-features"]
    assert checks.check_features(StandardScaler().fit_transform(X)) == []
    assert checks.check_features(np.ones((5, 2))) == []


def test_the_scaler_has_seen_the_test_samples():
    train, test = DIGITS[:1000], DIGITS[1000:]
    everything = StandardScaler().fit(DIGITS)
    assert checks.check_scaler(train, test, everything).id == "scaler-fitted-on-test"
    assert checks.check_scaler(train, test, StandardScaler().fit(train)) is None
    # And where only what came out of it is left.
    assert checks.check_scaler(everything.transform(train), everything.transform(test))
    rightly = StandardScaler().fit(train)
    assert checks.check_scaler(rightly.transform(train), rightly.transform(test)) is None
    assert checks.check_scaler(train, test) is None
    assert checks.check_scaler(IMAGES[:1000], IMAGES[1000:]) is None


def test_dropout_is_on_during_extraction():
    layers = import_keras().layers
    model = import_keras().Sequential(
        [layers.Input((64,)), layers.Dropout(0.5), layers.Dense(10, activation="softmax")]
    )
    X = DIGITS[:8].astype(np.float32)
    found = checks.check_stable(
        lambda X: import_keras().ops.convert_to_numpy(model(X, training=True)), X
    )
    assert found.id == "unstable-features"
    assert checks.check_stable(FeatureExtractor(model).fit().transform, X) is None


@pytest.mark.parametrize(
    ("values", "scores", "found"),
    [
        ([1, 10, 100], [0.7, 0.8, 0.9], "highest"),
        ([1.0, 10.0, 100.0], [0.9, 0.8, 0.7], "lowest"),
        ([1, 10, 100], [0.7, 0.9, 0.8], None),
        ([1.0, 10.0, 100.0], [0.9, 0.899, 0.7], None),  # a sample or two
        ([1, 3, 9], [0.9, 0.8, 0.7], None),  # no fewer neighbours than one
        ([5, 5, 5], [0.9, 0.8, 0.7], None),
        (["a", "b", "c"], [0.9, 0.8, 0.7], None),
        ([True, False, True], [0.9, 0.8, 0.7], None),
    ],
)
def test_the_best_setting_is_on_the_edge(values, scores, found):
    check = checks.check_grid([{"C": value} for value in values], scores, 500)
    assert (check is None) == (found is None)
    if found:
        assert check.id == "grid-edge"
        assert f"is the {found} that was tried" in check.message


def test_the_edge_of_one_of_two_parameters():
    params = [{"C": C, "gamma": gamma} for C in (1.0, 10.0, 100.0) for gamma in (0.1, 1.0, 10.0)]
    scores = [0.5, 0.6, 0.7, 0.6, 0.7, 0.8, 0.5, 0.6, 0.75]
    assert (
        "The best gamma of svm, 10, is the highest"
        in checks.check_grid(params, scores, 1000, name="svm").message
    )


def test_a_grid_far_too_small_is_caught_in_a_real_search():
    from penultimate import SVCSearchCV

    X = StandardScaler().fit_transform(DIGITS[:600])
    for grid, on_edge in (([0.1, 0.3, 1.0], True), ([1e-5, 1e-3, 0.01, 0.1, 1.0], False)):
        search = SVCSearchCV(param_grid={"C": [10], "gamma": grid}, cv=3).fit(X, LABELS[:600])
        results = search.cv_results_
        found = checks.check_grid(results["params"], results["mean_test_score"], 600)
        assert (found is not None) == on_edge


def test_a_rare_class():
    found = checks.check_balance([0] * 95 + [1] * 5, classes=["well", "ill"])
    assert found.id == "class-imbalance"
    assert "'well' has 95 samples, 'ill' 5" in found.message
    assert checks.check_balance(LABELS) is None


def test_the_same_image_has_two_labels():
    images, labels = np.concatenate([IMAGES, IMAGES[:2]]), np.concatenate([LABELS, [9, 9]])
    found = checks.check_duplicates(fingerprint(images), labels)
    assert found.id == "duplicates-across-classes"
    copies = f"0 = {len(IMAGES)}; 1 = {len(IMAGES) + 1}."
    assert (
        found.message == f"2 images are in the data under several labels, 4 times in all: {copies}"
    )
    same = np.concatenate([LABELS, LABELS[:2]])
    assert checks.check_duplicates(fingerprint(images), same) is None


def test_every_copy_is_named():
    prints, labels = np.repeat(np.arange(5, dtype=np.uint64), 8), np.arange(40) % 2
    found = checks.check_duplicates(prints, labels, names=[f"{k}.png" for k in range(40)])
    first, second, third = found.message.partition(": ")[2].split("; ")
    assert first == "0.png = 1.png = 2.png = 3.png = 4.png = 5.png and 2 more"
    assert second.startswith("8.png = 9.png")
    assert third.endswith("21.png and 2 more ...")


def test_the_selection_part_repeats_the_fit_part():
    prints = fingerprint(IMAGES)
    found = checks.check_selection_duplicates(prints[:100], prints[90:120])
    assert found.id == "duplicates-in-selection"
    assert "10 of 30" in found.message
    assert checks.check_selection_duplicates(prints[:100], prints[100:]) is None


def test_few_test_samples():
    assert checks.check_test_size(50, 0.9).id == "few-test-samples"
    assert checks.check_test_size(1000, 0.98) is None
    assert checks.check_test_size(20, 1.0).id == "few-test-samples"


def test_one_hot_labels():
    assert checks.check_labels_form(np.eye(10)[LABELS]).id == "one-hot-labels"
    for good in (LABELS, LABELS[:, None], np.ones((4, 2)), RNG.random((5, 3))):
        assert checks.check_labels_form(good) is None


def test_labels_in_another_order_than_the_images():
    shuffled = np.random.default_rng(1).permutation(LABELS)
    found = checks.check_labels_order(IMAGES, shuffled)
    assert found.id == "misordered-labels"
    assert checks.check_labels_order(IMAGES, LABELS) is None
    noisy = np.where(RNG.random(len(LABELS)) < 0.5, shuffled, LABELS)
    assert checks.check_labels_order(IMAGES, noisy) is None
    assert checks.check_labels_order(IMAGES[:2], [0, 1]) is None


def test_few_samples_do_not_show_that_labels_are_in_another_order():
    for n_samples in (37, 99):
        shuffled = np.random.default_rng(1).permutation(LABELS[:n_samples])
        assert checks.check_labels_order(IMAGES[:n_samples], shuffled) is None
    # In the right order, but hard: neighbors are right in 57 % of 120 samples, of two classes.
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    hard = rng.normal(size=(120, 2)) + [[0, 0.5]] * labels[:, None]
    assert checks.check_labels_order(hard, labels) is None
    shuffled = np.random.default_rng(1).permutation(LABELS[:400])
    assert checks.check_labels_order(IMAGES[:400], shuffled) is not None


def test_labels_that_wrap_can_not_be_made(tmp_path):
    """The mistake of seed 002, where digit 0 became class -1, the last consonant."""
    from PIL import Image

    for subset, names in (("numerals", "012"), ("consonants", "123")):
        for name in names:
            folder = tmp_path / subset / name
            folder.mkdir(parents=True)
            for k in range(5):
                pixels = RNG.integers(0, 255, (8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{k}.png")
    data = load(tmp_path, subsets=True)
    assert len(data.classes) == 6
    assert (np.bincount(data.labels) == 5).all()


def test_what_is_no_error_is_not_reported():
    """Real images, split and scaled rightly: every check is silent."""
    split = split_test(LABELS)
    prints = fingerprint(IMAGES)
    scaler = StandardScaler().fit(DIGITS[split.train])
    model = LogisticRegression(max_iter=200).fit(
        scaler.transform(DIGITS[split.train]), LABELS[split.train]
    )
    accuracy = model.score(scaler.transform(DIGITS[split.held_out]), LABELS[split.held_out])
    found = [
        checks.check_seen(prints[split.held_out], prints[split.train]),
        checks.check_duplicates(prints, LABELS),
        checks.check_balance(LABELS),
        checks.check_labels_form(LABELS),
        checks.check_labels_order(IMAGES, LABELS),
        checks.check_scaler(DIGITS[split.train], DIGITS[split.held_out], scaler),
        checks.check_test_size(len(split.held_out), accuracy),
        *checks.check_features(scaler.transform(DIGITS), standardized=True),
        *checks.check_features(softmax(DIGITS, axis=1) * 2, standardized=True),
    ]
    assert [check for check in found if check is not None] == []


SIX = np.arange(90) % 6


def right_for(share):
    """Predictions that are right for a share of the samples of every class alike."""
    return np.arange(90) // 6 < share * 15


@pytest.mark.parametrize(
    ("correct", "others", "words"),
    [
        (right_for(0.23), {}, "(majority class: 16.7 %)"),
        (right_for(0.6), {"validation_accuracy": [[0.2, 0.5, *[0.3] * 28]], "best_epochs": [1]},
         "the best epoch was 2 of 30, with a validation accuracy of 50 %"),
        (None, {"validation_accuracy": [[0.2, 0.5, *[0.3] * 28]], "best_epochs": [1]},
         "the best epoch was 2 of 30"),
        (right_for(0.5), {"head_correct": right_for(0.8)[None], "head": "cnn+svm-rbf"},
         "but cnn+svm-rbf on the same features has 80.0 %. Compare cnn+logistic, too"),
        (right_for(0.23), {"name": "cnn-hinge"}, "cnn-hinge has an accuracy of"),
        (right_for(0.5), {"head_correct": right_for(0.8)[None]},
         "but cnn+logistic on the same features has 80.0 %"),
    ],
)  # fmt: skip
def test_a_network_that_did_not_train(correct, others, words):
    check = checks.check_training(correct, SIX, **others)
    assert check.id == "network-undertrained"
    assert check.level == "error"
    assert words in check.message


@pytest.mark.parametrize(
    ("correct", "others"),
    [
        (right_for(0.5), {}),
        (right_for(1), {"validation_accuracy": [[1.0] * 30], "best_epochs": [0]}),  # easy data
        (right_for(0.8), {"validation_accuracy": [[0.5, 0.8, 0.7]], "best_epochs": [1]}),  # short
        (right_for(0.8), {"validation_accuracy": [[0.5] * 30], "best_epochs": [20]}),
        (right_for(0.8), {"head_correct": right_for(0.85)[None]}),
        # With ten samples in the slice, one more would have been nine of ten.
        (right_for(0.8), {"validation_accuracy": [[0.2, 0.8, *[0.7] * 28]], "best_epochs": [1]}),
        (right_for(0.8), {"validation_accuracy": [[]], "best_epochs": [29]}),  # without a slice
    ],
)
def test_a_network_that_trained(correct, others):
    assert checks.check_training(correct, SIX, **others) is None


def test_one_sample_is_no_evidence():
    labels = np.arange(12) % 2
    for n_right, fires in ((6, True), (7, False)):  # eight would be a third of the way
        found = checks.check_training(np.arange(12) < n_right, labels)
        assert (found is not None) == fires


def test_the_seed_that_did_not_train_is_named():
    both = np.stack([right_for(0.8), right_for(0.5)])
    check = checks.check_training(both, SIX, seeds=[4, 7])
    assert check.message.startswith("Seed 7: ")
    assert "Seed 4" not in check.message
