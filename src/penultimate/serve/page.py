"""The page of a service: that of ``penultimate export --html``, whose answers come from the server.

It shares templates, styles and scripts with it (`bundle.page`); only what asks the model differs.
Its policy lets the browser load the files below and ask this server, nothing else.
"""

from functools import cache
from types import SimpleNamespace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from penultimate._common.pages import templates_of
from penultimate.bundle import description
from penultimate.bundle.page import (
    joined_scripts,
    page_values,
    strips_of,
    style_of,
    template_of,
    words_of,
)
from penultimate.serve.answers import watch_of
from penultimate.serve.guard import SIGN_IN, address_of
from penultimate.serve.models import Version
from penultimate.serve.problems import RefusedError
from penultimate.serve.service import Service
from penultimate.serve.tokens import Token

_OURS, _SHARED = "penultimate.serve", "penultimate.bundle"
_BEFORE = ("words", "pixels", "answers", "cards", "files", "panels")
_AFTER = ("drawing", "camera")
_TEACHING = ("teach", "correct")
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS = {"Content-Security-Policy": _POLICY}
_MOST = 4096  # bytes of a token in a form
_NAME = Annotated[str | None, Query(max_length=255)]


def page_of(service: Service, names: list[str], token: Token, *, teach: bool = False) -> APIRouter:
    """Return the addresses of the page.

    Parameters
    ----------
    service : Service
    names : list of str
        Names of the models.
    token : Token
    teach : bool
        Whether it shows how to teach.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def show(request: Request, model: _NAME = None) -> Response:
        version = service.version_of(model or names[0])
        address = f"{request.base_url}v1/predict?model={version.name}"
        return HTMLResponse(_page(version, names, address, teach), headers=_HEADERS)

    @router.get("/page/page.css")
    async def style() -> Response:
        return Response(_style(teach), media_type="text/css")

    @router.get("/page/page.js")
    async def script() -> Response:
        return Response(_script(teach), media_type="text/javascript")

    @router.get("/page/examples/{number}.png")
    async def examples(number: int, model: _NAME = None) -> Response:
        strips = strips_of(service.version_of(model).predictor)
        if number not in strips:
            raise RefusedError(404, f"The model has no images of class {number}.")
        return Response(strips[number], media_type="image/png")

    @router.post(SIGN_IN)
    async def sign_in(request: Request) -> Response:
        if not token.is_in_form(await _form_of(request), address_of(request.scope)):
            return sign_in_page(was_wrong=True)
        response = RedirectResponse("./", 303)
        token.set_cookie(response)
        return response

    return router


def sign_in_page(*, was_wrong: bool = False) -> Response:
    """Return the page that asks for the token."""
    words = _words()
    template = templates_of(_OURS, _SHARED).get_template("sign_in.html.j2")
    text = template.render(words=words, title=words.sign_in, was_wrong=was_wrong)
    return HTMLResponse(text, 401, headers=_HEADERS)


def _page(version: Version, names: list[str], address: str, teach: bool) -> str:
    predictor = version.predictor
    environment = templates_of(_OURS, _SHARED)
    if predictor.manifest.kind != "images":
        return environment.get_template("features.html.j2").render(
            title=version.name,
            words=_words(),
            models=names,
            address=address,
            withdrawn=version.watch is not None and version.watch.state()["withdrawn"],
            about=description.rows(predictor.manifest, predictor.signature),
        )
    query = urlencode({"model": version.name})
    examples = {k: f"page/examples/{k}.png?{query}" for k in strips_of(predictor)}
    words = words_of(_SHARED, _OURS)
    if teach:
        words["lead"] = words["lead_teaching"]
    values = page_values(predictor, words, examples)
    values["about"].append(("version (SHA-256)", version.sha256))
    values["facts"] |= {
        "model": version.name,
        "version": version.sha256,
        "labels": predictor.classes_.tolist(),
        "class_type": predictor.manifest.class_type,
        "watch": watch_of(version),
        "pictures": version.neighbors is not None,
    }
    return environment.get_template("serve.html.j2").render(
        values, name=version.name, models=names, teach=teach
    )


async def _form_of(request: Request) -> bytes:
    """Return the body of a form, which is short."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST:
            raise RefusedError(413, "A token is shorter than that.", {"Connection": "close"})
    return body


def _words() -> SimpleNamespace:
    return SimpleNamespace(**words_of(_SHARED, _OURS))


@cache
def _style(teach: bool) -> str:
    names = ["neighbors.css"] + ["teach.css"] * teach
    return style_of() + "".join(template_of(_OURS, each) for each in names)


@cache
def _script(teach: bool) -> str:
    shared = [joined_scripts(_SHARED, names) for names in (_BEFORE, _AFTER)]
    own = joined_scripts(_OURS, _TEACHING) if teach else ""
    return shared[0] + joined_scripts(_OURS, ["watch", "remote", "neighbors"]) + shared[1] + own
