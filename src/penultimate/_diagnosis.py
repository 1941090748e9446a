"""The checks of a comparison: which are run, and on what."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from penultimate._plan import Plan
from penultimate.evaluation import checks
from penultimate.evaluation.checks import Check
from penultimate.networks import is_keras_model
from penultimate.provenance import fingerprint, provenance_of, report_leak
from penultimate.results import Comparison

# In the order in which they are told.
CHECKS_RUN = (
    "test-samples-seen",
    "selection-on-training-samples",
    "duplicates-in-selection",
    "duplicates-across-classes",
    "groups-split",
    "misordered-labels",
    "class-imbalance",
    "few-test-samples",
    "images-left-out",
    "other-training-samples",
    "probabilities-as-features",
    "grid-edge",
)


def find_leaks(plan: Plan, network: Any, on_leak: str) -> str:
    """Look for test samples that are in development, or that a frozen network has seen.

    Returns
    -------
    str
        The message; empty where nothing leaked.

    Raises
    ------
    LeakageError
        If something leaked, and `on_leak` is ``"raise"``.
    """
    data, prints = plan.dataset, plan.dataset.fingerprint()
    test = plan.split.second
    leaked = np.isin(prints[test], prints[plan.split.first])
    if is_keras_model(network):
        seen = provenance_of(network)
        leaked |= seen.holds(prints[test]) | seen.holds(fingerprint(data.images[test]))
    names = test if data.files is None else data.files[test]
    advice = (
        "Leave out duplicates (--drop-duplicates, Dataset.without_duplicates), test on others, or "
        "pass on_leak='warn' (--on-leak warn)."
    )
    return report_leak(names[leaked], len(test), on_leak=on_leak, advice=advice, stacklevel=4)


def run_checks(
    comparison: Comparison, plan: Plan, network: Any, leak: str
) -> tuple[list[str], list[Check]]:
    """Run every check that suits a comparison.

    Returns
    -------
    ids : list of str
        Of the checks that were run.
    found : list of Check
    """
    found = [check for check in _found(comparison, plan, network, leak) if check is not None]
    return list(CHECKS_RUN), found


def _found(comparison: Comparison, plan: Plan, network: Any, leak: str) -> Iterator[Check | None]:
    data, prints = plan.dataset, plan.dataset.fingerprint()
    development, test = plan.split.first, plan.split.second
    files = None if data.files is None else data.files.tolist()
    if leak:
        yield Check("test-samples-seen", leak, "error")
    frozen = network if is_keras_model(network) else None
    if comparison.features is not None:
        yield checks.check_selection(
            comparison.protocol["selection"], network=frozen, fingerprints=prints[development]
        )
    split = next(iter(plan.development_splits.values()))
    yield checks.check_selection_duplicates(
        prints[development][split.first], prints[development][split.second]
    )
    yield checks.check_duplicates(prints, data.labels, names=files)
    yield checks.check_groups(
        development,
        test,
        groups=plan.known_groups,
        files=files,
        labels=data.labels,
    )
    best = max((comparison.accuracy(name) for name in comparison.names()), key=lambda a: a.value)
    commonest = np.bincount(data.labels[test]).max() / len(test)
    if best.low <= commonest:  # else a network found what neighbours did not
        yield checks.check_labels_order(data.images[development], data.labels[development])
    yield checks.check_balance(data.labels, data.classes)
    yield checks.check_test_size(len(test), best.value)
    left_out = sum(note.startswith("Left out: ") for note in data.notes)
    if left_out:
        yield Check("images-left-out", f"{left_out:,} files could not be read, and were left out.")
    if frozen is not None and len(trained := provenance_of(frozen).trained):
        own = np.setdiff1d(trained, prints)
        if len(own) and any(not m.name.startswith("cnn") for m in comparison.methods):
            yield Check(
                "other-training-samples",
                f"The frozen network was trained on {len(own):,} samples that are not here; "
                "methods on pixels were not.",
                "info",
            )
    if comparison.features is not None:
        yield from checks.check_features(comparison.features["development"], standardised=True)
    for method in comparison.methods:
        for subset, log in method.fits.items():
            name = method.name if subset is None else f"{method.name}, {subset}"
            n_scored = len(split.second) or len(development)
            grids = [grid for grid in log.grids if grid is not None]
            if grids and not method.name.endswith("routed"):
                mean = np.mean([grid["score"] for grid in grids], axis=0)
                yield checks.check_grid(grids[0]["params"], mean, n_scored, name=name)
