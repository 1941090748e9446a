import dataclasses

import numpy as np
import pytest

from penultimate.comparison._compare import Comparison
from penultimate.displays.feature_map import COLORS
from penultimate.report.map_section import MAX_POINTS, feature_map


@pytest.fixture(scope="module")
def section(comparison):
    return feature_map(comparison)


def with_features(comparison, n_columns):
    features = {name: part[:, :n_columns] for name, part in comparison.features.items()}
    return dataclasses.replace(comparison, features=features)


def test_every_test_sample_is_there(section, comparison):
    assert section["samples"] == comparison.test.tolist()
    assert section["true"] == comparison.dataset.labels[comparison.test].tolist()
    assert section["n_test"] == 12


def test_predictions_are_those_of_the_first_svm_and_seed(section, comparison):
    method = comparison.methods[2]
    assert section["method"] == method.name == "cnn+svm-rbf"
    assert section["predicted"] == method.predictions[0].tolist()
    assert section["seed"] == 0


def test_two_classes_have_no_lda(section):
    assert "LDA" not in [view["projection"] for view in section["views"]]


def test_points_fill_the_square(section):
    points = np.array(section["views"][0]["points"])
    assert points.shape == (12, 2)
    assert points.min(axis=0).tolist() == [0, 0]
    assert points.max(axis=0).tolist() == [1000, 1000]


def test_thumbnails(section):
    assert section["sprites"]["uri"].startswith("data:image/jpeg")
    assert (section["sprites"]["width"], section["sprites"]["rows"]) == (12, 1)
    assert len(section["colors"]) == len(COLORS)


def test_subsets_have_views_of_their_own(comparison):
    data = dataclasses.replace(comparison.dataset, subsets={"flat": (0,), "none": ()})
    section = feature_map(dataclasses.replace(comparison, dataset=data))
    views = {view["subset"]: view for view in section["views"] if view["projection"] == "PCA"}
    assert list(views) == [None, "flat"]
    lying = comparison.dataset.labels[comparison.test] == 0
    assert len(views["flat"]["points"]) == lying.sum()
    assert set(views["flat"]["places"]) == {0}


def test_a_plane_is_shown_as_it_is(comparison):
    section = feature_map(with_features(comparison, 2))
    view, _ = section["views"]
    assert view["projection"] == "The layer's two units"
    order = np.argsort(comparison.features["test"][:, 0], kind="stable")
    assert (np.diff(np.array(view["points"])[order, 0]) >= 0).all()


def test_nothing_to_show(comparison):
    assert feature_map(dataclasses.replace(comparison, features=None)) is None
    assert feature_map(with_features(comparison, 1)) is None


@pytest.mark.slow
def test_many_noisy_photographs_fit_into_the_page(comparison, tmp_path):
    """More test images than it shows, which no format compresses, all misclassified: under 8 MB."""
    rng = np.random.default_rng(0)
    n_development, n_test = 100, MAX_POINTS + 500
    n_samples = n_development + n_test
    labels = np.arange(n_samples) % 10
    data = dataclasses.replace(
        comparison.dataset,
        images=rng.integers(0, 255, (n_samples, 40, 40, 3), dtype=np.uint8),
        labels=labels,
        classes=tuple("abcdefghij"),
        fingerprints=None,
    )
    test = np.arange(n_development, n_samples)
    methods = [
        dataclasses.replace(
            m, predictions=np.tile(9 - labels[test], (2, 1)), probabilities=None, margins=None
        )
        for m in comparison.methods
    ]
    features = {"development": rng.normal(size=(n_development, 8))}
    features["test"] = rng.normal(size=(n_test, 8))
    big = Comparison(data, test, [0, 1], methods, [], comparison.protocol, [], features=features)
    section = feature_map(big)
    assert len(section["samples"]) == MAX_POINTS
    assert len(set(section["samples"])) == MAX_POINTS
    assert section["samples"] == feature_map(big)["samples"]
    assert big.save(tmp_path).stat().st_size < 8_000_000
