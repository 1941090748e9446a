"""What lives as long as a service: its models, its queue, and the threads that read bodies."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, Request

from penultimate.serve.answers import answer_of
from penultimate.serve.batching import Asked, Batcher, Found
from penultimate.serve.bodies import Memory, content_type_of, parse, read_body
from penultimate.serve.limits import Limits
from penultimate.serve.metrics import Metrics
from penultimate.serve.models import Models, Version
from penultimate.serve.neighbors import Neighbor
from penultimate.serve.problems import RefusedError, busy

_T = TypeVar("_T")


class Service:
    """Answers requests for predictions.

    Parameters
    ----------
    models : Models
    limits : Limits
    say : callable
        Called with a line for whoever runs the service.

    Attributes
    ----------
    metrics : Metrics
    say : callable
    look_now : asyncio.Event
        Set it to look for new versions of the models at once.
    """

    def __init__(self, models: Models, limits: Limits, say: Callable[[str], None]) -> None:
        self._models, self._limits, self.say = models, limits, say
        self.metrics, self._memory = Metrics(), Memory(limits.memory)
        self.look_now = asyncio.Event()
        self._n_waiting = 0
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Predict, and look for new versions, while the server runs."""
        self._batcher = Batcher(
            batch=self._limits.batch,
            pixels=self._limits.pixels,
            delay=self._limits.delay,
            passed=self.metrics.passes.observe,
        )
        for version in self._models:
            self.metrics.serves(version)
        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="penultimate-read") as threads:
            self._threads = threads
            for version in self._models:
                if version.neighbors is not None:  # so that the first question does not wait for it
                    threads.submit(version.neighbors.prepare)
            self._tasks = [
                asyncio.create_task(self._batcher.run()),
                asyncio.create_task(self._models.watch(self._note, self.look_now)),
            ]
            yield
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_ready(self) -> bool:
        """Whether predictions are answered now."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def predict(
        self,
        request: Request,
        name: str | None,
        subset: str | None,
        watched: bool = True,
        neighbors: int = 0,
    ) -> dict[str, Any]:
        """Return what `Answer` describes, or refuse."""
        async with self.asking(request, name, subset) as asked:
            return await self.answer(replace(asked, watched=watched, neighbors=neighbors))

    @asynccontextmanager
    async def asking(
        self, request: Request, name: str | None, subset: str | None
    ) -> AsyncIterator[Asked]:
        """Read what a request asks, and hold its place while it is answered."""
        content_type = content_type_of(request)
        version = self.version_of(name)  # to which the request keeps, also if a new one comes
        async with self.reading(request) as body:
            yield await self.in_thread(
                partial(parse, body, content_type, subset, version, self._limits)
            )

    @asynccontextmanager
    async def reading(self, request: Request) -> AsyncIterator[bytes]:
        """Read the body of a request, and hold its memory and place while it is answered."""
        body = await read_body(request, self._limits, self._memory)
        try:
            with self._in_queue():
                yield body
        finally:
            self._memory.give_back(len(body))

    async def in_thread(self, read: Callable[[], _T]) -> _T:
        """Return what a function returns, which reads for so long that others would wait."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)

    async def answer(self, asked: Asked) -> dict[str, Any]:
        """Return what the model says, as `Answer` describes it."""
        found, near = await self._in_time(self._found(asked))
        await self._show(asked, found)
        return self._counted(asked, answer_of(found, asked.version, near))

    async def _found(self, asked: Asked) -> tuple[Found, list[list[Neighbor]] | None]:
        """Return what the model says, and pictured samples that are near if they are wanted."""
        found = await self._batcher.predict(asked)
        neighbors = asked.version.neighbors
        if neighbors is None or not asked.neighbors:
            return found, None
        step = partial(
            neighbors.find,
            found.predictions,
            asked.neighbors,
            images=asked.images,
            features=asked.features,
        )
        return found, await self.in_thread(step)

    def refresh(self) -> None:
        """Load models whose files have changed, in this thread."""
        self._models.refresh(self._note)

    def version_of(self, name: str | None) -> Version:
        """Return the version of a model that answers now, or refuse."""
        try:
            return self._models.find(name)
        except KeyError as error:
            raise RefusedError(400 if name is None else 404, error.args[0]) from None

    def _counted(self, asked: Asked, answer: dict[str, Any]) -> dict[str, Any]:
        name = asked.version.name
        n_abstained = sum(each["abstained"] is True for each in answer["predictions"])
        self.metrics.samples.labels(name).inc(len(asked))
        self.metrics.abstained.labels(name).inc(n_abstained)
        if answer["watch"] is not None:
            self.metrics.martingale.labels(name).set(answer["watch"]["martingale"])
        return answer

    async def _show(self, asked: Asked, found: Found) -> None:
        """Keep small copies of telling images, and say when the guarantee is withdrawn."""
        watch, noted = asked.version.watch, found.noted
        if watch is None or noted is None:
            return
        images = asked.images or []  # of features there is nothing to show
        for place in noted.telling if images else ():
            await self.in_thread(partial(watch.show, noted.first + place, images[place]))
        if noted.is_alarm:
            self.metrics.alarms.labels(asked.version.name).inc()
            self.say(
                f"{asked.version.name}: the guarantee is withdrawn: what comes in is not like what "
                "the model was calibrated on. See the page, or GET /v1/watch."
            )

    def reset_watch(self, version: Version) -> None:
        """Begin to watch a model anew, as a person wants it."""
        if version.watch is None:
            raise RefusedError(404, f"The model {version.name!r} is not watched.")
        version.watch.reset()
        self.metrics.martingale.labels(version.name).set(version.watch.state()["martingale"])
        self.say(f"{version.name}: the watch begins anew.")

    def _note(self, name: str, outcome: str, words: str) -> None:
        """Count and say that a file of a model has changed."""
        self.metrics.reloads.labels(name, outcome).inc()
        self.metrics.serves(self._models.find(name))
        self.say(f"{name}: {words}")

    @contextmanager
    def _in_queue(self) -> Iterator[None]:
        if self._n_waiting >= self._limits.waiting:
            raise busy(f"{self._limits.waiting:,} requests are waiting.")
        self._n_waiting += 1
        try:
            with self.metrics.waiting.track_inprogress():
                yield
        finally:
            self._n_waiting -= 1

    async def _in_time(self, answer: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await answer
        except TimeoutError:
            raise busy(f"There was no answer within {self._limits.seconds:g} seconds.") from None
