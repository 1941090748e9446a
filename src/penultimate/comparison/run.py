"""Running a comparison: for each seed one network, then each method's fits and predictions.

Only predictions on the test set are kept; accuracies and intervals are computed from them later.
The test labels are used for nothing here but the accuracy that is shown as progress.
"""

import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate._common.progress import SILENT, Progress
from penultimate._common.threads import quiet_blas
from penultimate.comparison.fit import Fitted, HeadFit, SeedData, fit_method
from penultimate.comparison.head_diagnostics import hard_cases, learning_curve, strangers_to
from penultimate.comparison.kept import KeptModel, keep_model
from penultimate.comparison.kept_subsets import keep_specialists
from penultimate.comparison.method import Method
from penultimate.comparison.networks import Settings, Trainer, share_network
from penultimate.comparison.plan import Part, Plan
from penultimate.comparison.routing import route
from penultimate.evaluation.novelty.strangers import Strangers
from penultimate.networks import History
from penultimate.results.method import FitLog, HardCase, LearningCurve, MethodResult

# Probabilities only add calibration to the report, which is not worth running out of memory for.
_MOST_PROBABILITIES = 100_000_000  # 400 MB of float32 per method; beyond that, none are kept
Shared = dict[tuple[Any, ...], Fitted]


@dataclass
class Collected:
    """What a run collects: the fields of an `Outcome` that are measured.

    Attributes
    ----------
    methods : dict of str to MethodResult
    histories : list of History
    notes : list of dict
        Notes of the fits, in the form of checks.
    features : dict of str to ndarray, or None
    hardest : list of HardCase
    learning_curves : list of LearningCurve
    n_finished : Counter of str
        For how many seeds each method is finished.
    models : dict of str to KeptModel
        The classifiers of the first seed, if they are kept.
    strangers : Strangers or None
        What leaving out each class in turn has shown, for the first seed.
    """

    methods: dict[str, MethodResult]
    histories: list[History] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)
    features: dict[str, NDArray[np.float32]] | None = None
    hardest: list[HardCase] = field(default_factory=list)
    learning_curves: list[LearningCurve] = field(default_factory=list)
    n_finished: Counter[str] = field(default_factory=Counter)
    models: dict[str, KeptModel] = field(default_factory=dict)
    strangers: Strangers | None = None

    @classmethod
    def empty(cls, settings: Settings, plan: Plan) -> Self:
        """Return a collection without measurements."""
        methods = settings.methods.items()
        return cls({name: _empty_result(name, method, plan) for name, method in methods})

    def note(self, check_id: str, level: str, message: str) -> None:
        """Add a note, unless it is there already."""
        note = {"id": check_id, "level": level, "message": message}
        if note not in self.notes:
            self.notes.append(note)


def run_plan(
    settings: Settings,
    plan: Plan,
    inputs: NDArray[Any],
    collected: Collected,
    progress: Progress = SILENT,
) -> None:
    """Fit and score every method of a comparison on one test set.

    Parameters
    ----------
    settings : Settings
    plan : Plan
    inputs : ndarray of shape (n_samples, ...)
        All samples, as input of the networks.
    collected : Collected
        Empty; it is filled, so that what is finished can be used if the run is interrupted.
    progress : Progress, optional
    """
    images = plan.divide(inputs)
    trainer = Trainer(settings, plan, images["development"], progress)
    true = plan.dataset.labels[plan.split.held_out]
    progress.tests_on(len(true))
    # Seeds are the outer loop: only the first network's features are kept beyond their seed.
    for row, seed in enumerate(plan.development_splits):
        network = None
        if settings.needs_network:
            network = share_network(trainer, seed, images["test"])
            if (own := network.own_softmax) is not None:
                collected.note("frozen-softmax", own.level, own.message)
            if network.history is not None:
                collected.histories.append(network.history)
            if collected.features is None:
                collected.features = network.features
        data = SeedData(settings, plan, seed, trainer, images["test"], network)
        shared: Shared = {}  # classifiers of this seed, for methods that are fitted alike
        for name, method in settings.methods.items():
            predictions = _run_method(name, method, data, shared, row, collected, progress)
            collected.n_finished[name] += 1
            progress.scored(name, seed, float(np.mean(predictions == true)))


