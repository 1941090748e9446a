import dataclasses

import numpy as np
import pytest

from penultimate import Protocol, Training, compare
from penultimate.comparison.checks import CHECKS
from penultimate.datasets import Dataset
from penultimate.evaluation.checks import ABOUT
from penultimate.networks import build_network
from penultimate.provenance.leakage import LeakageError, LeakageWarning
from penultimate.provenance.records import record
from penultimate.splits import Holdout, split_test

PIXELS = {"methods": ["pca+svm-rbf"], "seeds": 1}


@pytest.fixture
def with_duplicates(shapes):
    X, y = shapes
    split = split_test((y == "standing") * 1)
    X = X.copy()
    X[split.held_out[:4]] = X[[split.train[y[split.train] == y[k]][0] for k in split.held_out[:4]]]
    is_test = np.isin(np.arange(60), split.held_out)
    return Dataset.from_arrays(X, y, is_test=is_test), split.held_out[:4]


def four_times(X, y):
    """More images without a copy among them: inverted, and darker."""
    X = np.concatenate([X, 255 - X])
    return np.concatenate([X, X // 2]), np.tile(y, 4)


def found(result):
    return {check["id"] for check in result.checks}


def test_every_check_that_is_run_is_documented():
    assert set(CHECKS) <= set(ABOUT)


def test_test_samples_in_development_stop_it(with_duplicates):
    data, _ = with_duplicates
    message = r"4 of 12 test samples were seen in training \(exact copies\): "
    message += "rows of the test set: 0, 1, 2"
    message += " ... The reason: they are in the training part .*Dataset.without_duplicates"
    with pytest.raises(LeakageError, match=message):
        compare(data, **PIXELS)
    with pytest.raises(ValueError, match=message):
        compare(data, **PIXELS)
    with pytest.warns(LeakageWarning, match=message) as caught:
        result = compare(data, **PIXELS, protocol=Protocol(on_leak="warn"))
    assert caught[0].filename == __file__
    (check,) = (check for check in result.checks if check["id"] == "test-samples-seen")
    assert "Leave out" not in check["message"]
    assert "Drop the duplicates" in check["advice"]
    assert "test-samples-seen" in found(
        compare(data, **PIXELS, protocol=Protocol(on_leak="ignore"))
    )
    clean = data.without_duplicates()
    assert len(clean.labels) == 56
    assert "test-samples-seen" not in found(compare(clean, **PIXELS))


def test_a_leak_stops_it_before_training(with_duplicates, monkeypatch):
    import penultimate.comparison.networks as shared_network

    monkeypatch.setattr(shared_network, "fit_network", None)
    with pytest.raises(LeakageError):
        compare(with_duplicates[0])


def test_copies_do_not_stop_a_split_that_is_drawn_here(with_duplicates):
    data = dataclasses.replace(with_duplicates[0], is_test=None)
    holdouts = [Holdout(seed=seed) for seed in range(6)]
    result = compare(data, **PIXELS, protocol=Protocol(holdouts))
    for one in (result, *result.others):
        assert not found(one) & {"test-samples-seen", "duplicates-in-selection"}
        assert (
            "4 images are exact copies of others; copies were kept on the same side of every split."
            in one.to_dict()["dataset"]["notes"]
        )


def test_the_file_is_named(shapes, tmp_path):
    from PIL import Image

    X, y = shapes
    lines = ["path,label,split"]
    for k, (image, label) in enumerate(zip(X, y)):
        Image.fromarray(image if k % 9 else X[np.flatnonzero(y == label)[0]]).save(
            tmp_path / f"{label}-{k}.png"
        )
        lines.append(f"{label}-{k}.png,{label},{'train' if k % 6 else 'test'}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    with pytest.raises(LeakageError, match=r"(lying|standing)-\d+\.png"):
        compare(tmp_path / "list.csv", **PIXELS)


def test_what_a_frozen_network_has_seen(shapes):
    X, y = shapes
    X = X[..., None]
    split = split_test((y == "standing") * 1)
    network = build_network("compact", (12, 12, 1), 2)
    network.layers[-1].bias.assign([0.1, 0.2])
    methods = ["cnn+svm-rbf", "pca+svm-rbf"]
    record(network, X[split.train[:10]])
    result = compare(X, y, network=network, methods=methods, seeds=1)
    assert "selection-on-training-samples" in found(result)
    record(network, X[split.held_out[:2]])
    with pytest.raises(LeakageError, match="2 of 12.* network was trained on them") as caught:
        compare(X, y, network=network, methods=methods, seeds=1)
    assert "without_duplicates" not in str(caught.value)  # would not help
    other = build_network("compact", (12, 12, 1), 2, seed=1)
    record(other, np.random.default_rng(0).integers(0, 255, (5, 12, 12)))
    assert "other-training-samples" in found(compare(X, y, network=other, methods=methods, seeds=1))


def test_each_finding_comes_with_advice(shapes):
    X, y = shapes
    rng = np.random.default_rng(0)
    y = np.where(np.arange(60) % 9 == 0, "rare", rng.permutation(y))
    X, y = four_times(X, y)  # sixty are too few to judge the order of the labels
    result = compare(X, y, **PIXELS)
    assert {"misordered-labels", "few-test-samples"} <= found(result)
    for check in result.checks:
        assert check["why"]
        assert check["advice"]
    states = {state["id"]: state["state"] for state in result.check_states}
    assert list(states) == list(CHECKS)
    assert {"found", "passed"} == {states[name] for name in result.protocol["checks_run"]}
    assert {check["id"] for check in result.checks} == {
        k for k, v in states.items() if v == "found"
    }


def test_the_order_of_labels_is_not_judged_where_it_cannot_be(shapes):
    X, y = shapes
    y = np.random.default_rng(0).permutation(y)
    few = compare(X, y, **PIXELS)
    (state,) = (state for state in few.check_states if state["id"] == "misordered-labels")
    assert state["why"] == "48 samples are too few to tell"
    X, y = four_times(X, y)
    data = Dataset.from_arrays(X, y)
    assert "misordered-labels" in found(compare(data, **PIXELS))
    for template in ("{}/{}.png", "train/{}/{}.png", "photos\\{}\\{}.png"):
        files = [template.format(label, k) for k, label in enumerate(y)]
        of_folders = dataclasses.replace(data, files=np.array(files))
        (state,) = (
            state
            for state in compare(of_folders, **PIXELS).check_states
            if state["id"] == "misordered-labels"
        )
        assert state["why"] == "each image's label is the name of its folder"


def test_groups_and_file_names_that_look_like_groups(two_subsets):
    data = dataclasses.replace(two_subsets, subsets={})
    by_chance = compare(data, **PIXELS, protocol=Protocol(Holdout(by_group=False)))
    assert "groups-split" in found(by_chance)
    assert "groups-split" not in found(
        compare(data, **PIXELS, protocol=Protocol(Holdout(by_group=True)))
    )
    files = np.array([f"x/{group}_{k}.png" for k, group in enumerate(data.groups)])
    named = dataclasses.replace(data, groups=None, files=files)
    assert "groups-split" in found(compare(named, **PIXELS))


def test_unreadable_files_are_reported(shapes):
    data = dataclasses.replace(Dataset.from_arrays(*shapes), notes=("Left out: a.png: broken.",))
    assert "images-left-out" in found(compare(data, **PIXELS))


@pytest.mark.slow
def test_a_clean_run_passes_every_check(shared_data):
    """The digits of the demo, with a short training, give no finding."""
    from penultimate.datasets import load_mnist_5k

    digits = load_mnist_5k().take(np.arange(0, 5000, 4))  # fewer are too few to test on
    result = compare(digits, seeds=1, training=Training(epochs=4))
    assert [check["id"] for check in result.checks if check["level"] != "info"] == []
