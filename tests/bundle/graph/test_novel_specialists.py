"""Specialists that also say that a sample is of none of their subsets."""

import numpy as np
import pytest

import penultimate
from penultimate import SVC, AbstainingClassifier, Specialists, Teacher, Training
from penultimate.networks.exporting import ExportError
from tests.teaching.specialists import (
    FIT,
    IMAGES,
    KNOWN,
    LABELS,
    SUBSETS,
    TEST,
    pixels_network,
)
from tests.teaching.test_routed import tiny

STRANGERS = IMAGES[np.isin(LABELS, [4, 5, 7])]


def fit(network, **params):
    model = Specialists(
        network, subsets=SUBSETS, head=SVC(C=3), random_state=0, calibration="temperature", **params
    )
    model = AbstainingClassifier(model, novelty=0.1, random_state=0)
    return model.fit(IMAGES[FIT], LABELS[FIT])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("novel")
    model = fit(pixels_network(folder))
    parts = {"teach": model.fitted_, "calibration": model.heldout_}
    kept = {name: (IMAGES[FIT[rows]], LABELS[FIT[rows]]) for name, rows in parts.items()}
    held_out = IMAGES[TEST], LABELS[TEST]
    penultimate.save(model, folder / "model.zip", IMAGES[TEST], held_out=held_out, **kept)
    return model, (folder / "model.zip").read_bytes()


@pytest.mark.slow
def test_none_of_the_subsets_is_told_apart(saved):
    model, content = saved
    novel = model.is_novel(IMAGES[TEST])
    strange = model.is_novel(STRANGERS)
    assert novel.mean() < 0.3 < strange.mean()
    predictor = penultimate.load(content)
    np.testing.assert_array_equal(predictor.is_novel(IMAGES[TEST]), novel)
    np.testing.assert_array_equal(predictor.is_novel(STRANGERS), strange)
    accepted = predictor.accepts(STRANGERS)
    np.testing.assert_array_equal(accepted, model.accepts(STRANGERS))
    assert not accepted[strange].any()


def test_taught_specialists_judge_as_before(saved, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(saved[1])
    before = penultimate.load(path).is_novel(IMAGES[TEST])
    new = np.flatnonzero(KNOWN)[800:803]  # in neither part
    with Teacher(path) as teacher:
        teacher.teach(IMAGES[new], LABELS[new])
        teacher.promote()
    after = penultimate.load(path)
    assert after.gives("novel")
    np.testing.assert_array_equal(after.is_novel(IMAGES[TEST]), before)


def test_with_a_network_that_routes_it_is_refused_by_name(solved_networks, tmp_path):
    model = fit(tiny, training=Training(epochs=1))
    assert model.estimator_.router_ == "network"
    assert model.is_novel(IMAGES[TEST]).mean() < 0.4  # in Python it works
    with pytest.raises(ExportError, match="only with a single layer, and router='head'"):
        penultimate.save(model, tmp_path / "model.zip", IMAGES[TEST])
    assert not (tmp_path / "model.zip").exists()
