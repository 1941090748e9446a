"""A saved model that is taught further: `Teacher`.

The network and the normalization are frozen; a lesson refits the head alone, from the solution in
the bundle. A lesson is acknowledged when it is in the journal and on the disk. Until a person
promotes what was taught, the bundle stays as it is.
"""

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate._common.door import spelled
from penultimate._common.frames import level_outside
from penultimate.bundle.loading import read_key, read_source
from penultimate.provenance.leakage import LeakageWarning
from penultimate.teaching.comparing import compare_heads
from penultimate.teaching.errors import TeachingError
from penultimate.teaching.heads import Heads
from penultimate.teaching.journal import Journal, TaughtLesson
from penultimate.teaching.lesson import HeadComparison, Lesson, Promotion, Status
from penultimate.teaching.lessons import (
    check_labels,
    check_lessons,
    lesson_of,
    look_up,
)
from penultimate.teaching.replacing import notes_on, replace_keeping, stamp_of, write_content
from penultimate.teaching.version import Version


class Teacher:
    """A saved model, what it was taught since, and the way to a new version.

    Lessons are kept in a journal, an SQLite file beside the bundle, from which the taught head is
    made again, to the bit. Several teachers of one bundle, in threads or processes, wait for each
    other, and each sees what the others taught.

    Parameters
    ----------
    path : str or path-like
        A bundle that was saved with ``teach=``, or by ``penultimate fit --teachable``.
    journal : str or path-like, optional
        The journal; by default `path` with ``.teach.db`` behind it.
    key : str, path-like or bytes, optional
        Public key of who has to have signed the bundle, as in `penultimate.load`.
    threads : int, optional
        Threads of the network.
    patience : float, default=60
        Seconds to wait for another teacher who is at it.

    Raises
    ------
    TeachingError
        If the bundle holds nothing to teach with, or the journal is of another bundle.
    BundleError
        If it is no bundle, damaged, or not signed with `key`.
    OSError
        If a file cannot be read or written.

    Examples
    --------
    >>> import tempfile, penultimate
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> rest, test = slice(0, None, 2), slice(1, None, 2)
    >>> svc = penultimate.SVC().fit(X[rest], y[rest])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = penultimate.save(
    ...         svc, f"{folder}/iris.zip", teach=(X[rest], y[rest]), held_out=(X[test], y[test])
    ...     )
    ...     with penultimate.Teacher(f"{folder}/iris.zip") as teacher:
    ...         lesson = teacher.teach([[9.0, 9.0, 9.0, 9.0]], [3])
    ...         print(lesson.new_classes, lesson.certified, teacher.compare().difference.value)
    ...         print(teacher.promote().number)
    ...     print(penultimate.load(f"{folder}/iris.zip").predict([[9.0, 9.0, 9.0, 9.0]]))
    [3] True 0.0
    2
    [3]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        journal: str | os.PathLike[str] | None = None,
        key: Any = None,
        threads: int | None = None,
        patience: float = 60.0,
    ) -> None:
        self.path = Path(path)
        self._key, self._threads = None if key is None else read_key(key), threads
        self._lock = threading.RLock()
        self._taught: tuple[tuple[str, list[int]], Heads] | None = None
        self._version, self._stamp = self._read()
        self._journal = Journal(f"{self.path}.teach.db" if journal is None else journal, patience)
        version = self._version
        try:
            self._journal.bind(version.sha256, version.parent, version.number)
            self._state()
        except BaseException:
            self._journal.close()
            raise

    def teach(
        self,
        X: Any = None,
        y: Any = None,
        *,
        features: Any = None,
        subset: str | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> Lesson:
        """Refit the head with further samples, at once; the bundle stays as it is.

        Parameters
        ----------
        X : image or images, or array-like of shape (n_samples, n_features)
            As `Predictor.predict` takes them.
        y : label or array-like of shape (n_samples,)
            Labels of the type that the model has; one that it does not have is a new class.
        features : array-like of shape (n_samples, n_features), optional
            Instead of `X`: what the network of this model has computed.
        subset : str, optional
            For specialists: the subset of the labels. Only a class that is new needs it.
        on_note : callable, optional
            Called with words for what would be a warning: that a sample is one of the held-out
            ones, or that an image was changed before the network took it.

        Returns
        -------
        Lesson
            It is on the disk.

        Raises
        ------
        TypeError, ValueError
            If these are no samples or labels that the model takes.
        TeachingError
            If they were all taught already, or with another label.
        OSError
            If the journal cannot be written; nothing was taught then.

        Warns
        -----
        LeakageWarning
            If a sample is one of the held-out ones, which then no longer counts as such.
        """
        changed = None if on_note is None else lambda place, words: on_note(words)
        rows, pictures = self._features(X, features, changed)
        labels = check_labels(y, len(rows), self._version.model.manifest)
        start = time.perf_counter()
        with self._changing() as (lessons, before):
            places = [before.of_label(label, subset) for label in labels]
            new, notes = look_up(rows, labels, places, lessons, before, on_note or _warn_of_leak)
            notes += self._notes_on_routes(X, features, [places[k] for k in new], new)
            taught = TaughtLesson(
                event=0,
                at="",
                features=rows[new],
                labels=[labels[k] for k in new],
                thumbnails=[pictures[k] for k in new],
                subsets=[before.each[places[k]].subset for k in new],
            )
            after = self._version.heads.taught([*lessons, taught])
            number = self._journal.add_lesson(self._version.sha256, *taught[2:])
        self._keep([*(each.event for each in lessons), number], after)
        return lesson_of(number, before, after, taught, start, notes)

    def undo(self, number: int | None = None) -> Lesson | Promotion:
        """Take back a lesson or, where nothing was taught since, the last promotion.

        Parameters
        ----------
        number : int, optional
            Of a lesson; by default the last one.

        Returns
        -------
        Lesson or Promotion
            What was taken back. After a promotion that is the version before, whose lessons are
            there again.

        Raises
        ------
        TeachingError
            If there is nothing to take back.
        """
        start = time.perf_counter()
        with self._changing() as (lessons, before):
            if not lessons and number is None and self._version.parent is not None:
                return self._go_back(self._version.parent)
            events = [each.event for each in lessons]
            if not lessons or (number is not None and number not in events):
                what = "to undo" if number is None else f"of number {number} to undo"
                raise TeachingError(f"There is no lesson {what}; there are {events}.")
            number = events[-1] if number is None else number
            gone = lessons[events.index(number)]
            kept = [each for each in lessons if each.event != number]
            after = self._version.heads.taught(kept)
            self._journal.add(self._version.sha256, "undo", str(number))
        self._keep([each.event for each in kept], after)
        return lesson_of(number, before, after, gone, start, ())

    def restore(self) -> Promotion:
        """Take back the last promotion: the bundle is the version before, with its lessons.

        Returns
        -------
        Promotion

        Raises
        ------
        TeachingError
            If there is none, or lessons since, or the version before is not where it was kept.
        OSError
            If a file cannot be read or written.
        """
        with self._changing() as (lessons, _):
            if lessons:
                raise TeachingError(
                    f"Version {self._version.number} was taught since: undo its lessons "
                    f"{[each.event for each in lessons]} first."
                )
            if self._version.parent is None:
                raise TeachingError(
                    "This is the first version: there is no promotion to take back."
                )
            return self._go_back(self._version.parent)

    def compare(self) -> HeadComparison:
        """Compare the taught head with the one in the bundle, on the same held-out samples.

        Neither was fitted on them. The look is noted in the journal, as each one makes later
        figures on these samples a little more optimistic.

        Returns
        -------
        HeadComparison

        Raises
        ------
        TeachingError
            If there are no held-out samples.
        """
        with self._changing() as (lessons, heads):
            n_looks = self._journal.count("compare", "promote") + 1
            testable = heads.without(lessons) if lessons else heads
            found = compare_heads(self._version.heads, testable, n_looks)
            self._journal.add(self._version.sha256, "compare")
        return found

    def promote(self, *, key: Any = None) -> Promotion:
        """Make what was taught a new version of the bundle; the one before is kept beside it.

        Parameters
        ----------
        key : str, path-like or bytes, optional
            Private key to sign the new version with. The signature of the old one is not of it.

        Returns
        -------
        Promotion

        Raises
        ------
        TeachingError
            If nothing was taught, or another file has the name of the version to be kept.
        OSError
            If a file cannot be written; the bundle is then the version before.
        """
        private = None if key is None else read_key(key)
        if private is None and self._key is not None:
            raise TeachingError(
                "The bundle was opened with the key of who signed it, and the new version would "
                "have no signature. Promote with a private key: "
                + spelled(
                    "penultimate teach --key PUBLIC --promote --sign-with PRIVATE.",
                    "promote(key=...); or open it without a key.",
                )
            )
        with self._changing() as (lessons, heads):
            if not lessons:
                raise TeachingError("Nothing was taught since this version; teach it first.")
            old = self._version
            n_taught = sum(len(each.labels) for each in lessons)
            content = old.next(heads.without(lessons), n_taught, private)
            new = Version.of(content, self._key, self._threads)  # as a reader would, before it is
            kept = self.path.with_name(f"{self.path.stem}.v{old.number}{self.path.suffix}")
            replace_keeping(self.path, content, kept, old.model.content)
            try:
                self._stamp = stamp_of(self.path)
                self._journal.bind_within(new.sha256, old.sha256, new.number)
                self._journal.commit()
            except BaseException:
                os.replace(kept, self.path)  # which needs no space on a full disk
                raise
            self._version = new
        return Promotion(
            path=self.path,
            kept=kept,
            number=new.number,
            sha256=new.sha256,
            parent=old.sha256,
            notes=tuple(notes_on(old, new)),
        )

    def predict(
        self, X: Any = None, *, features: Any = None, subset: str | None = None
    ) -> list[Any]:
        """Predict with the taught head.

        Parameters
        ----------
        X : image or images, or array-like of shape (n_samples, n_features)
            As in `teach`.
        features : array-like of shape (n_samples, n_features), optional
            As in `teach`.
        subset : str, optional
            For specialists: the subset that all samples are in. By default the router decides.

        Returns
        -------
        list of labels
        """
        rows, _ = self._features(X, features)
        with self._lock:
            heads = self._latest()[1]
            if not heads.subsets:
                return heads.predict(rows, [0] * len(rows))
            found = self._version.model.predict_all(X, features=features, subset=subset).subsets
            assert found is not None
            return heads.predict(rows, [heads.subsets.index(name) for name in found])

    def status(self) -> Status:
        """Return how far the model was taught, also by others.

        Returns
        -------
        Status

        Raises
        ------
        TeachingError, BundleError, OSError
            If the bundle was replaced by something else.
        """
        with self._lock:
            lessons, heads = self._latest()
            version = self._version
            manifest = version.model.manifest
            return Status(
                number=version.number,
                sha256=version.sha256,
                has_parent=version.parent is not None,
                lessons=lessons,
                classes=list(heads.classes),
                new_classes=[each for each in heads.classes if each not in manifest.classes],
                n_held_out=sum(len(each.held_out.X) for each in version.heads.each),
                n_looks=self._journal.count("compare", "promote"),
            )

    @property
    def lessons(self) -> list[TaughtLesson]:
        """What this version was taught, without what was undone."""
        with self._lock:
            return self._latest()[0]

    @property
    def classes(self) -> list[Any]:
        """Labels that the taught head knows."""
        with self._lock:
            return list(self._latest()[1].classes)

    @property
    def digest(self) -> str:
        """Hash of the taught head: the same after an undone lesson as before it."""
        with self._lock:
            return self._latest()[1].digest()

    @property
    def number(self) -> int:
        """Which version the bundle is, from 1."""
        return self._version.number

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> tuple[Version, tuple[int, int, int]]:
        """Return the version in the file, and the stamp that the file had before."""
        stamp = stamp_of(self.path)
        return Version.of(read_source(self.path), self._key, self._threads), stamp

    @contextmanager
    def _changing(self) -> Iterator[tuple[list[TaughtLesson], Heads]]:
        """Yield lessons and head as they are, while no other teacher changes them."""
        with self._lock, self._journal.writing():
            if stamp_of(self.path) != self._stamp:  # promoted by another
                version, stamp = self._read()
                self._journal.bind_within(version.sha256, version.parent, version.number)
                self._version, self._stamp = version, stamp
            yield self._state()

    def _latest(self) -> tuple[list[TaughtLesson], Heads]:
        """Return lessons and head as they are, also if another has promoted them."""
        if stamp_of(self.path) != self._stamp:
            with self._changing() as found:
                return found
        return self._state()

    def _state(self) -> tuple[list[TaughtLesson], Heads]:
        """Return the lessons of this version, and the head that they give."""
        lessons = self._journal.lessons(self._version.sha256)
        events = [each.event for each in lessons]
        if self._taught is None or self._taught[0] != (self._version.sha256, events):
            check_lessons(lessons, self._version.model.manifest, self._version.heads)
            self._keep(events, self._version.heads.taught(lessons))
        assert self._taught is not None
        return lessons, self._taught[1]

    def _keep(self, events: list[int], heads: Heads) -> None:
        self._taught = (self._version.sha256, events), heads

    def _notes_on_routes(
        self, X: Any, features: Any, places: list[int], rows: list[int]
    ) -> tuple[str, ...]:
        """Return what a router makes of taught samples, if it sends some to another subset."""
        heads = self._version.heads
        if len(heads.subsets) < 2:
            return ()
        try:
            found = self._version.model.predict_all(X, features=features).subsets
        except ValueError:  # of features alone it may not be known
            return ("Where the router sends these samples is not known of their features alone.",)
        assert found is not None
        n_away = sum(found[row] != heads.each[place].subset for row, place in zip(rows, places))
        if not n_away:
            return ()
        return (
            f"The router sends {n_away} of these samples to another subset, where this lesson does "
            "not count: it stays as it was. Name the subset where it is known.",
        )

    def _features(
        self, X: Any, features: Any, on_change: Callable[[int, str], None] | None = None
    ) -> tuple[NDArray[np.float32], list[bytes | None]]:
        if (X is None) == (features is None):
            raise TypeError("Pass either X or features.")
        given = self._version.features
        if features is None:
            return given.of(X, on_change)
        rows = given.given(features)
        return rows, [None] * len(rows)

    def _go_back(self, parent: str) -> Promotion:
        """Make the bundle the version before, of which the file was kept."""
        new = self._version
        kept = self.path.with_name(f"{self.path.stem}.v{new.number - 1}{self.path.suffix}")
        content = read_source(kept)
        old = Version.of(content, self._key, self._threads)
        if old.sha256 != parent:
            raise TeachingError(f"{str(kept)!r} is not the version before this one.")
        self._journal.bind_within(old.sha256, old.parent, old.number)
        self._journal.add(new.sha256, "restore", old.sha256)
        write_content(self.path, content)
        self._version, self._stamp = old, stamp_of(self.path)
        return Promotion(
            path=self.path,
            kept=kept,
            number=old.number,
            sha256=old.sha256,
            parent=old.parent or "",
            notes=(f"Version {new.number} was taken back; what it was taught can be promoted.",),
        )


def _warn_of_leak(words: str) -> None:
    warnings.warn(words, LeakageWarning, stacklevel=level_outside())
