"""Scores by which a model is watched: written by `save`, checked, and the same from the file."""

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import penultimate
from penultimate import SVC, AbstainingClassifier
from penultimate.bundle import BundleError, Predictor
from penultimate.bundle.archive import pack, unpack
from penultimate.bundle.watcher import Watcher
from penultimate.bundle.watching_part import TENSOR, WATCH, watched_scores
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.provenance import LeakageWarning

from .handmade import make_parts, of_features, rewritten

X, y = load_iris(return_X_y=True)
X = X.astype(np.float32)
TRAIN, TEST = np.arange(0, 150, 2), np.arange(1, 150, 2)


def saved(model, folder, held_out=TEST, **options):
    path = folder / "model.zip"
    penultimate.save(model, path, X[TEST], held_out=(X[held_out], y[held_out]), **options)
    return penultimate.load(path)


@pytest.mark.parametrize(("model", "names"), [
    (SVC(), ["doubt", "unlikeness"]),
    (SVC(kernel="linear"), ["doubt", "level"]),
    (make_pipeline(StandardScaler(), LogisticRegression()), ["doubt", "level"]),
    (AbstainingClassifier(SVC(kernel="linear"), novelty=0.1, random_state=0),
     ["doubt", "unlikeness"]),
])  # fmt: skip
def test_scores_are_those_that_the_file_gives(model, names, tmp_path):
    predictor = saved(model.fit(X[TRAIN], y[TRAIN]), tmp_path)
    watch = predictor.manifest.watch
    assert (watch["scores"], watch["n_samples"]) == (names, len(TEST))
    assert "75 samples" in str(predictor)
    assert watch["statement"] in predictor.part("README.md").decode()
    kept = load_tensors(predictor.part(WATCH))[TENSOR]
    found = watched_scores(predictor.predict_all(X[TEST]), names)
    # The order is drawn; labels are not kept, and neither are samples.
    np.testing.assert_allclose(np.sort(kept, axis=0), np.sort(found, axis=0), rtol=1e-5, atol=1e-5)
    assert not np.allclose(kept, found)


def test_unlikeness_is_the_distance_to_the_nearest_support_vector(tmp_path):
    svc = SVC(gamma=0.5).fit(X[TRAIN], y[TRAIN])
    found = saved(svc, tmp_path).predict_all(X[TEST]).unlikeness
    gaps = X[TEST][:, np.newaxis] - svc.support_vectors_
    np.testing.assert_allclose(found, 0.5 * np.square(gaps).sum(axis=2).min(axis=1), atol=1e-4)


def test_two_classes_have_one_score_and_other_bundles_none(tmp_path):
    two = y < 2
    svc = SVC(kernel="linear").fit(X[TRAIN][two[TRAIN]], y[TRAIN][two[TRAIN]])
    assert saved(svc, tmp_path).manifest.watch["scores"] == ["doubt"]
    penultimate.save(svc, tmp_path / "plain.zip", X[:100])
    plain = penultimate.load(tmp_path / "plain.zip")
    assert plain.manifest.watch is None
    assert not plain.gives("unlikeness")


def test_seen_samples_are_left_out(tmp_path):
    model = FeatureClassifier(SVC(), random_state=0).fit(X[TRAIN], y[TRAIN])
    with pytest.warns(LeakageWarning, match=r"of 77 held-out samples .* by the other"):
        predictor = saved(model, tmp_path, held_out=np.r_[TEST, TRAIN[:2]])
    assert predictor.manifest.watch["n_samples"] < 77
    with pytest.warns(LeakageWarning):
        assert saved(model, tmp_path, held_out=TRAIN).manifest.watch is None


WATCHED = {"scores": ["doubt", "level"], "n_samples": 3, "statement": "It can be watched."}


def watched_parts(scores, **fields):
    parts = {WATCH: save_tensors({TENSOR: scores})}
    return make_parts(of_features(), parts=parts, watch=WATCHED, **fields)


def test_what_does_not_fit_is_refused():
    good = watched_parts(np.zeros((3, 2), np.float32))
    assert Predictor(pack(good), threads=1).manifest.watch == WATCHED
    for scores in (np.zeros((4, 2), np.float32), np.zeros((3, 2)), np.zeros(6, np.float32)):
        with pytest.raises(BundleError, match="its manifest says"):
            Predictor(pack(watched_parts(scores)))
    with pytest.raises(BundleError, match="no description in the manifest for watching"):
        Predictor(pack(rewritten(good, lambda document: document | {"watch": None})))
    without = {name: content for name, content in good.items() if name != WATCH}

    def unlisted(document):
        del document["parts"][WATCH]

    with pytest.raises(BundleError, match="no tensors for watching"):
        Predictor(pack(rewritten(without, unlisted)))
    for wrong in ({"scores": ["mood"]}, {"n_samples": 0}, {"scores": []}):
        with pytest.raises(BundleError, match=r"manifest\.json\.watch"):
            Predictor(pack(rewritten(good, lambda d, w=wrong: d | {"watch": WATCHED | w})))
    assert WATCH in unpack(pack(good))


def test_a_graph_without_what_is_watched_is_refused():
    parts = {WATCH: save_tensors({TENSOR: np.zeros((3, 2), np.float32)})}
    watch = WATCHED | {"scores": ["doubt", "unlikeness"]}
    predictor = Predictor(pack(make_parts(of_features(), parts=parts, watch=watch)), threads=1)
    with pytest.raises(BundleError, match="gives no unlikeness, by which it is watched"):
        Watcher(predictor)
