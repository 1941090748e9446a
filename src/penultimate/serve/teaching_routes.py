"""The addresses at which the models of a service are taught."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, TypeAdapter

from penultimate.serve.batching import Asked
from penultimate.serve.bodies import Strict, asked_of, content_type_of, document_of
from penultimate.serve.limits import Limits
from penultimate.serve.models import Version
from penultimate.serve.problems import RefusedError
from penultimate.serve.requests import as_json, body_of, check_parameters
from penultimate.serve.service import Service
from penultimate.serve.teaching import Teaching
from penultimate.serve.teaching_answers import (
    Comparison,
    Promoted,
    Taught,
    TaughtAnswer,
    TeachingStatus,
)

_NAME = Annotated[
    str | None, Query(max_length=255, description="Which model, where there are several.")
]
_SUBSET = Annotated[
    str | None, Query(max_length=255, description="For specialists: of which subset.")
]
_Subset = Annotated[
    str | None,
    Field(description="For specialists: the subset of the labels. Only a new class needs it."),
]
_Labels = Annotated[
    list[str | int | Annotated[float, Field(allow_inf_nan=False)] | bool],
    Field(min_length=1, description="One per sample, of the type of the model's classes."),
]


class TaughtImagesBody(BaseModel):
    """Images as files in base64, and what they are."""

    model_config = Strict
    images: Annotated[list[str], Field(min_length=1, description="Files in base64.")]
    labels: _Labels
    subset: _Subset = None


class TaughtFeaturesBody(BaseModel):
    """Rows of features, as the network of the model computes them, and what they are."""

    model_config = Strict
    features: Annotated[
        list[list[Annotated[float, Field(allow_inf_nan=False)]]], Field(min_length=1)
    ]
    labels: _Labels
    subset: _Subset = None


DOCUMENTS = (TaughtImagesBody, TaughtFeaturesBody)
_EITHER: TypeAdapter[TaughtImagesBody | TaughtFeaturesBody] = TypeAdapter(
    TaughtImagesBody | TaughtFeaturesBody
)


def teaching_routes(
    teaching: Teaching,
    service: Service,
    limits: Limits,
    predict_body: dict[str, Any],
    refused: Callable[..., Any],
) -> APIRouter:
    """Return the addresses of teaching.

    Parameters
    ----------
    teaching : Teaching
    service : Service
    limits : Limits
    predict_body : dict
        The body of a prediction, as the document of the service has it.
    refused : callable
        Returns the part of the document about refusals of these statuses.
    """
    router = APIRouter()
    of_state = refused(400, 401, 403, 404, 409, 421, 422, 429, 503, 507)
    of_samples = refused(400, 401, 403, 404, 408, 409, 413, 415, 421, 422, 429, 503, 507)

    @router.get("/v1/teach", response_model=TeachingStatus, responses=of_state)
    async def status(request: Request, model: _NAME = None) -> Response:
        """Say how far a model was taught: lessons, classes, looks at held-out samples."""
        check_parameters(request, "model")
        return as_json(await teaching.status(model))

    @router.post(
        "/v1/teach",
        response_model=Taught,
        responses=of_samples,
        openapi_extra={"requestBody": body_of(*DOCUMENTS)},
    )
    async def teach(request: Request, model: _NAME = None) -> Response:
        """Teach samples, at once; a label that is new is a new class. The file stays as it is."""
        check_parameters(request, "model")
        content_type_of(request, documents_alone=True)
        version = service.version_of(model)
        async with service.reading(request) as body:
            asked, labels = await service.in_thread(partial(_lesson_in, body, version, limits))
            return as_json(await teaching.teach(asked, labels))

    @router.post("/v1/teach/undo", response_model=Taught, responses=of_state)
    async def undo(
        request: Request,
        model: _NAME = None,
        number: Annotated[
            int | None, Query(ge=1, description="Of the lesson; the last one by default.")
        ] = None,
    ) -> Response:
        """Take back a lesson."""
        check_parameters(request, "model", "number")
        return as_json(await teaching.undo(model, number))

    @router.post("/v1/teach/compare", response_model=Comparison, responses=of_state)
    async def compare(request: Request, model: _NAME = None) -> Response:
        """Compare the taught head with the one that serves, on the same held-out samples.

        The look is noted: each one makes later figures on these samples a little more optimistic.
        """
        check_parameters(request, "model")
        return as_json(await teaching.compare(model))

    @router.post("/v1/teach/promote", response_model=Promoted, responses=of_state)
    async def promote(request: Request, model: _NAME = None) -> Response:
        """Make what was taught a new version, which answers from now on; the old file is kept."""
        check_parameters(request, "model")
        return as_json(await teaching.promote(model))

    @router.post("/v1/teach/restore", response_model=Promoted, responses=of_state)
    async def restore(request: Request, model: _NAME = None) -> Response:
        """Take back the last promotion: the version before answers, with its lessons."""
        check_parameters(request, "model")
        return as_json(await teaching.restore(model))

    @router.post(
        "/v1/teach/predict",
        response_model=TaughtAnswer,
        responses=of_samples,
        openapi_extra={"requestBody": predict_body},
    )
    async def predict(request: Request, model: _NAME = None, subset: _SUBSET = None) -> Response:
        """Predict with the model that serves, and with the taught head beside it."""
        check_parameters(request, "model", "subset")
        async with service.asking(request, model, subset) as asked:
            return as_json(await teaching.predict(asked))

    @router.get("/page/lessons/{number}/{place}.png", include_in_schema=False)
    async def picture(number: int, place: int, model: _NAME = None) -> Response:
        return Response(await teaching.picture(model, number, place), media_type="image/png")

    return router


def _lesson_in(body: bytes, version: Version, limits: Limits) -> tuple[Asked, list[Any]]:
    given = document_of(body, _EITHER, version, limits)
    if isinstance(given, TaughtImagesBody):
        asked = asked_of(version, limits, given.subset, images=given.images)
    else:
        asked = asked_of(version, limits, given.subset, features=given.features)
    if len(asked) != len(given.labels):
        raise RefusedError(422, f"There are {len(asked)} samples and {len(given.labels)} labels.")
    return asked, given.labels
