"""JSON from strangers: one reading, of limited size and depth."""

import json
import math
from collections.abc import Iterable
from typing import Any

from penultimate.bundle.errors import BundleError

# Python's objects take some 25 times the bytes of the tightest JSON: 25 MB.
MAX_BYTES = 2**20
_MAX_DEPTH = 24
_ALLOWED = {"\n", "\t"}  # of the characters that control a terminal


def parse_json(content: bytes | memoryview, name: str) -> Any:
    """Parse JSON in which nothing can be read in two ways.

    Parameters
    ----------
    content : bytes
    name : str
        Name of the file, for messages.

    Returns
    -------
    object
        Of dicts, lists, strings, numbers, booleans and None.

    Raises
    ------
    BundleError
        If it is not JSON in UTF-8, or too large or deep; if a key is there twice; if a number is
        not finite, or a string has characters that control a terminal.
    """
    if len(content) > MAX_BYTES:
        raise BundleError(f"{name} has {len(content):,} bytes; at most {MAX_BYTES:,} are read.")

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"the number {text[:20]} is not finite")
        return value

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            keys = [key for key, _ in items]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"the key {twice[:40]!r} is there twice")
        return found

    try:
        text = bytes(content).decode("utf-8")
        value = json.loads(text, parse_float=number, parse_constant=number, object_pairs_hook=pairs)
        _check_depth_and_text(value)
    except RecursionError:
        raise BundleError(f"{name} in the bundle is nested too deeply.") from None
    except ValueError as error:  # also of characters and of numbers with thousands of digits
        raise BundleError(f"{name} in the bundle is not valid: {error}.") from error
    return value


def _check_depth_and_text(value: Any) -> None:
    level = [value]
    for _ in range(_MAX_DEPTH):
        following: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                following += each.keys()
                following += each.values()
            elif isinstance(each, list):
                following += each
            elif isinstance(each, str) and not each.isprintable():
                check_text(each)
        level = following
        if not level:
            return
    raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep")


def check_text(text: str) -> None:
    """Refuse characters that move a terminal's cursor, or that UTF-8 does not have."""
    for character in set(text) - _ALLOWED:
        point = ord(character)
        if point < 32 or 127 <= point < 160 or 0xD800 <= point < 0xE000:
            raise ValueError(f"the text {text[:40]!r} has the control character {character!r}")


def check_names(
    classes: Iterable[object],
    feature_names: Iterable[str] | None = None,
    subsets: Iterable[str] | None = None,
) -> None:
    """Raise ``ValueError`` for names that no manifest may hold, before anything is computed.

    Parameters
    ----------
    classes : iterable
        Those that are texts are looked at.
    feature_names, subsets : iterable of str, optional
    """
    kinds = {"class": classes, "feature": feature_names, "subset": subsets}
    for kind, names in kinds.items():
        for name in () if names is None else names:
            try:
                check_text(name if isinstance(name, str) else "")
            except ValueError as error:
                raise ValueError(
                    f"The name of a {kind} cannot be saved: {error}. Rename it."
                ) from None
