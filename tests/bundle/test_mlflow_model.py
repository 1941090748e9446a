"""A bundle as an MLflow model: what the folder holds, and that MLflow opens it without a pickle."""

import io
import json
import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from penultimate import load
from penultimate._common import files
from penultimate.bundle.archive import pack
from penultimate.bundle.mlflow_model import _load_pyfunc, write_mlflow

from .digits import digits_fields, digits_graph
from .handmade import OF_IMAGES, make_parts, of_features, of_images


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of a model of features, one of named features, and one of images."""
    folder = tmp_path_factory.mktemp("mlflow")
    named = {"n_features": 4, "feature_names": ["w", "x", "y", "z"]}
    parts = {
        "features": make_parts(of_features()),
        "named": make_parts(of_features(), input=named),
        "images": make_parts(of_images(), **OF_IMAGES),
        "digits": make_parts(digits_graph(subsets=True), **digits_fields(subsets=True)),
    }
    for name, each in parts.items():
        write_mlflow(load(pack(each)), folder / name)
    return folder


def photo(color, size=(9, 5)):
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_folder_holds_the_bundle_its_description_and_no_pickle(folders):
    names = sorted(path.name for path in (folders / "images").rglob("*"))
    assert names == ["MLmodel", "model.zip", "python_env.yaml", "requirements.txt"]
    described = yaml.safe_load((folders / "images" / "MLmodel").read_bytes())
    flavor = described["flavors"]["python_function"]
    assert flavor["loader_module"] == "penultimate.bundle.mlflow_model"
    assert flavor["data"] == "model.zip"
    assert described["metadata"]["expected"]["accuracy"] == 0.9
    assert "penultimate[predict]==" in (folders / "images" / "requirements.txt").read_text()
    environment = yaml.safe_load((folders / "images" / "python_env.yaml").read_bytes())
    assert environment["dependencies"] == ["-r requirements.txt"]


def test_the_same_bundle_gives_the_same_folder(folders, feature_bundle, tmp_path):
    write_mlflow(load(feature_bundle), tmp_path / "again")
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (folders / "features" / path.name).read_bytes()


def test_rows_are_what_the_model_says_of_its_label(folders):
    model = _load_pyfunc(folders / "features" / "model.zip")
    found = model.predict(np.eye(4)[:3])
    assert found["label"].tolist() == ["a", "b", "c"]
    assert found["score"].tolist() == [1, 1, 1]
    assert found["probability"].between(0.3, 0.6).all()
    images = _load_pyfunc(folders / "images" / "model.zip")
    frame = pd.DataFrame({"image": [photo("red"), photo("blue", (3, 30))]})
    assert images.predict(frame)["label"].tolist() == ["red", "blue"]
    assert images.predict(np.zeros((2, 5, 6, 3), np.uint8))["label"].tolist() == ["red", "red"]
    with pytest.raises(ValueError, match="in a column 'image'; got the columns .'pixels'"):
        images.predict(frame.rename(columns={"image": "pixels"}))


def test_specialists_take_the_subset_as_a_parameter(folders):
    described = yaml.safe_load((folders / "digits" / "MLmodel").read_bytes())
    outputs = {each["name"]: each["type"] for each in json.loads(described["signature"]["outputs"])}
    assert outputs == {
        "label": "long",
        "score": "double",
        "margin": "double",
        "probability": "double",
        "accepted": "boolean",
        "subset": "string",
    }
    assert json.loads(described["signature"]["params"])[0]["name"] == "subset"
    model = _load_pyfunc(folders / "digits" / "model.zip")
    found = model.predict(np.zeros((1, 8, 8), np.uint8), {"subset": "round"})
    # The threshold was not set for named subsets, so nothing is said of `accepted`.
    assert found.columns.tolist() == [name for name in outputs if name != "accepted"]
    assert found["subset"].tolist() == ["round"]


def test_what_is_there_is_not_overwritten_and_nothing_stays_half_written(
    folders, feature_bundle, tmp_path, monkeypatch
):
    with pytest.raises(FileExistsError, match="exists already. Choose a new folder"):
        write_mlflow(load(feature_bundle), folders / "features")

    def full(path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(files, "_sync", full)
    with pytest.raises(OSError, match="Free some space"):
        write_mlflow(load(feature_bundle), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed: make test-mlflow")
def test_mlflow_opens_it_in_a_process_without_what_made_it(folders):
    code = """
        import io, json, os, sys, warnings
        import numpy as np, pandas as pd
        import mlflow.pyfunc
        from PIL import Image

        os.chdir(sys.argv[1])
        known = set(sys.modules)
        opened = {name: mlflow.pyfunc.load_model(name) for name in os.listdir()}
        X = np.eye(4, dtype=np.float32)[:3]
        found = {
            "features": opened["features"].predict(X),
            "frame": opened["features"].predict(pd.DataFrame(X)),
            "named": opened["named"].predict(pd.DataFrame(X, columns=list("wxyz"))),
        }
        file = io.BytesIO()
        Image.new("RGB", (9, 5), "red").save(file, "PNG")
        found["images"] = opened["images"].predict(pd.DataFrame({"image": [file.getvalue()]}))
        frame = pd.DataFrame({"image": [file.getvalue()]})
        chosen = opened["digits"].predict(frame, params={"subset": "round"})
        refused = []
        for name, given in (("features", X[:, :2]), ("named", pd.DataFrame(X))):
            try:
                opened[name].predict(given)
            except mlflow.exceptions.MlflowException as error:
                refused.append(str(error))
        schema = opened["images"].metadata.signature
        print(json.dumps({
            "labels": {name: each["label"].tolist() for name, each in found.items()},
            "subsets": [chosen["subset"][0], opened["digits"].predict(frame)["subset"][0]],
            "columns": found["images"].columns.tolist(),
            "outputs": schema.outputs.input_names(),
            "inputs": schema.inputs.input_types_dict()["image"].name,
            "refused": refused,
            "loaded": sorted({name.partition(".")[0] for name in set(sys.modules) - known}),
        }))
        """
    path = os.pathsep.join(["src", os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), folders],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.path.abspath("src") + os.pathsep + path},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    three = ["a", "b", "c"]
    assert found["labels"] == {"features": three, "frame": three, "named": three, "images": ["red"]}
    assert found["columns"] == found["outputs"] == ["label", "score", "probability"]
    assert found["inputs"] == "binary"
    assert found["subsets"][0] == "round"
    assert len(found["refused"]) == 2
    assert not {"keras", "torch", "tensorflow", "sklearn", "onnx"} & set(found["loaded"])
