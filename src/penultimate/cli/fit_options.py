"""Which options of `fit` go together: each that would have no effect is refused by name."""

from collections.abc import Iterator

import typer

TAUGHT = ("svm-rbf", "svm-linear")  # heads that can be taught
# What a model of a comparison can still be asked for; all else was settled when it was fitted.
_FOR_REPORTS = ("report", "out", "head")
# Of a network, which features do not pass.
_FOR_IMAGES = ("network", "layer", "epochs", "preprocessing", "pooling", "mirror")


def check_teachable(head: str) -> None:
    """Refuse what could not be taught, before anything is trained for it."""
    named = [] if head == "auto" else [each.strip() for each in head.split(",")]
    if odd := [each for each in named if each not in TAUGHT]:
        raise typer.BadParameter(
            f"is for SVM heads; got {odd[0]}. Use --head {','.join(TAUGHT)}.",
            param_hint="--teachable",
        )


def check_for_reports(context: typer.Context) -> None:
    """Refuse the options that have no effect on a model that was fitted already."""
    for name, option in _given(context):
        if name not in _FOR_REPORTS:
            raise typer.BadParameter(
                "needs the data, not --from: the model is taken as the comparison fitted it.",
                param_hint=option,
            )


def check_for_data(context: typer.Context, *, has_images: bool, frozen: bool) -> None:
    """Refuse the options that have no effect on features, or on a trained network."""
    for name, option in _given(context):
        if name in _FOR_IMAGES and not has_images:
            raise typer.BadParameter(
                "is about networks, and the data are features.", param_hint=option
            )
        if name == "epochs" and frozen:
            raise typer.BadParameter(
                "is for networks that are trained here; this one is used as it is.",
                param_hint=option,
            )


def _given(context: typer.Context) -> Iterator[tuple[str, str]]:
    """Yield the name and the spelling of each option on the command line, also at its default."""
    for each in context.command.params:
        source = context.get_parameter_source(each.name or "")
        if each.name and source is not None and source.name == "COMMANDLINE":
            yield each.name, each.opts[0]
