"""Requests that come at the same time are predicted in one pass.

One thread predicts. What arrives meanwhile waits, and goes together next: that alone makes batches
under load, and never delays a request that comes alone. Clients that wait for an answer before they
ask again come back over a moment, not at once; so after a pass of several requests, the next one
waits until as many are there again, for `delay` seconds at most.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.bundle.errors import BundleError
from penultimate.bundle.predictions import Predictions, joined
from penultimate.bundle.watcher import Noted
from penultimate.serve.models import Version
from penultimate.serve.problems import RefusedError


@dataclass(frozen=True)
class Asked:
    """What a request wants to know.

    Attributes
    ----------
    version : Version
    subset : str or None
    images : list of bytes, or None
        Files.
    features : ndarray of shape (n_samples, n_features), or None
    pixels : int
        Total pixels of the images, according to their headers.
    watched : bool
        Whether they are samples of what the model is for: not what a camera sees before a picture
        is taken, nor what is shown to the model again to teach it.
    neighbors : int
        How many pictured samples are wanted that are near to each.
    """

    version: Version
    subset: str | None = None
    images: list[bytes] | None = None
    features: NDArray[np.float32] | None = None
    pixels: int = 0
    watched: bool = False
    neighbors: int = 0

    def __len__(self) -> int:
        return len(self.features if self.images is None else self.images)  # type: ignore[arg-type]

    @property
    def kind(self) -> tuple[Any, ...]:
        """What requests have in common that can be predicted in one pass."""
        return self.version, self.subset, self.images is None


@dataclass(frozen=True)
class Found:
    """What the model says, and what was done to images that their sender may not expect.

    Attributes
    ----------
    predictions : Predictions
    notes : list of str
    noted : Noted or None
        What watching them has found; None if they were not watched.
    """

    predictions: Predictions
    notes: list[str]
    noted: Noted | None = None


@dataclass(eq=False)
class _Job:
    asked: Asked
    answer: "asyncio.Future[Found]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Batcher:
    """Predicts what is asked, in passes of at most so many samples and pixels.

    Parameters
    ----------
    batch, pixels : int
        In one pass, at most; a request alone may have more.
    delay : float
        Seconds that a pass may wait for more requests.
    passed : callable
        Called with the number of samples of each pass.
    """

    def __init__(
        self, *, batch: int, pixels: int, delay: float, passed: Callable[[int], None]
    ) -> None:
        self._batch, self._pixels, self._delay, self._passed = batch, pixels, delay, passed
        self._waiting: deque[_Job] = deque()
        self._arrived = asyncio.Event()

    async def predict(self, asked: Asked) -> Found:
        """Return what the model says; canceled while it waits, it is never predicted."""
        job = _Job(asked)
        self._waiting.append(job)
        self._arrived.set()
        return await job.answer

    async def run(self) -> None:
        """Predict until canceled."""
        loop = asyncio.get_running_loop()
        n_before = 1
        with ThreadPoolExecutor(1, thread_name_prefix="penultimate-predict") as thread:
            while True:
                with suppress(TimeoutError):
                    # The first is waited for as long as it takes, its company for a moment.
                    async with asyncio.timeout(None) as limit:
                        while len(self._waiting) < n_before:
                            if self._waiting and limit.when() is None:
                                limit.reschedule(loop.time() + self._delay)
                            self._arrived.clear()
                            await self._arrived.wait()
                jobs = self._take()
                if jobs:
                    results = await loop.run_in_executor(thread, _predict_and_watch, jobs)
                    self._hand_out(jobs, results)
                    self._passed(sum(len(job.asked) for job in jobs))
                n_before = max(1, len(jobs))

    def _take(self) -> list[_Job]:
        """Take the oldest request, and others that go with it."""
        taken: list[_Job] = []
        left: deque[_Job] = deque()
        n_samples = n_pixels = 0
        for job in self._waiting:
            if job.answer.done():  # nobody waits for it any more
                continue
            asked = job.asked
            fits = n_samples + len(asked) <= self._batch and n_pixels + asked.pixels <= self._pixels
            if not taken or (fits and asked.kind == taken[0].asked.kind):
                taken.append(job)
                n_samples, n_pixels = n_samples + len(asked), n_pixels + asked.pixels
            else:
                left.append(job)
        self._waiting = left
        return taken

    def _hand_out(self, jobs: list[_Job], results: list[Found | Exception]) -> None:
        for job, result in zip(jobs, results, strict=True):
            if job.answer.done():
                continue
            if isinstance(result, Exception):
                job.answer.set_exception(result)
            else:
                job.answer.set_result(result)


def _predict_and_watch(jobs: list[_Job]) -> list[Found | Exception]:
    """Predict requests, and take notice of them in this order."""
    return [
        _watched(job.asked, each) if isinstance(each, Found) else each
        for job, each in zip(jobs, _predict(jobs), strict=True)
    ]


def _watched(asked: Asked, found: Found) -> Found:
    watch = asked.version.watch
    # Of a subset that was asked for, the scores are others than those that were calibrated with.
    if watch is None or not asked.watched or asked.subset is not None:
        return found
    return replace(found, noted=watch.note(found.predictions))


def _predict(jobs: list[_Job]) -> list[Found | Exception]:
    """Predict requests of one kind in one pass; what fails with others is tried alone."""
    try:
        asked = [job.asked for job in jobs]
        return _of_features(asked) if asked[0].images is None else _of_images(asked)
    except Exception as error:
        if len(jobs) > 1:
            return [_predict([job])[0] for job in jobs]
        if isinstance(error, (BundleError, MemoryError)):
            reason = str(error) or "there is not enough memory."
            return [RefusedError(422, f"The model cannot be run on this: {reason}")]
        return [error]


def _of_features(asked: list[Asked]) -> list[Found | Exception]:
    first = asked[0]
    matrix = np.concatenate([each.features for each in asked if each.features is not None])
    together = first.version.predictor.predict_all(features=matrix, subset=first.subset)
    ends = np.cumsum([len(each) for each in asked])
    return [
        Found(joined([together], np.arange(end - len(each), end)), [])
        for each, end in zip(asked, ends, strict=True)
    ]


def _of_images(asked: list[Asked]) -> list[Found | Exception]:
    first = asked[0]
    images = [image for each in asked for image in each.images or ()]
    errors: dict[int, str] = {}
    changes: dict[int, list[str]] = {}

    def note_error(place: int, error: ValueError) -> None:
        errors[place] = str(error)

    def note_change(place: int, words: str) -> None:
        changes.setdefault(place, []).append(words)

    predictor = first.version.predictor
    parts = list(
        predictor.stream(images, subset=first.subset, on_error=note_error, on_change=note_change)
    )
    row_of = {place: row for row, place in enumerate(k for places, _ in parts for k in places)}
    together = joined([found for _, found in parts]) if parts else None
    results: list[Found | Exception] = []
    start = 0
    for each in asked:
        places = range(start, start + len(each))
        start += len(each)
        faults = [f"Image {place - places.start}: {errors[place]}" for place in places
                  if place in errors]  # fmt: skip
        if faults or together is None:
            results.append(RefusedError(422, faults[0]))
            continue
        notes = dict.fromkeys(words for place in places for words in changes.get(place, ()))
        rows = np.array([row_of[place] for place in places])
        results.append(Found(joined([together], rows), list(notes)))
    return results