def _empty_result(name: str, method: Method, plan: Plan) -> MethodResult:
    shape = len(plan.development_splits), len(plan.split.held_out)
    return MethodResult(
        name,
        method.control,
        plan.knows_subset(method),
        np.empty(shape, np.int64),
        {part.subset: FitLog() for part in plan.parts(method)},
        inputs=method.inputs,
        family=method.family,
        router=method.router,
    )


def _run_method(
    name: str,
    method: Method,
    data: SeedData,
    shared: Shared,
    row: int,
    collected: Collected,
    progress: Progress,
) -> NDArray[np.int64]:
    """Fit a method for one seed, predict the test set, and collect what was measured."""
    parts, result = data.plan.parts(method), collected.methods[name]
    positions, router_seconds, router = [part.test for part in parts], 0.0, None
    # A method that is not given the subset of a sample predicts it first, for all test samples.
    if method.router is not None:
        start = time.perf_counter()
        positions, caught, router = route(method, parts, data)
        # Divided among the parts, so that the total over the parts is correct.
        router_seconds = (time.perf_counter() - start) / len(parts)
        _note_warnings(name, caught, collected)
    # No class has the index -1: a sample that is never predicted counts as an error.
    predictions = np.full(len(data.test_images), -1)
    # Nothing is fitted for a softmax, so there is no progress to show.
    progress = SILENT if method.inputs == "probabilities" else progress
    progress.update(f"fit {name}", 0, len(parts))
    for done, (part, chosen) in enumerate(zip(parts, positions), 1):
        key = (method.fit_key, part.subset)
        if key not in shared:
            shared[key] = fit_method(method, part, data)
        fitted = shared[key]
        _note_warnings(name, fitted.warnings, collected)
        # The report shows the heads of one network; those of the others would differ little.
        if row == 0:
            _inspect(name, method, part, fitted, data, collected)
            if name == data.settings.judges_strangers and fitted.head is not None:
                _leave_classes_out(fitted.head, data, collected, progress)
        start = time.perf_counter()
        if len(chosen):  # a router may send no sample to a subset
            predictions[chosen] = fitted.predict(chosen)
        predict_seconds = time.perf_counter() - start
        head_seconds = fitted.seconds + router_seconds
        shared_seconds, extract_seconds = _network_seconds(method, data)
        result.fits[part.subset].append(
            head_seconds=head_seconds,
            fit_seconds=head_seconds + shared_seconds,
            # Only a share of the extraction: a part predicts a fraction of the test set.
            predict_seconds=predict_seconds + extract_seconds * len(chosen) / len(predictions),
            params=fitted.params,
            selection_score=fitted.selection_score,
            grid=fitted.grid,
            selected=fitted.selected,
        )
        progress.update(f"fit {name}", done, len(parts))
    # After routing there are probabilities for the classes of one subset only.
    if method.router is None:
        of_parts = [(part, shared[method.fit_key, part.subset]) for part in parts]
        _add_probabilities(result, of_parts, row, len(data.plan.dataset.classes))
        _add_margins(result, of_parts, row, predictions)
    result.predictions[row] = predictions
    if row == 0 and data.settings.keep_models and method.inputs == "features":
        heads = {part.subset: shared[method.fit_key, part.subset].head for part in parts}
        kept = _keep(method, heads, parts, router, data, predictions)
        if kept is not None:
            collected.models[name] = kept
    return predictions


def _keep(
    method: Method,
    heads: dict[str | None, HeadFit | None],
    parts: Sequence[Part],
    router: HeadFit | None,
    data: SeedData,
    predictions: NDArray[np.int64],
) -> KeptModel | None:
    """Return the model of a method, if it can stand alone: without being given the subset."""
    known = {subset: head for subset, head in heads.items() if head is not None}
    if len(known) < len(heads):
        return None
    if method.router is None:
        (head, *others) = known.values()
        return None if others else keep_model(head, data, predictions)
    if data.plan.dataset.has_images:
        by_subset = {str(subset): head for subset, head in known.items()}
        return keep_specialists(by_subset, parts, router, data, predictions)
    return None  # specialists on features that were given are no classifier of their own


