"""Specialists that are taught: a lesson is for one of them, and for nothing else."""

import numpy as np
import pytest

import penultimate
from penultimate import Teacher, load
from penultimate.bundle.teachable import teaching_parts
from penultimate.teaching import TeachingError

from .specialists import FIT, IMAGES, LABELS, TEST, fit_specialists

SEVENS, FIVES = IMAGES[LABELS == 7], IMAGES[LABELS == 5]
KINDS = ("labels", "scores", "margins", "probabilities", "subsets")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("specialists")
    penultimate.save(
        fit_specialists(folder),
        folder / "model.zip",
        IMAGES[TEST],
        teach=(IMAGES[FIT], LABELS[FIT]),
        held_out=(IMAGES[TEST], LABELS[TEST]),
    )
    return (folder / "model.zip").read_bytes()


@pytest.fixture
def path(content, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(content)
    return path


def bits(model, n_own, **params):
    """Return all that a file says of the test images, in the columns of the first classes."""
    found = model.predict_all(IMAGES[TEST], **params)
    values = [getattr(found, kind) for kind in KINDS]
    return [each if each.ndim == 1 else each[:, :n_own] for each in values]


def test_other_specialists_keep_their_scores_bit_for_bit(path):
    """In the file: of their subset, and of what the router sends to them; twice."""
    old, own = load(path), 4  # the classes of "low" are the first
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:10], [7] * 10, subset="high")
        teacher.teach(IMAGES[TEST][:1] // 2, [8])
        teacher.promote()
        new = load(path)
        for before, after in zip(bits(old, own, subset="low"), bits(new, own, subset="low")):
            assert np.array_equal(before, after)
        sent = old.predict_all(IMAGES[TEST]).subsets == "low"
        for before, after in zip(bits(old, own), bits(new, own)):
            assert np.array_equal(before[sent], after[sent])
        assert np.array_equal(*(each.predict_all(IMAGES[TEST]).subsets for each in (old, new)))
        # Then the other one is taught, and what was taught keeps its scores.
        teacher.teach(FIVES[:10], [5] * 10, subset="low")
        teacher.promote()
    last = load(path)
    for before, after in zip(bits(new, 8, subset="high"), bits(last, 8, subset="high")):
        high = slice(4, 8) if before.ndim == 2 else slice(None)
        assert np.array_equal(before[..., high], after[..., high])
    assert last.classes_.tolist() == [0, 1, 2, 3, 6, 8, 9, 7, 5]
    assert last.manifest.subsets == {"low": [0, 1, 2, 3, 8], "high": [4, 5, 6, 7]}
    assert (last.predict(FIVES, subset="low") == 5).mean() > 0.6
    assert (last.predict(SEVENS, subset="high") == 7).mean() > 0.6


def test_what_becomes_of_routed_answers_is_said(path):
    before = load(path).predict_all(SEVENS[:10]).subsets
    with Teacher(path) as teacher:
        lesson = teacher.teach(SEVENS[:10], [7] * 10, subset="high")
        n_away = int((before != "high").sum())
        assert n_away
        assert f"The router sends {n_away} of these samples to another subset" in lesson.notes[-1]
        assert lesson.after == [7] * 10
        routed = teacher.predict(SEVENS[:10])
        assert [label == 7 for label in routed] == (before == "high").tolist()
        assert teacher.predict(SEVENS[:10], subset="high") == [7] * 10
        found = teacher.compare()
        assert found.n_samples == len(TEST)
        assert found.routed.value < found.taught.value
        assert "where the router chooses it" in str(found)
        promotion = teacher.promote()
    assert any("router is as it was: it does not know 7" in each for each in promotion.notes)
    expected = load(path).manifest.expected
    right = load(path).predict(IMAGES[TEST]) == LABELS[TEST]
    assert expected["accuracy"] == right.mean()
    assert "router's choice" in expected["what"]


def test_the_journal_knows_the_subset_of_a_new_class(path):
    with Teacher(path) as teacher:
        digests = [teacher.digest]
        for given in ({"subset": "high"}, {}):
            teacher.teach(SEVENS[2 * len(digests) :][:2], [7, 7], **given)
            digests.append(teacher.digest)
        assert [each.subsets for each in teacher.lessons] == [["high", "high"]] * 2
    with Teacher(path) as teacher:
        assert teacher.digest == digests[2]
        assert teacher.undo().digest == digests[1]
        assert teacher.undo().digest == digests[0]
        # Without the first lesson the class is new again, and may be of another subset.
        assert teacher.teach(SEVENS[:1], [7], subset="low").new_classes == [7]


@pytest.mark.parametrize(
    ("label", "subset", "message"),
    [
        (7, None, r"class 7 is new: say of which subset it is; there are \['low', 'high'\]"),
        (7, "none", r"no subset 'none'.*A new subset cannot be taught: nothing would route to it"),
        (8, "low", "class 8 is of the subset 'high', not 'low'"),
    ],
)
def test_subsets_that_are_not_clear(path, label, subset, message):
    with Teacher(path) as teacher:
        with pytest.raises(TeachingError, match=message):
            teacher.teach(SEVENS[:1], [label], subset=subset)
        assert teacher.lessons == []


def test_a_duplicate_is_known_whatever_its_subset(path):
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:1], [7], subset="high")
        with pytest.raises(TeachingError, match="taught as 7 in lesson 1, and now as 0"):
            teacher.teach(SEVENS[:1], [0])


def test_layers_that_differ_are_refused_by_name(tmp_path):
    model = fit_specialists(tmp_path)
    member = model._members["high"]
    object.__setattr__(member.head, "layer", "x")
    with pytest.raises(ValueError, match=r"several layers cannot be taught.*'x'"):
        teaching_parts(model, (IMAGES[FIT], LABELS[FIT]), None)
