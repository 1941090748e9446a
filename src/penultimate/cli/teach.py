"""The command that teaches a saved model, compares, takes back, and makes a new version."""

from pathlib import Path
from typing import Annotated, Any

import typer

from penultimate.cli.app import app, plain_errors
from penultimate.cli.predict import BundleArgument, KeyOption


@app.command(epilog="Example: penultimate teach model.zip seven.png --label 7 --compare")
def teach(
    bundle: BundleArgument,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Images as in predict, all of one class. Or one .npy with features.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="What they are; a name that is new is a new class.", show_default=False),
    ] = None,
    subset: Annotated[
        str | None,
        typer.Option(help="Of specialists: the subset of a label that is new.", show_default=False),
    ] = None,
    undo: Annotated[
        bool,
        typer.Option(
            "--undo", help="Take back the last lesson or, without one, the last promotion."
        ),
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Compare with the head that serves, on held-out samples."),
    ] = False,
    promote: Annotated[
        bool,
        typer.Option(
            "--promote", help="Make what was taught a new version; the one before is kept."
        ),
    ] = False,
    key: KeyOption = None,
    sign_with: Annotated[
        Path | None,
        typer.Option(help="Private key to sign the new version with.", show_default=False),
    ] = None,
) -> None:
    """Teach a model that was fitted with --teachable: correct it, or add a class.

    The head is refitted at once, and the lesson is kept in a journal beside the file. The file
    itself changes with --promote alone. Without an option, it lists what was taught since.
    """
    if bool(images) != (label is not None):
        raise typer.BadParameter("images and --label go together.", param_hint="--label")
    if subset is not None and label is None:
        raise typer.BadParameter("is for images and their --label.", param_hint="--subset")
    if images and undo:
        raise typer.BadParameter("undoes what is there: without images.", param_hint="--undo")
    if sign_with is not None and not promote:
        raise typer.BadParameter("is for --promote.", param_hint="--sign-with")
    with plain_errors("nothing was taught"):
        from penultimate.teaching import Teacher

        with Teacher(bundle, key=key) as teacher:
            if images:
                assert label is not None
                X = _samples(images)
                print(teacher.teach(X, [_typed(label, teacher)] * len(X), subset=subset))
            if undo:
                print(teacher.undo())
            if compare:
                print(teacher.compare())
            if promote:
                print(teacher.promote(key=sign_with))
            if not (images or undo or compare or promote):
                lessons = teacher.lessons
                for lesson in lessons:
                    print(
                        f"Lesson {lesson.event}, {lesson.at}: {', '.join(map(repr, lesson.labels))}"
                    )
                print(f"Version {teacher.number}, and {len(lessons)} lessons since.")


def _samples(given: list[str]) -> Any:
    if len(given) == 1 and given[0].lower().endswith(".npy"):
        import numpy as np

        return np.load(given[0], allow_pickle=False)
    from penultimate.cli.sources import each_source

    return [each.item for each in each_source(given)]


def _typed(label: str, teacher: Any) -> Any:
    """Return a label of the type of the model's."""
    kind = type(teacher.classes[0])
    if kind is bool:
        names = {"true": True, "false": False}
        if label.lower() not in names:
            raise typer.BadParameter(f"must be true or false; got {label!r}.", param_hint="--label")
        return names[label.lower()]
    try:
        return kind(label)
    except ValueError:
        raise typer.BadParameter(
            f"must be a number, as the classes of this model are; got {label!r}.",
            param_hint="--label",
        ) from None
