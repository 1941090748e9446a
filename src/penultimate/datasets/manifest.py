"""Reading of a CSV manifest that lists image files with their labels."""

import os
import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath

from penultimate.datasets.leftovers import count_leftovers, is_leftover
from penultimate.datasets.listing import Listing
from penultimate.datasets.parts import part_of_name, settle_dev
from penultimate.datasets.tables import Table

_COLUMNS = ("path", "label", "group", "subset", "split")


def read_manifest(table: Table, *, skip_missing: bool = False) -> Listing:
    """Read a manifest's rows; paths are relative to it.

    Parameters
    ----------
    table : Table
        Table with the columns ``path`` and ``label``, and optionally ``group``, ``subset`` and
        ``split``.
    skip_missing : bool
        Whether to list files even if they do not exist.

    Raises
    ------
    ValueError
        If the table is invalid; the message names the line.
    """
    path = table.path
    rows, lines, notes = _tidy_rows(table)
    finder = Finder(path.parent)
    files = [finder.find(row["path"]) for row in rows]
    _check_rows(path, rows, lines, files)
    missing = [file for file in files if not file.is_file()]
    if missing and not skip_missing:
        raise ValueError(
            f"{len(missing)} of {len(files)} files of the manifest {str(path)!r} do not exist; "
            "first: "
            f"{str(missing[0])!r}. Paths are relative to the manifest."
        )

    def column(name: str) -> list[str] | None:
        return [row[name] for row in rows] if name in table.columns else None

    parts = column("split")
    if parts is not None:
        parts = settle_dev([part_of_name(part)[0] for part in parts])  # type: ignore[index]
    return Listing(
        path.stem,
        files,
        [row["label"] for row in rows],
        subsets=column("subset"),
        groups=column("group"),
        parts=parts,
        notes=(*notes, *finder.notes()),
    )


def _tidy_rows(table: Table) -> tuple[list[dict[str, str]], list[int], list[str]]:
    """Return the rows by column, without surrounding blanks and without system files."""
    path = table.path
    if not {"path", "label"} <= set(table.columns):
        raise ValueError(
            f"The manifest {str(path)!r} must have the columns path and label; "
            f"its first line names {table.columns}. (A table of features, which are numbers, needs "
            "a column 'label' beside them.)"
        )
    rows, lines, left_out = [], [], []
    blanks: Counter[str] = Counter()
    for line, entries in table.rows():
        row = {}
        for name, entry in zip(table.columns, entries):
            if name not in _COLUMNS:
                continue
            # Composed and decomposed letters look the same and must give the same name.
            bare = entry.strip()
            row[name] = bare if name == "path" else _composed(bare)
            blanks[name] += bare != entry
        steps = [step for step in row["path"].replace("\\", "/").split("/") if step]
        if any(is_leftover(step, listed=True) for step in steps):
            left_out.append(steps[-1])
            continue
        rows.append(row)
        lines.append(line)
    notes = count_leftovers(left_out)
    if blanks.total():
        listed = ", ".join(f"{name} ({count:,})" for name, count in blanks.items() if count)
        notes.append(f"Blanks around entries of the manifest were removed: {listed}.")
    if not rows:
        but = " except hidden or system files" if left_out else ""
        raise ValueError(f"The manifest {str(path)!r} lists no image{but}.")
    return rows, lines, notes


def _check_rows(
    path: Path, rows: list[dict[str, str]], lines: list[int], files: list[Path]
) -> None:
    seen: dict[str, int] = {}
    for row, line, file in zip(rows, lines, files):
        empty = [name for name, entry in row.items() if not entry and name != "split"]
        if empty:
            raise ValueError(f"{str(path)!r}, line {line}: the column {empty[0]!r} is empty.")
        if "split" in row:
            part = part_of_name(row["split"])
            if part is None or part[1]:
                raise ValueError(
                    f"{str(path)!r}, line {line}: split must be 'train', 'val' or 'test'; "
                    f"got {row['split']!r}."
                )
        first = seen.setdefault(os.path.normpath(file), line)
        if first != line:
            raise ValueError(
                f"{str(path)!r}, line {line}: {row['path']!r} is already in line {first}; list "
                "each image once."
            )


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


class Finder:
    """Finds the files of a manifest, even if it was written on another operating system.

    Windows separates folders by backslashes and ignores case; macOS decomposes accented letters.
    An exact match is preferred; otherwise, a unique name that differs only in these respects is
    used, folder by folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inside: dict[Path, tuple[dict[str, list[str]], dict[str, list[str]]]] = {}
        self.otherwise: list[str] = []

    def find(self, name: str) -> Path:
        """Return the path of the file or, if it is not found, the path as written."""
        written = self.root / name
        if written.exists():
            return written
        place = self.root
        steps = PurePosixPath(name.replace("\\", "/")).parts
        for step in steps:
            found = self._step(place, step)
            if found is None:
                return self.root.joinpath(*steps)
            place = found
        self.otherwise.append(name)
        return place

    def _step(self, place: Path, step: str) -> Path | None:
        if step in ("..", "/") or (place / step).exists():
            return place / step
        if place not in self.inside:
            composed: dict[str, list[str]] = {}
            folded: dict[str, list[str]] = {}
            for entry in os.listdir(place) if place.is_dir() else ():
                composed.setdefault(_composed(entry), []).append(entry)
                folded.setdefault(_composed(entry).casefold(), []).append(entry)
            self.inside[place] = composed, folded
        composed, folded = self.inside[place]
        for found in (composed.get(_composed(step)), folded.get(_composed(step).casefold())):
            if found and len(found) == 1:
                return place / found[0]
        return None

    def notes(self) -> list[str]:
        """Return a note on how many files were found under a different spelling."""
        if not self.otherwise:
            return []
        n = len(self.otherwise)
        return [
            f"{n:,} {'path' if n == 1 else 'paths'} of the manifest, such as "
            f"{self.otherwise[0]!r}, differ{'s' * (n == 1)} from the names on disk only in "
            "backslashes, case or the form of accents."
        ]
