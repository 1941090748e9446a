"""The comparison: every method on the same split and, where they share one, the same network."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from penultimate._common.files import check_writable
from penultimate._common.progress import SILENT, Progress
from penultimate._common.validation import check_choice, check_number
from penultimate.classifiers.deep_svc import SELECTIONS
from penultimate.comparison.checks import find_leaks, run_checks
from penultimate.comparison.comparison import Comparison
from penultimate.comparison.given import read_given
from penultimate.comparison.methods import choose_methods
from penultimate.comparison.networks import Recipe, check_trainings
from penultimate.comparison.plan import make_plan
from penultimate.comparison.run import Run
from penultimate.networks import Training, check_network, is_keras_model, takes_pixels
from penultimate.networks.extraction import numbers_classes
from penultimate.provenance.leakage import ON_LEAK, warn_if_unknown
from penultimate.results.method import MethodResult
from penultimate.splits import Holdout


def compare(
    X: Any,
    y: Any = None,
    *,
    test: tuple[Any, Any] | None = None,
    methods: Sequence[str] | None = None,
    network: Any = "compact",
    training: Training | None = None,
    subsets: Any = None,
    groups: Any = None,
    holdout: Holdout | Sequence[Holdout] | None = None,
    seeds: int | Sequence[int] = 3,
    n_jobs: int | None = None,
    checkpoints: str | Path | None = None,
    selection: str = "heldout",
    on_leak: str = "raise",
    batch_size: int = 256,
    progress: Progress = SILENT,
) -> Comparison:
    """Compare heads on a network's features with the network's own softmax.

    The samples are split once into development and test. For each seed, development is split into
    fit part and selection part; the network is trained on the fit part (a slice of it chooses the
    best weights), and cut; features are standardised on the fit part; each head is selected on the
    selection part and refitted on all of development, then scored on the test part, once.

    Parameters
    ----------
    X : array-like of images, str, Path or Dataset
        Images with labels in `y`, or where `penultimate.datasets.load` finds both. A builder's
        network, or a frozen one, gets samples on the scale on which they are given, here or in a
        `Dataset`, unless it scales pixels itself (it begins with ``Rescaling``): then it gets
        pixels from 0 to 255, as files give them.
    y : array-like of shape (n_samples,), optional
        Labels, where `X` is an array.
    test : tuple of (X_test, y_test), optional
        A test set of your own, beside arrays: `X` is then all development, and nothing is drawn
        from it for testing. In a `Dataset`, ``is_test`` says the same.
    methods : list of str, optional
        Names in ``penultimate.comparison.METHODS``; by default all that suit the comparison but
        those on request: networks trained with a margin loss, such as ``"cnn-hinge"``, from the
        same first weights, and ``"cnn+rff"``.
    network : str, callable or keras.Model, default="compact"
        As in `DeepSVC`. Of a frozen model, ``cnn-softmax`` is its own softmax, where it has one
        output per class: output k stands for label k, or for the k-th of the names in order (the
        report says so, and whether another order fits better). Where it has not, differences are to
        ``cnn+logistic``, a converged logistic head on its features.
    training : Training, optional
        How a network is trained.
    subsets : True, dict or array-like of shape (n_samples,), optional
        Compare specialists, one for each subset of the classes. True takes the subsets that the
        data came with; a dict names the classes of each; beside arrays also a name for each sample.
        All subsets share one split, so that no specialist is tested on a sample that the network
        has seen.
    groups : array-like of shape (n_samples,), optional
        What no split may divide, such as writers; overrides the dataset's own.
    holdout : Holdout or list of Holdout, optional
        What is held out; by default ``Holdout()``. Of several, the first is the comparison's own;
        with each of the others all is done again with the first seed, and is told in `others`.
    seeds : int or list of int, default=3
        How many seeds, counted from 0, or which.
    n_jobs : int, optional
        Processes for searches; -1 for all cores.
    checkpoints : str or Path, optional
        A folder in which every training leaves its state after each epoch. Called again with the
        same folder after an interruption, trainings go on where they were.
    selection : {"heldout", "crossfit", "resubstitution"}, default="heldout"
        How heads are selected, as in `DeepSVC`. With ``"crossfit"`` and ``"resubstitution"``
        networks are trained on all of development. The latter is optimistic, and labelled so.
    on_leak : {"raise", "warn", "ignore"}, default="raise"
        What to do about test samples that are exactly the same as one of development, or that a
        frozen network is known to have seen (`provenance.record`).
    batch_size : int, default=256
        Samples that pass through a network at once, when it is used; memory follows it. Training
        has its own, in `training`.
    progress : Progress, optional
        Hears of every long step and every score.

    Returns
    -------
    Comparison

    Raises
    ------
    LeakageError
        If test samples were seen in training; a ``ValueError``.
    ValueError
        If the data or a parameter is unusable; before anything is trained.

    Warns
    -----
    UnknownProvenanceWarning
        If the network came trained, and nobody said on what.

    Notes
    -----
    The same seeds, data, versions and number of threads give the same result on a CPU. With
    TensorFlow that takes one operation at a time, which is set where TensorFlow is started here; a
    warning says so if it was started before with more. See `networks.make_deterministic`, which
    the command line calls.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import Training, compare
    >>> y = np.repeat([0, 1], 30)
    >>> X = np.random.default_rng(0).integers(0, 150, (60, 8, 8), dtype=np.uint8)
    >>> X[y == 1] += 100
    >>> result = compare(X, y, methods=["cnn-softmax", "cnn+svm-rbf"], seeds=1,
    ...                  training=Training(epochs=3))
    >>> [method.name for method in result.methods]
    ['cnn-softmax', 'cnn+svm-rbf']
    """
    check_choice(selection, "selection", "compare", SELECTIONS)
    check_choice(on_leak, "on_leak", "compare", ON_LEAK)
    holdout = Holdout() if holdout is None else holdout
    holdouts = [holdout] if isinstance(holdout, Holdout) else list(holdout)
    if not holdouts:
        raise ValueError("holdout is empty; pass a Holdout, or a list of them.")
    for one in holdouts:
        one.check()
    seeds = _check_seeds(seeds)
    training = Training() if training is None else training
    training.check()
    check_number(batch_size, "batch_size", "compare", low=1, integer=True)
    if n_jobs == 0:
        raise ValueError("The 'n_jobs' parameter of compare must not be 0; pass -1 for all cores.")
    if checkpoints is not None:
        check_writable(checkpoints, "folder of checkpoints")
    check_network(network, "compare")
    by_subset = not (subsets is None or subsets is False)
    frozen = is_keras_model(network)
    choose_methods(methods, by_subset=by_subset, frozen=frozen)  # a misspelt one fails at once
    dataset, inputs = read_given(X, y, test, subsets, groups, network, progress)
    classifies = not frozen or numbers_classes(network, len(dataset.classes))
    chosen = choose_methods(methods, by_subset=by_subset, frozen=frozen, classifies=classifies)
    recipe = Recipe(
        chosen,
        network,
        training,
        n_jobs,
        None if checkpoints is None else Path(checkpoints),
        selection,
        batch_size,
    )
    plans = [
        make_plan(dataset, one, seeds[:1] if number else seeds, by_subset, selection)
        for number, one in enumerate(holdouts)
    ]
    leaks = []
    for plan in plans:
        leaks.append(find_leaks(plan, network, on_leak))  # a warning names the caller of this
    if frozen:
        warn_if_unknown(network, "every figure here is too good", stacklevel=3)
    runs = [Run(recipe, plan, inputs) for plan in plans]
    for plan in plans:
        check_trainings(recipe, plan)
    results = []
    for number, run in enumerate(runs, 1):
        told = progress if number == 1 else _OfSplit(progress, f"split {number} of {len(runs)}")
        results.append(_finish(run, run.execute(told), leaks[number - 1]))
    results[0].others = results[1:]
    return results[0]


class _OfSplit(Progress):
    """Tells of another split's steps under its name; its scores are no cells of the table."""

    def __init__(self, progress: Progress, name: str) -> None:
        self.progress = progress
        self.name = name

    def update(self, step: str, done: float, total: float) -> None:
        self.progress.update(f"{step} ({self.name})", done, total)


