"""A data set described in Croissant, the vocabulary of MLCommons for data sets, as JSON-LD.

It says which files there are, with their SHA-256, what each shows, and which part of a given split
it is in. Images are listed as records in the description itself, since no expression on paths can
say which class a file of a manifest is of. Who publishes the data adds what only they know: its
license, who is to be cited, where it can be downloaded.
"""

import hashlib
import json
import mimetypes
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from penultimate._common.wording import quantity
from penultimate.datasets.parts import TEST, TRAIN, VALIDATION
from penultimate.datasets.survey import Sample, Survey

_VERSION = "http://mlcommons.org/croissant/1.0"
_SPLITS = {TRAIN: "TrainingSplit", VALIDATION: "ValidationSplit", TEST: "TestSplit"}
# The context that version 1.0 prescribes, whole: readers warn of another one.
_OWN = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject"),
    *("fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
    *("path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
    *("separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in _OWN},
}


def describe_in_croissant(found: Survey, path: str | os.PathLike[str]) -> str:
    """Return a description of a data set as JSON-LD; the same files give the same text.

    Parameters
    ----------
    found : Survey
    path : str or path-like
        What was surveyed: file names are relative to it, or to the folder of a manifest.

    Returns
    -------
    str

    Examples
    --------
    >>> import json, numpy as np, tempfile, pathlib
    >>> from penultimate.datasets.croissant import describe_in_croissant
    >>> from penultimate.datasets.survey import survey
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "tiny.npz"
    >>> np.savez(file, X=np.zeros((4, 8, 8), np.uint8), y=[0, 1, 0, 1])
    >>> document = json.loads(describe_in_croissant(survey(file), file))
    >>> [record["classes/name"] for record in document["recordSet"][0]["data"]]
    ['0', '1']
    """
    path = Path(path)
    of_files = any(sample.format is not None for sample in found.samples)
    samples = found.readable() if of_files else []
    n_images = len(found.readable())
    sets = [_classes(found)]
    if parts := found.parts():
        sets.append(_splits(parts))
    # Those of an archive were unpacked elsewhere; the hash of the archive covers them.
    places = None if path.is_file() and not _is_manifest(path, of_files) else _places(path, samples)
    if samples:
        sets.append(_images(samples, places, path, bool(parts)))
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _VERSION,
        "name": _text(found.name),
        "description": f"{quantity(n_images, 'labeled image')} of "
        f"{quantity(len(found.classes), 'class', 'classes')}.",
        "distribution": _distribution(path, samples, places),
        "recordSet": sets,
    }
    return f"{json.dumps(document, indent=1, ensure_ascii=False)}\n"


def _is_manifest(path: Path, of_files: bool) -> bool:
    return of_files and path.suffix.lower() in (".csv", ".tsv", ".txt")


def _places(path: Path, samples: list[Sample]) -> list[Path]:
    """Return where the files of samples are."""
    return [Path(os.path.normpath(path / sample.file)) for sample in samples]


def _distribution(
    path: Path, samples: list[Sample], places: list[Path] | None
) -> list[dict[str, Any]]:
    """Return the files: one as itself, images by their suffixes, others of a folder one by one."""
    found = [_file(path, path.name)] if path.is_file() else []
    if samples and places is not None:
        suffixes = sorted({place.suffix for place in places})
        patterns = [f"**/*{suffix}" for suffix in suffixes]
        formats = sorted({Image.MIME.get(str(each.format), "image/*") for each in samples})
        found.append(
            {
                "@type": "cr:FileSet",
                "@id": "image-files",
                "name": "image-files",
                "encodingFormat": formats,
                "includes": patterns,
            }
        )
    elif path.is_dir():
        inside = sorted(place for place in path.rglob("*") if place.is_file())
        found += [_file(place, place.relative_to(path).as_posix()) for place in inside]
    return found


def _file(path: Path, name: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": _text(name),
        "name": _text(path.name),
        "contentUrl": _text(name),
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        "sha256": _digest(path),
    }


def _classes(found: Survey) -> dict[str, Any]:
    counts = {"images": found.counts()} | {part: found.counts(part) for part in found.parts()}
    types = {"name": "sc:Text", **dict.fromkeys(counts, "sc:Integer")}
    rows = [
        {"name": _text(name), **{what: each[name] for what, each in counts.items()}}
        for name in found.classes
    ]
    return {**_records("classes", types, rows), "dataType": "sc:Enumeration", "key": _id("classes")}


def _splits(parts: list[str]) -> dict[str, Any]:
    rows = [{"name": part, "url": f"cr:{_SPLITS[part]}"} for part in parts]
    made = _records("splits", {"name": "sc:Text", "url": "sc:URL"}, rows)
    return {**made, "dataType": "cr:Split", "key": _id("splits")}


def _images(
    samples: list[Sample], places: list[Path] | None, path: Path, is_split: bool
) -> dict[str, Any]:
    """Return one record per image file: what it shows, its part, and its hash."""
    base = path if path.is_dir() else path.parent
    types = {"file": "sc:Text", "label": "sc:Text"}
    rows = [{"file": _text(each.file), "label": _text(each.label)} for each in samples]
    if places is not None:
        types["sha256"] = "sc:Text"
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            digests = list(pool.map(_digest, places))
        for row, place, digest in zip(rows, places, digests, strict=True):
            row |= {"file": _text(os.path.relpath(place, base)), "sha256": digest}
    if is_split:
        types["split"] = "sc:Text"
        for row, sample in zip(rows, samples, strict=True):
            row["split"] = sample.part or ""
    for row in rows:
        row["file"] = PurePath(row["file"]).as_posix()
    made = _records("images", types, rows)
    for field in made["field"]:
        if field["name"] in ("label", "split"):
            target = {"label": "classes", "split": "splits"}[field["name"]]
            field["references"] = {"field": _id(target)}
    return {**made, "key": {"@id": "images/file"}}


def _records(name: str, types: dict[str, str], rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return a set of records that are in the description itself."""
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [
            {"@type": "cr:Field", "@id": f"{name}/{each}", "name": each, "dataType": kind}
            for each, kind in types.items()
        ],
        "data": [{f"{name}/{each}": row[each] for each in types} for row in rows],
    }


def _id(name: str) -> dict[str, str]:
    return {"@id": f"{name}/name"}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(text: str) -> str:
    """Return text that can be written: a file name may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()
