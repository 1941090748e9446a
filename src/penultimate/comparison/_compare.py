"""The comparison: every method on the same split and, where shared, on the same network.

`compare` validates all of its input and makes every split before it trains anything, so that an
error costs no training. Then one `Run` per split fits and scores the methods.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from penultimate._common.files import check_writable
from penultimate._common.progress import SILENT, Progress
from penultimate._common.validation import check_choice, check_n_jobs, check_number
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

    The samples are split once into a development set and a test set. For each seed, development is
    split into a fit part and a selection part. The network is trained on the fit part (a slice of
    it chooses the best weights) and cut, and its features are standardized on the fit part. Each
    head is selected on the selection part, refitted on all of development, and scored once on the
    test set.

    Parameters
    ----------
    X : array-like of images, str, Path or Dataset
        Images with labels in `y`, or a path from which `penultimate.datasets.load` reads both. A
        builder's network, or a frozen one, is fed samples on the scale on which they are passed,
        here or in a `Dataset`. If it scales pixels itself (it begins with ``Rescaling``), it is
        fed pixels from 0 to 255, as in image files.
    y : array-like of shape (n_samples,), optional
        Labels, if `X` is an array.
    test : tuple of (X_test, y_test), optional
        Your own test set, if `X` is an array: all of `X` is then development, and no test samples
        are drawn from it. The equivalent for a `Dataset` is ``is_test``.
    methods : list of str, optional
        Names in ``penultimate.comparison.METHODS``; by default all that suit the comparison, except
        those on request: networks trained with a margin loss from the same initial weights, such as
        ``"cnn-hinge"``, and ``"cnn+rff"``.
    network : str, callable or keras.Model, default="compact"
        As in `DeepSVC`. For a frozen model with one output per class, ``cnn-softmax`` is its own
        softmax: output k stands for label k, or for the k-th class name in sorted order (the report
        states this, and whether another order fits better). For any other frozen model, differences
        are to ``cnn+logistic``, a converged logistic head on its features.
    training : Training, optional
        How networks are trained; by default ``Training()``.
    subsets : True, dict or array-like of shape (n_samples,), optional
        Compare specialists, one per subset of the classes. True uses the subsets that the data
        came with; a dict maps each subset's name to its classes; with arrays, the subset's name of
        each sample is also accepted. All subsets share one split, so that no specialist is tested
        on a sample that the network has seen.
    groups : array-like of shape (n_samples,), optional
        Groups that no split may divide, such as writers; overrides those of the dataset.
    holdout : Holdout or list of Holdout, optional
        What is held out; by default ``Holdout()``. If there are several, the first is the main
        one; the whole comparison is repeated on each of the others with the first seed only, and
        the results are in `others`.
    seeds : int or list of int, default=3
        The number of seeds, counted from 0, or a list of seeds.
    n_jobs : int, optional
        Number of processes for searches; -1 uses all cores.
    checkpoints : str or Path, optional
        Folder in which every training saves its state after each epoch. If `compare` is called
        again with the same folder after an interruption, trainings resume from there.
    selection : {"heldout", "crossfit", "resubstitution"}, default="heldout"
        How heads are selected, as in `DeepSVC`. With ``"crossfit"`` and ``"resubstitution"``
        networks are trained on all of development. The latter is optimistic, and labeled so.
    on_leak : {"raise", "warn", "ignore"}, default="raise"
        What to do if test samples are exact copies of development samples, or if a frozen network
        is known to have seen them (`provenance.record`).
    batch_size : int, default=256
        Batch size for inference, which determines its memory use. The mini-batch size of training
        is set in `training`.
    progress : Progress, optional
        Observer of progress; see `Progress`.

    Returns
    -------
    Comparison

    Raises
    ------
    LeakageError
        If test samples were seen in training; a ``ValueError``.
    ValueError
        If the data or a parameter is invalid; raised before anything is trained.

    Warns
    -----
    UnknownProvenanceWarning
        If the network is pre-trained, and its training samples are not recorded.

    Notes
    -----
    The same seeds, data, versions and number of threads give the same result on a CPU. With
    TensorFlow this requires running one operation at a time, which is set when TensorFlow is first
    started here; if it was started earlier with more, a warning is issued. See
    `networks.make_deterministic`, which the command line calls.

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
    holdouts = _check_holdouts(holdout)
    seeds = _check_seeds(seeds)
    training = Training() if training is None else training
    training.check()
    check_number(batch_size, "batch_size", "compare", low=1, integer=True)
    check_n_jobs(n_jobs, "compare")
    if checkpoints is not None:
        check_writable(checkpoints, "folder of checkpoints")
    check_network(network, "compare")
    by_subset = not (subsets is None or subsets is False)
    frozen = is_keras_model(network)
    # Misspelled names fail here, before any data is read.
    choose_methods(methods, by_subset=by_subset, frozen=frozen)
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
    if dataset.is_test is not None and len(holdouts) > 1:
        raise ValueError(
            "The data has its own test set, which is kept: several splits (--splits, a list of "
            "Holdouts) would repeat the same one. Compare on one, or put all samples into one set "
            "(one folder per class; no is_test, no test=) for test sets to be drawn from."
        )
    plans = [
        make_plan(dataset, one, seeds[:1] if number else seeds, by_subset, selection)
        for number, one in enumerate(holdouts)
    ]
    leaks = []
    for plan in plans:
        # Not in a helper or comprehension: the warning's stacklevel points to our caller.
        leaks.append(find_leaks(plan, network, on_leak))
    if frozen:
        warn_if_unknown(network, "every figure here is too optimistic", stacklevel=3)
    # All trainings of all splits are checked before the first one starts.
    runs = [Run(recipe, plan, inputs) for plan in plans]
    for plan in plans:
        check_trainings(recipe, plan)
    results = []
    for number, run in enumerate(runs, 1):
        shown = progress if number == 1 else _OfSplit(progress, f"split {number} of {len(runs)}")
        results.append(_finish(run, run.execute(shown), leaks[number - 1]))
    results[0].others = results[1:]
    return results[0]


class _OfSplit(Progress):
    """Reports the steps of a further split under its name, and drops its scores.

    The live table has cells for the first split only.
    """

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
                "message": "The network is fed pixels from 0 to 255, as in the image files. If it "
                "was trained on another scale, pass arrays on that scale.",
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


def _check_holdouts(holdout: Any) -> list[Holdout]:
    holdouts = [Holdout()] if holdout is None else holdout
    holdouts = [holdouts] if isinstance(holdouts, Holdout) else holdouts
    if not isinstance(holdouts, Sequence) or not all(isinstance(h, Holdout) for h in holdouts):
        raise TypeError(
            "The 'holdout' parameter of compare must be a Holdout, such as Holdout(test_size=0.3), "
            f"or a list of them; got {holdout!r}."
        )
    if not holdouts:
        raise ValueError("holdout is empty; pass a Holdout, or a list of them.")
    for one in holdouts:
        one.check()
    # What holds out one test set several times would make its differences seem to repeat. (Draws
    # that happen to agree, as of few groups, are draws.)
    draws = [(one.by_group, one.seed, one.test_size) for one in holdouts]
    if repeated := [one for one, draw in zip(holdouts, draws) if draws.count(draw) > 1]:
        raise ValueError(
            f"{repeated[0]} and {repeated[1]} hold out the same test samples; give each its own "
            "seed."
        )
    return list(holdouts)


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
