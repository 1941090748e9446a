"""The feature store: features of samples, found by the content of each sample.

A store is a folder. Its manifest states the network and preprocessing; ``parts/`` holds the
features in Parquet files that are only ever added; ``samples.parquet`` may list a data set, row by
row, with the hash of each sample; ``mapped/`` holds matrices for memory mapping, made from the
parts. Every file appears complete under its name, so that any number of processes may read and
write at once, and any of them may be killed.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from penultimate._common.files import check_writable, remove_old_leftovers
from penultimate._common.imports import import_optional
from penultimate._common.validation import check_choice, check_number
from penultimate._common.wording import quantity
from penultimate.store.hashes import as_array, as_digests, digest_of
from penultimate.store.manifest import Description, claim_width, open_manifest
from penultimate.store.mapped import Matrix, map_rows
from penultimate.store.parts import DamagedError, read_columns, write_columns, write_part
from penultimate.store.rows import Rows

_ROWS = 4096  # of a part: a few MB
_BYTES = 1 << 25  # of a part, for long vectors
_SECONDS = 30.0  # of work that a killed process loses at most
_ABOUT_SAMPLES = ("label", "file", "group", "subset", "split")


class FeatureStore:
    """Features of samples in a folder of Parquet files, computed once.

    A sample is found by the hash of its content, so that renaming, shuffling, adding and changing
    samples costs only what is new. All features of a store are of one network and preprocessing,
    whose fingerprint is the store's key.

    An open store is an array of shape (n_samples, n_features), mapped into memory, which estimators
    take as ``X``. Its rows are the samples that `write_samples` has listed, in their order; without
    such a list, all that it holds, in the order of `hashes`.

    Several processes may write into a store at once. Features are kept in memory until a few
    thousand have come together, half a minute has passed, or `flush` or the end of a ``with`` block
    writes them, also after an error or Ctrl-C.

    Parameters
    ----------
    path : str or Path
        Folder of the store. It is created if it does not exist and `key` is given.
    key : str, optional
        Fingerprint of the network and its preprocessing. A store of another key is refused.
    description : str or dict, optional
        The same in words, such as the network's name, its layer, pooling and preprocessing. It is
        kept when the store is created.
    dtype : {"float32", "float16"}, optional
        Type in which features are stored; float32 for a new store. They are returned as float32.
    on_damage : {"raise", "skip"}, default="raise"
        What to do about a damaged file: raise an error that names it, or warn, and treat the
        samples in it as missing. To skip, all files are read and checked when they are opened.

    Attributes
    ----------
    path : Path
    key : str
    description : str or dict
    stored_dtype : str
        Type in which features are stored.

    Raises
    ------
    FileNotFoundError
        If there is no store, and no key to create one with.
    ValueError
        If `path` is something else, or a store of another key, type or newer format; or if a part
        is damaged.
    OSError
        If the store cannot be created.
    ImportError
        If pyarrow is not installed.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from penultimate.store import FeatureStore, content_hashes
    >>> images = np.arange(5 * 64, dtype=np.float32).reshape(5, 8, 8)
    >>> hashes = content_hashes(images)
    >>> folder = tempfile.mkdtemp()
    >>> with FeatureStore(folder, key="9f2c", description="mean of the columns") as store:
    ...     new = store.missing(hashes)
    ...     store.append(hashes[new], images[new].mean(axis=1))
    >>> store = FeatureStore(folder)
    >>> store.missing(hashes)
    array([], dtype=int64)
    >>> store.take(hashes[[4, 0]]).shape, np.asarray(store).shape
    ((2, 8), (5, 8))
    >>> store
    <FeatureStore of '9f2c' (mean of the columns): 5 samples of 8 features, float32>
    """

    def __init__(
        self,
        path: str | Path,
        *,
        key: str | None = None,
        description: Description | None = None,
        dtype: Literal["float32", "float16"] | None = None,
        on_damage: Literal["raise", "skip"] = "raise",
    ):
        check_choice(on_damage, "on_damage", "FeatureStore", ("raise", "skip"))
        import_optional("pyarrow", "store")  # before a folder is made
        self.path = Path(path)
        self.on_damage = on_damage
        self._manifest = open_manifest(self.path, key, description, dtype)
        self.key, self.description = self._manifest.key, self._manifest.description
        self.stored_dtype = self._manifest.dtype
        self._lock = threading.RLock()  # for threads of this process that append
        self._rows = Rows(self.path, self.key, skip_damaged=on_damage == "skip")
        self._pending: dict[bytes, NDArray[Any]] = {}
        self._width: int | None = None
        self._last_flush = time.monotonic()
        self._samples: dict[str, Any] | None = None
        self._matrix: Matrix | None = None
        self.refresh()

    @property
    def n_features(self) -> int | None:
        """Number of features per sample; None before the first ones are stored."""
        if self._width is None:
            self._width = claim_width(self.path, None)
        return self._width

    @property
    def damaged(self) -> list[Path]:
        """Files that are damaged and were left out, with ``on_damage="skip"``."""
        return self._rows.left_out

    @property
    def samples(self) -> dict[str, list[str]] | None:
        """Columns on the samples, such as "label" and "file", as `write_samples` wrote them."""
        columns = self._listed()
        return columns and {name: list(columns[name]) for name in columns if name != "hash"}

    @property
    def hashes(self) -> NDArray[np.uint8]:
        """Hashes of the rows, of shape (n_samples, 16)."""
        return as_array(self._row_digests())

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix of features: (n_samples, n_features)."""
        return len(self), self.n_features or 0

    @property
    def ndim(self) -> int:
        """Number of axes of the matrix of features: 2."""
        return 2

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Type in which features are returned: float32."""
        return np.dtype(np.float32)

    def has(self, hashes: ArrayLike | list[bytes]) -> NDArray[np.bool_]:
        """Return which samples have features.

        Parameters
        ----------
        hashes : array-like of shape (n_samples, 16), or list of bytes

        Returns
        -------
        ndarray of shape (n_samples,), bool
        """
        digests = as_digests(hashes)
        found = np.ones(len(digests), bool)
        found[self._absent(digests)] = False
        return found

    def missing(self, hashes: ArrayLike | list[bytes]) -> NDArray[np.int64]:
        """Return the positions of the samples that have no features yet.

        Parameters
        ----------
        hashes : array-like of shape (n_samples, 16), or list of bytes

        Returns
        -------
        ndarray of shape (n_missing,), int64
            Ascending; of samples with the same hash, the first one.
        """
        digests = as_digests(hashes)
        self.refresh()
        first: dict[bytes, int] = {}
        for position in self._absent(digests):
            first.setdefault(digests[position], position)
        return np.array(list(first.values()), np.int64)

    def append(self, hashes: ArrayLike | list[bytes], features: ArrayLike) -> None:
        """Add the features of samples; those that have some already are left as they are.

        Parameters
        ----------
        hashes : array-like of shape (n_samples, 16), or list of bytes
        features : array-like of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            If the features are not a matrix of finite numbers with one row per hash, have another
            number of columns than those of the store, or are too large for its type.
        OSError
            If a part cannot be written. The features stay in memory, for another `flush`.
        """
        digests = as_digests(hashes)
        values = self._checked(features, len(digests))
        with self._lock:
            at_once = max(1, min(_ROWS, _BYTES // max(1, values[:1].nbytes)))
            for digest, row in zip(digests, values):
                if digest not in self._rows:
                    self._pending.setdefault(digest, row)
                if len(self._pending) >= at_once:
                    self.flush()
            if time.monotonic() - self._last_flush > _SECONDS:
                self.flush()
            self._matrix = None

    def flush(self) -> None:
        """Write all appended features into files.

        Raises
        ------
        OSError
            If they cannot be written.
        """
        with self._lock:
            self._last_flush = time.monotonic()
            if not self._pending:
                return
            folder = self.path / "parts"
            if not folder.is_dir():
                check_writable(self.path, "feature store")
                folder.mkdir(exist_ok=True)
            for place in (self.path, folder):
                remove_old_leftovers(place)
            digests, rows = list(self._pending), np.stack(list(self._pending.values()))
            path = write_part(folder, self.key, digests, rows)
            self._rows.add(path, digests)
            self._pending.clear()  # last: what Ctrl-C interrupts above is written again

    def take(self, hashes: ArrayLike | list[bytes]) -> NDArray[np.float32]:
        """Return the features of samples, in the order asked for.

        Parameters
        ----------
        hashes : array-like of shape (n_samples, 16), or list of bytes

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32

        Raises
        ------
        KeyError
            If a sample has no features; `missing` lists these.
        """
        digests = as_digests(hashes)
        out = np.empty((len(digests), self.n_features or 0), np.float32)
        self._fill(out, digests)
        return out

    def matrix(self, hashes: ArrayLike | list[bytes] | None = None) -> NDArray[np.float32]:
        """Return features as a matrix that is mapped into memory, read-only.

        It is written into a file of the store once, and opened from there afterwards.

        Parameters
        ----------
        hashes : array-like of shape (n_samples, 16), or list of bytes, optional
            Samples, in the order of the rows; by default the rows of the store.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32

        Raises
        ------
        KeyError
            If a sample has no features; `missing` lists these.
        """
        if hashes is None and self._matrix is not None:
            return self._matrix
        self.flush()
        digests = self._row_digests() if hashes is None else as_digests(hashes)
        fill = partial(self._fill, digests=digests)
        matrix = map_rows(self.path / "mapped", digests, self.n_features or 0, fill)
        if hashes is None:
            self._matrix = matrix
        return matrix

    def batches(
        self, hashes: ArrayLike | list[bytes] | None = None, *, size: int = 4096
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the rows of `matrix` in batches, none of which stays in memory.

        Parameters
        ----------
        hashes : array-like of shape (n_samples, 16), or list of bytes, optional
            As for `matrix`.
        size : int, default=4096
            Number of samples in a batch.

        Yields
        ------
        ndarray of shape (at most size, n_features), float32
        """
        check_number(size, "size", "FeatureStore.batches", low=1, integer=True)
        matrix = self.matrix(hashes)
        for start in range(0, len(matrix), size):
            yield np.array(matrix[start : start + size])

    def write_samples(self, hashes: ArrayLike | list[bytes], **columns: Any) -> None:
        """List a data set: the samples that are the rows of this store, and what is known of them.

        An earlier list is replaced. Samples may be listed before they have features, and several
        times. With labels, ``penultimate compare`` reads the store as a data set.

        Parameters
        ----------
        hashes : array-like of shape (n_samples, 16), or list of bytes
        **columns : array-like of shape (n_samples,)
            Any of ``label``, ``file``, ``group``, ``subset`` and ``split`` (``"train"``, ``"val"``
            or ``"test"``); stored as text.

        Raises
        ------
        ValueError
            If a column is unknown, or has another length.
        OSError
            If the list cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from penultimate.store import FeatureStore, content_hashes
        >>> texts = ["a good day", "a bad day"]
        >>> store = FeatureStore(tempfile.mkdtemp(), key="lengths")
        >>> store.append(content_hashes(texts), [[len(text)] for text in texts])
        >>> store.write_samples(content_hashes(texts), label=["good", "bad"])
        >>> store.samples
        {'label': ['good', 'bad']}
        """
        digests = as_digests(hashes)
        for name in columns:
            check_choice(name, "columns", "FeatureStore.write_samples", _ABOUT_SAMPLES)
        texts = {name: _as_texts(name, values) for name, values in columns.items()}
        for name, values in texts.items():
            if len(values) != len(digests):
                raise ValueError(
                    f"There are {quantity(len(digests), 'sample')}, but {name!r} has "
                    f"{quantity(len(values), 'entry', 'entries')}."
                )
        write_columns(self.path / "samples.parquet", digests, texts)
        self._samples = self._matrix = None

    def refresh(self) -> None:
        """Find what other processes have stored since the store was opened.

        Raises
        ------
        ValueError
            If a part is damaged, with ``on_damage="raise"``.
        """
        with self._lock:
            if self._rows.find():
                # Which may hold what is pending here.
                pending = self._pending.items()
                self._pending = {d: row for d, row in pending if d not in self._rows}
                self._matrix = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def __len__(self) -> int:
        listed = self._listed()
        return len(self._rows) + len(self._pending) if listed is None else len(listed["hash"])

    def __getitem__(self, rows: Any) -> Any:
        return self.matrix()[rows]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.matrix(), dtype, copy=copy)

    def __repr__(self) -> str:
        n_stored = len(self._rows) + len(self._pending)
        try:
            n_samples = len(self)  # those listed, which are the rows of the matrix
        except DamagedError:  # said when the list is used; a name in a debugger must not fail
            n_samples = n_stored
        words = quantity(n_samples, "sample")
        if self.n_features is not None:
            words += f" of {quantity(self.n_features, 'feature')}"
        words += f", {self.stored_dtype}"
        if n_samples != n_stored:
            words += f"; {n_stored:,} stored"
        return f"<FeatureStore of {self._manifest.words}: {words}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # By its path, for processes that work for an estimator: with the same rows in the same
        # order, as their labels are selected by position.
        self.flush()
        digest = digest_of(self._row_digests())
        return _reopen, (self.path, self.on_damage, self._rows.part_names, digest)

    def _listed(self) -> dict[str, Any] | None:
        """Return the listed samples with their hashes; None if there is no list."""
        file = self.path / "samples.parquet"
        if self._samples is None and file.is_file():
            self._samples = read_columns(file)
        return self._samples

    def _row_digests(self) -> list[bytes]:
        listed = self._listed()
        if listed is None:
            return [*self._rows.digests, *self._pending]
        return as_digests(listed["hash"])

    def _absent(self, digests: list[bytes]) -> list[int]:
        """Return the positions of hashes that are neither stored nor pending."""
        unstored = np.flatnonzero(self._rows.numbers(digests) < 0).tolist()
        return [position for position in unstored if digests[position] not in self._pending]

    def _fill(self, out: Matrix, digests: list[bytes]) -> None:
        """Write features into rows of `out`, reading each part once."""
        n_absent = len(self._absent(digests))
        if n_absent:
            raise KeyError(
                f"{quantity(n_absent, 'sample')} of {len(digests):,} "
                f"{'has' if n_absent == 1 else 'have'} no features in {str(self.path)!r}; "
                "store.missing(hashes) gives their positions."
            )
        for position, digest in enumerate(digests if self._pending else ()):
            if digest in self._pending:
                out[position] = self._pending[digest]
        self._rows.fill(out, digests)

    def _checked(self, features: ArrayLike, n_samples: int) -> NDArray[Any]:
        """Return a copy of features in the stored type."""
        given = np.asarray(features)
        if given.ndim != 2 or len(given) != n_samples or not given.shape[1]:
            raise ValueError(
                "Features must be a matrix with one row per hash and at least one column; got "
                f"shape {given.shape} for {quantity(n_samples, 'hash', 'hashes')}."
            )
        if given.dtype.kind not in "fiub":
            raise ValueError(f"Features must be numbers; got an array of dtype {given.dtype}.")
        self._check_width(given.shape[1])
        with np.errstate(over="ignore"):
            values = np.array(given, self.stored_dtype)  # a copy, as the caller may reuse its array
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            whose = ", ".join(map(str, bad[:5].tolist())) + " ..." * (len(bad) > 5)
            fit = np.isfinite(given[bad]).all()
            reason = f"values too large for {self.stored_dtype}" if fit else "NaN or infinity"
            hint = fit and self.stored_dtype == "float16"
            remedy = "; a store with dtype='float32' holds them" if hint else ""
            raise ValueError(
                f"Features must be finite, and {quantity(len(bad), 'row')} "
                f"{'holds' if len(bad) == 1 else 'hold'} {reason}: {whose}. None of the "
                f"{quantity(n_samples, 'row')} was stored{remedy}."
            )
        return values

    def _check_width(self, n_features: int) -> None:
        # Claimed at once: another process that appends rows of another width is refused.
        if self.n_features is None:
            self._width = claim_width(self.path, n_features)
        if self.n_features != n_features:
            raise ValueError(
                f"The feature store {str(self.path)!r} holds {self.n_features} features per "
                f"sample; got {n_features}. Features of another network or layer need another "
                "store."
            )


def _reopen(path: Path, on_damage: Any, names: list[str], digest: str) -> FeatureStore:
    """Open a store as it was pickled: with these parts only, in this order."""
    store = FeatureStore(path, on_damage=on_damage)
    store._rows.reorder(names)
    if digest_of(store._row_digests()) != digest:
        raise ValueError(
            f"The samples of the feature store {str(path)!r} have been listed again since it was "
            "pickled."
        )
    return store


def _as_texts(name: str, values: Iterable[object]) -> list[str]:
    listed = list(values)
    for row, value in enumerate(listed):
        if value is None or value != value:  # NaN, as pandas marks what is missing
            raise ValueError(f"The column {name!r} has no entry for sample {row}; fill it in.")
    # File names may hold bytes that are not UTF-8.
    return [str(value).encode("utf-8", "backslashreplace").decode() for value in listed]
