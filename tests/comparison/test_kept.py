"""Models that a comparison keeps: specialists with their router, and which one is taken."""

import numpy as np
import pytest

from penultimate import Dataset, DeepSVC, Training, compare, load
from penultimate.comparison.kept import KeptModel, best_of

ROUTED = ["cnn+svm-rbf-routed", "cnn+svm-rbf-head-routed"]


@pytest.fixture(scope="module")
def outcome(solved_networks):
    rng = np.random.default_rng(0)
    y = np.repeat(["9", "10", "b", "a"], 40)  # sorted as text, 10 comes before 9
    level = np.repeat([0, 60, 120, 180], 40).astype(np.uint8)
    X = rng.integers(0, 75, (160, 8, 8, 1), dtype=np.uint8) + level[:, None, None, None]
    data = Dataset.from_arrays(X, y, subsets={"numbers": ["9", "10"], "letters": ["a", "b"]})
    return compare(
        data,
        methods=["cnn+svm-rbf", *ROUTED],
        layer=["flatten", "penultimate"],
        seeds=1,
        training=Training(epochs=1, augmentation=None),
        keep_models=True,
        verbose=0,
    )


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_specialists_are_kept_as_they_were_measured(outcome, tmp_path):
    # The method that is given the subset of each sample could not stand alone.
    assert list(outcome.models) == ROUTED
    outcome.save(tmp_path / "out")
    for name in ROUTED:
        model = load(tmp_path / "out" / "models" / f"{name}.zip")
        expected = np.array(outcome.dataset.classes)[outcome.method(name).predictions[0]]
        found = model.predict(outcome.dataset.images[outcome.test])
        np.testing.assert_array_equal(found, expected)
        assert model.manifest.router == ("head" if "head-routed" in name else "network")
        assert model.subsets == ["numbers", "letters"]
        assert model.manifest.expected["accuracy"] == outcome.accuracy(name).value


def test_a_layer_may_be_called_features(solved_networks):
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 30)
    X = rng.integers(0, 75, (60, 8, 8, 1), dtype=np.uint8) + (100 * (y == "b"))[:, None, None, None]
    outcome = compare(
        Dataset.from_arrays(X.astype(np.uint8), y),
        methods=["cnn+svm-linear"],
        layer="features",
        seeds=1,
        training=Training(epochs=1, augmentation=None),
        keep_models=True,
        verbose=0,
    )
    (found,) = outcome.models.values()
    assert isinstance(found.model, DeepSVC)
    expected = np.array(["a", "b"])[outcome.method("cnn+svm-linear").predictions[0]]
    np.testing.assert_array_equal(found.model.predict(X[outcome.test].astype(np.uint8)), expected)


def kept(score, n=100):
    return KeptModel(None, np.zeros(1), np.zeros(1), score, {}, {}, n)


@pytest.mark.parametrize(
    ("scores", "chosen", "words"),
    [
        ({"svm": 0.98, "logistic": 0.97}, "svm", "no other has a better selection score"),
        ({"svm": 0.97, "logistic": 0.98}, "svm", "within chance of the best, 98.0 % by logistic"),
        ({"svm": 0.70, "logistic": 0.98}, "logistic", "svm, which the verdict is about, has 70.0"),
        ({"rff": 0.70, "logistic": 0.98}, "logistic", "best selection score, 98.0 %"),
        ({"svm": None}, "svm", "only kind"),
    ],
)
def test_the_model_of_the_headline_is_taken_unless_another_is_better(scores, chosen, words):
    models = {name: kept(score) for name, score in scores.items()}
    name, why = best_of(models, "svm")
    assert name == chosen
    assert words in why
