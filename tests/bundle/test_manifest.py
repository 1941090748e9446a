import copy
import json
import random

import jsonschema
import numpy as np
import pytest

from penultimate.bundle import BundleError, Manifest
from penultimate.bundle.manifest import schema
from penultimate.bundle.schema import find_fault
from penultimate.bundle.strict_json import MAX_BYTES, parse_json

FULL = {
    "format": "penultimate-bundle",
    "version": 1,
    "kind": "images",
    "created_with": {"penultimate": "0.1.0", "onnx": "1.23.2"},
    "classes": ["a", "b", "c"],
    "class_type": "str",
    "subsets": {"first": [0, 1], "last": [2]},
    "router": "network",
    "input": {"channels": 3, "size": [8, 9], "n_features": 2, "feature_names": None, "white": 255},
    "preprocessing": {
        "size": [8, 9],
        "crop": None,
        "scale": 0.5,
        "mean": [0.5, 0.25, 0.125],
        "std": 1.0,
        "channels": "rgb",
        "interpolation": "bilinear",
        "channels_first": None,
    },
    "network": {"name": "compact", "layer": ["features"], "fingerprint": "ab", "license": None},
    "head": {"kind": "RBF SVM", "params": {"C": 1.0}, "normalization": "standard"},
    "calibration": {"method": "temperature"},
    "abstention": {
        "threshold": 0.5,
        "risk": 0.05,
        "level": 0.95,
        "coverage": 0.9,
        "bound": 0.049,
        "n_heldout": 100,
        "statement": "At most 5 % of the accepted are wrong.",
    },
    "provenance": {"n_samples": 9, "algorithm": "xxh3", "digest": "0" * 32},
    "protocol": {"selection": "heldout"},
    "expected": {"accuracy": 0.9, "low": 0.8, "high": 0.95, "what": "test set", "n": 50},
    "parity": {"labels": 100},
    "watch": {"scores": ["doubt", "level"], "n_samples": 3, "statement": "It can be watched."},
    "teach": {
        "privacy": "Who has the file can read them.",
        "abstention": None,
        "heads": [
            {
                "subset": None,
                "step": "features.head",
                "input": "embedding_0",
                "normalization": "l2",
                "n_samples": 9,
                "n_held_out": 0,
                "n_calibration": 0,
                "n_features": 2,
            }
        ],
    },
    "lineage": {"number": 2, "parent": "0" * 64, "n_taught": 1, "statement": "Taught."},
    "parts": {
        "model.onnx": {
            "sha256": "0" * 64,
            "bytes": 5,
            "tensors": {"W": {"dtype": "float32", "shape": [2, 3]}},
        }
    },
}


def without(document, *keys):
    return {key: value for key, value in document.items() if key not in keys}


def with_(path, value):
    """The full manifest with another value at a path such as "input.channels"."""
    document = copy.deepcopy(FULL)
    *parents, last = path.split(".")
    place = document
    for key in parents:
        place = place[key]
    place[last] = value
    return document


def read(document):
    return Manifest.from_json(json.dumps(document))


def test_it_reads_what_it_writes():
    manifest = read(FULL)
    assert json.loads(manifest.to_json()) == FULL
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert manifest.to_json() == Manifest.from_json(manifest.to_json()).to_json()


