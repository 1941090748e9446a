"""Teaching: what a lesson changes, what it keeps, and what it says."""

import threading
import warnings

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors

import penultimate
from penultimate import Teacher, load
from penultimate.bundle import BundleError, new_key, sign
from penultimate.bundle.watching_part import TENSOR, WATCH, watched_scores
from penultimate.provenance.leakage import LeakageWarning
from penultimate.svm import SVC
from penultimate.teaching import TeachingError

from .conftest import SEVENS, X_FIT, X_TEST, Y_FIT, Y_TEST


def test_a_new_class_from_twenty_samples_is_in_the_next_version(path):
    before = load(path)
    with Teacher(path) as teacher:
        lesson = teacher.teach(SEVENS[:20], [7] * 20)
        assert lesson.new_classes == [7]
        assert lesson.certified
        assert lesson.after == [7] * 20
        assert 7 not in lesson.before
        assert teacher.predict(SEVENS).count(7) > 0.6 * len(SEVENS)
        assert load(path).sha256 == before.sha256, "the bundle is as it was until a promotion"
        promotion = teacher.promote()
        assert (promotion.number, promotion.parent) == (2, before.sha256)
        assert promotion.kept.read_bytes() == before.content
        assert teacher.lessons == []
    after = load(path)
    assert after.classes_.tolist() == [0, 1, 2, 3, 4, 5, 7]
    assert after.manifest.lineage["parent"] == before.sha256
    assert after.manifest.teach["heads"][0]["n_samples"] == len(X_FIT) + 20
    assert (after.predict(SEVENS) == 7).mean() > 0.6
    assert (after.predict(X_TEST) == Y_TEST).mean() > 0.8
    assert after.predict_proba(X_TEST).shape == (len(X_TEST), 7)
    watch = after.manifest.watch  # what comes in is compared with scores of the new head
    assert watch["n_samples"] == before.manifest.watch["n_samples"] == len(X_TEST)
    kept = load_tensors(after.part(WATCH))[TENSOR]
    found = watched_scores(after.predict_all(X_TEST), watch["scores"])
    np.testing.assert_allclose(np.sort(kept, axis=0), np.sort(found, axis=0), rtol=1e-3, atol=1e-3)
    with Teacher(path) as teacher:  # and so on
        assert teacher.teach(SEVENS[20:21], [7]).after == [7]
        assert teacher.promote().number == 3


def test_one_sample_may_be_a_class(path):
    with Teacher(path) as teacher:
        assert teacher.teach(SEVENS[0:1], 7).after == [7]


def test_undo_restores_the_head_and_the_file(path):
    content = path.read_bytes()
    with Teacher(path) as teacher:
        digests = [teacher.digest]
        for k in range(3):
            digests.append(teacher.teach(SEVENS[k : k + 1], [7]).digest)
        assert len(set(digests)) == 4
        assert teacher.undo().digest == digests[2]
        assert teacher.undo(1).digest not in digests
        assert teacher.undo().digest == digests[0]
        with pytest.raises(TeachingError, match="no lesson to undo"):
            teacher.undo()
        teacher.teach(SEVENS[:1], [7])
        promoted = teacher.promote()
        teacher.undo()
        assert path.read_bytes() == content
        assert len(teacher.lessons) == 1, "what was taught can be promoted again"
        assert teacher.promote().sha256 == promoted.sha256


def test_the_journal_gives_the_same_bits_again(path, tmp_path):
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:2], [7, 7])
        teacher.teach(X_TEST[:1] + 1, [int(Y_TEST[0])])
        teacher.undo()
        teacher.teach(SEVENS[3:5], [7, 7])
        digest = teacher.digest
    with Teacher(path) as teacher:
        assert teacher.digest == digest
        first = teacher.promote()
    kept = first.kept
    elsewhere = tmp_path / "elsewhere.zip"
    elsewhere.write_bytes(kept.read_bytes())
    with Teacher(elsewhere, journal=f"{path}.teach.db") as teacher:
        assert teacher.digest == digest
        assert teacher.promote().sha256 == first.sha256


def test_the_comparison_is_paired_and_on_samples_that_neither_head_has_seen(path):
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:2], [7, 7])
        found = teacher.compare()
        assert found.n_samples == len(X_TEST)
        assert found.difference.value == found.taught.value - found.serving.value
        assert found.difference.low <= found.difference.value <= found.difference.high
        assert found.new_classes == [7]
        assert (found.n_looks, teacher.compare().n_looks) == (1, 2)
        serving = load(path)
        assert found.serving.value == np.mean(serving.predict(X_TEST) == Y_TEST)
        assert "None of them is of 7" in str(found)


def test_the_leak_guard_speaks_of_a_held_out_sample(path):
    with Teacher(path) as teacher:
        with pytest.warns(LeakageWarning, match="1 of these samples are among the held-out ones"):
            lesson = teacher.teach(X_TEST[4:5] * np.float32(1 + 1e-6), [int(Y_TEST[4])])
        assert "no longer count" in lesson.notes[-1]
        assert teacher.compare().n_left_out == 1
        teacher.promote()
        assert load(path).manifest.teach["heads"][0]["n_held_out"] == len(X_TEST) - 1


