"""The comparison: every method on the same split and, where shared, on the same network.

`compare` validates all of its input and makes every split before it trains anything, so that an
error costs no training. Then `AllSplits` fits and scores the methods on each split.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from penultimate._common.door import spelled
from penultimate._common.files import check_writable
from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Builder, Network
from penultimate._common.validation import check_n_jobs, check_number
from penultimate.bundle.strict_json import check_names
from penultimate.comparison.all_splits import AllSplits
from penultimate.comparison.checks import find_leaks
from penultimate.comparison.comparison import Comparison
from penultimate.comparison.frozen import FrozenFeatures
from penultimate.comparison.given import (
    DEFAULT_LAYER,
    DEFAULT_NETWORK,
    read_given,
    refuse_training,
)
from penultimate.comparison.interrupted import ComparisonInterrupted
from penultimate.comparison.method import Method
from penultimate.comparison.methods import (
    check_heads,
    check_selected,
    choose_headline,
    choose_methods,
)
from penultimate.comparison.networks import Settings, check_cuts, check_trainings
from penultimate.comparison.plan import make_plan
from penultimate.comparison.protocol import Protocol
from penultimate.datasets import Dataset
from penultimate.networks import Training, check_network, is_frozen
from penultimate.networks.adapting import open_network, pretrained_of
from penultimate.networks.probabilities import numbers_classes
from penultimate.provenance.leakage import warn_if_unknown
from penultimate.selection.heldout import check_layers
from penultimate.selection.normalization import (
    DEFAULT_NORMALIZATION,
    Normalization,
    check_normalizations,
)


def compare(
    data: ArrayLike | str | Path | Dataset,
    y: ArrayLike | None = None,
    *,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    methods: Sequence[str | tuple[str, Method]] | Mapping[str, Method] | None = None,
    network: str | Builder | Network = DEFAULT_NETWORK,
    layer: str | Sequence[str] = "auto",
    normalization: Normalization | Sequence[Normalization] = "auto",
    training: Training | None = None,
    seeds: int | Sequence[int] = 3,
    protocol: Protocol | None = None,
    checkpoints: str | Path | None = None,
    cache: str | Path | None = None,
    n_jobs: int | None = None,
    batch_size: int = 256,
    keep_models: bool = False,
    novelty: float | None = None,
    verbose: int | Progress = 1,
) -> Comparison:
    """Compare heads on a network's features with the network's own softmax.

    The samples are split once into a development set and a test set. For each seed, development is
    split into a fit part and a selection part. The network is trained on the fit part (a slice of
    it chooses the best weights) and cut, and its features are normalized on the fit part. Each
    head is selected on the selection part, refitted on all of development, and scored once on the
    test set.

    Parameters
    ----------
    data : array-like, str, Path or Dataset
        Images with labels in `y`; or features of shape (n_samples, n_features), such as
        embeddings, on which heads are compared without a network; or a path from which
        `penultimate.load_data` reads samples and labels. (For a
        named network, image files are resized as with ``image_size="auto"``.) A
        builder's network, or a frozen one, is fed samples on the scale on which they are passed,
        here or in a `Dataset`. If it scales pixels itself (it begins with ``Rescaling``), it is
        fed pixels from 0 to 255, as in image files. If a `Dataset` has groups, no split divides
        them; if it has subsets, specialists are compared, one per subset of the classes. All
        subsets share one split, so that no specialist is tested on a sample that the network has
        seen.
    y : array-like of shape (n_samples,), optional
        Labels, if `data` is an array. Not needed for an open `FeatureStore` that lists its samples
        with labels.
    test : tuple of (X_test, y_test), optional
        Your own test set, if `data` is an array: all of it is then development, and no test
        samples are drawn from it. The equivalent for a `Dataset` is ``is_test``.
    methods : list of str and of (str, Method), or dict of str to Method, optional
        Names in ``penultimate.comparison.METHODS`` (for features, in ``FEATURE_METHODS``), and
        methods of your own with their names; by default all that suit the comparison, except those
        on request: networks trained with a margin loss from the same initial weights, such as
        ``"cnn-hinge"``, and ``"cnn+rff"``.
    network : str, callable, trained network or FeatureExtractor, default="compact"
        As in `DeepSVC`; not used for features, where differences are to ``logistic``, a converged
        logistic head. For a frozen model with one output per class, ``cnn-softmax`` is its own
        softmax: output k stands for label k, or for the k-th class name in sorted order (the report
        states this, and whether another order fits better). For any other frozen model, differences
        are to ``cnn+logistic``, a converged logistic head on its features.
    layer : str or list of str, default="auto"
        Where the network is cut, as in `DeepSVC`: from a list, every head on features selects its
        own layer, in the same way as its hyper-parameters. ``"auto"`` is ``"penultimate"``; for
        networks that are pretrained by name, the layers that are worth selecting among.
    normalization : {"auto", "standardize", "l2", "sqrt-l2", None} or list, default="auto"
        What is done to the features before a head sees them, as in `DeepSVC`; from a list, every
        head on features selects its own. Methods with a preprocessing of their own keep it.
        ``"auto"`` is ``"standardize"``; for networks that are pretrained by name, that or ``"l2"``.
    training : Training, optional
        How networks are trained; by default ``Training()``.
    seeds : int or list of int, default=3
        The number of seeds, counted from 0, or a list of seeds.
    protocol : Protocol, optional
        What is held out, how heads are selected, and what to do if test samples were seen in
        training; by default ``Protocol()``.
    checkpoints : str or Path, optional
        Folder in which every training saves its state after each epoch. If `compare` is called
        again with the same folder after an interruption, trainings resume from there.
    cache : str or Path, optional
        Folder in which the features of a frozen network are kept, so that they are computed once:
        a sample is recognized by its content, wherever its file is.
    n_jobs : int, optional
        Number of parallel workers of each search (threads of the SVM solver, processes of
        scikit-learn's searches); -1 uses all cores.
    batch_size : int, default=256
        Batch size for inference, which determines its memory use. The mini-batch size of training
        is set in `training`.
    keep_models : bool, default=False
        Whether the heads on features of the first seed and split are kept, with their network, in
        ``models``; `Comparison.save` then writes each as a file that `penultimate.load` reads.
        Specialists are kept only with a router, which finds the subset of a new sample.
    novelty : float, optional
        A false-alarm rate, such as 0.05. The report then says of each class whether it would be
        noticed if it were a stranger: it is left out of a `NoveltyDetector` on the features of the
        SVM head. On development samples only, for the first seed and split; it takes about as long
        as a search for each class. Not by subset.
    verbose : int or Progress, default=1
        Whether to show progress on standard error (a live table in a terminal or notebook, lines
        elsewhere) and when it will end; 0 is silent. Or your own observer of progress.

    Returns
    -------
    Comparison

    Raises
    ------
    LeakageError
        If test samples were seen in training; a ``ValueError``.
    ValueError
        If the data or a parameter is invalid, or is about networks and the data are features;
        raised before anything is trained.
    ComparisonInterrupted
        On Ctrl-C, if any method is finished by then: a ``KeyboardInterrupt`` whose `comparison`
        holds what is finished, and says so. A second Ctrl-C ends at once.

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
    ...                  training=Training(epochs=3), verbose=0)
    >>> [method.name for method in result.methods]
    ['cnn-softmax', 'cnn+svm-rbf']
    """
    # Whatever is wrong with the arguments is found in the order of its cost: first what needs no
    # data, then what needs the data, then what needs the splits. Training comes after all of it.
    protocol = Protocol() if protocol is None else protocol
    if not isinstance(protocol, Protocol):
        raise TypeError(
            "The 'protocol' parameter of compare must be a Protocol, such as "
            f"Protocol(selection='crossfit'); got {protocol!r}."
        )
    protocol.check()
    pretrained = pretrained_of(network)
    # Of a network that was trained on other images it is not known which layer and normalization
    # suit these: the heads select them, as they do their hyper-parameters.
    if layer == "auto":
        layer = DEFAULT_LAYER if pretrained is None else list(pretrained.layers)
    if normalization == "auto":
        normalization = DEFAULT_NORMALIZATION if pretrained is None else ["standardize", "l2"]
    layers = check_layers(layer, "compare")
    normalizations = check_normalizations(normalization, "compare")
    seeds = _check_seeds(seeds)
    recipe = Training() if training is None else training
    recipe.check()
    check_number(batch_size, "batch_size", "compare", low=1, integer=True)
    check_n_jobs(n_jobs, "compare")
    if novelty is not None:
        check_number(novelty, "novelty", "compare", low=0, high=1, open_low=True, open_high=True)
        if protocol.selection == "resubstitution":
            raise ValueError(
                f"{spelled('--novelty', 'novelty')} needs held-out samples, and "
                "selection='resubstitution' holds none out. Use 'heldout' or 'crossfit'."
            )
    if checkpoints is not None:
        check_writable(checkpoints, "folder of checkpoints")
    check_network(network, "compare")
    frozen = is_frozen(network)
    network = open_network(network)
    if cache is not None:
        if not frozen:
            raise ValueError(
                f"{spelled('--cache', 'cache')} keeps the features that a frozen network computes; "
                f"network={network!r} is trained anew, and features that are given need no cache. "
                "Leave it out."
            )
        check_writable(cache, "folder of features")
    if isinstance(methods, Iterator):  # which is used up when it is read
        methods = list(methods)
    # Misspelled names fail here, before any data is read: no method is impossible by subset.
    choose_methods(methods, by_subset=True, frozen=frozen, on_features=None)
    with _observer(verbose) as progress, ExitStack() as stack:
        dataset, inputs = read_given(data, y, test, network, progress, stack)
        refuse_training(dataset, network, training, checkpoints, layers)
        if keep_models:
            check_names(dataset.classes, dataset.feature_names, dataset.subsets)
        on_features = not dataset.has_images
        used = None if on_features else network
        # Only now is it known whether there are subsets, and whether the network has one output
        # per class.
        chosen = choose_methods(
            methods,
            by_subset=bool(dataset.subsets),
            frozen=frozen or on_features,
            classifies=not on_features
            and (
                not is_frozen(network) or numbers_classes(network, len(dataset.classes), inputs[:1])
            ),
            on_features=on_features,
        )
        check_heads(chosen, n_jobs, seeds[0], protocol.selection)
        check_selected(chosen, layers, normalizations)
        folder = None if checkpoints is None else Path(checkpoints)
        settings = Settings(
            chosen,
            used,
            recipe,
            protocol,
            n_jobs,
            folder,
            batch_size,
            choose_headline(chosen),
            tuple(layers),
            tuple(normalizations),
            keep_models=keep_models,
            novelty=novelty,
        )
        if novelty is not None:
            _check_strangers(settings, dataset)
        if dataset.is_test is not None and len(protocol.holdouts) > 1:
            raise ValueError(
                "The data has its own test set, which is kept: several splits "
                f"({spelled('--splits', 'a list of Holdouts')}) would repeat the same one. Compare "
                "on one, or put all samples into one set "
                f"({spelled('one folder per class', 'no is_test, no test=')}) for test sets to be "
                "drawn from."
            )
        # Every split is made, and every training checked, before the first one starts.
        plans = [
            # Further splits show how much the split matters, for which one network each is enough.
            make_plan(dataset, one, seeds[:1] if number else seeds, protocol.selection)
            for number, one in enumerate(protocol.holdouts)
        ]
        if frozen and not on_features:
            features = FrozenFeatures(
                network,
                inputs,
                dataset.labels,
                layers,
                batch_size,
                None if cache is None else Path(cache),
            )
            settings = replace(settings, frozen_features=features)
        check_cuts(settings, plans[0], inputs)
        leaks = []
        for plan in plans:
            # Not in a helper or comprehension: the warning's stacklevel points to our caller.
            leaks.append(find_leaks(plan, used, protocol.on_leak))
            check_trainings(settings, plan)
        # Of those with a name it is known, and what they were trained on is in the report.
        if frozen and pretrained is None:
            warn_if_unknown(network, "every figure here is too optimistic", stacklevel=3)
        splits = AllSplits(settings, plans, leaks, progress)
        try:
            return splits.run(inputs)
        except KeyboardInterrupt:
            # Checks and intervals take a moment. Ctrl-C during it, the second one, ends at once.
            comparison = splits.finished()
            if comparison is None:
                raise
            amount = comparison.checks[0]["message"]
            raise ComparisonInterrupted(
                f"{amount} The finished part is in this exception's attribute 'comparison' "
                "(sys.last_value.comparison in a notebook).",
                comparison,
            ) from None


def _check_strangers(settings: Settings, dataset: Dataset) -> None:
    """Refuse to leave classes out where there is nothing to do it on."""
    asked = spelled("--novelty", "novelty")
    if dataset.subsets:
        raise ValueError(
            f"{asked} is measured for one classifier of all classes. Leave out "
            f"{spelled('--subsets', 'the subsets')}, or compare one subset at a time."
        )
    if settings.judges_strangers is None:
        raise ValueError(
            f"{asked} is measured on features, and no method works on them. Add one, such as "
            "cnn+svm-rbf."
        )


def _observer(verbose: int | Progress) -> AbstractContextManager[Progress]:
    """Return the observer of progress, as a context that ends its display."""
    if isinstance(verbose, Progress):
        return nullcontext(verbose)
    if not verbose:
        return nullcontext(SILENT)
    # Loaded only when shown: rich takes a tenth of a second.
    from penultimate.comparison.live import LiveTable

    return LiveTable()


def _check_seeds(seeds: int | Sequence[int]) -> list[int]:
    if isinstance(seeds, (int, np.integer)):
        # seeds=2024 is likely meant as one seed, and would be 2,024 trainings.
        check_number(seeds, "seeds", "compare", low=1, high=1000, integer=True)
        return list(range(int(seeds)))
    seeds = list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be a number, or a list of different integers; got {seeds}.")
    for seed in seeds:
        # What every generator takes: NumPy's, scikit-learn's, and those of all backends.
        check_number(seed, "seeds", "compare", low=0, high=2**31 - 1, integer=True)
    return [int(seed) for seed in seeds]