@pytest.mark.parametrize(
    ("classes", "kind", "dtype"),
    [
        (["a", "bc"], "str", "<U2"),
        ([-1, 2**62], "int", "int64"),
        ([0.5, 1.5], "float", "float64"),
        ([False, True], "bool", "bool"),
    ],
)
def test_labels_have_the_type_that_they_had(classes, kind, dtype):
    document = without(FULL, "subsets", "router") | {"classes": classes, "class_type": kind}
    labels = Manifest.from_json(read(document).to_json()).labels()
    assert labels.dtype == dtype
    assert labels.tolist() == classes


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "no bundle of Penultimate"),
        ({"format": "mlflow"}, "no bundle of Penultimate"),
        (FULL | {"version": 2}, "version 2, and this Penultimate reads version 1. Update it"),
        (FULL | {"version": True}, "version must be 1; got True"),
        (FULL | {"version": "1"}, "version must be 1; got '1'"),
        (FULL | {"extra": 1}, "'extra', which is not known"),
        (without(FULL, "classes"), "manifest.json has no 'classes'"),
        (with_("kind", "text"), "kind must be 'images' or 'features'; got 'text'"),
        (with_("classes", ["a"]), "classes must have at least 2 items"),
        (with_("classes", "abc"), "classes must be of type array; got 'abc'"),
        (with_("classes", ["a", "b", None]), r"classes\[2\] must be of type string or number"),
        (with_("classes", ["a", "b", "a"]), "classes has 'a' twice"),
        (with_("classes", ["a", "b", 1]), "classes has 1, and class_type is 'str'"),
        (FULL | {"classes": [1, 2, True], "class_type": "int"}, "has True"),
        (FULL | {"classes": [1, 2, 2**63], "class_type": "int"}, "more than 64 bits"),
        (with_("input.channels", 2), "input.channels must be 1 or 3 or None; got 2"),
        (with_("input.channels", True), "input.channels must be 1 or 3 or None; got True"),
        (with_("input.channels", None), "input.channels is None for kind 'images'"),
        (with_("kind", "features"), "input.channels is 3 for kind 'features'"),
        (with_("input.size", [8]), "input.size must have at least 2 items"),
        (with_("input.size", [8, 10**9]), r"input.size\[1\] must be at most 4096"),
        (with_("input.n_features", 2.0), "n_features must be of type integer; got 2.0"),
        (with_("input.feature_names", ["a"]), "has 1 feature_names"),
        (with_("subsets", {"first": [0, 1]}), "each class in one subset"),
        (with_("subsets", {"first": [0, 1], "b": [2, 3]}), "each class in one subset"),
        (with_("subsets", {"first": [0, 1], "b": [1, 2]}), "each class in one subset"),
        (with_("expected.accuracy", 0.97), "outside of its own interval"),
        (with_("expected.accuracy", 1.5), "expected.accuracy must be at most 1"),
        (with_("provenance.digest", "x"), "provenance.digest must match"),
        (with_("parts", {"model.onnx": {}}), "parts.model.onnx has no 'sha256'"),
    ],
)
def test_what_is_wrong_is_named(document, message):
    with pytest.raises(BundleError, match=message):
        read(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not valid"),
        (b"{", "not valid"),
        (b"\xff", "not valid: 'utf-8'"),
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b'{"a": {"b": 1, "c": 1, "b": 1}}', "the key 'b' is there twice"),
        (b'{"a": NaN}', "the number NaN is not finite"),
        (b'{"a": -Infinity}', "the number -Infinity is not finite"),
        (b'{"a": 1e999}', "the number 1e999 is not finite"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid"),
        (b'"\\ud800"', "control character"),
        (b'"\\u001b[2J"', "control character"),
        (b"[" * 30 + b"]" * 30, "more than 24 levels"),
        (b"[" * 500_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b" " * (MAX_BYTES + 1), "at most 1,048,576 are read"),
    ],
)
def test_json_of_two_readings_or_of_any_size(text, message):
    with pytest.raises(BundleError, match=message):
        parse_json(text, "manifest.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, "\ud800"])
def test_what_cannot_be_read_is_not_written(value):
    manifest = read(FULL)
    bad = Manifest(**{**vars(manifest), "protocol": {"value": value}})
    with pytest.raises(BundleError, match=r"cannot be written|not valid"):
        bad.to_json()


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_standard_validator_agrees():
    """Both refuse the same manifests among those with one or two values changed."""
    validator = jsonschema.Draft202012Validator(schema())
    rng = random.Random(0)
    values = [None, True, 0, 1, 3, -1, 2**40, 0.5, 1.5, "", "a", "rgb", [], [1], {}, {"a": 1}]
    n_refused = 0
    for _ in range(400):
        document = copy.deepcopy(FULL)
        for _ in range(rng.choice([1, 1, 2])):
            place = document
            while True:
                keys = list(place) if isinstance(place, dict) else range(len(place))
                if not keys:
                    break
                key = rng.choice(list(keys))
                if isinstance(place[key], (dict, list)) and rng.random() < 0.7:
                    place = place[key]
                    continue
                if rng.random() < 0.2:
                    del place[key]
                elif isinstance(place, dict) and rng.random() < 0.1:
                    place["more"] = rng.choice(values)
                else:
                    place[key] = rng.choice(values)
                break
        fault = find_fault(document, schema(), "manifest.json")
        assert (fault is None) == validator.is_valid(document), (fault, document)
        n_refused += fault is not None
    assert 100 < n_refused < 390


def test_labels_of_a_manifest_can_be_indexed():
    assert read(FULL).labels()[np.array([2, 0])].tolist() == ["c", "a"]
