"""The journal of what a model was taught: SQLite, beside the bundle.

Events are only ever added, never changed. An event is in the journal, on the disk, before it is
acknowledged (write-ahead log, ``synchronous=FULL``). Every event names the bundle, by its hash, to
which it was said; what a version was taught are the lessons said to it, without those undone. All
that reads and then writes happens in one transaction, so that two teachers wait for each other.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penultimate.teaching.errors import JournalBusyError, TeachingError

_APPLICATION = 0x50454E54  # "PENT", what marks the file as ours
_FORMAT = 2
_TABLES = """
CREATE TABLE versions (
    sha256 TEXT PRIMARY KEY, parent TEXT REFERENCES versions, number INTEGER NOT NULL
) STRICT;
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    version TEXT NOT NULL REFERENCES versions,
    kind TEXT NOT NULL CHECK (kind IN ('teach', 'undo', 'compare', 'promote', 'restore')),
    target TEXT
) STRICT;
CREATE TABLE samples (
    event INTEGER NOT NULL REFERENCES events,
    place INTEGER NOT NULL,
    label TEXT NOT NULL,
    features BLOB NOT NULL,
    thumbnail BLOB,
    subset TEXT,
    PRIMARY KEY (event, place)
) STRICT;
"""


class TaughtLesson(NamedTuple):
    """A lesson as the journal has it.

    Attributes
    ----------
    event : int
    at : str
    features : ndarray of shape (n_samples, n_features), float32
    labels : list
    thumbnails : list of bytes or None
    subsets : list of str or None
        Of a model with specialists, the one that each sample was taught to.
    """

    event: int
    at: str
    features: NDArray[np.float32]
    labels: list[Any]
    thumbnails: list[bytes | None]
    subsets: list[str | None]


class Journal:
    """A journal, opened or begun.

    Parameters
    ----------
    path : str or path-like
    patience : float, default=60
        Seconds to wait for another teacher.

    Raises
    ------
    TeachingError
        If it is no journal, or damaged.
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], patience: float = 60.0) -> None:
        self.path, self._patience = Path(path), patience
        with self._errors():
            # Teachers may be in several threads, one at a time.
            self._db = sqlite3.connect(
                self.path, timeout=patience, isolation_level=None, check_same_thread=False
            )
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise
            self._file = _identity(self.path)

    def _open(self) -> None:
        run = self._db.execute
        run("PRAGMA trusted_schema = OFF")  # a file from a stranger runs nothing
        run("PRAGMA foreign_keys = ON")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("BEGIN IMMEDIATE")
        (mark,), (form,) = run("PRAGMA application_id").fetchone(), _version(self._db)
        is_empty = run("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
        if is_empty:
            for each in _TABLES.split(";\n"):
                run(each)
            run(f"PRAGMA application_id = {_APPLICATION}")
            run(f"PRAGMA user_version = {_FORMAT}")
        elif mark == _APPLICATION and form == 1:  # from before specialists were taught
            run("ALTER TABLE samples ADD COLUMN subset TEXT")
            run(f"PRAGMA user_version = {_FORMAT}")
        elif mark != _APPLICATION or form != _FORMAT:
            run("ROLLBACK")
            raise TeachingError(
                f"{str(self.path)!r} is no journal of this version of Penultimate. Move it away, "
                "or update Penultimate."
            )
        run("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other teachers out; on the disk at the end, or as if it had not been on an error."""
        with self._errors():
            self._check_place()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.commit()
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def commit(self) -> None:
        """Have everything since the begin of `writing` on the disk; it may have been already."""
        with self._errors():
            if self._db.in_transaction:
                self._check_place()
                self._db.execute("COMMIT")

    def _check_place(self) -> None:
        # SQLite would go on with a file that has no name, and all of it be lost in the end.
        if _identity(self.path) != self._file:
            raise TeachingError(
                f"{str(self.path)!r} was moved or deleted while it was open, and nothing more is "
                "written. Put it back, or open the model again to begin a new one."
            )

    def bind(self, sha256: str, parent: str | None, number: int) -> None:
        """Add a bundle as a version, if the journal is of it or is new; else refuse.

        Raises
        ------
        TeachingError
            If it is the journal of another bundle.
        """
        with self.writing():
            self.bind_within(sha256, parent, number)

    def bind_within(self, sha256: str, parent: str | None, number: int) -> None:
        """Do as `bind`, within `writing`."""
        known = {each for (each,) in self._db.execute("SELECT sha256 FROM versions")}
        if sha256 in known:
            return
        # A version that was promoted, and killed before it was noted.
        if known and parent not in known:
            raise TeachingError(
                f"{str(self.path)!r} is the journal of another bundle, and this one is not among "
                "its versions. Move it away to begin a new one, or teach the bundle that it is of."
            )
        kept = parent if parent in known else None
        self._db.execute("INSERT INTO versions VALUES (?, ?, ?)", (sha256, kept, number))
        if kept is not None:
            self.add(kept, "promote", sha256)

    def add(self, version: str, kind: str, target: str | None = None) -> int:
        """Add an event, within `writing`; return its number."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        cursor = self._db.execute(
            "INSERT INTO events (at, version, kind, target) VALUES (?, ?, ?, ?)",
            (at, version, kind, target),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def add_lesson(
        self,
        version: str,
        features: NDArray[np.float32],
        labels: list[Any],
        thumbnails: list[bytes | None],
        subsets: list[str | None] | None = None,
    ) -> int:
        """Add a lesson, within `writing`; return its number."""
        event = self.add(version, "teach")
        subsets = [None] * len(labels) if subsets is None else subsets
        for place, (row, label, picture, subset) in enumerate(
            zip(features, labels, thumbnails, subsets, strict=True)
        ):
            values = np.ascontiguousarray(row, "<f4").tobytes()
            self._db.execute(
                "INSERT INTO samples (event, place, label, features, thumbnail, subset) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (event, place, json.dumps(label), values, picture, subset),
            )
        return event

    def lessons(self, version: str, before: int | None = None) -> list[TaughtLesson]:
        """Return the lessons of a version in their order, without those that were undone.

        Parameters
        ----------
        version : str
        before : int, optional
            An event; by default all count.
        """
        last = 2**62 if before is None else before
        with self._errors():
            rows = self._db.execute(
                "SELECT id, at, kind, target FROM events WHERE version = ? AND id < ? ORDER BY id",
                (version, last),
            ).fetchall()
            undone = {int(target) for _, _, kind, target in rows if kind == "undo"}
            found = []
            for event, at, kind, _ in rows:
                if kind != "teach" or event in undone:
                    continue
                samples = self._db.execute(
                    "SELECT label, features, thumbnail, subset FROM samples WHERE event = ? "
                    "ORDER BY place",
                    (event,),
                ).fetchall()
                features = [np.frombuffer(values, "<f4") for _, values, _, _ in samples]
                found.append(
                    TaughtLesson(
                        event,
                        at,
                        np.stack(features).astype(np.float32),
                        [json.loads(label) for label, _, _, _ in samples],
                        [picture for _, _, picture, _ in samples],
                        [subset for _, _, _, subset in samples],
                    )
                )
        return found

    def count(self, *kinds: str) -> int:
        """Return how many events of these kinds there are, of all versions."""
        with self._errors():
            marks = ", ".join("?" * len(kinds))
            (number,) = self._db.execute(
                f"SELECT count(*) FROM events WHERE kind IN ({marks})", kinds
            ).fetchone()
        return number

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say in our words what is wrong with the file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            name, code = repr(str(self.path)), getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                raise OSError(
                    f"The disk is full: nothing was written to the journal {name}, and nothing in "
                    "it is lost. Free some space, and teach again."
                ) from error
            if code == sqlite3.SQLITE_BUSY:
                raise JournalBusyError(
                    f"Another teacher has held the journal {name} for {self._patience:g} s. Try "
                    "again."
                ) from error
            if isinstance(error, sqlite3.OperationalError):
                raise OSError(f"The journal {name} cannot be written or read: {error}.") from error
            raise TeachingError(
                f"The journal {name} is damaged, or no journal: {error}. Move it away."
            ) from error


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def _version(db: sqlite3.Connection) -> tuple[int]:
    return db.execute("PRAGMA user_version").fetchone()
