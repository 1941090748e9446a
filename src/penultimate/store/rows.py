"""Which rows the parts of a store hold, and the reading of their features."""

import warnings
from collections import deque
from collections.abc import Sequence
from itertools import count, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.store.manifest import claim_width
from penultimate.store.parts import (
    DamagedError,
    check_part,
    list_parts,
    read_features,
    read_hashes,
)


class Rows:
    """The rows of all parts, numbered in the order in which the parts were found.

    Parameters
    ----------
    path : Path
        Folder of the store.
    key : str
        The store's; a part of another key is damaged.
    skip_damaged : bool
        Whether to warn of a damaged part, and leave it out. All of each part is then checked when
        it is found, so that what counts as stored can be read.
    """

    def __init__(self, path: Path, key: str, *, skip_damaged: bool):
        self.path = path
        self.folder = path / "parts"
        self.key = key
        self.skip_damaged = skip_damaged
        self.forget()

    def forget(self) -> None:
        """Start without any part."""
        self._parts: list[Path] = []
        self._starts: list[int] = []  # number of the first row of each part
        self._n_rows = 0  # in all parts, with samples that two writers have stored
        self._left_out: set[Path] = set()
        self._row_of: dict[bytes, int] = {}

    def __contains__(self, digest: object) -> bool:
        return digest in self._row_of

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def digests(self) -> list[bytes]:
        """Distinct hashes, in the order of the rows."""
        return list(self._row_of)

    @property
    def left_out(self) -> list[Path]:
        """Damaged parts that were left out, oldest first."""
        return sorted(self._left_out)

    @property
    def part_names(self) -> list[str]:
        """File names of the parts, in the order of the rows."""
        return [part.name for part in self._parts]

    def find(self) -> bool:
        """Look for parts that were written since; return whether there are any.

        Raises
        ------
        DamagedError
            If one is damaged, unless these are left out.
        """
        known = {*self._parts, *self._left_out}
        new = [path for path in list_parts(self.folder) if path not in known]
        # Asked after listing: it is claimed before there is a part.
        n_features = claim_width(self.path, None) if new else None
        for path in new:
            try:
                if self.skip_damaged:
                    check_part(path)
                self.add(path, read_hashes(path, self.key, n_features))
            except DamagedError as error:
                if not self.skip_damaged:
                    raise
                # Here, as it imports scikit-learn, which a writer of a store can do without.
                from penultimate._common.frames import level_outside

                self._left_out.add(path)
                warnings.warn(
                    f"{error.problem} It was left out; delete it.",
                    UserWarning,
                    stacklevel=level_outside(),
                )
        return bool(new)

    def reorder(self, names: Sequence[str]) -> None:
        """Have these parts only, in this order.

        Raises
        ------
        FileNotFoundError
            If one is not there.
        """
        if self.part_names != list(names):
            self.forget()
            n_features = claim_width(self.path, None)
            for name in names:
                path = self.folder / name
                self.add(path, read_hashes(path, self.key, n_features))

    def add(self, path: Path, digests: list[bytes]) -> None:
        """Number the rows of a part; of samples that are stored twice, the first counts."""
        self._parts.append(path)
        self._starts.append(self._n_rows)
        # A loop without bytecode: of a million rows, any other takes most of a second.
        deque(map(self._row_of.setdefault, digests, count(self._n_rows)), maxlen=0)
        self._n_rows += len(digests)

    def numbers(self, digests: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the number of the row of each hash; -1 if it is not stored."""
        return np.fromiter(map(self._row_of.get, digests, repeat(-1)), np.int64, len(digests))

    def fill(self, out: NDArray[np.float32], digests: Sequence[bytes]) -> None:
        """Write features into the rows of `out`, reading each part once; skip what is not stored.

        Raises
        ------
        DamagedError
            If a part is damaged.
        """
        rows = self.numbers(digests)
        order = np.argsort(rows, kind="stable")
        ends = np.searchsorted(rows[order], [*self._starts, self._n_rows])
        for part, start, first, last in zip(self._parts, self._starts, ends, ends[1:]):
            if first < last:
                chosen: NDArray[Any] = order[first:last]
                out[chosen] = read_features(part)[rows[chosen] - start]