def test_duplicates(path):
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:2], [7, 7])
        with pytest.raises(TeachingError, match="taught already"):
            teacher.teach(SEVENS[:2], [7, 7])
        with pytest.raises(TeachingError, match="taught as 7 in lesson 1, and now as 1"):
            teacher.teach(SEVENS[1:2], [1])
        lesson = teacher.teach(SEVENS[[1, 4]], [7, 7])
        assert len(lesson.labels) == 1
        assert "is left out" in lesson.notes[0]
        lesson = teacher.teach(X_FIT[:1], [int(Y_FIT[0] + 1)])
        assert f"as {int(Y_FIT[0])}" in lesson.notes[0]
        with pytest.raises(TeachingError, match="in this lesson"):
            teacher.teach(SEVENS[[6, 6]], [7, 1])


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (["7"], TypeError, "labels of this model are of type int; got '7'"),
        ([True], TypeError, "type int; got True"),
        ([7, 7], ValueError, "1 samples and 2 labels"),
        (None, TypeError, "Pass y"),
    ],
)
def test_labels_that_it_does_not_take(path, labels, error, message):
    with Teacher(path) as teacher:
        with pytest.raises(error, match=message):
            teacher.teach(SEVENS[:1], labels)
        assert teacher.lessons == []


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    path = tmp_path_factory.mktemp("named") / "model.zip"
    few = [[0.0, 0], [2, 0], [0, 3], [2, 3]]
    svc = SVC(kernel="linear").fit(few, ["low", "high"] * 2)
    penultimate.save(svc, path, few, teach=(few, ["low", "high"] * 2))
    return path


def test_a_class_named_like_a_script_is_a_name(named):
    with Teacher(named) as teacher:
        assert teacher.teach([[9.0, 9.0]], ["<script>alert(1)</script>"]).certified
        for label in ("", "  ", "a\x1b[2J", "x" * 201):
            with pytest.raises(ValueError, match="label"):
                teacher.teach([[8.0, 9.0]], [label])
        with pytest.raises(TeachingError, match="no held-out samples"):
            teacher.compare()
        teacher.promote()
    assert load(named).predict([[9.0, 9.0]]).tolist() == ["<script>alert(1)</script>"]
    assert load(named).manifest.expected is None


def test_a_lesson_that_the_others_outweigh_says_so(tmp_path):
    X = np.random.default_rng(0).normal(size=(200, 1)).astype(np.float32)
    y = np.where(X[:, 0] > 0, "b", "a")
    svc = SVC(C=0.1, kernel="linear").fit(X, y)
    penultimate.save(svc, tmp_path / "model.zip", X, teach=(X, y))
    with Teacher(tmp_path / "model.zip") as teacher:
        lesson = teacher.teach([[-3.0]], ["b"])
        assert lesson.after == ["a"]
        assert "Of 1 it still says otherwise" in str(lesson)


def test_a_model_without_samples_is_refused(tmp_path):
    few = [[0.0], [2.0]]
    penultimate.save(SVC().fit(few, [0, 1]), tmp_path / "model.zip", few)
    with pytest.raises(TeachingError, match=r"save\(\.\.\., teach="):
        Teacher(tmp_path / "model.zip")


def test_what_cannot_be_taught_is_not_saved_as_such(tmp_path):
    few, labels = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    svc = SVC().fit(few, labels)
    with pytest.raises(ValueError, match="not those that the head was fitted on"):
        penultimate.save(svc, tmp_path / "model.zip", few, teach=([[5.0]] * 4, labels))
    from sklearn.linear_model import LogisticRegression

    logistic = LogisticRegression().fit(few, labels)
    with pytest.raises(ValueError, match="Only an SVC head can be taught"):
        penultimate.save(logistic, tmp_path / "model.zip", few, teach=(few, labels))
    assert not list(tmp_path.iterdir())


def test_two_teachers_see_what_each_other_taught(path):
    with Teacher(path) as one, Teacher(path) as other:
        one.teach(SEVENS[:1], [7])
        assert other.teach(SEVENS[1:2], [7]).number == 2
        assert one.digest == other.digest
        one.promote()
        assert other.teach(SEVENS[2:3], [7]).certified, "it goes on with the new version"
        assert other.number == 2
        assert [each.labels for each in one.lessons] == [[7]]


def test_threads_are_served_one_after_the_other(path):
    with Teacher(path) as one, Teacher(path) as other:
        errors = []

        def teach(teacher, k):
            try:
                teacher.teach(SEVENS[k : k + 1], [7])
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=teach, args=((one, other)[k % 2], k)) for k in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert errors == []
        assert len(one.lessons) == 6
        assert one.digest == other.digest


def test_a_signature_is_dropped_and_said_or_made_anew(path):
    mine = new_key()
    sign(path, mine.private)
    with Teacher(path, key=mine.public) as teacher:
        teacher.teach(SEVENS[:1], [7])
        with pytest.raises(TeachingError, match="would have no signature"):
            teacher.promote()
        with pytest.raises(BundleError, match="signed with another key"):
            teacher.promote(key=new_key().private)
        assert load(path, key=mine.public).manifest.lineage is None
        teacher.promote(key=mine.private)
    assert load(path, key=mine.public).manifest.lineage["number"] == 2
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[1:2], [7])
        assert "not signed" in teacher.promote().notes[0]


def test_a_file_in_the_place_of_the_version_before_is_not_overwritten(path):
    path.with_name("model.v1.zip").write_text("mine")
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:1], [7])
        with pytest.raises(TeachingError, match="is another file"):
            teacher.promote()
        assert load(path).manifest.lineage is None
        assert len(teacher.lessons) == 1


def test_nothing_is_said_where_nothing_is_wrong(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Teacher(path) as teacher:
            assert teacher.teach(SEVENS[:1], [7]).notes == ()
            with pytest.raises(TypeError, match="either X or features"):
                teacher.teach(SEVENS[:1], [7], features=SEVENS[:1])
            assert teacher.teach(features=SEVENS[1:2], y=[7]).after == [7]
