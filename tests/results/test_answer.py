import dataclasses

import numpy as np
import pytest

from penultimate.results.answer import find_answer


def with_answers(comparison, **correct):
    """The comparison with other answers: for each method, which test samples it gets right."""
    true = comparison.dataset.labels[comparison.test]
    methods = [
        dataclasses.replace(
            comparison.methods[0],
            name=name,
            predictions=np.where(right, true, 1 - true)[None].repeat(2, axis=0),
        )
        for name, right in correct.items()
    ]
    return dataclasses.replace(comparison, methods=methods)


def test_best_method(comparison):
    n = len(comparison.test)
    answer = find_answer(
        with_answers(comparison, a=np.arange(n) < 4, b=np.arange(n) < n, c=np.arange(n) < n - 1)
    )
    assert answer.best == "b"
    assert answer.accuracy.value == 1
    assert answer.others == ("a", "c")
    # One more right answer of twelve shows nothing; eight more do.
    assert answer.undecided == ("c",)


def test_next_to_a_network_that_did_not_train_nothing_is_shown(comparison):
    n = len(comparison.test)
    found = with_answers(comparison, a=np.arange(n) < 1, b=np.arange(n) < n)
    assert find_answer(found).undecided == ()
    check = {"id": "network-undertrained", "level": "error", "message": "Seed 0: it did not."}
    answer = find_answer(dataclasses.replace(found, checks=[check]))
    assert (answer.best, answer.undecided) == ("b", ("a",))


def test_of_equals_the_one_of_the_verdict(comparison):
    right = np.arange(len(comparison.test)) < 9
    alike = with_answers(comparison, a=right, b=right, c=~right)
    assert (find_answer(alike).best, find_answer(alike).tied) == ("a", ("b",))
    alike.protocol = {**comparison.protocol, "headline": "b"}
    assert find_answer(alike).best == "b"


def test_guessing_is_the_most_frequent_class_of_development(comparison):
    answer = find_answer(comparison)
    data = comparison.dataset
    development = np.delete(data.labels, comparison.test)
    guess = np.bincount(development).argmax()
    assert answer.guess == data.classes[guess]
    assert answer.guessing == (data.labels[comparison.test] == guess).mean()
    assert answer.to_dict()["guessing"] == answer.guessing


def test_one_method(comparison):
    answer = find_answer(dataclasses.replace(comparison, methods=comparison.methods[:1]))
    assert (answer.others, answer.undecided) == ((), ())
    assert answer.accuracy == comparison.accuracy(answer.best)


def test_methods_that_are_given_more_do_not_compete(comparison):
    n = len(comparison.test)
    made = with_answers(comparison, a=np.arange(n) < 5, told=np.arange(n) < n)
    made.methods[1] = dataclasses.replace(made.methods[1], knows_subset=True)
    assert find_answer(made).best == "a"
    both = [dataclasses.replace(method, knows_subset=True) for method in made.methods]
    assert find_answer(dataclasses.replace(made, methods=both)).best == "told"


@pytest.mark.parametrize("right", [0, 12])
def test_all_wrong_or_all_right(comparison, right):
    answer = find_answer(with_answers(comparison, a=np.arange(12) < right))
    assert answer.accuracy.value == right / 12
    assert answer.beats_guessing == (right == 12)
