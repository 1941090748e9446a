"""The addresses of a service at which its watch is read, and begun anew."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from penultimate.serve.requests import check_parameters
from penultimate.serve.service import Service
from penultimate.serve.watching import WatchReport

_NAME = Annotated[str | None, Query(max_length=255, description="Which model.")]


def watch_routes(service: Service, refusals: dict[int, Any]) -> APIRouter:
    """Return the addresses.

    Parameters
    ----------
    service : Service
    refusals : dict
        Answers of the document, by status.
    """
    router = APIRouter()
    said: Any = {status: refusals[status] for status in (400, 401, 403, 404, 421, 422, 429)}

    @router.get("/v1/watch", response_model=WatchReport, responses=said)
    async def report(request: Request, model: _NAME = None) -> dict[str, Any]:
        """Say whether what comes in is still as it was, and which images speak against it."""
        check_parameters(request, "model")
        watch = service.version_of(model).watch
        return {"watch": None, "images": []} if watch is None else watch.report()

    @router.post("/v1/watch/reset", response_model=WatchReport, responses=said)
    async def reset(request: Request, model: _NAME = None) -> dict[str, Any]:
        """Begin to watch anew: what was withdrawn is promised again."""
        check_parameters(request, "model")
        version = service.version_of(model)
        service.reset_watch(version)
        assert version.watch is not None
        return version.watch.report()

    return router
