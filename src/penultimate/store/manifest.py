"""What a store is for: the key of its network and preprocessing, and the format of its files.

Both files are written once. The first of several processes that create a store wins, and the
others join it if they want the same: there is no lock that a killed process could leave behind.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penultimate._common.door import spelled
from penultimate._common.files import check_writable, create_once
from penultimate._common.validation import check_choice

FORMAT, VERSION = "penultimate feature store", 1
DTYPES = ("float32", "float16")
# Its name alone tells a store from a folder of images, which may hold any manifest.json.
_FILE = "feature-store.json"
# The number of features is known only after the first batch.
_WIDTH_FILE = "n-features.json"

Description = str | Mapping[str, Any]


def is_store(path: str | Path) -> bool:
    """Return whether a path is a feature store, without reading it.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    bool

    Examples
    --------
    >>> from penultimate.store import is_store
    >>> is_store("photos")
    False
    """
    return Path(path, _FILE).is_file()


@dataclass(frozen=True)
class Manifest:
    """The content of the manifest.

    Attributes
    ----------
    key : str
        Fingerprint of network and preprocessing.
    description : str or dict
        The same in words.
    dtype : {"float32", "float16"}
        Type of the stored features.
    """

    key: str
    description: Description
    dtype: str

    @property
    def words(self) -> str:
        """The key and its description, for messages."""
        said = in_words(self.description)
        return f"{self.key!r} ({said})" if said else repr(self.key)


def in_words(description: Description) -> str:
    """Write a description as one text; the same before it is kept in JSON and after.

    Examples
    --------
    >>> from penultimate.store.manifest import in_words
    >>> in_words({"layer": "gap", "mirror": False, "preprocessing": {"size": (8, 8), "crop": None}})
    'layer: gap, preprocessing: size [8, 8]'
    """
    if isinstance(description, str):
        return description
    # JSON has lists where there were tuples.
    kept = _without_unused(json.loads(json.dumps(dict(description), default=str)))
    for name, value in kept.items():
        if isinstance(value, dict):
            kept[name] = ", ".join(f"{key} {each}" for key, each in _without_unused(value).items())
    return ", ".join(f"{name}: {value}" for name, value in kept.items())


def _without_unused(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in settings.items() if value is not None and value is not False
    }


def open_manifest(
    path: Path, key: str | None, description: Description | None, dtype: str | None
) -> Manifest:
    """Read the manifest of a store; without one, and with a key, create the store.

    Raises
    ------
    FileNotFoundError
        If there is nothing, and no key to create it with.
    ValueError
        If `path` is something else, or a store of another key, type or format.
    OSError
        If the store cannot be created.
    """
    if key is not None and (not isinstance(key, str) or not key.strip()):
        raise ValueError(f"The 'key' of a feature store must be a non-empty string; got {key!r}.")
    check_choice(dtype, "dtype", "FeatureStore", (*DTYPES, None))
    if not is_store(path):
        _refuse_other(path, key)
        assert key is not None
        check_writable(path, "feature store")
        path.mkdir(parents=True, exist_ok=True)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "key": key,
            "description": description or "",
            "dtype": dtype or DTYPES[0],
        }
        create_once(path / _FILE, _as_json(content))
    found = _read(path)
    asked = Manifest(key or found.key, description or "", dtype or found.dtype)
    if asked.key != found.key:
        # Words do not tell weights apart, such as those that are drawn anew in each process.
        alike = in_words(found.description) == in_words(asked.description) != ""
        again = "which has the same description but differs, for example in its weights"
        wanted = f"{asked.key!r}, {again}" if alike else asked.words
        raise ValueError(
            f"The feature store {str(path)!r} is of another network or preprocessing. It holds "
            f"features of {found.words}; asked for are those of {wanted}. Choose another folder: a "
            "store holds features of one kind."
        )
    if asked.dtype != found.dtype:
        asked_for = f"dtype={asked.dtype!r}"
        if asked.dtype == "float16":
            asked_for = spelled("--half, which is float16", asked_for)
        raise ValueError(
            f"The feature store {str(path)!r} holds {found.dtype}; got {asked_for}. Leave it out "
            f"to use the store as it is, or choose another folder to have {asked.dtype}."
        )
    return found


def _refuse_other(path: Path, key: str | None) -> None:
    """Raise unless a store can be created here."""
    if not path.exists():
        if key is None:
            raise FileNotFoundError(
                f"There is no feature store {str(path)!r}. To create one, pass key=, the "
                "fingerprint of the network and its preprocessing."
            )
        return
    if not path.is_dir():
        raise ValueError(f"{str(path)!r} is a file; a feature store is a folder.")
    # Hidden files are of a process that creates the same store at this moment.
    inside = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    if is_store(path):  # by now
        return
    if inside:
        listed = ", ".join(map(repr, inside[:4])) + " ..." * (len(inside) > 4)
        raise ValueError(
            f"The folder {str(path)!r} is not a feature store: it has no {_FILE!r}, and holds "
            f"{listed}. Choose a store, or a new folder."
        )
    if key is None:
        raise ValueError(
            f"The folder {str(path)!r} is empty. To create a feature store in it, pass key=, the "
            "fingerprint of the network and its preprocessing."
        )


def _read(path: Path) -> Manifest:
    content = _load(path / _FILE)
    version = content.get("version")
    if content.get("format") == FORMAT and isinstance(version, int) and version > VERSION:
        raise ValueError(
            f"The feature store {str(path)!r} has format {version}, of a newer version of "
            f"penultimate; this one reads formats up to {VERSION}. Update penultimate."
        )
    key, dtype, description = (content.get(name) for name in ("key", "dtype", "description"))
    if (
        content.get("format") != FORMAT
        or not isinstance(key, str)
        or dtype not in DTYPES
        or not isinstance(description or "", (str, dict))
    ):
        raise ValueError(f"{str(path / _FILE)!r} is not the manifest of a feature store.")
    return Manifest(key, description or "", dtype)


def claim_width(path: Path, n_features: int | None) -> int | None:
    """Return the number of features of a store: as it was claimed before, or now.

    Parameters
    ----------
    path : Path
    n_features : int or None
        Number that the store has from now on, unless it has one. None only asks.
    """
    file = path / _WIDTH_FILE
    if n_features is not None and not file.exists():
        create_once(file, _as_json({"n_features": n_features}))
    if not file.exists():
        return None
    found = _load(file).get("n_features")
    if not isinstance(found, int) or found < 1:
        raise ValueError(f"{str(file)!r} does not state a number of features; it is damaged.")
    return found


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{str(file)!r} is damaged: it is not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise ValueError(f"{str(file)!r} is damaged: it is not a JSON object.")
    return content


def _as_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
