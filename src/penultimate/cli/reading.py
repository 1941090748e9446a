"""How a command reads its data: the argument, the options that concern it, and the reading."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penultimate._common.progress import Progress
from penultimate.cli.options import check_group, parse_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penultimate.datasets import Dataset

DataArgument = Annotated[
    Path,
    typer.Argument(
        help="A folder with one folder per class, or with train and test folders of these "
        "(with --subsets, a folder of such folders); a CSV manifest "
        "(path,label[,group][,subset][,split]), an .npz file, or a folder of IDX files; or a "
        ".zip or .tar of one of these. Features, such as embeddings, come as an .npz with a "
        "matrix X, as a CSV or .parquet with a column 'label' and numbers, or as a feature "
        "store.",
        show_default=False,
    ),
]
SubsetsOption = Annotated[
    bool, typer.Option("--subsets", help="Train one SVM per subset of the classes.")
]


@dataclass(frozen=True)
class Reading:
    """What is read, and how.

    Attributes
    ----------
    path : Path
    image_size : str
        As ``--image-size``.
    skip_corrupt, subsets, drop_duplicates : bool
    group_from_filename : str or None
    check : callable, optional
        Called with the label of each sample before a file is decoded, such as `enough_to_fit`.
    """

    path: Path
    image_size: str = "auto"
    skip_corrupt: bool = False
    subsets: bool = False
    drop_duplicates: bool = False
    group_from_filename: str | None = None
    check: Callable[["NDArray[Any]"], None] | None = None

    def __post_init__(self) -> None:
        """Find wrong usage before anything is imported that takes a second."""
        parse_size(self.image_size)

    def read(self, progress: Progress, stack: ExitStack, for_report: bool) -> "Dataset":
        """Read the data; files of an archive stay readable until the stack is closed."""
        from penultimate.datasets.readers import load_kept

        check_group(self.group_from_filename)
        dataset = load_kept(
            self.path,
            stack,
            image_size=parse_size(self.image_size),
            for_report=for_report,
            skip_corrupt=self.skip_corrupt,
            subsets=self.subsets,
            group_from_filename=self.group_from_filename,
            progress=progress,
            check=self.check,
        )
        return dataset.without_duplicates() if self.drop_duplicates else dataset


def enough_to_fit(labels: "NDArray[Any]", *, test: bool = True) -> None:
    """Refuse labels that nothing can be fitted on, before any file is decoded.

    What comes later refuses them as well, and more: that some samples are copies of others.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
    test : bool, default=True
        Whether there is a test set, of which each class needs samples.

    Raises
    ------
    ValueError
        If there is one class, or a class has too few samples.
    """
    from penultimate._common.labels import check_labels
    from penultimate.splits.draw import check_class_sizes

    check_labels(labels, len(labels))
    if test:
        check_class_sizes(labels)


def without_unused_subsets(dataset: "Dataset", subsets: bool) -> "Dataset":
    """Return the data without subsets that were not asked for, and with a note on them."""
    if not dataset.subsets or subsets:
        return dataset
    note = "The subsets in the data are used only with --subsets."  # a manifest may have a column
    return replace(dataset.with_subsets(None), notes=(*dataset.notes, note))
