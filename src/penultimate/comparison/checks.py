"""The checks of a comparison: which are run, on what, and the state of each.

`data_checks` says what states there are, and has those checks that ask the data alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penultimate._common.door import spelled
from penultimate.comparison import data_checks
from penultimate.comparison.data_checks import Finding, NotMade
from penultimate.comparison.method import Method
from penultimate.comparison.plan import Plan
from penultimate.evaluation import checks
from penultimate.evaluation.checks import Check
from penultimate.networks import is_frozen
from penultimate.networks.adapting import pretrained_of, takes_channels_first
from penultimate.provenance.fingerprints import fingerprint
from penultimate.provenance.leakage import report_leak
from penultimate.provenance.records import provenance_of
from penultimate.results.answer import find_answer
from penultimate.results.method import BASELINE
from penultimate.results.outcome import Outcome

_FEATURES_GIVEN = "what computed the features, and what it had been trained on, is not known"
_NOT_RECORDED = "the network's training samples are not recorded (penultimate.provenance.record)"


def find_leaks(plan: Plan, network: object, on_leak: str) -> str:
    """Look for test samples that are in development, or that a frozen network has seen.

    Returns
    -------
    str
        The message; empty if nothing leaked.

    Raises
    ------
    LeakageError
        If something leaked, and `on_leak` is ``"raise"``.
    """
    data, prints = plan.dataset, plan.dataset.fingerprint()
    test = plan.split.held_out
    # Two ways to leak: a copy in development, or a network that was trained on the sample before.
    copied = np.isin(prints[test], prints[plan.split.train])
    leaked = copied.copy()
    if is_frozen(network):
        seen = provenance_of(network)
        # The network may have recorded the images as decoded, or on the scale it was fed.
        leaked |= seen.holds(prints[test]) | seen.holds(fingerprint(data.images[test]))
        leaked |= seen.holds(fingerprint(data.inputs[test]))
        if takes_channels_first(network):  # and was recorded so
            leaked |= seen.holds(fingerprint(np.moveaxis(data.inputs[test], -1, 1)))
    if data.files is not None:
        names, numbered = data.files[test], ""
    elif data.is_test is not None:
        # As in the user's X_test: its place in the joined data means nothing to them.
        names, numbered = np.arange(len(test)), "rows of the test set: "
    else:
        names, numbered = test, "rows of the data: "
    causes, ways = [], []
    # The two causes are distinguished, because their remedies differ.
    if copied.any():
        causes.append("they are in the training part of your data, too")
        keeper = spelled("--drop-duplicates", "Dataset.without_duplicates")
        ways.append(f"remove them from one of the two ({keeper} keeps one copy)")
    if (leaked & ~copied).any():
        causes.append("the network was trained on them before")
        ways.append("test on samples that the network has not seen")
    anyway = spelled("--on-leak warn", "Protocol(on_leak='warn')")
    ways.append(f"compare anyway, with a warning in the report: {anyway}")
    advice = f"The reason: {', and '.join(causes)}. Ways out: {'; '.join(ways)}."
    return report_leak(
        names[leaked],
        len(test),
        on_leak=on_leak,
        advice=advice,
        numbered=numbered,
        stacklevel=4,
    )


@dataclass(frozen=True)
class Context:
    """The input of the checks.

    Attributes
    ----------
    comparison : Outcome
    plan : Plan
    methods : dict of str to Method
    network : object or None
        The frozen network; None if networks were trained here.
    leak : str
        The message of `find_leaks`.
    """

    comparison: Outcome
    plan: Plan
    methods: Mapping[str, Method]
    network: object
    leak: str

    @property
    def prints(self) -> NDArray[np.uint64]:
        """The fingerprints of all samples."""
        return self.plan.dataset.fingerprint()

    @property
    def uses_network(self) -> bool:
        """Whether a method used the shared network of its seed."""
        return self.comparison.features is not None and self.plan.dataset.has_images

    @property
    def training_is_unknown(self) -> bool:
        """Whether the network is pre-trained, and its training samples are not recorded."""
        return self.network is not None and not provenance_of(self.network).known

    @property
    def not_recorded(self) -> str:
        """Why it is not known what the network was trained on."""
        pretrained = pretrained_of(self.network)
        if pretrained is None:
            return _NOT_RECORDED
        return f"whether your images are among those of {pretrained.trained_on}"


def _test_samples_seen(context: Context) -> Finding:
    # Found before anything was trained: by default it ends the comparison there.
    if context.leak:
        return Check("test-samples-seen", context.leak, "error")
    if context.training_is_unknown:
        return NotMade(context.not_recorded, "unknown")
    if not context.plan.dataset.has_images:
        return NotMade(_FEATURES_GIVEN, "unknown")
    return None


def _training_samples_unknown(context: Context) -> Finding:
    if context.network is None:
        return NotMade("no pre-trained network was used")
    if not context.training_is_unknown:
        return None
    # No warning with every named network: the report says what these were trained on.
    if pretrained_of(context.network) is not None:
        return NotMade(context.not_recorded, "unknown")
    return Check(
        "training-samples-unknown", "The samples that the network was trained on are not recorded."
    )


def _selection_on_training_samples(context: Context) -> Finding:
    selection = context.comparison.protocol["selection"]
    # Pixels were not seen by a network, so selecting on them is unaffected.
    if not any(method.inputs == "features" for method in context.methods.values()):
        return NotMade("no head was selected on a network's features")
    development = context.plan.split.train
    found = checks.check_selection(
        selection, network=context.network, fingerprints=context.prints[development]
    )
    if found is None and context.training_is_unknown:
        return NotMade(context.not_recorded, "unknown")
    return found


def _duplicates_in_selection(context: Context) -> Finding:
    # The first seed stands for all of them, whose splits are drawn by the same rule.
    split = next(iter(context.plan.development_splits.values()))
    if not len(split.held_out):
        return NotMade("no samples were held out to select on")
    prints = context.prints[context.plan.split.train]
    return checks.check_selection_duplicates(prints[split.train], prints[split.held_out])


def _duplicates_across_classes(context: Context) -> Finding:
    return data_checks.copies_across_classes(context.plan.dataset)


def _groups_split(context: Context) -> Finding:
    plan, data = context.plan, context.plan.dataset
    # Without groups, file names may still show some, such as writers.
    if plan.known_groups is None and data.files is None:
        return NotMade("no groups and no file names")
    # Also groups that the split was told to ignore: then the finding says what that costs.
    return checks.check_groups(
        plan.split.train,
        plan.split.held_out,
        groups=plan.known_groups,
        files=None if data.files is None else data.files.tolist(),
        labels=data.labels,
    )


def _misordered_labels(context: Context) -> Finding:
    comparison, data = context.comparison, context.plan.dataset
    best = max((comparison.accuracy(name) for name in comparison.names()), key=lambda a: a.value)
    tested = data.labels[comparison.test]
    return data_checks.order_of_labels(data, context.plan.split.train, best, tested)


def _class_imbalance(context: Context) -> Finding:
    return data_checks.balance_of_classes(context.plan.dataset)


def _few_test_samples(context: Context) -> Finding:
    comparison = context.comparison
    best = find_answer(comparison).accuracy  # the interval that the report shows
    noun = context.plan.dataset.noun
    return checks.check_test_size(len(comparison.test), best.value, interval=best, noun=noun)


def _images_left_out(context: Context) -> Finding:
    return data_checks.images_left_out(context.plan.dataset)


def _other_training_samples(context: Context) -> Finding:
    if context.network is None:
        return NotMade("all methods were trained here")
    if not any(method.inputs == "pixels" for method in context.methods.values()):
        return NotMade("all methods use the same network")
    if context.training_is_unknown:
        return NotMade(context.not_recorded, "unknown")
    # An unequal contest, not a mistake: hence a note and no warning.
    own = np.setdiff1d(provenance_of(context.network).trained, context.prints)
    if not len(own):
        return None
    return Check(
        "other-training-samples",
        f"The frozen network was trained on {len(own):,} samples that are not in this data set; "
        "methods on pixels were not.",
        "info",
    )


def _probabilities_as_features(context: Context) -> Finding:
    features = context.comparison.features
    if features is None:
        return NotMade("no network")
    # Heads standardize their features, so that uneven scales are harmless; another normalization
    # was asked for, or has won on held-out samples.
    return checks.check_features(features["development"], standardized=True)


def _grid_edge(context: Context) -> Finding:
    found, searched = [], False
    for method in context.comparison.methods:
        if method.router is not None:
            continue  # these repeat the searches of another method
        for subset, log in method.fits.items():
            name = method.name if subset is None else f"{method.name}, {subset}"
            # Without a selection part, every sample of development is scored once, in a fold.
            n_scored = len(next(iter(context.plan.development_splits.values())).held_out)
            grids = log.comparable_grids()
            if grids:
                searched = True
                # Over all seeds: a best value at the edge with a single seed may be chance.
                mean = np.mean([grid["score"] for grid in grids], axis=0)
                found.append(
                    checks.check_grid(
                        grids[0]["params"],
                        mean,
                        n_scored or len(context.plan.split.train),
                        name=name,
                    )
                )
    if not searched:
        return NotMade("no method searched a grid")
    return [check for check in found if check is not None]


def _network_undertrained(context: Context) -> Finding:
    comparison = context.comparison
    if not context.uses_network:
        return NotMade("no network")
    # A method that knows the subset has an easier task, so its accuracy says less of the network.
    overall = [method for method in comparison.methods if not method.knows_subset]
    softmax = [method.name for method in overall if method.is_softmax]
    if not (softmax or comparison.histories):
        return NotMade(f"the network is pre-trained, and {BASELINE} was not compared")
    # A converged logistic head is the judge of the last layer. Where it was not compared, the best
    # other head on the same features stands in for it.
    heads = [method for method in overall if method.inputs == "features"]
    heads = [method for method in heads if method.is_logistic_head] or heads
    names = sorted(
        (method.name for method in heads), key=lambda name: comparison.correct(name).mean()
    )
    found = checks.check_training(
        comparison.correct(softmax[0]) if softmax else None,
        context.plan.dataset.labels[comparison.test],
        seeds=comparison.seeds,
        validation_accuracy=[history.validation_accuracy for history in comparison.histories],
        best_epochs=[history.best_epoch for history in comparison.histories],
        head_correct=comparison.correct(names[-1]) if names else None,
        head=names[-1] if names else "a head",
    )
    # Networks that a method trains for itself have no head beside them to be judged by.
    others = [
        checks.check_training(
            comparison.correct(method.name),
            context.plan.dataset.labels[comparison.test],
            seeds=comparison.seeds,
            name=method.name,
        )
        for method in overall
        if method.inputs == "network"
    ]
    return [check for check in (found, *others) if check is not None]


# In the order of the report: what invalidates a result comes first.
CHECKS: dict[str, Callable[[Context], Finding]] = {
    "network-undertrained": _network_undertrained,
    "test-samples-seen": _test_samples_seen,
    "training-samples-unknown": _training_samples_unknown,
    "selection-on-training-samples": _selection_on_training_samples,
    "duplicates-in-selection": _duplicates_in_selection,
    "duplicates-across-classes": _duplicates_across_classes,
    "groups-split": _groups_split,
    "misordered-labels": _misordered_labels,
    "class-imbalance": _class_imbalance,
    "few-test-samples": _few_test_samples,
    "images-left-out": _images_left_out,
    "other-training-samples": _other_training_samples,
    "probabilities-as-features": _probabilities_as_features,
    "grid-edge": _grid_edge,
}


def run_checks(
    comparison: Outcome,
    plan: Plan,
    methods: Mapping[str, Method],
    network: object,
    leak: str,
) -> tuple[list[dict[str, str]], list[Check]]:
    """Run every check that a comparison allows.

    Parameters
    ----------
    comparison : Outcome
        The comparison, still without checks.
    plan : Plan
    methods : dict of str to Method
        The methods compared.
    network : object
        The network, as passed to `compare`.
    leak : str
        The message of `find_leaks`.

    Returns
    -------
    states : list of dict
        The ``id`` and ``state`` of every check, and ``why`` if it was not run.
    found : list of Check
    """
    # A name or a builder has seen nothing: only a trained network has a provenance to ask for.
    frozen = network if is_frozen(network) else None
    context = Context(comparison, plan, methods, frozen, leak)
    return data_checks.states_of((name, make(context)) for name, make in CHECKS.items())
