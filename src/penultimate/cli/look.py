"""The command that reports on data before anything is trained on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penultimate.cli.app import app, plain_errors
from penultimate.cli.options import (
    DropDuplicates,
    GroupFromFilename,
    ImageSize,
    SkipCorrupt,
    check_group,
    parse_size,
)
from penultimate.cli.replacing import check_replaceable, is_text

if TYPE_CHECKING:
    from rich.console import Console

_MOST_ROWS = 40  # classes in the terminal; the page has all
_MOST_LISTED = 5  # odd files and copies in the terminal


@app.command(epilog="Example: penultimate look photos/ --open")
def look(
    data: Annotated[
        Path,
        typer.Argument(help="What compare takes: a folder, a manifest, ...", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Folder for look.html and look.json.")] = Path(
        "penultimate-look"
    ),
    subsets: Annotated[
        bool, typer.Option("--subsets", help="The data has subsets of the classes.")
    ] = False,
    group_from_filename: GroupFromFilename = None,
    image_size: ImageSize = "auto",
    skip_corrupt: SkipCorrupt = False,
    drop_duplicates: DropDuplicates = False,
    open_page: Annotated[
        bool, typer.Option("--open", help="Show the page in the web browser.")
    ] = False,
    croissant: Annotated[
        Path | None,
        typer.Option(
            help="Also describe the data in Croissant, as JSON-LD, in this file: classes, files "
            "with their SHA-256, the split.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print look.json, not a table.")] = False,
) -> None:
    """What is in the data: classes, sizes, copies, odd files. Nothing is trained.

    Takes the options of compare that concern the data, and says what they will do.
    """
    with plain_errors():
        from rich.console import Console

        from penultimate._common.files import write_atomically
        from penultimate.comparison.live import LiveTable
        from penultimate.datasets.croissant import describe_in_croissant
        from penultimate.datasets.obstacles import Reading
        from penultimate.datasets.survey import survey
        from penultimate.report.look import DATA, check_look_folder, describe, write_look

        earlier = check_look_folder(out)
        if croissant is not None:
            _check_file(croissant, data)
        check_group(group_from_filename)
        reading = Reading(parse_size(image_size), skip_corrupt, drop_duplicates, subsets)
        console = Console(stderr=json)
        with LiveTable(console) as live:
            found = survey(
                data, subsets=subsets, group_from_filename=group_from_filename, progress=live
            )
        summary = describe(found, str(data), reading)
        page = write_look(found, summary, out)
        if croissant is not None:
            described = describe_in_croissant(found, data)
            with write_atomically(croissant) as temporary:
                temporary.write_text(described, encoding="utf-8")
        if json:
            print((out / DATA).read_text(encoding="utf-8"), end="", flush=True)
        else:
            _print(console, summary)
            if earlier not in (None, summary["name"]):
                live.message(f"Note: the page of {earlier!r} in {str(out)!r} was replaced.")
            live.message(f"Page: {page}")
            if croissant is not None:
                live.message(f"Croissant: {croissant}")
        if open_page:
            import webbrowser

            webbrowser.open(page.resolve().as_uri())


def _check_file(path: Path, data: Path) -> None:
    """Refuse what cannot be the file of a description, before all images are read for it."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise typer.BadParameter(
            f"must be a file in a folder that exists; got {str(path)!r}.", param_hint="--croissant"
        )
    check_replaceable(path, "--croissant", [data], is_text, "a description")


def _print(console: "Console", summary: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    def say(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    classes = summary["classes"]
    table = Table(title=Text(f"{summary['name']}: {summary['n_images']:,} images"))
    table.add_column("class")
    for heading in ("images", *classes[0]["parts"]):
        table.add_column(heading, justify="right")
    for one in classes[:_MOST_ROWS]:
        counts = [one["images"], *one["parts"].values()]
        table.add_row(Text(one["name"]), *(f"{count:,}" for count in counts))
    console.print(table)
    if classes[_MOST_ROWS:]:
        say(f"{len(classes) - _MOST_ROWS:,} more classes are on the page.")
    if summary["sizes"]:
        sizes = [f"{s['height']} x {s['width']} ({s['images']:,})" for s in summary["sizes"]]
        say(f"Sizes: {_few(sizes)}.")
    if summary["formats"]:
        formats = [f"{name} ({count:,})" for name, count in summary["formats"].items()]
        say(f"Formats: {_few(formats)}.")
    for note in summary["notes"]:
        say(f"Note: {note}")
    for one in summary["odd"][:_MOST_LISTED]:
        say(f"Odd: {one['file']} {one['what']}.")
    for copy in summary["copies"][:_MOST_LISTED]:
        across = copy["across_classes"]
        word = "Copies in different classes" if across else "Copies"
        files = (
            f"{one['file']} ({one['class']})" if across else one["file"] for one in copy["files"]
        )
        say(f"{word}: {', '.join(files)}")
    n_more = sum(max(0, len(summary[name]) - _MOST_LISTED) for name in ("odd", "copies"))
    if n_more:
        say(f"{n_more:,} more of these are on the page.")
    if groups := summary["groups"]:
        examples = ", ".join(groups["examples"])
        say(
            f"The file names {'look as if they held' if groups['suggested'] else 'hold'} "
            f"{groups['n_groups']:,} groups, such as {examples}."
            + (
                " If each shows one person or object, add: --group-from-filename "
                f"'{groups['pattern']}'"
                if groups["suggested"]
                else ""
            )
        )
    for sentence in summary["treatment"]:
        say(sentence)
    for sentence in summary["obstacles"]:
        say(f"In the way of a comparison: {sentence}")
    say(f"Next{', once this is out of the way' * bool(summary['obstacles'])}: {summary['command']}")


def _few(words: list[str]) -> str:
    more = f", and {len(words) - 5:,} more" if words[5:] else ""
    return ", ".join(words[:5]) + more
