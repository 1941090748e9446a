"""Reading of a feature store as a data set: its list of samples, and their features."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from penultimate._common.door import spelled
from penultimate._common.wording import quantity
from penultimate.datasets.dataset import Dataset
from penultimate.datasets.feature_table import label_features
from penultimate.store import FeatureStore
from penultimate.store.manifest import in_words


def read_store(path: str | Path | FeatureStore, *, skip_corrupt: bool = False) -> Dataset:
    """Read the samples that a feature store lists; their features stay mapped into memory.

    Parameters
    ----------
    path : str, Path or FeatureStore
        Folder of the store, or the open store.
    skip_corrupt : bool, default=False
        Whether to leave out samples without features, such as those in damaged files. Of an open
        store, its `on_damage` decides.

    Returns
    -------
    Dataset

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If the store has no list of samples or no labels, a file of it is damaged, or samples have
        no features yet.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from penultimate.datasets.stored_features import read_store
    >>> from penultimate.store import FeatureStore, content_hashes
    >>> images = np.arange(6 * 64, dtype=np.float32).reshape(6, 8, 8)
    >>> with FeatureStore(tempfile.mkdtemp(), key="columns") as store:
    ...     store.append(content_hashes(images), images.mean(axis=1))
    ...     store.write_samples(content_hashes(images), label=["cat", "dog"] * 3)
    >>> read_store(store.path).images.shape
    (6, 8)
    """
    skips = spelled("--skip-corrupt", "skip_corrupt=True")
    if isinstance(path, FeatureStore):
        store, skip_corrupt = path, path.on_damage == "skip"
        skips = "FeatureStore(path, on_damage='skip')"
    else:
        store = FeatureStore(path, on_damage="skip" if skip_corrupt else "raise")
    path = store.path
    about = store.samples
    if about is None or "label" not in about:
        raise ValueError(
            f"The feature store {str(path)!r} lists no samples with labels. List them with "
            "FeatureStore.write_samples(hashes, label=...), or pass the open store and the labels: "
            "compare(FeatureStore(path), y)."
        )
    present = store.has(hashes := store.hashes)
    n_absent = int((~present).sum())
    if n_absent == len(present):
        raise ValueError(f"None of the samples of {str(path)!r} has features yet.")
    if n_absent and not skip_corrupt:
        raise ValueError(
            f"{quantity(n_absent, 'sample')} of {len(present):,} in {str(path)!r} "
            f"{'has' if n_absent == 1 else 'have'} no features yet: the extraction was "
            f"interrupted. Run it again, which continues it, or leave them out with {skips}."
        )
    said = in_words(store.description)
    notes = [f"Read from the feature store {str(path)!r}{f' ({said})' if said else ''}."]
    if n_absent:
        kept = np.flatnonzero(present).tolist()
        about = {name: [entries[row] for row in kept] for name, entries in about.items()}
        was, has = ("was", "it has") if n_absent == 1 else ("were", "they have")
        notes.append(f"{quantity(n_absent, 'sample')} {was} left out: {has} no features there.")
    matrix = store.matrix(hashes[present]) if n_absent else store.matrix()
    dataset = label_features(path, matrix, about)
    return replace(dataset, notes=(*notes, *dataset.notes))
