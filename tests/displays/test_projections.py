import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from penultimate.displays import possible_projections, project_features


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:1000], y[:1000], X[1000:], y[1000:]


@pytest.mark.parametrize("projection", ["pca", "lda"])
def test_classes_come_apart_in_the_plane(digits, projection):
    X, y, X_test, y_test = digits
    plane = project_features(X, X, y, projection=projection)
    points = project_features(X_test, X, y, projection=projection)
    assert points.shape == (797, 2)
    # Ten classes: chance is 0.1.
    assert KNeighborsClassifier(15).fit(plane, y).score(points, y_test) > 0.4


@pytest.mark.parametrize("projection", ["pca", "lda", "identity"])
def test_shown_samples_do_not_move_each_other(digits, projection):
    """Everything is fitted on development: a sample's point is the same alone and among others."""
    X, y, X_test, _ = digits
    columns = slice(20, 22) if projection == "identity" else slice(None)
    X, X_test = X[:, columns], X_test[:, columns]
    among = project_features(X_test, X, y, projection=projection)
    alone = project_features(X_test[:1], X, y, projection=projection)
    np.testing.assert_allclose(alone, among[:1], rtol=1e-10)


def test_lda_on_noise_does_not_flatter():
    """Fitted on the shown samples, LDA parts classes that are noise; on others, it does not."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 150)), np.arange(400) % 3
    shown, development = X[:200], X[200:]

    def looks_right(fitted_on, labels):
        points = project_features(shown, fitted_on, labels, projection="lda")
        return NearestCentroid().fit(points, y[:200]).score(points, y[:200])

    assert looks_right(development, y[200:]) < 0.42 < looks_right(shown, y[:200])


def test_signed_log_keeps_signs_and_squeezes_far_points():
    development = np.random.default_rng(0).normal(size=(500, 2))
    far = np.array([[100.0, -100.0], [0.0, 0.0]])
    plain = project_features(far, development, projection=None, signed_log=False)
    logarithmic = project_features(far, development, projection=None)
    np.testing.assert_allclose(logarithmic, np.sign(plain) * np.log1p(np.abs(plain)))
    np.testing.assert_allclose(plain[0], [100, -100], rtol=0.1)
    assert np.abs(logarithmic).max() < 5


def test_dead_units_do_no_harm(digits):
    X, y, X_test, _ = digits
    assert (X.std(axis=0) == 0).any()
    dead = [np.hstack([part, np.zeros((len(part), 20)), part[:, :5]]) for part in (X, X_test)]
    for projection in ("pca", "lda"):
        points = project_features(dead[1], dead[0], y, projection=projection)
        assert np.isfinite(points).all()


def test_text_labels(digits):
    X, y, X_test, _ = digits
    names = np.array([f"digit {label}" for label in y])
    one, two = (project_features(X_test, X, labels, projection="lda") for labels in (y, names))
    np.testing.assert_array_equal(one, two)


def test_umap():
    pytest.importorskip("umap", reason="umap-learn (the extra umap) is not installed")
    X, y = load_digits(return_X_y=True)
    points = project_features(X[300:400], X[:300], projection="umap")
    again = project_features(X[300:400], X[:300], y[:300], projection="umap")
    assert points.shape == (100, 2)
    # Labels change nothing: it is not fitted to them.
    np.testing.assert_array_equal(points, again)


def test_umap_is_an_extra(monkeypatch):
    monkeypatch.setattr("penultimate._common.imports.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'penultimate\[umap\]'"):
        project_features(np.eye(4), np.eye(4), projection="umap")


X3 = np.random.default_rng(0).normal(size=(6, 3))


@pytest.mark.parametrize(
    ("features", "y", "projection", "message"),
    [
        (X3, None, "tsne", "'projection' parameter of project_features must be one of 'pca'"),
        (X3[:, :2], None, "pca", "features has 2 columns, but development has 3"),
        (X3, None, "lda", "y_development is missing: 'lda' needs the labels"),
        (X3, [0, 1] * 3, "lda", "'lda' with 2 classes has a single axis"),
        (X3, [0, 1], "lda", "6 samples but 2 labels"),
        (X3, None, None, "'identity' needs features with 2 columns; got 3"),
    ],
)
def test_bad_input(features, y, projection, message):
    with pytest.raises(ValueError, match=message):
        project_features(features, X3, y, projection=projection)


def test_a_single_feature_has_no_plane():
    with pytest.raises(ValueError, match="at least 2 columns; got 1"):
        project_features(X3[:, :1], X3[:, :1])


def test_possible_projections(monkeypatch):
    monkeypatch.setattr("penultimate.displays.projections.find_spec", lambda name: None)
    assert possible_projections(128, 10) == ["pca", "lda"]
    assert possible_projections(128, 2) == ["pca"]
    assert possible_projections(2, 10) == ["identity"]
    assert possible_projections(1, 10) == []
    monkeypatch.setattr("penultimate.displays.projections.find_spec", lambda name: True)
    assert possible_projections(128, 10) == ["pca", "lda", "umap"]
