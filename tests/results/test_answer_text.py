import pytest

from penultimate.results.answer_text import answer, enumerate_names, rank


def results(low=0.44, others=("knn", "rf", "svm"), undecided=(), n_test=92):
    found = {"best": "mlp", "accuracy": 0.587, "ci95": [low, 0.73]}
    found |= {"guessing": 0.174, "guess": "glass", "compared_with": list(others)}
    return {
        "dataset": {"n_test": n_test},
        "answer": found | {"not_shown_better_than": list(undecided)},
    }


@pytest.mark.parametrize(
    ("others", "undecided", "words"),
    [
        ((), (), ""),
        (("knn",), (), "is shown to be better than the other method"),
        (("knn",), ("knn",), "not shown to be better than the other method"),
        (("knn", "rf", "svm"), (), "is shown to be better than all 3 others"),
        (("knn", "rf"), ("knn", "rf"), "not shown to be better than any of the 2 others"),
        (
            ("knn", "rf", "svm"),
            ("rf", "svm"),
            "than 1 of the 3 others; its lead over rf and svm may be chance",
        ),
    ],
)
def test_rank(others, undecided, words):
    made = results(others=others, undecided=undecided)
    assert rank(made).endswith(words)
    assert answer(made).endswith(f"mlp {rank(made)}." if words else "right on 17 %.")


def test_the_mean_over_several_splits_is_stated():
    def row(n_splits, ci95):
        name, accuracies = {"name": "mlp", "subset": None}, [0.6] * n_splits
        return {**name, "accuracy": 0.61, "ci95": ci95, "accuracies": accuracies}

    random = {"by_group": False, "methods": [row(5, [0.55, 0.67])]}
    made = {**results(), "splits": [random], "protocol": {"groups": False}}
    words = "That is one split; over 5 random splits it is right on 61 % on average (95 % interval"
    assert f"{words}: 55 to 67 %)." in answer(made)
    # Those by group answer another question, and a single split is no mean.
    assert "on average" not in answer({**made, "protocol": {"groups": True}})
    made["splits"] = [{"by_group": False, "methods": [row(1, None)]}]
    assert answer(made) == answer(results())


def test_an_interval_that_holds_guessing_says_so():
    words = "this method is not shown to be better than guessing"
    assert words in answer(results(low=0.1))
    assert words not in answer(results())


def test_one_test_image():
    assert "on 59 % of the only test image (" in answer(results(n_test=1))


def test_of_many_names_the_first():
    assert enumerate_names(list("abcd")) == "a, b, c and d"
    assert enumerate_names(list("abcde")) == "a, b, c and 2 more"


@pytest.mark.parametrize(
    ("others", "undecided", "tied", "words"),
    [
        (("knn",), ("knn",), ("knn",), "mlp has the same accuracy as knn."),
        (
            ("knn", "rf"),
            ("knn", "rf"),
            ("rf",),
            "mlp has the same accuracy as rf, and is not shown to be better than any of the 2 "
            "others.",
        ),
        (
            ("knn", "rf"),
            ("rf",),
            ("rf",),
            "has the same accuracy as rf; it is shown to be better than 1 of the 2 others.",
        ),
    ],
)
def test_a_tie_is_no_win(others, undecided, tied, words):
    made = results(others=others, undecided=undecided)
    made["answer"]["tied_with"] = list(tied)
    assert answer(made).endswith(words)
    assert "highest" not in answer(made)
