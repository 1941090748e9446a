from dataclasses import replace

import yaml

from penultimate.bundle import Manifest
from penultimate.bundle.card import model_card

OF_PHOTOS = Manifest(
    kind="images",
    classes=["daisy", "rose"],
    class_type="str",
    input={"channels": 3, "size": [224, 224], "n_features": 320, "white": None},
    head={"kind": "SVM, RBF", "params": {}, "normalization": "l2"},
    network={"name": "lite", "layer": "stage_7", "license": "Apache-2.0 (by its LICENSE file)"},
    expected={"accuracy": 0.9, "low": 0.85, "high": 0.94, "what": "test set", "n": 100},
)


def header_of(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_the_header_is_what_the_hub_reads():
    header = header_of(model_card(OF_PHOTOS))
    assert header["license"] == "apache-2.0"
    assert header["pipeline_tag"] == "image-classification"


def test_it_says_what_the_model_is_and_what_to_expect():
    card = model_card(OF_PHOTOS)
    assert "# Classifier of 2 classes: SVM, RBF" in card
    assert "90.0 % of new samples right (95 % interval: 85.0 to 94.0 %; test set, 100" in card
    assert "daisy, rose" in card


def test_what_was_not_measured_is_said_to_be_so():
    features = replace(
        OF_PHOTOS, kind="features", input={"n_features": 4}, network=None, expected=None
    )
    card = model_card(features)
    assert "not measured" in card
    assert "license" not in header_of(card)
    score = {"accuracy": 0.97, "low": None, "high": None, "what": "selection score", "n": 50}
    assert "97.0 % (selection score)" in model_card(replace(features, expected=score))


def test_the_hub_reads_its_header(tmp_path):
    """What asks the Hub itself needs a network; this is the parser that it is given to."""
    # Here, as it takes a second that every worker would spend on collecting this file.
    from huggingface_hub import ModelCard, ModelCardData, metadata_load

    (tmp_path / "README.md").write_text(model_card(OF_PHOTOS), encoding="utf-8")
    card = ModelCard.load(tmp_path / "README.md")
    known = {"license": "apache-2.0", "library_name": "penultimate", "tags": ["svm", "onnx"]}
    expected = ModelCardData(**known, pipeline_tag="image-classification")
    assert card.data.to_dict() == expected.to_dict()
    assert metadata_load(tmp_path / "README.md") == expected.to_dict()
    assert card.text.lstrip().startswith("# Classifier of 2 classes: SVM, RBF")
