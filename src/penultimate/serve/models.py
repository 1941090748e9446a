"""The models that a service answers with, each the newest version of its file.

A file is looked at every second. If it has changed, it is loaded beside the version that serves,
which it then replaces by one assignment: a request keeps the version that it began with. A file
that cannot be loaded changes nothing.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from penultimate._common.validation import suggest
from penultimate.bundle.loading import read_key, read_source
from penultimate.bundle.predictor import Predictor
from penultimate.serve.neighbors import Neighbors, has_pictures
from penultimate.serve.watching import Watch

LOOK_EVERY = 1.0  # seconds
Notice = Callable[[str, str, str], None]


@dataclass(frozen=True, eq=False)
class Version:
    """A model as it was in its file at some time.

    Attributes
    ----------
    name : str
        Of its file, without the suffix.
    predictor : Predictor
    sha256 : str
        SHA-256 of the file.
    watch : Watch or None
        What watches it; None if it is not watched.
    neighbors : Neighbors or None
        What shows the samples that are nearest to new ones; None if it has no pictures of them.
    """

    name: str
    predictor: Predictor
    sha256: str
    watch: Watch | None = None
    neighbors: Neighbors | None = None


@dataclass
class _File:
    path: Path
    stamp: object
    version: Version
    refused: object = None  # the stamp of what could not be loaded, which is said once


class Models:
    """The models that a service answers with.

    Parameters
    ----------
    paths : sequence of path-like
        Of bundles, whose names without the suffix have to differ.
    key : path-like or bytes, optional
        The public key that all of them have to be signed with.
    threads : int, optional
        Threads for one prediction; as many as there are cores by default.
    watch : bool, optional
        Whether to test what comes in against what the models were calibrated on. By default, where
        their files allow it; with True, others are refused.

    Attributes
    ----------
    key : bytes or None
    threads : int or None

    Examples
    --------
    >>> import tempfile, penultimate
    >>> from penultimate.serve import Models
    >>> svc = penultimate.SVC(kernel="linear").fit([[0.0], [2.0]], ["low", "high"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = penultimate.save(svc, f"{folder}/level.zip", [[0.0], [2.0]])
    ...     models = Models([f"{folder}/level.zip"])
    >>> models.find("level").predictor.predict([[1.5]]).tolist()
    ['high']
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        key: str | os.PathLike[str] | bytes | None = None,
        threads: int | None = None,
        watch: bool | None = None,
    ) -> None:
        self.key = None if key is None else read_key(key)
        self.threads, self._watch = threads, watch
        self._refreshing = threading.Lock()
        self._files: dict[str, _File] = {}
        for path in map(Path, paths):
            if path.stem in self._files:
                other = self._files[path.stem].path
                raise ValueError(
                    f"{str(other)!r} and {str(path)!r} are both named {path.stem!r}, by which "
                    "requests choose a model. Rename one."
                )
            stamp = _stamp_of(path)
            self._files[path.stem] = _File(path, stamp, self._load(path))
        if not self._files:
            raise ValueError("There is no model to serve. Pass the path of a bundle.")

    def __iter__(self) -> Iterator[Version]:
        return (file.version for file in self._files.values())

    @property
    def paths(self) -> dict[str, Path]:
        """Files of the models by name."""
        return {name: file.path for name, file in self._files.items()}

    @property
    def names(self) -> list[str]:
        """Names by which requests choose a model."""
        return list(self._files)

    def find(self, name: str | None) -> Version:
        """Return the newest version of a model; without a name, of the only one.

        Raises
        ------
        KeyError
            If there is none of this name, or several without one.
        """
        if name is None and len(self._files) == 1:
            return next(iter(self))
        if name is None:
            raise KeyError(f"There are several models; name one of {self.names} with ?model=.")
        if name not in self._files:
            raise KeyError(
                f"There is no model {name!r}; there are {self.names}." + suggest(name, self.names)
            )
        return self._files[name].version

    def refresh(self, notice: Notice) -> None:
        """Load what has changed, and call `notice` with the model, the outcome and a message."""
        with self._refreshing:
            self._refresh(notice)

    def _refresh(self, notice: Notice) -> None:
        for name, file in self._files.items():
            stamp = _stamp_of(file.path)
            if stamp in (file.stamp, file.refused):
                continue
            try:
                version = self._load(file.path)
            except Exception as error:  # whatever it is, the version before goes on
                file.refused = stamp
                notice(name, "refused", f"{error} The version before goes on serving.")
                continue
            before, file.stamp, file.refused = file.version, stamp, None
            if version.sha256 != before.sha256:
                file.version = version
                words = f"version {version.sha256[:12]} follows {before.sha256[:12]}."
                notice(name, "loaded", words)

    async def watch(self, notice: Notice, now: asyncio.Event) -> None:
        """Refresh every second, and at once when `now` is set, until canceled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await now.wait()
            except TimeoutError:
                pass
            now.clear()
            await asyncio.to_thread(self.refresh, notice)

    def _load(self, path: Path) -> Version:
        content = read_source(path)
        predictor = Predictor(content, threads=self.threads, key=self.key)
        can_be = predictor.manifest.watch is not None
        wanted = can_be if self._watch is None else self._watch
        watch = Watch(predictor) if wanted else None
        neighbors = Neighbors(predictor, self.threads) if has_pictures(predictor) else None
        return Version(path.stem, predictor, predictor.sha256, watch, neighbors)


def _stamp_of(path: Path) -> object:
    """Return what differs when a file has been written or replaced."""
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino
