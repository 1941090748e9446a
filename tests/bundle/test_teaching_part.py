"""The part for teaching: written with a model, read back, and refused where it is damaged."""

import json
import random

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from sklearn.datasets import load_iris

import penultimate
from penultimate.bundle import BundleError, Manifest, describe_part
from penultimate.bundle.archive import MANIFEST, pack, unpack
from penultimate.bundle.teaching_part import TEACH, check_teaching
from penultimate.bundle.tensors import check_safetensors
from penultimate.teaching.version import Version

X, Y = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    path = tmp_path_factory.mktemp("taught") / "iris.zip"
    svc = penultimate.SVC(C=10).fit(X[::2], Y[::2])
    penultimate.save(svc, path, X, teach=(X[::2], Y[::2]), held_out=(X[1::2], Y[1::2]))
    return {name: bytes(each) for name, each in unpack(path.read_bytes()).items()}


def with_tensors(parts, change):
    """Return a bundle with other tensors for teaching, whose hash is right."""
    tensors = {name: each.copy() for name, each in load_tensors(parts[TEACH]).items()}
    change(tensors)
    content = save_tensors(tensors)
    document = json.loads(parts[MANIFEST])
    document["parts"][TEACH] |= describe_part(TEACH, content)
    return pack({**parts, TEACH: content, MANIFEST: json.dumps(document).encode()})


def test_what_was_written_is_read(parts):
    head = Version.of(pack(parts), None, 1).heads.each[0]
    assert np.array_equal(head.now.X, X[::2])
    assert np.array_equal(head.now.codes, Y[::2])
    assert np.array_equal(head.held_out.X, X[1::2])
    assert head.held_out.routed.all()
    assert not len(head.calibration.X)
    assert head.now.residuals.shape == (2, 75)


def test_each_flipped_byte_is_refused_by_name(parts):
    rng = random.Random(0)
    for _ in range(100):
        place = rng.randrange(len(parts[TEACH]))
        content = bytearray(parts[TEACH])
        content[place] ^= rng.randrange(1, 256)
        with pytest.raises(BundleError, match=f"{TEACH!r} in the bundle is not what its manifest"):
            penultimate.load(pack({**parts, TEACH: bytes(content)}))


def _set(name, place, value):
    def change(tensors):
        tensors[name].reshape(-1)[place] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("0.labels", 0, 3), "labels .* are not those of the classes"),
        (_set("0.held_out_labels", 0, -1), "labels .* are not those of the classes"),
        (_set("0.labels", slice(None), 0), "labels .* are not those of the classes"),
        (_set("0.features", 0, np.nan), "features .* hold NaN"),
        (_set("0.residuals", 0, np.inf), "residuals .* hold NaN or infinity"),
        (_set("0.mean", 0, np.nan), "mean .* hold NaN"),
        (_set("0.gamma", 0, -1.0), "'gamma' parameter"),
        (_set("0.labels", slice(None), Y[::2][::-1]), "of other classes than stated"),
    ],
)
def test_values_that_do_not_belong_to_the_head_are_refused_by_name(parts, change, message):
    content = with_tensors(parts, change)
    penultimate.load(content)  # it predicts by other parts
    with pytest.raises(BundleError, match=f"{TEACH!r} in the bundle does not belong .*{message}"):
        Version.of(content, None, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("0.mean"),
        lambda tensors: tensors.update({"1.mean": np.zeros(4)}),
        lambda tensors: tensors.update({"0.labels": np.zeros(74, np.int64)}),
        lambda tensors: tensors.update({"0.residuals": np.zeros((3, 75))}),
        lambda tensors: tensors.update({"0.labels": np.zeros(75)}),
        lambda tensors: tensors.update({"0.features": np.zeros((75, 4), np.int64)}),
    ],
)
def test_tensors_of_other_names_sizes_and_types_are_refused(parts, change):
    with pytest.raises(BundleError, match="teach/samples.safetensors"):
        penultimate.load(with_tensors(parts, change))


@pytest.mark.parametrize("size", [0, 76, 2**31, 2**62])
@pytest.mark.parametrize("name", ["n_samples", "n_held_out", "n_calibration", "n_features"])
def test_sizes_that_a_manifest_makes_up_are_refused_and_not_allocated(parts, name, size):
    document = json.loads(parts[MANIFEST])
    if document["teach"]["heads"][0][name] == size:
        pytest.skip("this is what it is")
    document["teach"]["heads"][0][name] = size
    with pytest.raises(BundleError, match=f"teach.samples|{name}"):
        penultimate.load(pack({**parts, MANIFEST: json.dumps(document).encode()}))


def test_heads_are_those_of_the_subsets(parts):
    manifest = Manifest.from_json(parts[MANIFEST])
    tensors = check_safetensors(memoryview(parts[TEACH]), TEACH)
    check_teaching(manifest, tensors)
    manifest.teach["heads"][0]["subset"] = "low"
    with pytest.raises(BundleError, match="not of the subsets in its manifest"):
        check_teaching(manifest, tensors)


def test_one_without_the_other_is_refused(parts):
    manifest = Manifest.from_json(parts[MANIFEST])
    with pytest.raises(BundleError, match="no tensors for teaching"):
        check_teaching(manifest, None)