def _finish(run: Run, methods: list[MethodResult], leak: str) -> Comparison:
    recipe, plan, network = run.recipe, run.plan, run.recipe.network
    frozen = is_keras_model(network)
    protocol = {
        "selection": recipe.selection,
        "seeds": list(plan.development_splits),
        "subsets": bool(plan.subset_parts),
        "groups": plan.dataset.groups is not None,
        "given_split": plan.dataset.is_test is not None,
        "split_seed": plan.holdout.seed,
        "network": network if isinstance(network, str) else getattr(network, "__name__", "custom"),
        "frozen": frozen,
        "epochs": None if frozen else recipe.training.epochs,
        "test_uses": 1,
    }
    comparison = Comparison(
        plan.dataset,
        plan.split.held_out,
        list(plan.development_splits),
        methods,
        run.histories,
        protocol,
        run.checks,
        run.first_features,
        hardest=sorted(run.hardest, key=lambda case: case.margin),
        learning_curves=run.learning_curves,
    )
    notes = list(run.checks)
    if frozen and plan.dataset.files is not None and not takes_pixels(network):
        notes.append(
            {
                "id": "input-scale",
                "level": "info",
                "message": "The network gets pixels from 0 to 255, as files give them. If it was "
                "trained on another scale, pass arrays on that scale.",
            }
        )
    states, found = run_checks(comparison, plan, recipe.methods, network, leak)
    made = [state["id"] for state in states if state["state"] in ("passed", "found")]
    return replace(
        comparison,
        protocol={**protocol, "checks_run": made},
        checks=[*notes, *(check.to_dict() for check in found)],
        check_states=states,
    )


def _check_seeds(seeds: int | Sequence[int]) -> list[int]:
    if isinstance(seeds, (int, np.integer)):
        check_number(seeds, "seeds", "compare", low=1, high=1000, integer=True)
        return list(range(int(seeds)))
    seeds = list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be a number, or a list of different integers; got {seeds}.")
    for seed in seeds:
        check_number(seed, "seeds", "compare", low=0, high=2**31 - 1, integer=True)
    return [int(seed) for seed in seeds]
