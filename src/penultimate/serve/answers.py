"""What a service answers, as models of its document and as JSON."""

import math
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from penultimate.bundle import description
from penultimate.serve.batching import Found
from penultimate.serve.models import Version
from penultimate.serve.neighbors import Neighbor
from penultimate.serve.watching import WatchState

Label = str | int | float | bool
Watched = Annotated[
    WatchState | None, Field(description="Null if the model cannot be watched, or is not.")
]
PerClass = Annotated[
    list[float | None] | None,
    Field(description="In the order of model.classes; null where the model says nothing."),
]


class Near(BaseModel):
    """A training sample that the new one is near to."""

    label: Label
    picture: Annotated[str, Field(description="Its address, from the root of the service.")]
    distance: Annotated[float, Field(description="In the feature space of the head's kernel.")]


class Pictures(BaseModel):
    """Pictures of training samples, which answers can be explained by."""

    n: int
    privacy: str


class Prediction(BaseModel):
    """What the model says of one sample."""

    label: Label
    scores: PerClass
    margin: Annotated[
        float | None, Field(description="How far the label is ahead of its strongest rival.")
    ]
    margins: PerClass
    probabilities: PerClass
    confidence: Annotated[float | None, Field(description="What the model abstains by.")]
    abstained: Annotated[
        bool | None,
        Field(
            description="Whether the model is not sure enough to answer; null if a subset is "
            "named, for which its threshold was not set."
        ),
    ]
    novel: Annotated[
        bool | None,
        Field(description="Whether it is like nothing the model knows; null if it cannot say."),
    ]
    subset: Annotated[str | None, Field(description="Which of several specialists answered.")]
    neighbors: Annotated[
        list[Near] | None,
        Field(
            description="Support vectors of this class that the file has pictures of, the nearest "
            "first; null unless asked for, or if the model has no pictures."
        ),
    ]


class Model(BaseModel):
    """The model that answered."""

    name: str
    version: Annotated[str, Field(description="SHA-256 of its file.")]
    signed_by: Annotated[
        str | None, Field(description="Fingerprint of the key that its signature was verified by.")
    ]
    classes: list[Label]


class Answer(BaseModel):
    """Predictions in the order of what was sent."""

    predictions: list[Prediction]
    model: Model
    notes: Annotated[list[str], Field(description="What was done to images before.")]
    watch: Watched


class About(Model):
    """What a model takes, and what is known of it."""

    kind: Annotated[str, Field(description="images or features")]
    n_features: int
    subsets: dict[str, list[Label]]
    facts: dict[str, str]
    watch: Watched
    pictures: Annotated[
        Pictures | None,
        Field(description="Null if the file has none; see neighbors of /v1/predict."),
    ]


class Names(BaseModel):
    """The models of the service."""

    models: list[str]


class State(BaseModel):
    """Whether the service lives, or is ready."""

    status: str


def answer_of(
    found: Found, version: Version, near: list[list[Neighbor]] | None = None
) -> dict[str, Any]:
    """Return predictions as what `Answer` describes, with samples that are near to each."""
    given = found.predictions
    labels = given.labels.tolist()
    columns: dict[str, list[Any]] = {"label": labels}
    for name in ("scores", "margins", "probabilities", "confidence"):
        values = getattr(given, name)
        columns[name] = [None] * len(labels) if values is None else _finite(values.tolist())
    places = {label: place for place, label in enumerate(version.predictor.classes_.tolist())}
    columns["margin"] = [
        None if margins is None else margins[places[label]]
        for label, margins in zip(labels, columns["margins"], strict=True)
    ]
    # A model that abstains leaves it open only where a subset is named.
    is_open = version.predictor.manifest.abstention is not None
    columns["abstained"] = [None if is_open else False] * len(labels)
    if given.accepted is not None:
        columns["abstained"] = [not accepted for accepted in given.accepted.tolist()]
    columns["novel"] = [None] * len(labels) if given.novel is None else given.novel.tolist()
    columns["subset"] = [None] * len(labels) if given.subsets is None else given.subsets.tolist()
    columns["neighbors"] = [None] * len(labels)
    if near is not None:
        columns["neighbors"] = [[_near(each, version) for each in row] for row in near]
    rows = zip(*columns.values(), strict=True)
    return {
        "predictions": [dict(zip(columns, row, strict=True)) for row in rows],
        "model": model_of(version),
        "notes": found.notes,
        "watch": watch_of(version),
    }


def model_of(version: Version) -> dict[str, Any]:
    """Return which model answered, as `Model` describes it."""
    return {
        "name": version.name,
        "version": version.sha256,
        "signed_by": version.predictor.signed_by,
        "classes": version.predictor.classes_.tolist(),
    }


def about(version: Version) -> dict[str, Any]:
    """Return what is known of a model, as `About` describes it."""
    predictor = version.predictor
    manifest = predictor.manifest
    subsets = manifest.subsets or {}
    return {
        **model_of(version),
        "kind": manifest.kind,
        "n_features": manifest.input["n_features"],
        "subsets": {name: [manifest.classes[k] for k in subsets[name]] for name in subsets},
        "facts": dict(description.rows(manifest, predictor.signature)),
        "watch": watch_of(version),
        "pictures": None
        if version.neighbors is None
        else {"n": version.neighbors.n_pictures, "privacy": version.neighbors.privacy},
    }


def _near(found: Neighbor, version: Version) -> dict[str, Any]:
    query = urlencode({"model": version.name})
    return {
        "label": version.predictor.classes_.tolist()[found.code],
        "picture": f"v1/pictures/{found.code}/{found.place}.png?{query}",
        "distance": found.distance,
    }


def watch_of(version: Version) -> dict[str, Any] | None:
    """Return the state of a model's watch, as `WatchState` describes it."""
    return None if version.watch is None else version.watch.state()


def _finite(values: Any) -> Any:
    """Return numbers as JSON has them: infinity, as a graph may give it, is null."""
    if isinstance(values, list):
        return [_finite(each) for each in values]
    return values if math.isfinite(values) else None
