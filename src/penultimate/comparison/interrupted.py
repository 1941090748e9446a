"""What is left of a comparison that was interrupted: the seeds, or methods, that were finished."""

from dataclasses import replace
from typing import TYPE_CHECKING

from penultimate.comparison.methods import choose_headline
from penultimate.comparison.networks import Settings
from penultimate.comparison.plan import Plan
from penultimate.comparison.run import Collected
from penultimate.results.method import FitLog, MethodResult

if TYPE_CHECKING:
    from penultimate.comparison.comparison import Comparison


class ComparisonInterrupted(KeyboardInterrupt):
    """A comparison was interrupted after some of it was finished.

    A ``KeyboardInterrupt``, so that whatever stops on Ctrl-C stops on this, too.

    Attributes
    ----------
    comparison : Comparison
        What was finished, with a warning among its `checks` that says how much that is. In a
        notebook, after the interruption, it is ``sys.last_value.comparison``.

    Examples
    --------
    >>> from penultimate.comparison import ComparisonInterrupted
    >>> try:
    ...     raise ComparisonInterrupted("Cut short after 2 of 3 seeds.", None)
    ... except KeyboardInterrupt as error:
    ...     print(error)
    Cut short after 2 of 3 seeds.
    """

    def __init__(self, message: str, comparison: "Comparison") -> None:
        super().__init__(message)
        self.comparison = comparison


def keep_finished(
    settings: Settings, plan: Plan, collected: Collected
) -> tuple[Settings, Plan, Collected, str] | None:
    """Return a smaller comparison, of what was finished, and how much that is in words.

    All methods have to be compared on the same seeds. So if any seed was finished for all of them,
    the rest of the next one is dropped; in the first seed, the methods that have no score are.

    Parameters
    ----------
    settings : Settings
    plan : Plan
    collected : Collected

    Returns
    -------
    tuple or None
        None if no method was finished.
    """
    n_finished = collected.n_finished
    n_seeds = min(n_finished[name] for name in settings.methods)
    names = list(settings.methods) if n_seeds else [name for name in n_finished if n_finished[name]]
    if not names:
        return None
    n_all, n_kept = len(plan.development_splits), max(n_seeds, 1)
    amount = (
        f"{n_kept} of {n_all} seeds"
        if n_seeds
        else f"{len(names)} of {len(settings.methods)} methods, for one of {n_all} seeds"
    )
    # In the order in which they were run, so that the finished ones come first.
    seeds = list(plan.development_splits)[:n_kept]
    headline = settings.headline
    plan = replace(
        plan,
        development_splits={seed: plan.development_splits[seed] for seed in seeds},
        folds={seed: plan.folds[seed] for seed in seeds},
    )
    methods = {name: settings.methods[name] for name in names}
    # The verdict cannot be about a method that has no score: the rule is applied to what is left.
    settings = replace(settings, methods=methods, headline=choose_headline(methods))
    kept = replace(
        collected,
        methods={name: _first_seeds(collected.methods[name], n_kept) for name in names},
        histories=collected.histories[:n_kept],
        # The hard cases are those of the head that the verdict is about.
        hardest=collected.hardest if headline in names else [],
        learning_curves=[each for each in collected.learning_curves if each.method in names],
        strangers=collected.strangers if headline in names else None,
    )
    return settings, plan, kept, amount


def _first_seeds(result: MethodResult, n_seeds: int) -> MethodResult:
    # A seed that was cut short may have left values for some methods and not for others.
    per_seed = {
        name: values[:n_seeds]
        for name in ("predictions", "probabilities", "margins")
        if (values := getattr(result, name)) is not None
    }
    # Every field of a log is a list with one entry per seed.
    return replace(
        result,
        **per_seed,
        fits={
            subset: FitLog(**{name: values[:n_seeds] for name, values in vars(log).items()})
            for subset, log in result.fits.items()
        },
    )
