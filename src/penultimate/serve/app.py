"""The service as an ASGI application: its addresses, and the way of a request through it."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from penultimate import __version__
from penultimate._common.imports import import_optional
from penultimate.serve import problems
from penultimate.serve.answers import About, Answer, Names, State, about
from penultimate.serve.bodies import IMAGE_TYPES, FeaturesBody, ImagesBody
from penultimate.serve.guard import LOOPBACK, Guard
from penultimate.serve.limits import Limits
from penultimate.serve.models import Models
from penultimate.serve.neighbors import MOST
from penultimate.serve.page import page_of, sign_in_page
from penultimate.serve.problems import Problem, RefusedError
from penultimate.serve.requests import as_json, body_of, check_parameters
from penultimate.serve.service import Service
from penultimate.serve.tokens import Token
from penultimate.serve.watch_addresses import watch_routes

_REFUSALS = {
    400: "The parameters are not what the service knows.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another origin.",
    404: "There is no such model.",
    408: "The body did not arrive in time.",
    413: "The body, an image or a batch is too large.",
    415: "The body is of a type that is not read.",
    421: "The service is not known under this name.",
    409: "It does not fit what was taught before, or the file as it is now.",
    422: "The body is not what the model takes.",
    429: "Too many wrong tokens came from this address; Retry-After says for how long it waits.",
    503: "Too much is asked at once; ask again.",
    507: "The disk is full, or cannot be written to; nothing was changed.",
}
_SAID = {"content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_NAME = Annotated[
    str | None, Query(max_length=255, description="Which model, where there are several.")
]
_SUBSET = Annotated[
    str | None, Query(max_length=255, description="For specialists: of which subset.")
]
_WATCH = Annotated[
    bool,
    Query(description="False for what is not one of the samples that the model is meant for."),
]
_NEIGHBORS = Annotated[
    int,
    Query(ge=0, le=MOST, description="How many of the nearest pictured support vectors to name."),
]
_PLACE = Annotated[int, Path(ge=0, le=10**6)]
_BODY = body_of(ImagesBody, FeaturesBody, media_types=IMAGE_TYPES)


def create_app(
    models: Models,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    hosts: Collection[str] | None = LOOPBACK,
    teach: bool = False,
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
    teach : bool, default=False
        Let who may ask also teach the models, and promote what was taught.
    say : callable, optional
        Called with a line for whoever runs the service, such as of a new version of a model.

    Returns
    -------
    fastapi.FastAPI
        Its lifespan has to run, as servers do it.

    Raises
    ------
    TeachingError
        With `teach`, if a model was not saved to be taught.

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
    limits = limits or Limits()
    service = Service(models, limits, say)
    beside = ExitStack()  # what is closed after the service

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with beside:
            async with service.lifespan(app):
                yield

    app = FastAPI(
        title="Penultimate",
        version=__version__,
        summary="Predictions of the models of this service.",
        lifespan=lifespan,
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
    of_prediction = [status for status in _REFUSALS if status not in (409, 507)]

    @app.post(
        "/v1/predict",
        response_model=Answer,
        responses=_of(refusals, *of_prediction),
        openapi_extra={"requestBody": _BODY},
    )
    async def predict(
        request: Request,
        model: _NAME = None,
        subset: _SUBSET = None,
        watch: _WATCH = True,
        neighbors: _NEIGHBORS = 0,
    ) -> Response:
        """Predict one image as a raw body, or images or rows of features in a document."""
        check_parameters(request, "model", "subset", "watch", "neighbors")
        return as_json(await service.predict(request, model, subset, watch, neighbors))

    @app.get(
        "/v1/model", response_model=About, responses=_of(refusals, 400, 401, 404, 421, 422, 429)
    )
    async def describe(request: Request, model: _NAME = None) -> Response:
        """Say what a model takes, and what is known of it."""
        check_parameters(request, "model")
        return as_json(about(service.version_of(model)))

    @app.get(
        "/v1/pictures/{code}/{place}.png",
        response_class=Response,
        responses={
            200: {"content": {"image/png": {}}},
            **_of(refusals, 400, 401, 404, 421, 422, 429),
        },
    )
    async def picture(
        request: Request, code: _PLACE, place: _PLACE, model: _NAME = None
    ) -> Response:
        """Show a training sample, whose address is in the neighbors of an answer."""
        check_parameters(request, "model")
        near = service.version_of(model).neighbors
        found = (
            None if near is None else await service.in_thread(partial(near.picture, code, place))
        )
        if found is None:
            raise RefusedError(404, f"The model has no picture {place} of class {code}.")
        return Response(found, media_type="image/png")

    @app.get("/v1/models", response_model=Names, responses=_of(refusals, 400, 401, 421, 429))
    async def name_all(request: Request) -> Names:
        """Name the models of the service."""
        check_parameters(request)
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
        responses={200: {"content": {"text/plain": {}}}, **_of(refusals, 401, 421, 429)},
    )
    async def metrics() -> Response:
        """Count requests, samples and reloads, as Prometheus reads them."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    app.include_router(watch_routes(service, refusals))
    documents: tuple[type[BaseModel], ...] = (ImagesBody, FeaturesBody)
    if teach:
        import_optional("onnx", "onnx")  # which serving alone does not need
        from penultimate.serve.teaching import Teaching
        from penultimate.serve.teaching_routes import DOCUMENTS, teaching_routes

        teaching = app.state.teaching = beside.enter_context(Teaching(service, models, limits))
        refused = partial(_of, refusals)
        app.include_router(teaching_routes(teaching, service, limits, _BODY, refused))
        documents += DOCUMENTS
    checked = Token(token)
    app.include_router(page_of(service, models.names, checked, teach=teach))
    paths = [route.path for route in app.routes if hasattr(route, "path")]
    app.add_middleware(
        Guard,
        token=checked,
        sign_in=sign_in_page,
        hosts=hosts,
        metrics=service.metrics,
        paths=paths,
    )
    _complete_document(app, documents, with_token=token is not None)
    return app


def _of(refusals: dict[int, Any], *statuses: int) -> Any:
    return {status: refusals[status] for status in statuses}


def _complete_document(
    app: FastAPI, documents: tuple[type[BaseModel], ...], *, with_token: bool
) -> None:
    """Let the document of the service also describe what its functions read themselves."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            components = found.setdefault("components", {})
            described: tuple[type[BaseModel], ...] = (Problem, *documents)
            for each in described:
                components.setdefault("schemas", {})[each.__name__] = each.model_json_schema()
            if with_token:
                components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                found["security"] = [{"token": []}]
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
