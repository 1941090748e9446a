"""The service as an ASGI application: its addresses, and the way of a request through it."""

import json
from collections.abc import Callable, Collection
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from penultimate import __version__
from penultimate.serve import problems
from penultimate.serve.answers import About, Answer, Names, State, about
from penultimate.serve.bodies import IMAGE_TYPES, FeaturesBody, ImagesBody
from penultimate.serve.guard import LOOPBACK, Guard
from penultimate.serve.limits import Limits
from penultimate.serve.models import Models
from penultimate.serve.page import page_of, sign_in_page
from penultimate.serve.problems import Problem, RefusedError
from penultimate.serve.service import Service
from penultimate.serve.tokens import Token

_REFUSALS = {
    400: "The parameters are not what the service knows.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another origin.",
    404: "There is no such model.",
    408: "The body did not arrive in time.",
    413: "The body, an image or a batch is too large.",
    415: "The body is of a type that is not read.",
    421: "The service is not known under this name.",
    422: "The body is not what the model takes.",
    503: "Too much is asked at once; ask again.",
}
_SAID = {"content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_NAME = Annotated[
    str | None, Query(max_length=255, description="Which model, where there are several.")
]
_SUBSET = Annotated[
    str | None, Query(max_length=255, description="For specialists: of which subset.")
]
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    {"$ref": "#/components/schemas/ImagesBody"},
                    {"$ref": "#/components/schemas/FeaturesBody"},
                ]
            }
        },
        **{each: {"schema": {"type": "string", "format": "binary"}} for each in IMAGE_TYPES},
    },
}


def create_app(
    models: Models,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    hosts: Collection[str] | None = LOOPBACK,
    say: Callable[[str], None] = lambda _: None,
) -> FastAPI:
    """Return a service as an ASGI application, for a server of one's own.

    Parameters
    ----------
    models : Models
    limits : Limits, optional
    token : str, optional
        What requests have to bring. Without one, everybody who reaches the service may ask.
    hosts : collection of str, optional
        Names under which the service may be asked; None for any. By default those of the loopback.
    say : callable, optional
        Called with a line for whoever runs the service, such as of a new version of a model.

    Returns
    -------
    fastapi.FastAPI
        Its lifespan has to run, as servers do it.

    Examples
    --------
    >>> import tempfile, penultimate
    >>> from penultimate.serve import Models, create_app
    >>> svc = penultimate.SVC(kernel="linear").fit([[0.0], [2.0]], ["low", "high"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = penultimate.save(svc, f"{folder}/level.zip", [[0.0], [2.0]])
    ...     app = create_app(Models([f"{folder}/level.zip"]))
    >>> "/v1/predict" in app.openapi()["paths"]
    True
    """
    service = Service(models, limits or Limits(), say)
    app = FastAPI(
        title="Penultimate",
        version=__version__,
        summary="Predictions of the models of this service.",
        lifespan=service.lifespan,
        docs_url=None,  # pages that load scripts from elsewhere
        redoc_url=None,
        exception_handlers={
            RefusedError: problems.of_refusal,
            HTTPException: problems.of_routing,
            RequestValidationError: problems.of_parameters,
            Exception: problems.of_fault,
        },
    )
    app.state.service = service
    refusals: Any = {status: {"description": text, **_SAID} for status, text in _REFUSALS.items()}

    @app.post(
        "/v1/predict",
        response_model=Answer,
        responses=refusals,
        openapi_extra={"requestBody": _BODY},
    )
    async def predict(request: Request, model: _NAME = None, subset: _SUBSET = None) -> Response:
        """Predict one image as a raw body, or images or rows of features in a document."""
        _check_parameters(request, "model", "subset")
        return _as_json(await service.predict(request, model, subset))

    @app.get("/v1/model", response_model=About, responses=_of(refusals, 400, 401, 404, 421, 422))
    async def describe(request: Request, model: _NAME = None) -> Response:
        """Say what a model takes, and what is known of it."""
        _check_parameters(request, "model")
        return _as_json(about(service.version_of(model)))

    @app.get("/v1/models", response_model=Names, responses=_of(refusals, 400, 401, 421))
    async def name_all(request: Request) -> Names:
        """Name the models of the service."""
        _check_parameters(request)
        return Names(models=models.names)

    @app.get("/healthz", response_model=State, responses=_of(refusals, 421))
    async def is_alive() -> State:
        """Say that the process answers."""
        return State(status="alive")

    @app.get("/readyz", response_model=State, responses=_of(refusals, 421, 503))
    async def is_ready() -> State:
        """Say whether predictions are answered now."""
        if not service.is_ready:
            raise RefusedError(503, "The service is starting or stopping.")
        return State(status="ready")

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **_of(refusals, 401, 421)},
    )
    async def metrics() -> Response:
        """Count requests, samples and reloads, as Prometheus reads them."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    checked = Token(token)
    app.include_router(page_of(service, models.names, checked))
    paths = [route.path for route in app.routes if hasattr(route, "path")]
    app.add_middleware(
        Guard,
        token=checked,
        sign_in=sign_in_page,
        hosts=hosts,
        metrics=service.metrics,
        paths=paths,
    )
    _complete_document(app, with_token=token is not None)
    return app


def _of(refusals: dict[int, Any], *statuses: int) -> Any:
    return {status: refusals[status] for status in statuses}


def _check_parameters(request: Request, *known: str) -> None:
    """Refuse parameters that would be ignored: a misspelled one is meant."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            taken = f"it takes {', '.join(known)}" if known else "it takes none"
            raise RefusedError(400, f"There is no parameter {name[:100]!r} here; {taken}.")
        if names.count(name) > 1:
            raise RefusedError(400, f"The parameter {name!r} is given twice.")


def _as_json(content: Any) -> Response:
    # Not by way of the models of the document, which check what need not be checked.
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, media_type="application/json")


def _complete_document(app: FastAPI, *, with_token: bool) -> None:
    """Let the document of the service also describe what its functions read themselves."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            components = found.setdefault("components", {})
            for each in (Problem, ImagesBody, FeaturesBody):
                components.setdefault("schemas", {})[each.__name__] = each.model_json_schema()
            if with_token:
                components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                found["security"] = [{"token": []}]
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