def _network_seconds(method: Method, data: SeedData) -> tuple[float, float]:
    """Return a method's times of the shared network: its training, and test set extraction."""
    if method.inputs == "features":
        return data.shared.fit_seconds, data.shared.extract_seconds
    # Its softmax needs neither the networks of the folds nor the features.
    return (data.shared.train_seconds if method.needs_softmax else 0.0), 0.0


def _inspect(
    name: str, method: Method, part: Part, fitted: Fitted, data: SeedData, collected: Collected
) -> None:
    """Collect the diagnostics of a head that the report shows, for the first seed.

    They go by the method's name, even if the head was first fitted for another method: the order of
    the methods must not matter.
    """
    head = fitted.head
    if head is None:
        return
    try:
        _inspect_head(name, method, part, head, data, collected)
    except Exception as error:  # a head of a user's own may not stand being fitted on fewer samples
        collected.note(
            "diagnostics-failed",
            "warning",
            f"{name}: its learning curve or hard cases could not be computed: {error}",
        )


def _inspect_head(
    name: str, method: Method, part: Part, head: HeadFit, data: SeedData, collected: Collected
) -> None:
    with quiet_blas(head.features), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these fits yield no score of their own
        if name == data.settings.headline:
            samples = data.plan.split.train[part.development]
            collected.hardest += hard_cases(head.pipeline, head.development, head.codes, samples)
        if method.inspect and part.subset is None and len(head.split.held_out):
            collected.learning_curves.append(
                learning_curve(
                    name, head.pipeline, head.features, head.codes, head.split, seed=data.seed
                )
            )


def _leave_classes_out(
    head: HeadFit, data: SeedData, collected: Collected, progress: Progress
) -> None:
    """Measure which classes would be noticed as strangers, on the features of a head."""
    rate = data.settings.novelty
    assert rate is not None  # or no method would judge strangers
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that classes have too few samples is in the table
            collected.strangers = strangers_to(
                head, rate, data.plan.groups, data.plan.fingerprints, data.seed, progress
            )
    except ValueError as error:  # too few samples for the rate
        message = f"Which classes would be noticed as strangers was not measured: {error}"
        collected.note("novelty-not-measured", "warning", message)


def _add_probabilities(
    result: MethodResult, fits: list[tuple[Part, Fitted]], row: int, n_classes: int
) -> None:
    """Add a seed's probabilities for the test samples, if the method has some for all of them."""
    shape = (*result.predictions.shape, n_classes)
    # Once incomplete, they stay None: a later seed must not begin an array that lacks the earlier
    # ones.
    lacked_some = row > 0 and result.probabilities is None
    if lacked_some or np.prod(shape) > _MOST_PROBABILITIES:
        return
    found = [fit.probabilities and fit.probabilities(part.test) for part, fit in fits]
    # A search may choose a classifier without probabilities for one seed or part, and one with
    # them for another: what is incomplete would be read as probabilities of zero.
    if any(values is None for values in found):
        result.probabilities = None
        return
    if result.probabilities is None:
        result.probabilities = np.zeros(shape, np.float32)
    for (part, fit), values in zip(fits, found):
        result.probabilities[row, part.test[:, np.newaxis], part.classes] = values
        result.calibrated = fit.calibrated


def _add_margins(
    result: MethodResult,
    fits: list[tuple[Part, Fitted]],
    row: int,
    predictions: NDArray[np.int64],
) -> None:
    """Add a seed's margins of the predictions, if the method has them for every seed and part."""
    if row > 0 and result.margins is None:
        return
    found = [fit.margins and fit.margins(part.test, predictions[part.test]) for part, fit in fits]
    if any(values is None for values in found):
        result.margins = None
        return
    if result.margins is None:
        result.margins = np.zeros(result.predictions.shape, np.float32)
    for (part, _), values in zip(fits, found):
        result.margins[row, part.test] = values


def _note_warnings(name: str, messages: tuple[str, ...], collected: Collected) -> None:
    for message in messages:
        collected.note("fit-warning", "warning", f"{name}: {message}")
