import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from penultimate.displays import FeatureMapDisplay, project_features
from penultimate.displays.feature_map import look_of, name_places, short_names

SUBSETS = {"numerals": (0, 1, 2), "vowels": tuple(range(3, 15))}
CLASSES = [f"numerals/{k}" for k in range(3)] + [f"vowels/{k}" for k in range(1, 13)]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def many():
    """Fifteen classes in two subsets, each at its own place on a line."""
    labels = np.repeat(np.arange(15), 20)
    points = np.random.default_rng(0).normal(scale=0.2, size=(300, 2))
    points[:, 0] += labels
    return FeatureMapDisplay(points, labels, CLASSES, subsets=SUBSETS, title="PCA")


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


def test_from_features_projects_and_names_classes_in_natural_order():
    X, y = load_digits(return_X_y=True)
    names = np.array([f"c{label + 5}" for label in y])
    development = X[:1000], names[:1000]
    display = FeatureMapDisplay.from_features(
        X[1000:], names[1000:], development=development, projection="lda"
    )
    assert display.classes == [f"c{k}" for k in range(5, 15)]
    np.testing.assert_array_equal(display.labels, y[1000:])
    expected = project_features(X[1000:], *development, projection="lda")
    np.testing.assert_array_equal(display.points, expected)


def test_classes_are_numbered_as_in_development():
    rng = np.random.default_rng(0)
    development = rng.normal(size=(9, 3)), list("abc") * 3
    display = FeatureMapDisplay.from_features(
        rng.normal(size=(4, 3)), list("caca"), development=development
    )
    assert display.classes == ["a", "b", "c"]
    assert display.labels.tolist() == [2, 0, 2, 0]


def test_from_estimator_extracts_first():
    X, y = load_digits(return_X_y=True)
    scaler = StandardScaler().fit(X)
    display = FeatureMapDisplay.from_estimator(
        scaler, X[1000:], y[1000:], development=(X[:1000], y[:1000])
    )
    expected = project_features(scaler.transform(X[1000:]), scaler.transform(X[:1000]))
    np.testing.assert_array_equal(display.points, expected)


def test_two_units_need_no_development():
    points = np.random.default_rng(0).normal(size=(9, 2))
    display = FeatureMapDisplay.from_features(points, list("aab") * 3, projection=None)
    np.testing.assert_array_equal(np.argsort(display.points, axis=0), np.argsort(points, axis=0))
    with pytest.raises(ValueError, match="development is missing: 'pca' is fitted on"):
        FeatureMapDisplay.from_features(points, list("aab") * 3)


def test_few_classes_have_a_legend():
    points = np.random.default_rng(0).normal(size=(9, 2))
    display = FeatureMapDisplay.from_features(points, list("abc") * 3, projection=None).plot()
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["a", "b", "c"]
    assert texts(display) == []
    assert display.ax_.get_title() == "The layer's two units"


def test_many_classes_have_their_names_at_their_medians(many):
    _, ax = plt.subplots()
    display = many.plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.get_legend() is None
    assert texts(display) == ["n0", "n1", "n2", *(f"v{k}" for k in range(1, 13))]
    assert ax.get_xlabel() == "n: numerals, v: vowels"
    for label, text in enumerate(ax.texts):
        median = np.median(many.points[many.labels == label], axis=0)
        np.testing.assert_allclose(text.xy, median, atol=0.3)


def test_subset_leaves_the_others_out(many):
    display = many.plot(subset="vowels")
    assert texts(display) == [str(k) for k in range(1, 13)]
    drawn = np.vstack([scatter.get_offsets() for scatter in display.ax_.collections])
    np.testing.assert_array_equal(drawn, many.points[many.labels >= 3])
    assert display.ax_.get_title() == "PCA of vowels"
    legend = many.plot(subset="numerals").ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "2"]


def test_unknown_subset(many):
    with pytest.raises(ValueError, match="must be one of 'numerals', 'vowels'; got 'digits'"):
        many.plot(subset="digits")


def test_class_without_samples_is_drawn_around(many):
    left = many.labels != 4
    display = FeatureMapDisplay(many.points[left], many.labels[left], CLASSES, subsets=SUBSETS)
    assert "v2" not in texts(display.plot())


def test_classes_differ_in_color_or_marker():
    assert len({look_of(k) for k in range(64)}) == 64
    # Neighbours in both: color is nowhere the only cue.
    for k in range(63):
        assert not set(look_of(k)) & set(look_of(k + 1))


def test_names_keep_off_each_other():
    points = np.random.default_rng(0).normal(size=(400, 2))
    places = np.array(list(name_places(points, np.arange(400) % 8).values()))
    gaps = np.abs(places[:, None] - places[None]).max(axis=2) / np.ptp(points, axis=0).max()
    assert gaps[~np.eye(8, dtype=bool)].min() > 0.03


def test_names_of_points_that_coincide():
    places = name_places(np.zeros((4, 2)), np.array([0, 0, 1, 1]))
    assert [place.tolist() for place in places.values()] == [[0, 0], [0, 0]]


def test_short_names():
    assert short_names(["a", "b"], {}) == (["a", "b"], "")
    assert short_names(CLASSES, SUBSETS, "numerals")[0][:4] == ["0", "1", "2", "v1"]
    # Two subsets with one initial: names stay whole.
    alike = {"numerals": (0,), "nouns": (1,)}
    assert short_names(["numerals/0", "nouns/0"], alike) == (["numerals/0", "nouns/0"], "")
    # Names that say nothing of their subset need no key.
    assert short_names(["0", "1"], {"even": (0,), "odd": (1,)}) == (["0", "1"], "")
