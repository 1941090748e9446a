"""All splits of a comparison, one after the other, and what an interruption leaves of them."""

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from penultimate._common.door import spelled
from penultimate._common.progress import Progress
from penultimate.comparison.checks import run_checks
from penultimate.comparison.comparison import Comparison
from penultimate.comparison.interrupted import keep_finished
from penultimate.comparison.networks import Settings, count_trainings
from penultimate.comparison.plan import Plan
from penultimate.comparison.run import Collected, run_plan
from penultimate.comparison.schedule import Schedule
from penultimate.datasets.sizes import AUTO_SIDE
from penultimate.networks import is_frozen, is_keras_model, takes_pixels
from penultimate.networks.adapting import adapt
from penultimate.results.selected import selections

_FEW_EPOCHS = 10  # still a training, though not the best one


class AllSplits:
    """The splits of a comparison, run one after the other, and what they gave so far.

    Parameters
    ----------
    settings : Settings
    plans : list of Plan
        One per split.
    leaks : list of str
        What `find_leaks` found in each.
    progress : Progress
    """

    def __init__(
        self, settings: Settings, plans: list[Plan], leaks: list[str], progress: Progress
    ) -> None:
        self.settings, self.plans, self.leaks = settings, plans, leaks
        self.progress = progress
        self.results: list[Comparison] = []
        self.collected: Collected | None = None

    def run(self, inputs: NDArray[Any]) -> Comparison:
        """Run every split, and return the first one's comparison, with those of the others."""
        settings, n_plans = self.settings, len(self.plans)
        schedule = Schedule(
            self.progress,
            sum(count_trainings(settings, plan) for plan in self.plans),
            # Each method is scored once per seed, on every split.
            sum(len(plan.development_splits) * len(settings.methods) for plan in self.plans),
            _work(settings, self.plans, inputs),
            _shorter(settings, self.plans[0], inputs),
        )
        for number, (plan, leak) in enumerate(zip(self.plans, self.leaks), 1):
            # One schedule for all splits, since what a step took on the first predicts the others.
            if number > 1:
                schedule.observer = _OfSplit(self.progress, f"{number} of {n_plans}")
            # Kept on the instance, and filled in place: an interruption ends `run_plan` without a
            # return value, and `finished` reads what is there.
            self.collected = Collected.empty(settings, plan)
            # One model of a method is enough: that of the first split, which the report is about.
            first = not self.results
            of_split = replace(
                settings,
                keep_models=settings.keep_models and first,
                novelty=settings.novelty if first else None,
            )
            run_plan(of_split, plan, inputs, self.collected, schedule)
            self.results.append(_finish(settings, plan, self.collected, leak))
        return self._joined()

    def finished(self) -> Comparison | None:
        """Return what was finished before an interruption; None if nothing was."""
        n_done, n_plans = len(self.results), len(self.plans)
        # Whole splits are comparable with one another; part of a split is used only if it is all.
        if n_done:
            amount = f"{n_done} of {n_plans} splits"
        else:
            kept = self.collected and keep_finished(self.settings, self.plans[0], self.collected)
            if not kept:
                return None
            settings, plan, collected, amount = kept
            amount += f" (the first of {n_plans} splits)" if n_plans > 1 else ""
            self.progress.message(f"Interrupted: reporting on {amount}. Ctrl-C again ends at once.")
            self.results.append(_finish(settings, plan, collected, self.leaks[0]))
        folder = self.settings.checkpoints
        again = (
            spelled(
                "Started with --checkpoints FOLDER, the same command resumes where it was.",
                "Called with checkpoints=FOLDER, the same call resumes where it was.",
            )
            if folder is None
            else f"The same {spelled('command', 'call')}, with the checkpoints in {str(folder)!r}, "
            "resumes where it was."
        )
        message = f"The comparison was cut short after {amount}; all figures are of these. {again}"
        comparison = self._joined()
        note = {"id": "cut-short", "level": "warning", "message": message}
        comparison.checks.insert(0, note)
        return comparison

    def _joined(self) -> Comparison:
        # The first split is the comparison; the others belong to it, as in its report.
        self.results[0].others = self.results[1:]
        return self.results[0]


def _work(settings: Settings, plans: list[Plan], inputs: NDArray[Any]) -> str:
    """Return in words what takes the time of a comparison."""
    n_networks = sum(count_trainings(settings, plan) for plan in plans)
    n_scores = sum(len(plan.development_splits) * len(settings.methods) for plan in plans)
    n_samples = f"{len(plans[0].split.train):,} samples"
    if inputs.ndim > 1:  # else image files, of any size
        n_samples += f" of {' x '.join(map(str, inputs.shape[1:]))}"
    if inputs.ndim == 2:
        n_samples += " features"
    if not n_networks:
        return f"{n_scores} classifiers, on {n_samples}"
    of_epochs = f"of {settings.training.epochs} epochs"
    networks = f"1 network {of_epochs}" if n_networks == 1 else f"{n_networks} networks {of_epochs}"
    return f"{networks} and {n_scores} classifiers, on {n_samples}"


