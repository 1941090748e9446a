"""Teaching the models of a service: one step after the other, in a thread of its own.

A step (a lesson, one taken back, a comparison, a promotion) is answered when it is on the disk. It
waits for its turn as long as a prediction may take; once begun it is finished, however long it
takes, since an answer that gave up on it would leave open whether it was done. Predictions go on
meanwhile. Others may teach the same file from other processes; the journal keeps order.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Self, TypeVar

from penultimate.bundle.errors import BundleError
from penultimate.serve.batching import Asked
from penultimate.serve.limits import Limits
from penultimate.serve.models import Models
from penultimate.serve.problems import RefusedError, busy
from penultimate.serve.service import Service
from penultimate.serve.teaching_answers import comparison_of, lesson_of, promotion_of, status_of
from penultimate.teaching import JournalBusyError, Lesson, Promotion, Teacher, TeachingError

_T = TypeVar("_T")


class Teaching:
    """Teaches the models of a service.

    Parameters
    ----------
    service : Service
    models : Models
    limits : Limits
        `seconds` is what a step waits for its turn, at most.

    Raises
    ------
    TeachingError
        If a model was not saved to be taught, or its journal is of another one.
    OSError
        If a journal cannot be opened.
    """

    def __init__(self, service: Service, models: Models, limits: Limits) -> None:
        self._service, self._models, self._limits = service, models, limits
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="penultimate-teach")
        self._teachers: dict[str, Teacher] = {}
        # The last comparison of each model, and the version and the lessons that it is of.
        self._compared: dict[str, tuple[object, dict[str, Any]]] = {}
        try:
            for name, path in models.paths.items():
                self._teachers[name] = _opened(path, models, limits)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the journals, after the step that was begun."""
        self._thread.shutdown()
        for teacher in self._teachers.values():
            teacher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def status(self, name: str | None) -> dict[str, Any]:
        """Return what `Status` describes."""
        teacher, name = self._of(name)
        return await self._in_turn(partial(self._status, teacher, name))

    async def teach(self, asked: Asked, labels: list[Any]) -> dict[str, Any]:
        """Teach samples; return what `Taught` describes."""
        teacher, name = self._of(asked.version.name)

        def step() -> dict[str, Any]:
            changes: list[str] = []
            lesson = teacher.teach(
                asked.images,
                labels,
                features=asked.features,
                subset=asked.subset,
                on_note=changes.append,
            )
            notes = list(dict.fromkeys([*changes, *lesson.notes]))
            return {"lesson": lesson_of(lesson, notes)} | self._counted(teacher, name, "lesson")

        return await self._in_turn(step)

    async def undo(self, name: str | None, number: int | None) -> dict[str, Any]:
        """Take back a lesson, the last one by default; return what `Taught` describes."""
        teacher, name = self._of(name)

        def step() -> dict[str, Any]:
            # Never a promotion: who asks for the last lesson means a lesson.
            last = [each.event for each in teacher.status().lessons][-1:] or [0]
            undone = teacher.undo(last[0] if number is None else number)
            assert isinstance(undone, Lesson)
            return {"lesson": lesson_of(undone, [])} | self._counted(teacher, name, "undo")

        return await self._in_turn(step)

    async def compare(self, name: str | None) -> dict[str, Any]:
        """Compare the taught head with the one that serves; return what `Compared` describes."""
        teacher, name = self._of(name)

        def step() -> dict[str, Any]:
            found = comparison_of(teacher.compare())
            status = teacher.status()
            self._compared[name] = (_what_is_compared(status), found)
            return {"comparison": found} | self._counted(teacher, name, "comparison")

        return await self._in_turn(step)

    async def promote(self, name: str | None) -> dict[str, Any]:
        """Make what was taught the version that serves; return what `Promoted` describes."""
        teacher, name = self._of(name)
        return await self._in_turn(partial(self._replace, teacher, name, "promotion"))

    async def restore(self, name: str | None) -> dict[str, Any]:
        """Take back the last promotion; return what `Promoted` describes."""
        teacher, name = self._of(name)
        return await self._in_turn(partial(self._replace, teacher, name, "restoration"))

    async def predict(self, asked: Asked) -> dict[str, Any]:
        """Return what `TaughtAnswer` describes: what serves says, and what was taught says."""
        teacher, _ = self._of(asked.version.name)
        answer = await self._service.answer(asked)
        taught = await self._in_turn(
            partial(teacher.predict, asked.images, features=asked.features, subset=asked.subset)
        )
        return answer | {"taught": taught}

    async def picture(self, name: str | None, number: int, place: int) -> bytes:
        """Return the small picture of a sample of a lesson, or refuse."""
        teacher, _ = self._of(name)
        lessons = await self._in_turn(lambda: teacher.lessons)
        found = [each.thumbnails[place : place + 1] for each in lessons if each.event == number]
        if not found or not found[0] or found[0][0] is None:
            raise RefusedError(404, f"There is no picture of sample {place} of lesson {number}.")
        return found[0][0]

    def _of(self, name: str | None) -> tuple[Teacher, str]:
        name = self._service.version_of(name).name
        return self._teachers[name], name

    def _status(self, teacher: Teacher, name: str) -> dict[str, Any]:
        status = teacher.status()
        compared, found = self._compared.get(name, (None, None))
        is_current = compared == _what_is_compared(status)
        return status_of(status, name, found if is_current else None)

    def _counted(self, teacher: Teacher, name: str, action: str) -> dict[str, Any]:
        self._service.metrics.taught.labels(name, action).inc()
        return {"status": self._status(teacher, name)}

    def _replace(self, teacher: Teacher, name: str, action: str) -> dict[str, Any]:
        is_new = action == "promotion"
        done: Promotion = teacher.promote() if is_new else teacher.restore()
        self._service.refresh()
        serving = self._service.version_of(name).sha256
        return {"promotion": promotion_of(done, serving, is_new)} | self._counted(
            teacher, name, action
        )

    async def _in_turn(self, step: Callable[[], _T]) -> _T:
        """Return what a step returns, when it is its turn."""
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise busy(f"Others were teaching for {self._limits.seconds:g} seconds.") from None
        try:
            with self._refusals():
                return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        finally:
            self._turn.release()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Answer what cannot be taught with what was wrong, but for where its files are."""
        try:
            yield
        except JournalBusyError as error:
            raise RefusedError(503, self._without_folders(error), {"Retry-After": "1"}) from error
        except (TeachingError, BundleError, FileNotFoundError) as error:  # as the files are now
            raise RefusedError(409, self._without_folders(error)) from error
        except (TypeError, ValueError) as error:
            raise RefusedError(422, self._without_folders(error)) from error
        except MemoryError as error:
            raise RefusedError(413, "There is not enough memory for so many samples.") from error
        except OSError as error:
            raise RefusedError(507, self._without_folders(error)) from error

    def _without_folders(self, error: Exception) -> str:
        """Return an error as clients see it: file names without folders, which only the log has."""
        text = said = str(error)
        for path in self._models.paths.values():
            for folder in {f"{path.absolute().parent}{os.sep}", f"{path.parent}{os.sep}"}:
                said = said.replace(folder, "").replace(repr(folder)[1:-1], "")
        if said != text:
            self._service.say(f"Teaching failed: {text}")
        return said


def _opened(path: Any, models: Models, limits: Limits) -> Teacher:
    try:
        return Teacher(path, key=models.key, threads=models.threads, patience=limits.seconds)
    except TeachingError as error:
        raise TeachingError(f"{str(path)!r} cannot be taught. {error}") from error


def _what_is_compared(status: Any) -> object:
    return status.sha256, [each.event for each in status.lessons]
