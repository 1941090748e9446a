"""What all addresses share: parameters that are known, answers in JSON, bodies in the document."""

import json
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from penultimate.serve.problems import RefusedError


def check_parameters(request: Request, *known: str) -> None:
    """Refuse parameters that would be ignored: a misspelled one is meant."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            taken = f"it takes {', '.join(known)}" if known else "it takes none"
            raise RefusedError(400, f"There is no parameter {name[:100]!r} here; {taken}.")
        if names.count(name) > 1:
            raise RefusedError(400, f"The parameter {name!r} is given twice.")


def as_json(content: Any) -> Response:
    """Return an answer, not by way of the models of the document: these check what need not be."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, media_type="application/json")


def body_of(*documents: type[BaseModel], media_types: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return how the document of a service describes a body: one of these, or a raw file."""
    either = [{"$ref": f"#/components/schemas/{each.__name__}"} for each in documents]
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": either}},
            **{each: {"schema": {"type": "string", "format": "binary"}} for each in media_types},
        },
    }
