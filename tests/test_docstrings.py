"""Every public name has a numpydoc docstring with its parameters, returns and an example."""

import dataclasses
import inspect
from importlib import import_module

import pytest
from numpydoc.validate import validate

PUBLIC = [
    "penultimate",
    "penultimate.datasets",
    "penultimate.networks",
    "penultimate.svm",
    "penultimate.splits",
    "penultimate.provenance",
    "penultimate.store",
    "penultimate.evaluation",
    "penultimate.bundle",
    "penultimate.classifiers",
    "penultimate.displays",
    "penultimate.report",
]
# PR: parameters, RT: returns, GL08: no docstring, SS: summary.
WANTED = {"PR01", "PR02", "PR03", "PR04", "RT01", "GL08", "SS01", "SS03"}


def public_objects():
    seen = {}
    for module_name in PUBLIC:
        module = import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                seen.setdefault(f"{value.__module__}.{value.__qualname__}", value)
    return seen


def is_record(value):
    """A result that users read, and do not make: its attributes are documented instead."""
    return dataclasses.is_dataclass(value) and "Attributes\n" in value.__doc__


def methods_of(qualified, value):
    for name, member in vars(value).items():
        is_method = inspect.isfunction(member) or isinstance(member, classmethod)
        if is_method and not name.startswith("_"):
            yield f"{qualified}.{name}"


@pytest.mark.parametrize(("qualified", "value"), public_objects().items())
def test_docstring(qualified, value):
    names = [qualified]
    if inspect.isclass(value):
        names += methods_of(qualified, value)
    problems = [
        f"{name}: {code} {message}"
        for name in names
        for code, message in validate(name)["errors"]
        if code in WANTED and not (code == "PR01" and name == qualified and is_record(value))
    ]
    assert not problems, "\n".join(problems)
    if is_record(value):
        for field in dataclasses.fields(value):
            assert field.name in value.__doc__, f"{qualified}: {field.name} is not described"


@pytest.mark.parametrize(("qualified", "value"), public_objects().items())
def test_example(qualified, value):
    takes_a_comparison = qualified.startswith("penultimate.report.") and "verdict" not in qualified
    if inspect.isclass(value) and issubclass(value, Exception):
        return
    if is_record(value) or (takes_a_comparison and inspect.isfunction(value)):
        return
    assert ">>>" in (value.__doc__ or ""), f"{qualified} has no example"


@pytest.mark.parametrize("part", import_module("penultimate").Comparison.__mro__[1:-1])
def test_what_a_comparison_inherits(part):
    """It is put together from classes that are not public, and whose methods are."""
    names = list(methods_of(f"{part.__module__}.{part.__qualname__}", part))
    problems = [
        f"{name}: {code} {message}"
        for name in names
        for code, message in validate(name)["errors"]
        if code in WANTED
    ]
    assert not problems, "\n".join(problems)
    for name, member in vars(part).items():
        if name.startswith("plot_") or name in ("errors", "per_class"):
            assert ">>>" in member.__doc__, f"{name} has no example"
