"""Checks a document against a JSON schema of few words, and says where it differs.

The schema in the package is the only definition of a manifest: this reads it, and so do other
tools. The words are those below; one that is not known here is an error of the schema, so none is
passed over. The one difference to the standard: 1.0 is no integer, as it is none in Python.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda x: x is None,
    "boolean": lambda x: isinstance(x, bool),
    "integer": lambda x: isinstance(x, int) and not isinstance(x, bool),
    "number": lambda x: isinstance(x, (int, float)) and not isinstance(x, bool),
    "string": lambda x: isinstance(x, str),
    "array": lambda x: isinstance(x, list),
    "object": lambda x: isinstance(x, dict),
}
_ANNOTATIONS = {"$schema", "$id", "title", "description"}
# What a word limits, how, and how that is said.
_LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool], str]] = {
    "minimum": ("number", lambda x, limit: x >= limit, "must be at least {}"),
    "maximum": ("number", lambda x, limit: x <= limit, "must be at most {}"),
    "minLength": ("string", lambda x, limit: len(x) >= limit, "must have at least {} characters"),
    "maxLength": ("string", lambda x, limit: len(x) <= limit, "must have at most {} characters"),
    "pattern": ("string", lambda x, limit: bool(re.search(limit, x)), "must match {}"),
    "minItems": ("array", lambda x, limit: len(x) >= limit, "must have at least {} items"),
    "maxItems": ("array", lambda x, limit: len(x) <= limit, "must have at most {} items"),
}


def find_fault(value: object, schema: Mapping[str, Any], where: str) -> str | None:
    """Return the first place where a value differs from a schema, in words; None if nowhere.

    Parameters
    ----------
    value : object
        As `json.loads` returns it.
    schema : mapping
    where : str
        Name of the value, such as ``"manifest.json"``.

    Returns
    -------
    str or None

    Raises
    ------
    ValueError
        If the schema has a word that is not known here.

    Examples
    --------
    >>> from penultimate.bundle.schema import find_fault
    >>> find_fault({"n": -1}, {"properties": {"n": {"minimum": 0}}}, "head")
    'head.n must be at least 0; got -1'
    """
    for word, wanted in schema.items():
        fault = None
        if word == "type":
            names = [wanted] if isinstance(wanted, str) else wanted
            if not any(_TYPES[name](value) for name in names):
                fault = f"must be of type {' or '.join(names)}"
        elif word in ("enum", "const"):
            choices = wanted if word == "enum" else [wanted]
            # In Python True is 1, and in JSON it is not.
            if not any(type(value) is type(each) and value == each for each in choices):
                fault = f"must be {' or '.join(map(repr, choices))}"
        elif word in _LIMITS:
            kind, holds, text = _LIMITS[word]
            if _TYPES[kind](value) and not holds(value, wanted):
                fault = text.format(wanted)
        elif word in ("items", "properties", "required", "additionalProperties"):
            if inner := _find_inside(value, schema, where, word):
                return inner
        elif word not in _ANNOTATIONS:
            raise ValueError(f"The schema has the unknown word {word!r}.")
        if fault:
            return f"{where} {fault}; got {_shown(value)}"
    return None


def _find_inside(value: object, schema: Mapping[str, Any], where: str, word: str) -> str | None:
    if word == "items" and isinstance(value, list):
        inner = ((f"{where}[{k}]", each, schema["items"]) for k, each in enumerate(value))
    elif not isinstance(value, dict):
        return None
    elif word == "required":
        missing = [name for name in schema["required"] if name not in value]
        return f"{where} has no {missing[0]!r}" if missing else None
    elif word == "properties":
        known = schema["properties"]
        inner = ((f"{where}.{name}", value[name], known[name]) for name in known if name in value)
    elif word == "additionalProperties":
        others = [name for name in value if name not in schema.get("properties", {})]
        if schema[word] is False:
            return f"{where} has {others[0]!r}, which is not known" if others else None
        inner = ((f"{where}.{name}", value[name], schema[word]) for name in others)
    else:
        return None
    return next(
        (fault for name, each, rule in inner if (fault := find_fault(each, rule, name))), None
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