def _shorter(settings: Settings, plan: Plan, inputs: NDArray[Any]) -> str:
    """Return in words what would make a comparison shorter, of what it has not been given yet."""
    ways = []
    if inputs.ndim == 4 and max(inputs.shape[1:3]) > AUTO_SIDE and not settings.frozen:
        ways.append(
            "smaller images"
            if plan.dataset.files is None
            else spelled(f"--image-size {AUTO_SIDE}", f"load_data's image_size={AUTO_SIDE}")
        )
    if settings.protocol.selection == "crossfit":
        ways.append(spelled("--selection heldout", "Protocol(selection='heldout')"))
    if len(plan.development_splits) > 1:
        ways.append(spelled("--seeds 1", "seeds=1"))
    if settings.network == "wide":
        ways.append(spelled("--network compact", "network='compact'"))
    if not settings.frozen and settings.training.epochs > _FEW_EPOCHS:
        ways.append(spelled(f"--epochs {_FEW_EPOCHS}", f"Training(epochs={_FEW_EPOCHS})"))
    return f"Less time: {', '.join(ways)}." if ways else ""


class _OfSplit(Progress):
    """Reports the steps of a further split under its name, and drops its scores.

    The live table has cells for the first split only.
    """

    def __init__(self, progress: Progress, name: str) -> None:
        self.progress = progress
        self.name = name

    def update(self, step: str, done: float, total: float) -> None:
        self.progress.update(f"{step} (split {self.name})", done, total)

    def expects(self, network: int, n_networks: int, seconds: float | None) -> None:
        self.progress.expects(network, n_networks, seconds)

    def message(self, text: str) -> None:
        self.progress.message(text)


def _name_of(network: object) -> str | None:
    """Return the name of a network for the report; None if the data are features."""
    if network is None or isinstance(network, str):
        return network
    if is_frozen(network) and not is_keras_model(network):
        return adapt(network).name
    return getattr(network, "__name__", "custom")


def _finish(settings: Settings, plan: Plan, collected: Collected, leak: str) -> Comparison:
    """Run the checks on what was measured, and return all of it."""
    network, frozen = settings.network, settings.frozen
    prepared = None if settings.frozen_features is None else settings.frozen_features.prepared
    protocol = {
        "selection": settings.protocol.selection,
        "headline": settings.headline,
        "seeds": list(plan.development_splits),
        "subsets": bool(plan.subset_parts),
        "groups": plan.dataset.groups is not None,
        "given_split": plan.dataset.is_test is not None,
        "split_seed": plan.holdout.seed,
        "network": _name_of(network),
        # Stored for the report, which is made from the results alone.
        "frozen": frozen,
        "network_input": prepared,
        "layers": [] if network is None else list(settings.layers),
        "normalizations": list(settings.normalizations),
        "epochs": None if frozen else settings.training.epochs,
        # Uses of this test set by this comparison; `save` adds those of an earlier one in its
        # folder.
        "test_uses": 1,
    }
    # The checks look at the figures, so they run on a comparison that has no checks yet.
    comparison = Comparison(
        plan.dataset,
        plan.split.held_out,
        list(plan.development_splits),
        list(collected.methods.values()),
        collected.histories,
        protocol,
        collected.notes,
        collected.features,
        # Over all seeds, with the smallest margins first.
        hardest=sorted(collected.hardest, key=lambda case: case.margin),
        learning_curves=collected.learning_curves,
        models=collected.models,
        strangers=collected.strangers,
    )
    notes = list(collected.notes)
    # The first seed stands for all of them, whose splits are drawn by the same rule.
    by_folds = not len(next(iter(plan.development_splits.values())).held_out)
    if chosen := selections(comparison.methods, by_folds=by_folds):
        notes.append({"id": "selected-features", "level": "info", "message": chosen})
    if prepared is not None:
        read = "" if plan.dataset.sources is None else ", read at their own size,"
        message = f"Images{read} were prepared for {_name_of(network)}: {prepared}."
        notes.append({"id": "network-input", "level": "info", "message": message})
    elif is_frozen(network) and plan.dataset.files is not None and not takes_pixels(network):
        notes.append(
            {
                "id": "input-scale",
                "level": "info",
                "message": "The network is fed pixels from 0 to 255, as in the image files. If it "
                "was trained on another scale, pass arrays on that scale.",
            }
        )
    # Notes of the fits come first: they explain what the checks then find.
    states, found = run_checks(comparison, plan, settings.methods, network, leak)
    made = [state["id"] for state in states if state["state"] in ("passed", "found")]
    return replace(
        comparison,
        protocol={**protocol, "checks_run": made},
        checks=[*notes, *(check.to_dict() for check in found)],
        check_states=states,
    )
