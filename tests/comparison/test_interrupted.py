import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from penultimate import Protocol, compare
from penultimate._common.progress import Progress
from penultimate.comparison import ComparisonInterrupted, Method
from penultimate.comparison.interrupted import keep_finished
from penultimate.comparison.run import Collected
from penultimate.results.method import FitLog, HardCase, LearningCurve, MethodResult
from penultimate.splits import Holdout

# No network: what is kept of an interrupted run does not depend on what was fitted.
NEAR = Method("pixels", lambda n_jobs, seed: KNeighborsClassifier(3))
METHODS = {
    "bayes": Method("pixels", lambda n_jobs, seed: GaussianNB()),
    "near": NEAR,
    "nearest": Method("pixels", lambda n_jobs, seed: KNeighborsClassifier(1)),
}


class CtrlC(Progress):
    """Interrupts after so many scores, or in a step whose name has this word."""

    def __init__(self, n_scores=0, word="never"):
        self.n_scores, self.word, self.messages = n_scores, word, []

    def update(self, step, done, total):
        if self.word in step:
            raise KeyboardInterrupt

    def scored(self, method, seed, accuracy):
        self.n_scores -= 1
        if not self.n_scores:
            raise KeyboardInterrupt

    def message(self, text):
        self.messages.append(text)


def interrupted(shapes, listener, **options):
    options = {"seeds": 3, "methods": METHODS, **options}
    with pytest.raises(KeyboardInterrupt) as error:
        compare(*shapes, verbose=listener, **options)
    return error.value


def test_finished_seeds_are_kept_with_all_methods(shapes, tmp_path):
    error = interrupted(shapes, CtrlC(5))
    kept = error.comparison
    assert kept.names() == [*METHODS]
    assert kept.seeds == kept.protocol["seeds"] == [0]
    assert "cut short after 1 of 3 seeds" in str(error)
    assert kept.checks[0]["id"] == "cut-short"
    whole = compare(*shapes, methods=METHODS, seeds=1, verbose=0)
    for one, other in zip(kept.methods, whole.methods):
        np.testing.assert_array_equal(one.predictions, other.predictions)
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
        assert len(one.fits[None].fit_seconds) == 1
    assert "cut short after 1 of 3 seeds" in kept.save(tmp_path / "out").read_text()
    assert json.loads((tmp_path / "out" / "results.json").read_text())["protocol"]["seeds"] == [0]


def test_in_the_first_seed_the_finished_methods_are_kept(shapes):
    kept = interrupted(shapes, CtrlC(2)).comparison
    assert kept.names() == ["bayes", "near"]
    assert kept.methods[0].predictions.shape == (1, 12)
    assert "2 of 3 methods, for one of 3 seeds" in kept.checks[0]["message"]


def test_finished_splits_are_kept(shapes):
    splits = Protocol([Holdout(seed=seed) for seed in range(3)])
    error = interrupted(shapes, CtrlC(word="split 3"), seeds=1, protocol=splits)
    assert len(error.comparison.others) == 1
    assert "cut short after 2 of 3 splits" in str(error)


def test_nothing_finished_is_a_plain_interrupt(shapes):
    assert type(interrupted(shapes, CtrlC(word="fit"))) is KeyboardInterrupt


def test_the_user_is_told_at_once_and_how_to_go_on(shapes, tmp_path):
    listener = CtrlC(4)
    error = interrupted(shapes, listener, checkpoints=tmp_path)
    assert isinstance(error, ComparisonInterrupted)
    assert listener.messages == [
        "Interrupted: reporting on 1 of 3 seeds. Ctrl-C again ends at once."
    ]
    assert repr(str(tmp_path)) in str(error)
    assert "checkpoints=" in str(interrupted(shapes, CtrlC(4)))


def test_a_second_interrupt_ends_at_once(shapes, monkeypatch):
    listener = CtrlC(3)

    def again(text):
        raise KeyboardInterrupt

    monkeypatch.setattr(listener, "message", again)
    assert type(interrupted(shapes, listener)) is KeyboardInterrupt


def test_what_belongs_to_unfinished_seeds_and_methods_is_dropped(monkeypatch):
    log = FitLog([1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [{}, {}], [None, None], [None, None])
    curves = [LearningCurve(name, [10], [0.5]) for name in ("softmax", "svm")]
    collected = Collected(
        {
            name: MethodResult(
                name,
                False,
                False,
                np.zeros((3, 4), int),
                {"a": log, "b": log},
                margins=np.ones((3, 4), np.float32),
            )
            for name in ("softmax", "svm")
        },
        histories=["first", "second"],
        hardest=[HardCase(7, 0, 1, -1.5)],
        learning_curves=curves,
    )
    settings = SimpleNamespace(methods={"softmax": NEAR, "svm": NEAR}, headline="svm")
    plan = SimpleNamespace(
        development_splits={5: "five", 6: "six", 7: "seven"}, folds={5: [], 6: []}
    )
    # A stand-in for dataclasses.replace, which these simple stand-ins lack.
    monkeypatch.setattr(
        "penultimate.comparison.interrupted.replace",
        lambda one, **new: (
            SimpleNamespace(**{**vars(one), **new})
            if isinstance(one, SimpleNamespace)
            else replace(one, **new)
        ),
    )
    collected.n_finished.update({"softmax": 2, "svm": 1})
    _, smaller, kept, amount = keep_finished(settings, plan, collected)
    assert amount == "1 of 3 seeds"
    assert list(smaller.development_splits) == [5]
    assert kept.histories == ["first"]
    assert kept.hardest == collected.hardest
    assert kept.methods["svm"].fits["b"].head_seconds == [1.0]
    assert kept.methods["svm"].margins.shape == (1, 4)
    collected.n_finished["svm"] = 0
    smaller, _, kept, _ = keep_finished(settings, plan, collected)
    assert list(smaller.methods) == list(kept.methods) == ["softmax"]
    assert kept.hardest == []
    assert kept.learning_curves == curves[:1]
