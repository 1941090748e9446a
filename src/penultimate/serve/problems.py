"""Refusals, as problem documents in JSON (RFC 9457): what was wrong, and the way out."""

from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
FORM = "Body"  # ends the names of the models of documents
# Names of RFC 9110, which Python before 3.13 does not use.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
_NAMED = 3  # faults of a document that are named


class Problem(BaseModel):
    """Why a request was refused."""

    title: str
    status: int
    detail: str


class RefusedError(Exception):
    """A request is refused.

    Parameters
    ----------
    status : int
        Of HTTP.
    detail : str
        What was wrong, and the way out.
    headers : mapping, optional
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.headers = status, headers

    def response(self) -> Response:
        """Return the answer that says so."""
        return problem(self.status, str(self), self.headers)


def busy(detail: str) -> RefusedError:
    """Return the refusal of what may be asked again in a moment."""
    return RefusedError(503, f"{detail} Ask again in a moment.", {"Retry-After": "1"})


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal as an answer."""
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    content = Problem(title=title, status=status, detail=detail).model_dump_json()
    return Response(content, status, dict(headers or {}), MEDIA_TYPE)


async def of_refusal(_: Request, error: Exception) -> Response:
    """Answer what was refused on purpose."""
    assert isinstance(error, RefusedError)
    return error.response()


async def of_routing(request: Request, error: Exception) -> Response:
    """Answer an address or a method that there is not."""
    assert isinstance(error, HTTPException)
    detail = f"There is no {request.method} {request.url.path}. See /openapi.json."
    return problem(error.status_code, detail, error.headers)


async def of_parameters(_: Request, error: Exception) -> Response:
    """Answer parameters that are not as the document of the service says."""
    assert isinstance(error, RequestValidationError)
    return problem(422, spelled([(each["loc"], each["msg"]) for each in error.errors()]))


async def of_fault(_: Request, error: Exception) -> Response:
    """Answer a fault of ours, without its details, which the server prints."""
    return problem(500, f"A fault of the server ({type(error).__name__}); its log says where.")


def in_document(error: ValidationError) -> str:
    """Return what is wrong in a JSON document, without repeating what is in it.

    A document has one of several forms, and fails in each: what counts is the one that it was meant
    to have, which is the one that lacks the fewest fields.
    """
    forms: dict[str, list[tuple[tuple[int | str, ...], str]]] = {}
    n_missing: Counter[str] = Counter()
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        where = each["loc"]
        form = str(where[0]) if where and str(where[0]).endswith(FORM) else ""
        forms.setdefault(form, []).append((where[1:] if form else where, each["msg"]))
        n_missing[form] += each["type"] == "missing"
    fewest = min(n_missing.values())
    texts = [spelled(forms[form]) for form in forms if n_missing[form] == fewest]
    return ", or ".join(text.rstrip(".") for text in dict.fromkeys(texts)) + "."


def spelled(faults: list[tuple[tuple[int | str, ...], str]]) -> str:
    """Return faults by their places, such as ``images[2]: ...``, the first few."""
    texts = []
    for where, message in faults[:_NAMED]:
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)
        place = "".join(steps).lstrip(".")
        texts.append(f"{place}: {message}" if place else message)
    more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    return f"{'; '.join(texts)}{more}."
