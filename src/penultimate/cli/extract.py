"""The command that computes features once, into a store that other commands and Python read."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penultimate._common.imports import require
from penultimate._common.progress import Progress
from penultimate._common.protocols import PerSample
from penultimate._common.wording import quantity
from penultimate.cli.app import app, muted_native_stderr, plain_errors, print_reason, wrong_usage
from penultimate.cli.networks import (
    FrozenNetworkOption,
    MirrorOption,
    PoolingOption,
    PreprocessingOption,
    find_network,
    runs_elsewhere,
)
from penultimate.cli.options import GroupFromFilename, SkipCorrupt, check_group

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console

_MOST_LISTED = 5  # unreadable files in the terminal


@app.command(
    epilog="Example: penultimate extract photos/ --network efficientnet-lite0 --out features"
)
def extract(
    data: Annotated[
        Path,
        typer.Argument(help="Images, as compare takes them; not features.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the feature store.", show_default=False)],
    network: FrozenNetworkOption,
    layer: Annotated[
        str,
        typer.Option(
            help="Where the network is cut, by a layer's name; the features of several, separated "
            "by commas, are concatenated."
        ),
    ] = "penultimate",
    preprocessing: PreprocessingOption = None,
    pooling: PoolingOption = "avg",
    mirror: MirrorOption = False,
    half: Annotated[bool, typer.Option("--half", help="Store float16: half the size.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per pass.")] = 32,
    subsets: Annotated[
        bool, typer.Option("--subsets", help="The data has subsets of the classes.")
    ] = False,
    group_from_filename: GroupFromFilename = None,
    skip_corrupt: SkipCorrupt = False,
) -> None:
    """Compute the features of images once, into a store.

    Only what the store does not hold yet is computed: a file may be renamed, moved, added or
    changed at the cost of itself alone, and what was interrupted goes on where it was. Read the
    store with penultimate compare STORE, or with penultimate.FeatureStore(STORE).
    """
    with plain_errors():
        from rich.console import Console

        from penultimate.networks import is_frozen

        require("pyarrow", extra="store")
        check_group(group_from_filename)
        given = find_network(network, preprocessing=preprocessing, pooling=pooling, mirror=mirror)
        if not is_frozen(given):
            raise typer.BadParameter(
                f"must be a trained network; {network!r} is trained on your images.",
                param_hint="--network",
            )
        layers = [each.strip() for each in layer.split(",")]
        params = {**given.get_params(deep=False), "batch_size": batch_size}
        extractor = type(given)(**{**params, "layer": layers[0] if len(layers) == 1 else layers})
        with muted_native_stderr():
            if not runs_elsewhere(given):
                from penultimate.networks import make_deterministic

                make_deterministic()
        from penultimate.datasets.listing import Listing
        from penultimate.datasets.readers import list_kept
        from penultimate.networks.stored import describe, extract_to_store, key_of
        from penultimate.store import FeatureStore

        with ExitStack() as stack:
            found = list_kept(
                data,
                stack,
                skip_missing=skip_corrupt,
                subsets=subsets,
                group_from_filename=group_from_filename,
            )
            if isinstance(found, Listing):
                samples: list[str] | NDArray[Any] = list(map(str, found.paths))
                columns: dict[str, PerSample | None] = {
                    "label": found.labels,
                    "file": found.shown or samples,
                    "group": found.groups,
                    "subset": found.subsets,
                    "split": found.parts,
                }
            elif found.has_images:
                samples, labels = found.images, found.labels
                columns = {"label": [found.classes[k] for k in labels], "group": found.groups}
                if found.is_test is not None:
                    columns["split"] = ["test" if test else "train" for test in found.is_test]
            else:
                raise ValueError(f"{str(data)!r} holds features already, not images.")
            with wrong_usage("--layer"):
                extractor.fit(samples)
            store = FeatureStore(
                out,
                key=key_of(extractor),
                description=describe(extractor),
                dtype="float16" if half else None,
                # What a damaged part held is computed again.
                on_damage="skip" if skip_corrupt else "raise",
            )
            progress = _Rate(Console(stderr=True))
            start = time.perf_counter()
            try:
                with progress:
                    done = extract_to_store(
                        extractor,
                        samples,
                        store,
                        skip_unreadable=skip_corrupt,
                        progress=progress,
                    )
            except KeyboardInterrupt:
                print_reason(
                    f"interrupted; the store {str(out)!r} holds the features of {len(store):,} "
                    "images. The same command goes on from there."
                )
                raise typer.Exit(130) from None
            kept = [k for k in range(len(samples)) if k not in done.unreadable]
            if not kept:
                raise ValueError(
                    f"None of the {len(samples):,} images of {str(data)!r} can be read. The first: "
                    f"{next(iter(done.unreadable.values()))}."
                )
            store.write_samples(
                done.hashes[kept],
                **{
                    name: [str(values[k]) for k in kept]
                    for name, values in columns.items()
                    if values is not None
                },
            )
        seconds = time.perf_counter() - start
        rate = f" ({done.n_computed / seconds:.0f} images per second)" if done.n_computed else ""
        n_before = len(kept) - done.n_computed
        print(
            f"Computed: {quantity(done.n_computed, 'image')} in {seconds:.0f} s{rate}. "
            f"In the store before, or copies: {n_before:,}."
        )
        for reason in list(done.unreadable.values())[:_MOST_LISTED]:
            print(f"Left out: {reason}.")
        if (n_more := len(done.unreadable) - _MOST_LISTED) > 0:
            print(f"Left out: {n_more:,} more.")
        if extractor.preprocessing_ is not None:
            print(f"Images were prepared: {extractor.preprocessing_.in_words()}.")
        print(f"{extractor.cut_at_}: {store.n_features:,} features per image.")
        # Only a store that was there can differ from what was asked for.
        created = ", as it was created" if not half and store.stored_dtype == "float16" else ""
        print(f"Store: {out} ({store.stored_dtype}{created})")
        for part in store.damaged:
            print(f"Damaged, and computed again: delete {part}")
        skip = " --skip-corrupt" if store.damaged else ""
        print(f"Next: penultimate compare {out}{skip}")


class _Rate(Progress):
    """Progress bar with images per second and the time that is left, on standard error."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import MofNCompleteColumn, TextColumn

        from penultimate._common.progress_bar import make_bar

        self._bar = make_bar(console, MofNCompleteColumn())
        self._bar.columns = (*self._bar.columns, TextColumn("{task.fields[rate]}"))
        self._task: Any = None

    def __enter__(self) -> "_Rate":
        self._bar.start()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, step: str, done: float, total: float) -> None:
        """Show that ``done`` of ``total`` images are computed."""
        if self._task is None:
            self._task = self._bar.add_task(step, total=total, rate="")
        rate = done / max(time.perf_counter() - self._start, 1e-9)
        self._bar.update(self._task, completed=done, rate=f"{rate:.0f} images/s")
