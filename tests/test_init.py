import inspect
import runpy
import subprocess
import sys

import pytest

import penultimate
from penultimate.svm._base_search import Search

HEAVY = ("keras", "torch", "tensorflow", "jax", "sklearn", "matplotlib", "scipy")


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_import_loads_nothing_heavy():
    loaded = run("import sys, penultimate; print(*(n.partition('.')[0] for n in sys.modules))")
    assert not set(HEAVY) & set(loaded.split())


@pytest.mark.serial
def test_import_takes_under_a_fifth_of_a_second():
    code = (
        "import time; t = time.perf_counter(); import penultimate; print(time.perf_counter() - t)"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.2


def test_public_names_resolve_and_are_listed():
    for name in penultimate.__all__:
        assert getattr(penultimate, name) is not None
    assert dir(penultimate) == sorted(penultimate.__all__)


def test_names_at_the_top_are_those_of_their_packages():
    from penultimate import datasets, splits

    assert penultimate.load_data is datasets.load
    assert penultimate.Dataset is datasets.Dataset
    assert (penultimate.Holdout, penultimate.split_test) == (splits.Holdout, splits.split_test)


def test_rooms_are_there_without_an_import_of_their_own():
    code = "import penultimate as p; print(p.provenance.record, p.datasets.load is p.load_data)"
    found = run(code)
    assert "function record" in found
    assert found.rstrip().endswith("True")
    with pytest.raises(AttributeError, match="no attribute '_common2'"):
        penultimate._common2  # noqa: B018


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'SVM'"):
        penultimate.SVM  # noqa: B018


def test_a_classifier_is_found_where_it_was():
    from penultimate import AbstainingClassifier, evaluation

    assert evaluation.AbstainingClassifier is AbstainingClassifier
    assert not hasattr(evaluation, "DeepSVC")


@pytest.mark.parametrize("name", ["penultimate", "penultimate.cli"])
def test_python_m(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(name, run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"penultimate {penultimate.__version__}\n"


def test_parameters_of_estimators_go_by_keyword_after_the_first():
    public = [getattr(penultimate, name) for name in penultimate.__all__]
    estimators = [each for each in public if hasattr(each, "get_params")]
    assert len(estimators) > 8
    for each in estimators:
        parameters = list(inspect.signature(each).parameters.values())
        # Searches take what is searched after the estimator, as scikit-learn's do.
        first = 2 if issubclass(each, Search) else 1
        assert {p.kind for p in parameters[first:]} <= {inspect.Parameter.KEYWORD_ONLY}, each
        assert "seed" not in {p.name for p in parameters}, each
