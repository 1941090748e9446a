"""The page and the file about data that nothing was trained on yet."""

import base64
import io
import json
import shlex
from pathlib import Path
from typing import Any

from PIL import Image

from penultimate._common.files import check_writable, write_together
from penultimate._common.pages import templates_of
from penultimate._common.wording import quantity
from penultimate.datasets.obstacles import Reading, find_obstacles
from penultimate.datasets.sizes import auto_size, describe_resizing
from penultimate.datasets.survey import Sample, Survey

PAGE, DATA = "look.html", "look.json"
_MOST_LISTED = 200  # rows of a list on the page; look.json has all


def describe(found: Survey, source: str, reading: Reading) -> dict[str, Any]:
    """Return what was found as the content of ``look.json``.

    Parameters
    ----------
    found : Survey
    source : str
        The data as the user named it.
    reading : Reading
        The options that the user gave for it.

    Returns
    -------
    dict
    """
    copies = [
        {
            "across_classes": len({s.label for s in same}) > 1,
            "files": [{"file": _text(s.file), "class": _text(s.label)} for s in same],
        }
        for same in found.copies()
    ]
    parts = found.parts()
    per_part = {part: found.counts(part) for part in parts}
    return {
        "format": 1,
        "name": _text(found.name),
        "n_images": len(found.readable()),
        "classes": [
            {
                "name": _text(name),
                "images": count,
                "parts": {part: per_part[part][name] for part in parts},
            }
            for name, count in found.counts().items()
        ],
        "sizes": [{"height": h, "width": w, "images": n} for (h, w), n in found.sizes()],
        "formats": found.formats(),
        "modes": found.modes(),
        "copies": copies,
        "odd": [{"file": _text(file), "what": _text(what)} for file, what in found.odd()],
        "notes": [_text(note) for note in found.notes],
        "groups": None
        if found.pattern is None
        else {
            "pattern": found.pattern,
            "suggested": found.suggested,
            "n_groups": len(found.groups),
            "examples": [_text(name) for name in list(found.groups)[:3]],
        },
        "obstacles": [_text(sentence) for sentence in find_obstacles(found, reading)],
        "treatment": _treatment(found, copies, reading),
        "command": _command(found, source, reading),
    }


def _text(text: str) -> str:
    """Return text that can be written: a file name may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _treatment(found: Survey, copies: list[dict[str, Any]], reading: Reading) -> list[str]:
    """Return in words what a comparison will do to the images."""
    sizes, modes = [size for size, _ in found.sizes()], found.modes()
    words = []
    wanted = reading.image_size
    size = auto_size(sizes) if wanted == "auto" else wanted
    if size is not None and found.formats() and set(sizes) != {size}:
        words.append(f"Images are {describe_resizing(size, sizes, auto=wanted == 'auto')}")
    elif len(set(sizes)) == 1:
        words.append(f"Images keep their {sizes[0][0]} x {sizes[0][1]} pixels.")
    grey = {"1", "L", "LA", "I;16", "I"} & set(modes)
    if grey and len(modes) > len(grey):
        words.append("Grayscale images are converted to color, because others have color.")
    if "CMYK" in modes:
        words.append("CMYK is converted to RGB.")
    if {"RGBA", "LA", "PA"} & set(modes):
        words.append("Transparent pixels become white.")
    if any(sample.reason for sample in found.samples):
        words.append(
            "Unreadable files are left out."
            if reading.skip_corrupt
            else "Unreadable files stop a comparison; --skip-corrupt leaves them out."
        )
    if any(copy["across_classes"] for copy in copies):
        words.append(
            "Of exact copies in different classes, at least one has a wrong label: correct these "
            "first."
        )
    elif copies and reading.drop_duplicates:
        words.append("Of exact copies, one is kept.")
    elif copies and len(found.parts()) < 2:
        words.append(
            "Exact copies stay on one side of every split drawn here; --drop-duplicates keeps one."
        )
    if len(found.parts()) > 1:
        words.append("The split that came with the data is kept.")
    elif found.groups and not found.suggested:
        words.append("The test set is drawn by group.")
    else:
        words.append("The test set is drawn at random.")
    return words


def _command(found: Survey, source: str, reading: Reading) -> str:
    words = ["penultimate", "compare", source]
    if reading.subsets:
        words.append("--subsets")
    if reading.image_size != "auto":
        size = "original" if reading.image_size is None else "x".join(map(str, reading.image_size))
        words += ["--image-size", size]
    if reading.skip_corrupt or any(sample.reason for sample in found.samples):
        words.append("--skip-corrupt")
    if reading.drop_duplicates or found.test_images_learned():
        words.append("--drop-duplicates")
    if found.pattern is not None and not found.suggested:
        words += ["--group-from-filename", found.pattern]
    return shlex.join(words)


def write_look(found: Survey, summary: dict[str, Any], folder: str | Path) -> Path:
    """Write the page and ``look.json``, each completely or not at all.

    Parameters
    ----------
    found : Survey
    summary : dict
        Returned by `describe`.
    folder : str or Path

    Returns
    -------
    Path
        Path of the page.

    Raises
    ------
    ValueError
        If the folder holds files that are not of an earlier look.
    OSError
        If it cannot be written to.
    """
    folder = Path(folder)
    check_look_folder(folder)
    html = _render(found, summary)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    with write_together([folder / DATA, folder / PAGE]) as temporaries:
        for temporary, content in zip(temporaries, (text, html), strict=True):
            temporary.write_text(content, encoding="utf-8")
    return folder / PAGE


def check_look_folder(folder: Path) -> str | None:
    """Return the name of the data of an earlier look in a folder, if there is one.

    Raises
    ------
    ValueError, OSError
        If no look can be written into the folder.
    """
    check_writable(folder, "output folder")
    entries = [p.name for p in folder.iterdir()] if folder.exists() else []
    foreign = sorted(n for n in entries if n not in (PAGE, DATA) and not n.startswith("."))
    if foreign:
        raise ValueError(
            f"The output folder {str(folder)!r} holds files that are not of an earlier look, such "
            f"as {foreign[0]!r}. Choose an empty or a new folder."
        )
    try:
        return str(json.loads((folder / DATA).read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _render(found: Survey, summary: dict[str, Any]) -> str:
    environment = templates_of("penultimate.report")
    environment.filters["quantity"] = quantity
    thumbnails: dict[str, list[dict[str, str]]] = {}
    for sample in found.samples:
        if sample.thumbnail is not None:
            shown = {"file": _text(sample.file), "uri": _uri(sample)}
            thumbnails.setdefault(_text(sample.label), []).append(shown)
    return environment.get_template("look.html.j2").render(
        **summary, thumbnails=thumbnails, most_listed=_MOST_LISTED
    )


def _uri(sample: Sample) -> str:
    buffer = io.BytesIO()
    assert sample.thumbnail is not None
    Image.fromarray(sample.thumbnail).save(buffer, "jpeg", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
