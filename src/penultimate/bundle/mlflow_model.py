"""A bundle as an MLflow model: a folder that `mlflow.pyfunc.load_model` opens.

MLflow's own classes pickle what they save. It also opens folders that name a module to load them
with, and that is how this one is written: the bundle as it is, a description, and the packages that
it needs. MLflow itself is needed to open the folder, not to write it, and is never imported here.
"""

import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penultimate import __version__
from penultimate._common.files import write_together
from penultimate.bundle.loading import load
from penultimate.bundle.predictions import columns_of
from penultimate.bundle.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd

_BUNDLE, _REQUIREMENTS, _ENVIRONMENT = "model.zip", "requirements.txt", "python_env.yaml"
_IMAGES = "image"  # the column with the contents of image files
_COLUMNS = {
    "score": "double",
    "margin": "double",
    "probability": "double",
    "accepted": "boolean",
    "novel": "boolean",
    "subset": "string",
}
_LABELS = {"str": "string", "int": "long", "float": "double", "bool": "boolean"}


class PyFunc:
    """What MLflow calls: the model of a bundle, with a row for each sample as its answer.

    Parameters
    ----------
    predictor : Predictor
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> "pd.DataFrame":
        """Predict: label, score, margin, probability, and whether the model is sure enough.

        Parameters
        ----------
        model_input : DataFrame or array
            Of a model of images: a frame with the contents of files in the column ``"image"``, or
            an array of images. Of a model of features: a matrix.
        params : dict, optional
            ``subset`` for specialists: the subset that all samples are in.

        Returns
        -------
        DataFrame
        """
        import pandas as pd

        given = model_input
        if self.predictor.manifest.kind == "images" and isinstance(given, pd.DataFrame):
            if list(given.columns) != [_IMAGES]:
                raise ValueError(
                    f"The model takes the contents of image files in a column {_IMAGES!r}; got the "
                    f"columns {list(given.columns)[:5]}."
                )
            given = given[_IMAGES].tolist()
        found = self.predictor.predict_all(given, subset=(params or {}).get("subset"))
        return pd.DataFrame(columns_of(found, self.predictor.classes_))


def _load_pyfunc(path: str) -> PyFunc:
    """Open the bundle of a folder; the name is MLflow's."""
    return PyFunc(load(path))


def write_mlflow(predictor: Predictor, folder: str | os.PathLike[str]) -> None:
    """Write a bundle as an MLflow model, without a pickle.

    Parameters
    ----------
    predictor : Predictor
        From `load`.
    folder : str or path-like
        New, or empty.

    Raises
    ------
    OSError
        If there is something in the folder already, or it cannot be written.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{str(target)!r} exists already. Choose a new folder.")
    contents = {
        _BUNDLE: predictor.content,
        _REQUIREMENTS: f"penultimate[predict]=={__version__}\npandas>=2.2\n".encode(),
        _ENVIRONMENT: _as_yaml(
            {
                "python": platform.python_version(),
                "build_dependencies": ["pip"],
                "dependencies": [f"-r {_REQUIREMENTS}"],
            }
        ),
        "MLmodel": _as_yaml(_described(predictor)),
    }
    is_new = not target.exists()
    target.mkdir(exist_ok=True)
    try:
        with write_together([target / name for name in contents]) as temporaries:
            for temporary, content in zip(temporaries, contents.values(), strict=True):
                temporary.write_bytes(content)
    except BaseException:
        if is_new:
            target.rmdir()
        raise


def _described(predictor: Predictor) -> dict[str, Any]:
    """Return the content of ``MLmodel``; the same bundle gives the same."""
    digest = predictor.sha256
    flavor = {
        "loader_module": __name__,
        "data": _BUNDLE,
        "env": {"virtualenv": _ENVIRONMENT},
        "python_version": platform.python_version(),
    }
    return {
        "flavors": {"python_function": flavor},
        "signature": {name: json.dumps(columns) for name, columns in _signature(predictor).items()},
        "model_uuid": digest[:32],
        "metadata": {
            "bundle_sha256": digest,
            "signed_by": predictor.signed_by,
            "expected": predictor.manifest.expected,
        },
    }


def _signature(predictor: Predictor) -> dict[str, list[dict[str, Any]]]:
    """Return what goes in and what comes out, in MLflow's words."""
    manifest = predictor.manifest
    outputs = {"label": _LABELS[manifest.class_type]}
    for name, kind in _COLUMNS.items():
        given = {"subset": bool(predictor.subsets), "accepted": predictor.gives("accepted")}
        given["novel"] = predictor.gives("novel")
        plural = {"score": "scores", "margin": "margins", "probability": "probabilities"}
        if given[name] if name in given else predictor.gives(plural[name]):
            outputs[name] = kind
    inputs: list[dict[str, Any]]
    if manifest.kind == "images":
        inputs = [_column(_IMAGES, "binary")]
    elif names := manifest.input.get("feature_names"):
        inputs = [_column(name, "double") for name in names]
    else:
        spec = {"dtype": "float32", "shape": [-1, manifest.input["n_features"]]}
        inputs = [{"type": "tensor", "tensor-spec": spec}]
    found = {
        "inputs": inputs,
        "outputs": [_column(name, kind) for name, kind in outputs.items()],
    }
    if predictor.subsets:
        found["params"] = [{"name": "subset", "type": "string", "default": None, "shape": None}]
    return found


def _column(name: str, kind: str) -> dict[str, Any]:
    return {"type": kind, "name": name, "required": True}


def _as_yaml(content: dict[str, Any]) -> bytes:
    """Return JSON, which YAML contains; in ASCII, as its readers differ on other characters."""
    return f"{json.dumps(content, indent=1)}\n".encode()
