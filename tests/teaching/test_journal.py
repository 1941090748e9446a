"""The journal: nothing acknowledged is lost, whatever happens to the process or the disk."""

import multiprocessing
import os
import signal
import sqlite3

import numpy as np
import pytest

from penultimate import Teacher
from penultimate.teaching import TeachingError
from penultimate.teaching.journal import Journal

from .conftest import SEVENS

ROW = np.arange(4, dtype=np.float32)[None]


def test_lessons_come_back_in_order_without_those_undone(tmp_path):
    journal = Journal(tmp_path / "j.db")
    journal.bind("a" * 64, None, 1)
    for k in range(3):
        with journal.writing():
            assert journal.add_lesson("a" * 64, ROW + k, [f"<{k}>"], [b"png"]) == k + 1
    with journal.writing():
        journal.add("a" * 64, "undo", "2")
    journal.close()
    again = Journal(tmp_path / "j.db").lessons("a" * 64)
    assert [each.labels for each in again] == [["<0>"], ["<2>"]]
    assert np.array_equal(again[1].features, ROW + 2)
    assert again[0].thumbnails == [b"png"]


def test_an_error_within_leaves_it_as_it_was(tmp_path):
    journal = Journal(tmp_path / "j.db")
    journal.bind("a" * 64, None, 1)
    with pytest.raises(TypeError), journal.writing():
        journal.add_lesson("a" * 64, np.repeat(ROW, 2, axis=0), ["x", object()], [None, None])
    assert journal.lessons("a" * 64) == []


def test_a_journal_of_another_bundle_is_refused(tmp_path):
    journal = Journal(tmp_path / "j.db")
    journal.bind("a" * 64, None, 1)
    journal.bind("b" * 64, "a" * 64, 2)  # promoted, and killed before it was noted
    assert journal.count("promote") == 1
    with pytest.raises(TeachingError, match="journal of another bundle"):
        journal.bind("c" * 64, None, 1)


def test_a_journal_that_was_moved_away_acknowledges_nothing(tmp_path):
    journal = Journal(tmp_path / "j.db")
    journal.bind("a" * 64, None, 1)

    def teach():
        with journal.writing():
            journal.add_lesson("a" * 64, ROW, ["x"], [None])

    (tmp_path / "j.db").rename(tmp_path / "away.db")
    with pytest.raises(TeachingError, match="was moved or deleted while it was open"):
        teach()
    (tmp_path / "away.db").rename(tmp_path / "j.db")
    teach()
    assert len(journal.lessons("a" * 64)) == 1
    (tmp_path / "j.db").rename(tmp_path / "away.db")
    Journal(tmp_path / "j.db").close()  # another teacher begins a new one
    with pytest.raises(TeachingError, match="was moved or deleted"):
        teach()


def test_what_is_no_journal_is_refused(tmp_path):
    path = tmp_path / "j.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(TeachingError, match="damaged, or no journal"):
        Journal(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()
    with pytest.raises(TeachingError, match="no journal of this version"):
        Journal(path)


def test_a_journal_from_before_there_were_subsets_is_read(path):
    with Teacher(path) as teacher:
        digest = teacher.teach(SEVENS[:1], [7]).digest
    with sqlite3.connect(f"{path}.teach.db") as database:
        database.execute("ALTER TABLE samples DROP COLUMN subset")
        database.execute("PRAGMA user_version = 1")
    database.close()
    with Teacher(path) as teacher:
        assert teacher.digest == digest
        assert teacher.teach(SEVENS[1:2], [7]).number == 2


def test_features_of_another_width_are_refused(path):
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:1], [7])
    with sqlite3.connect(f"{path}.teach.db") as database:
        database.execute("UPDATE samples SET features = ?", (ROW.tobytes(),))
    database.close()
    with pytest.raises(TeachingError, match=r"Lesson 1 .* features of shape \(1, 4"):
        Teacher(path)


def test_a_full_disk_is_said_and_nothing_is_lost(path):
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:1], [7])
        digests = [teacher.digest]
        pages = teacher._journal._db.execute("PRAGMA page_count").fetchone()[0]
        teacher._journal._db.execute(f"PRAGMA max_page_count = {pages}")

        def go_on():
            for k in range(1, 60):
                digests.append(teacher.teach(SEVENS[k : k + 1], [7]).digest)

        with pytest.raises(OSError, match="disk is full"):
            go_on()
        assert teacher.digest == digests[-1]
        n_lessons = len(teacher.lessons)
        content = path.read_bytes()
        teacher._journal._db.execute("PRAGMA max_page_count = 100000")
        teacher.teach(SEVENS[-1:], [7])
    assert path.read_bytes() == content
    with Teacher(path) as teacher:
        assert len(teacher.lessons) == n_lessons + 1


def test_a_promotion_that_cannot_be_noted_leaves_the_bundle(path, monkeypatch):
    content = path.read_bytes()
    with Teacher(path) as teacher:
        teacher.teach(SEVENS[:1], [7])

        def fail():
            raise OSError("The disk is full.")

        monkeypatch.setattr(teacher._journal, "commit", fail)
        with pytest.raises(OSError, match="disk is full"):
            teacher.promote()
    assert path.read_bytes() == content
    with Teacher(path) as teacher:
        assert len(teacher.lessons) == 1
        assert teacher.promote().number == 2


def _teach_until_killed(path, pipe):
    with Teacher(path) as teacher:
        for k in range(len(teacher.lessons), len(SEVENS)):
            lesson = teacher.teach(SEVENS[k : k + 1], [7])
            pipe.send((lesson.number, lesson.digest))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_while_teaching_nothing_acknowledged_is_lost(path):
    context = multiprocessing.get_context("fork")
    acknowledged = {}
    for round_ in range(3):
        receiver, sender = context.Pipe(False)
        child = context.Process(target=_teach_until_killed, args=(str(path), sender))
        child.start()
        sender.close()
        for _ in range(round_ + 1):
            number, digest = receiver.recv()
            acknowledged[number] = digest
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        try:
            while True:
                number, digest = receiver.recv()
                acknowledged[number] = digest
        except EOFError:
            pass
        with Teacher(path) as teacher:
            found = [each.event for each in teacher.lessons]
            assert set(acknowledged) <= set(found)
            if found[-1] in acknowledged:
                assert teacher.digest == acknowledged[found[-1]]
