"""Whether what a model of the service is shown is still like what it was calibrated on.

Each version of a model is watched by itself, from its first image on. Of the images that speak most
against the others, small copies are held in memory, to be looked at after an alarm: at most eight,
which give way to later ones. They are written nowhere.
"""

import base64
import io
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from PIL import Image, ImageOps
from pydantic import BaseModel, Field

from penultimate.bundle.predictions import Predictions
from penultimate.bundle.predictor import Predictor
from penultimate.bundle.watcher import Noted, Watcher

_SIDE = 96  # pixels of the longer side of a copy


class WatchState(BaseModel):
    """Whether what comes in is still like what the model was calibrated on."""

    withdrawn: Annotated[
        bool,
        Field(description="Whether it is not: what the model promises is then withdrawn."),
    ]
    martingale: Annotated[
        float, Field(description="Evidence that it is not: from alarm_at on, there is an alarm.")
    ]
    alarm_at: float
    n_seen: Annotated[int, Field(description="Samples that were looked at.")]
    since: Annotated[str, Field(description="When this began.")]
    withdrawn_since: Annotated[str | None, Field(description="When the alarm was raised.")]


class TellingImage(BaseModel):
    """An image that speaks against what comes in being like it was."""

    number: Annotated[int, Field(description="Which one it was, counted from 1.")]
    factor: Annotated[float, Field(description="By how much it multiplied the evidence.")]
    image: Annotated[str | None, Field(description="A small copy, as the address of a PNG.")]


class WatchReport(BaseModel):
    """The state of a model's watch, and the images that speak most against it."""

    watch: WatchState | None
    images: list[TellingImage]


class Watch:
    """Watches one version of a model.

    Parameters
    ----------
    predictor : Predictor

    Raises
    ------
    ValueError
        If its file has no samples to compare with.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._watcher = Watcher(predictor)
        self._since = _now()
        self._withdrawn_since: str | None = None

    def reset(self) -> None:
        """Begin anew."""
        self._watcher.reset()
        self._since, self._withdrawn_since = _now(), None

    def note(self, found: Predictions) -> Noted:
        """Take notice of samples in their order."""
        noted = self._watcher.note(found)
        if self._watcher.is_withdrawn and self._withdrawn_since is None:
            self._withdrawn_since = _now()
        return noted

    def show(self, number: int, content: bytes) -> None:
        """Keep a small copy of a telling image; without one, its number has to do."""
        with suppress(Exception):  # Pillow's plugins raise arbitrary errors
            self._watcher.show(number, _small(content))

    def state(self) -> dict[str, Any]:
        """Return what `WatchState` describes."""
        watcher = self._watcher
        return {
            "withdrawn": watcher.is_withdrawn,
            "martingale": watcher.martingale,
            "alarm_at": 1 / watcher.alarm_level,
            "n_seen": watcher.n_seen,
            "since": self._since,
            "withdrawn_since": self._withdrawn_since,
        }

    def report(self) -> dict[str, Any]:
        """Return what `WatchReport` describes."""
        images = [
            {"number": each.number, "factor": each.factor, "image": each.shown}
            for each in self._watcher.telling
        ]
        return {"watch": self.state(), "images": images}


def _small(content: bytes) -> str:
    with Image.open(io.BytesIO(content)) as image:
        image.draft("RGB", (2 * _SIDE, 2 * _SIDE))
        image.thumbnail((_SIDE, _SIDE))
        upright = ImageOps.exif_transpose(image)
        kept = upright if upright.mode in ("L", "RGB", "RGBA") else upright.convert("RGB")
        buffer = io.BytesIO()
        kept.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
