"""The options that say how data is read: the same for every command that reads some."""

from typing import Annotated, Literal

import typer

from penultimate._common.validation import check_number
from penultimate.cli.app import wrong_usage

ImageSize = Annotated[
    str,
    typer.Option(
        help="Resize image files: 64, or 48x64 (height x width). original keeps their size; "
        "auto resizes to 48 x 48 if a side is longer than 128 pixels or sizes differ."
    ),
]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Skip unreadable files, and list them.")
]
GroupFromFilename = Annotated[
    str | None,
    typer.Option(help="Regular expression that extracts a file's group, such as its writer."),
]
DropDuplicates = Annotated[
    bool, typer.Option("--drop-duplicates", help="Keep only one copy of identical images.")
]


def parse_size(text: str) -> tuple[int, int] | Literal["auto"] | None:
    """Return the size that ``--image-size`` asks for, as `load` takes it.

    Raises
    ------
    typer.BadParameter
        If it is no size.
    """
    if text in ("auto", "original"):
        return "auto" if text == "auto" else None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise typer.BadParameter(
            f"must be like 64 or 48x64, or one of original, auto; got {text!r}.",
            param_hint="--image-size",
        )
    size = int(sides[0]), int(sides[-1])
    with wrong_usage("--image-size"):
        for side in size:
            check_number(side, "image_size", "load", low=4, high=4096, integer=True)
    return size


def check_group(pattern: str | None) -> None:
    """Refuse a value of ``--group-from-filename`` that finds no groups, as wrong usage.

    Raises
    ------
    typer.BadParameter
        If it is not a regular expression, or has no group.
    """
    from penultimate.datasets.listing import compile_group

    if pattern is not None:
        with wrong_usage("--group-from-filename"):
            compile_group(pattern)
