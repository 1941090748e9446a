"""The model to take away: fitted and selected on development, and looked at once on the test set.

A comparison asks which head is best, over seeds and splits. Here one network gets one head: several
are searched on the same held-out samples, the best by selection score is refitted on all of
development, and its margins are calibrated on the held-out samples. The test set then says what to
expect of new data; nothing is chosen by it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.door import spelled
from penultimate._common.progress import SILENT, Progress, observed_by
from penultimate._common.wording import quantity
from penultimate.classifiers import (
    AbstainingClassifier,
    DeepSVC,
    SoftmaxClassifier,
    Specialists,
)
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.comparison.checks import find_leaks
from penultimate.comparison.final_settings import SOFTMAX, FinalSettings, check_softmax
from penultimate.comparison.own_softmax import match_outputs
from penultimate.comparison.plan import make_plan
from penultimate.comparison.schedule import Schedule
from penultimate.datasets import Dataset
from penultimate.evaluation import accuracy_interval
from penultimate.evaluation.intervals.accuracy import Interval
from penultimate.networks import is_frozen
from penultimate.results.evaluation_text import against_guessing

_FOLDS = 5  # of cross-fitting

# What answers every sample, and what may abstain.
Answering = DeepSVC | FeatureClassifier | SoftmaxClassifier | Specialists
FinalClassifier = Answering | AbstainingClassifier


@dataclass(frozen=True)
class FinalModel:
    """A fitted model, and what is known of it.

    Attributes
    ----------
    model : classifier
        With class names as labels.
    accuracy : Interval or None
        On the test set; None without one. With abstention, among the samples that got an answer.
    answered : float or None
        With abstention, the share of test samples that got an answer.
    n_test : int
    selection_score : float or None
        The best selection score.
    head_scores : dict of str to float
        The selection score of each head, on the layer and normalization that were chosen; empty if
        there was one.
    development, test : ndarray of int
        Positions of the samples.
    notes : tuple of str
        On the data and its splits.
    leak : str
        What leaked; empty if nothing did.
    head : str
        Name of the head that was chosen.
    doubt : str
        Why it may be no better than guessing; empty if it is.
    """

    model: FinalClassifier
    accuracy: Interval | None
    answered: float | None
    n_test: int
    selection_score: float | None
    head_scores: dict[str, float]
    development: NDArray[np.int64]
    test: NDArray[np.int64]
    notes: tuple[str, ...] = ()
    leak: str = ""
    head: str = ""
    doubt: str = ""

    @property
    def of_images(self) -> bool:
        """Whether it takes images, not features."""
        return not isinstance(self.fitted, FeatureClassifier)

    @property
    def fitted(self) -> Answering:
        """The model without its abstention."""
        return self.model.estimator_ if isinstance(self.model, AbstainingClassifier) else self.model

    def to_teach(self) -> dict[str, NDArray[np.int64]]:
        """Return the positions of the samples that `save` takes so that it can be taught."""
        parts = {"teach": self.development}
        if isinstance(self.model, AbstainingClassifier):
            calibration = self.development[self.model.heldout_]
            parts = {
                "teach": self.development[self.model.fitted_],
                "calibration": calibration,
            }
        return parts | ({"held_out": self.test} if len(self.test) else {})

    def expected(self) -> dict[str, Any] | None:
        """Return what to expect of new data, as a bundle states it."""
        if self.accuracy is not None:
            what = "test set, scored once"
            if self.answered is not None:
                what += f"; of the {100 * self.answered:.0f} % that get an answer"
            low, high = self.accuracy.low, self.accuracy.high
            n = self.n_test
            return {"accuracy": self.accuracy.value, "low": low, "high": high, "what": what, "n": n}
        if self.selection_score is None:
            return None
        # The best of many candidates: optimistic, and so without an interval.
        n = len(self.development)
        score = self.selection_score
        what = "selection score, which is optimistic"
        return {"accuracy": score, "low": None, "high": None, "what": what, "n": n}

    def lines(self) -> list[str]:
        """Return in words what was fitted, and what to expect of it."""
        lines = []
        if isinstance(self.fitted, SoftmaxClassifier):
            lines.append("Head: softmax, the network's own, with a temperature")
        elif not isinstance(self.fitted, Specialists):
            best = self.fitted.head_["head"]
            # Of a choice among heads, the head itself is said by its name.
            params = {
                key: value
                for key, value in getattr(best, "best_params_", {}).items()
                if key != "head"
            }
            settings = ", ".join(f"{key}={value:.3g}" for key, value in params.items())
            where = f", on {self.fitted.layer_}" if isinstance(self.fitted, DeepSVC) else ""
            lines.append(
                f"Head: {self.head} ({settings or 'as it is'}){where}, "
                f"normalization {self.fitted.normalization_ or 'none'}"
            )
            if self.head_scores:
                scores = (f"{key} {100 * value:.1f} %" for key, value in self.head_scores.items())
                lines.append(f"Selection scores: {', '.join(scores)}")
        else:
            lines.append(
                f"Specialists: {', '.join(self.fitted.specialists_)}; router: {self.fitted.router_}"
            )
        if self.accuracy is not None:
            answered = (
                "" if self.answered is None else f" of the {100 * self.answered:.0f} % it answers"
            )
            lines.append(
                f"Expect of new samples: {self.accuracy} right{answered}, by {self.n_test:,} test "
                "samples, scored once"
            )
            if self.doubt:
                lines.append(self.doubt)
        elif self.n_test:
            lines.append(f"It abstains from all {self.n_test:,} test samples.")
        elif self.selection_score is not None:
            lines.append(
                f"Selection score: {100 * self.selection_score:.1f} %. It is optimistic, and there "
                "is no test set"
            )
        return lines


def fit_final(
    dataset: Dataset,
    inputs: NDArray[Any],
    settings: FinalSettings,
    progress: Progress = SILENT,
) -> FinalModel:
    """Fit a model on development, and score it once on the test set.

    Parameters
    ----------
    dataset : Dataset
    inputs : ndarray of shape (n_samples, ...)
        The samples as the network takes them, as `read_given` returns them.
    settings : FinalSettings
    progress : Progress, optional
        Observer of the training of networks, with the time left.

    Returns
    -------
    FinalModel

    Raises
    ------
    LeakageError
        If test samples are among the others, or a frozen network has seen them, and `on_leak` says
        so.
    ValueError
        If a setting or a split is impossible.
    """
    # Whatever can be refused is refused before the training, which may take hours.
    settings.check()
    seed, protocol = settings.seed, settings.protocol
    if dataset.subsets and not dataset.has_images:
        raise ValueError(
            "Specialists need images and a network; the data are features. Fit one model per "
            f"subset, or leave out {spelled('--subsets', 'the subsets')}."
        )
    if SOFTMAX in settings.heads:
        check_softmax(dataset, settings.network, inputs[:2])
    names = np.array(dataset.classes)
    if settings.test:
        # The same plan as of a comparison, so that the same seed gives the same test set.
        plan = make_plan(dataset, protocol.holdouts[0], [seed], protocol.selection)
        network = settings.network if dataset.has_images else None
        leak = find_leaks(plan, network, protocol.on_leak)
        dataset, development, test = plan.dataset, plan.split.train, plan.split.held_out
    else:
        # Without a test set nothing can leak into it.
        leak, development, test = "", np.arange(len(dataset.labels)), np.arange(0)
    groups = None if dataset.groups is None else dataset.groups[development]
    answering = _estimator(dataset, settings)
    matched = ""
    if isinstance(answering, SoftmaxClassifier) and is_frozen(settings.network):
        y, X = dataset.labels[development], inputs[development]
        found = match_outputs(settings.network, X, y, dataset.classes, seed=seed)
        # The label of each output, from the output of each label.
        answering.set_params(classes=names[np.argsort(found.columns)].tolist())
        matched = found.message.replace("cnn-softmax", "The head", 1)
    # Around everything else: its threshold is set on samples that the model was not fitted on.
    model = _with_abstention(answering, settings)
    y = names[dataset.labels]
    # The observer is no argument of `fit`, as scikit-learn clones what it fits.
    with observed_by(_schedule(dataset, settings, progress)):
        model.fit(inputs[development], y[development], groups=groups)
    inner = model.estimator_ if isinstance(model, AbstainingClassifier) else model
    score, by_head = _scores(inner)
    accuracy = answered = None
    doubt = ""
    if len(test):
        # The only look at the test set. Nothing above depends on it, and nothing below chooses.
        right = model.predict(inputs[test]) == y[test]
        answers = dataset.labels[test]
        of_test = None if dataset.groups is None else dataset.groups[test]
        if isinstance(model, AbstainingClassifier):
            accepted = model.accepts(inputs[test])
            answered = float(accepted.mean())
            # What a user gets to see are the answers, so these are what is promised of.
            right, answers = right[accepted], answers[accepted]
            of_test = None if of_test is None else of_test[accepted]
        if len(right):  # a model may abstain from all samples
            accuracy = accuracy_interval(right, groups=of_test)
            doubt = against_guessing(accuracy, answers)
    return FinalModel(
        model,
        accuracy,
        answered,
        len(test),
        score,
        by_head,
        development,
        test,
        (*dataset.notes, *filter(None, [matched])),
        leak,
        # A single head has no scores by name: it is the one that was asked for.
        max(by_head, key=by_head.__getitem__, default=settings.heads[0]),
        doubt,
    )


def _schedule(dataset: Dataset, settings: FinalSettings, progress: Progress) -> Schedule:
    """Return an observer that also estimates the time left, by the networks to be trained."""
    n_networks = 0  # a frozen network, or none: a search alone is too short for an estimate
    if dataset.has_images and not is_frozen(settings.network):
        n_networks = 1
        if settings.protocol.selection == "crossfit" and not dataset.subsets:
            # One for each fold, of which there are at most as many as samples of a class.
            n_networks += min(_FOLDS, int(np.bincount(dataset.labels).min()))
    stopping = "Ctrl-C stops it; no model is then written."
    work = quantity(n_networks, "network") if n_networks else ""
    return Schedule(progress, n_networks, 1, work, stopping=stopping)


def _estimator(dataset: Dataset, settings: FinalSettings) -> Answering:
    """Return the unfitted model, which never abstains."""
    seed = settings.seed
    if SOFTMAX in settings.heads:
        return SoftmaxClassifier(
            settings.network,
            training=None if is_frozen(settings.network) else settings.training,
            calibration="temperature",
            random_state=seed,
        )
    head = settings.make_head()
    selection = settings.protocol.selection
    shared: dict[str, Any] = {
        "normalization": settings.normalization,
        "calibration": "temperature",
        "random_state": seed,
    }
    model: Answering
    if not dataset.has_images:
        model = FeatureClassifier(head, selection=selection, **shared)
    else:
        shared |= {"layer": settings.layer, "head": head}
        if not is_frozen(settings.network):
            shared["training"] = settings.training
        if dataset.subsets:
            subsets = {
                name: [dataset.classes[code] for code in codes]
                for name, codes in dataset.subsets.items()
            }
            model = Specialists(settings.network, subsets=subsets, **shared)
        else:
            model = DeepSVC(settings.network, selection=selection, **shared)
    return model


def _with_abstention(model: Answering, settings: FinalSettings) -> FinalClassifier:
    if settings.risk is None and settings.coverage is None and settings.novelty is None:
        return model
    return AbstainingClassifier(
        model,
        risk=settings.risk,
        coverage=settings.coverage,
        novelty=settings.novelty,
        random_state=settings.seed,
    )


def _scores(model: Answering) -> tuple[float | None, dict[str, float]]:
    """Return the selection score of a fitted model, and those of the heads it was chosen from."""
    if isinstance(model, Specialists):
        # Each specialist is scored on its own subset; together they have the mean, if all have one.
        scores = [getattr(each, "best_score_", None) for each in model.specialists_.values()]
        known = [score for score in scores if score is not None]
        return (float(np.mean(known)) if len(known) == len(scores) else None), {}
    if isinstance(model, SoftmaxClassifier):
        return model.best_score_, {}
    chosen = model.head_["head"]
    score = getattr(chosen, "best_score_", None)  # a head without a search has none
    return None if score is None else float(score), dict(getattr(chosen, "scores_", {}))
