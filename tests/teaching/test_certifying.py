"""Models that abstain: what they promise is set anew for a taught head, or ends, in words."""

import numpy as np
import pytest

import penultimate
from penultimate import SVC, AbstainingClassifier, Teacher, load
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.evaluation.abstention.thresholds import certified_threshold
from penultimate.provenance.leakage import LeakageWarning
from penultimate.teaching import TeachingError

from .conftest import KNOWN, SEVENS, X, y

X_KNOWN, Y_KNOWN = X[KNOWN], y[KNOWN]
FIT, TEST = slice(0, 280), slice(280, None)
RISK = 0.06


def saved(path, calibration=None, C=3, **params):
    """Save a model that abstains; return it."""
    head = FeatureClassifier(SVC(C=C), calibration="temperature", random_state=0)
    model = AbstainingClassifier(head, holdout=0.4, random_state=0, **params)
    model.fit(X_KNOWN[FIT], Y_KNOWN[FIT])
    rows = {"teach": model.fitted_, "calibration": model.heldout_}
    kept = {name: (X_KNOWN[own], Y_KNOWN[own]) for name, own in rows.items()}
    kept |= {} if calibration is None else {"calibration": calibration}
    held_out = X_KNOWN[TEST], Y_KNOWN[TEST]
    penultimate.save(model, path, X_KNOWN[TEST], held_out=held_out, **kept)
    return model


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("abstaining")
    made = {}
    for name, params in {
        "risk": {"risk": RISK},
        "probability": {"coverage": 0.8, "criterion": "probability", "C": 0.05},
        "novelty": {"risk": 0.1, "novelty": 0.1},
    }.items():
        model = saved(folder / "model.zip", **params)
        made[name] = (folder / "model.zip").read_bytes(), model
    return made


@pytest.fixture
def opened(contents, tmp_path):
    def open_(name):
        path = tmp_path / "model.zip"
        path.write_bytes(contents[name][0])
        return path, contents[name][1]

    return open_


@pytest.mark.parametrize("name", ["risk", "probability"])
def test_the_threshold_is_that_of_the_taught_head_on_the_calibration_samples(opened, name):
    path, model = opened(name)
    rows = X_KNOWN[model.heldout_]
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:5], [0] * 5)  # which is wrong, and changes what it is sure of
        promotion = teacher.promote()
    new = load(path)
    found = new.predict_all(rows)
    stated = new.manifest.abstention
    assert stated["n_heldout"] == len(rows)
    assert stated["coverage"] == found.accepted.mean()
    assert stated["threshold"] != model.threshold_
    if name == "risk":
        right = found.labels == Y_KNOWN[model.heldout_]
        threshold = certified_threshold(right, found.confidence.astype(float), RISK)
        assert (found.accepted == (found.confidence > threshold)).mean() > 0.99
        assert "at most 6 % of the answers are wrong" in stated["statement"]
    assert "set anew for the taught head" in stated["statement"]
    assert stated["statement"] in promotion.notes
    assert new.manifest.teach["abstention"]["n_times"] == 2
    accepted = new.accepts(X_KNOWN[TEST])
    right = new.predict(X_KNOWN[TEST]) == Y_KNOWN[TEST]
    assert new.manifest.expected["accuracy"] == right[accepted].mean()
    assert new.manifest.expected["n"] == accepted.sum()


def test_a_calibration_sample_that_is_taught_sets_no_threshold(opened):
    path, model = opened("risk")
    with Teacher(path) as teacher:
        with pytest.warns(LeakageWarning, match="1 of these samples are among the calibration"):
            teacher.teach(X_KNOWN[model.heldout_][:1], [int(Y_KNOWN[model.heldout_][0])])
        teacher.promote()
    manifest = load(path).manifest
    assert manifest.abstention["n_heldout"] == len(model.heldout_) - 1
    assert manifest.teach["heads"][0]["n_calibration"] == len(model.heldout_) - 1


def test_of_a_new_class_nothing_is_promised(opened):
    path, _ = opened("risk")
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:10], [7] * 10)
        teacher.promote()
        assert "None of them is of 7" in load(path).manifest.abstention["statement"]
        teacher.teach(SEVENS[10:11], [7])
        teacher.promote()
    assert "None of them is of 7" in load(path).manifest.abstention["statement"]


def test_novelty_is_judged_as_before_until_a_class_is_new(opened):
    path, model = opened("novelty")
    old = load(path)
    with Teacher(path) as teacher:
        teacher.teach(X_KNOWN[TEST][:1] + 1, [int(Y_KNOWN[TEST][0])])
        teacher.promote()
        new = load(path)
        assert np.array_equal(new.is_novel(X), old.is_novel(X))
        assert not (new.is_novel(X) & new.accepts(X)).any()
        assert new.manifest.abstention["n_heldout"] == model.n_heldout_
        assert "judged as before" in new.manifest.abstention["statement"]
        teacher.teach(SEVENS[:10], [7] * 10)
        promotion = teacher.promote()
    last = load(path)
    assert not last.gives("novel")
    # Those that were called novel get answers now, so they take part in setting the threshold.
    assert last.manifest.abstention["n_heldout"] == len(model.heldout_)
    assert any("no longer says of samples that they are of none" in n for n in promotion.notes)


def test_without_a_threshold_that_gives_the_guarantee_nothing_is_promoted(opened):
    path, model = opened("risk")
    content, rows = path.read_bytes(), model.heldout_
    with Teacher(path) as teacher:
        with pytest.warns(LeakageWarning):  # so many that the others are too few
            teacher.teach(X_KNOWN[rows][:60], Y_KNOWN[rows][:60])
        n_left = len(rows) - 60
        with pytest.raises(
            TeachingError,
            match=rf"gives the guarantee \(risk=0.06.* on {n_left} calibration samples",
        ):
            teacher.promote()
        assert path.read_bytes() == content
        teacher.undo()
        teacher.teach(SEVENS[:2], [7, 7])
        assert teacher.promote().number == 2


def test_calibration_samples_are_checked(tmp_path):
    path = tmp_path / "model.zip"
    with pytest.raises(ValueError, match="not those that the threshold was set on"):
        saved(path, (X_KNOWN[TEST], Y_KNOWN[TEST]), risk=RISK)
    few, labels = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    svc = SVC().fit(few, labels)
    with pytest.raises(TypeError, match="calibration is for a model that abstains"):
        penultimate.save(svc, path, few, teach=(few, labels), calibration=(few, labels))
    with pytest.raises(TypeError, match="calibration is for teaching: pass teach as well"):
        penultimate.save(svc, path, few, calibration=(few, labels))
    model = AbstainingClassifier(SVC(), coverage=0.9, random_state=0)
    model.fit(X_KNOWN[FIT], Y_KNOWN[FIT])
    rows = model.fitted_
    with pytest.raises(ValueError, match=r"pass calibration=\(X, y\)"):
        penultimate.save(model, path, X_KNOWN, teach=(X_KNOWN[rows], Y_KNOWN[rows]))
    assert not path.exists()
