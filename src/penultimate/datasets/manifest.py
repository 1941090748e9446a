"""Reading a CSV manifest: which image files there are, and what each of them is."""

import csv
import os
from pathlib import Path

from penultimate.datasets.listing import Listing

_SPLITS = {"test": True, "train": False, "training": False, "development": False, "dev": False}
_MAY_NOT_BE_EMPTY = ("path", "label", "group", "subset")


def read_manifest(path: Path, *, skip_missing: bool = False) -> Listing:
    """Read a manifest's rows; paths are relative to it.

    Parameters
    ----------
    path : Path
        A CSV file in UTF-8 whose header names ``path`` and ``label``, and optionally ``group``,
        ``subset`` and ``split``.
    skip_missing : bool
        Whether to list files that do not exist all the same.

    Raises
    ------
    ValueError
        If it is no such table; the message names the line.
    """
    rows, columns = _read_rows(path)
    _check_rows(path, rows, columns)
    files = [path.parent / row["path"] for row in rows]
    missing = [file for file in files if not file.is_file()]
    if missing and not skip_missing:
        raise ValueError(
            f"{len(missing)} files of the manifest {str(path)!r} do not exist; first: "
            f"{str(missing[0])!r}. Paths are relative to the manifest."
        )

    def column(name: str) -> list[str] | None:
        return [row[name] for row in rows] if name in columns else None

    splits = column("split")
    return Listing(
        path.stem,
        files,
        [row["label"] for row in rows],
        subsets=column("subset"),
        groups=column("group"),
        is_test=None if splits is None else [_SPLITS[split.lower()] for split in splits],
    )


def _read_rows(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or [])
            rows = list(reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"The manifest {str(path)!r} is not CSV in UTF-8: {error}") from error
    if not {"path", "label"} <= set(columns):
        raise ValueError(
            f"The manifest {str(path)!r} must have the columns path and label; "
            f"its first line names {columns}."
        )
    if not rows:
        raise ValueError(f"The manifest {str(path)!r} lists no image.")
    return rows, columns


def _check_rows(path: Path, rows: list[dict[str, str]], columns: list[str]) -> None:
    seen: dict[str, int] = {}
    for line, row in enumerate(rows, start=2):
        if None in row:
            raise ValueError(
                f"{str(path)!r}, line {line} has more entries than the header; quote commas."
            )
        empty = [c for c in columns if c in _MAY_NOT_BE_EMPTY and not row[c]]
        if empty:
            raise ValueError(f"{str(path)!r}, line {line}: the column {empty[0]!r} is empty.")
        if "split" in columns and (row["split"] or "").lower() not in _SPLITS:
            raise ValueError(
                f"{str(path)!r}, line {line}: split must be 'train' or 'test'; "
                f"got {row['split']!r}."
            )
        first = seen.setdefault(os.path.normpath(row["path"]), line)
        if first != line:
            raise ValueError(
                f"{str(path)!r}, line {line}: {row['path']!r} stands in line {first} already; list "
                "each image once."
            )
