"""What a request asks, read from its body: within limits of size and time, before it is predicted.

Sizes of images are read from the headers of their files; nothing is decoded here. The numbers of a
document are counted by its commas before it is parsed, as a number in Python takes far more memory
than its digit and its comma.
"""

import asyncio
import base64
import binascii
import io
import json
from collections import Counter
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import Request
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from penultimate.bundle.samples import as_features
from penultimate.serve.batching import Asked
from penultimate.serve.limits import Limits
from penultimate.serve.models import Version
from penultimate.serve.problems import RefusedError, busy, in_document

JSON = "application/json"
_T = TypeVar("_T", bound=BaseModel)
# The media types of raw images, whose format is found by their first bytes.
IMAGE_TYPES = ("image/bmp", "image/gif", "image/jpeg", "image/png", "image/tiff", "image/webp")
_FORMATS = tuple(each.partition("/")[2].upper() for each in IMAGE_TYPES)
_LINGER = 1.0  # seconds that a client that is refused may go on sending, so that it reads why
_FEW = 64  # commas of a document beside those between values

Strict = ConfigDict(strict=True, extra="forbid")
Subset = Annotated[
    str | None, Field(description="For specialists: the subset that all samples are in.")
]


class ImagesBody(BaseModel):
    """Images as files in base64: PNG, JPEG, WebP, GIF, BMP or TIFF."""

    model_config = Strict
    images: Annotated[list[str], Field(min_length=1, description="Files in base64.")]
    subset: Subset = None


class FeaturesBody(BaseModel):
    """Rows of features, as the network of the model computes them."""

    model_config = Strict
    features: Annotated[
        list[list[Annotated[float, Field(allow_inf_nan=False)]]], Field(min_length=1)
    ]
    subset: Subset = None


_EITHER: TypeAdapter[ImagesBody | FeaturesBody] = TypeAdapter(ImagesBody | FeaturesBody)


class Memory:
    """Bytes of bodies that are held, of all requests together."""

    def __init__(self, most: int) -> None:
        self._most, self.held = most, 0

    def take(self, n_bytes: int) -> None:
        """Count bytes, or refuse the request that would be too much."""
        if self.held + n_bytes > self._most:
            raise busy(f"Requests of {self._most:,} bytes are being answered, as many as fit.")
        self.held += n_bytes

    def give_back(self, n_bytes: int) -> None:
        """Count bytes that are held no longer."""
        self.held -= n_bytes


async def read_body(request: Request, limits: Limits, memory: Memory) -> bytes:
    """Read the body of a request; its bytes are counted as held, and the caller gives them back.

    Raises
    ------
    RefusedError
        If it is too large or too slow, or other requests hold the memory.
    """
    parts: list[bytes] = []
    size = 0
    chunks = request.stream()
    try:
        async with asyncio.timeout(limits.reading_seconds):
            _check_length(request, limits)
            async for chunk in chunks:
                if size + len(chunk) > limits.body:  # whatever its header says
                    raise _too_large(limits)
                memory.take(len(chunk))
                size += len(chunk)
                parts.append(chunk)
    except BaseException as error:
        memory.give_back(size)
        parts.clear()
        if isinstance(error, TimeoutError):
            raise RefusedError(
                408,
                f"The body did not arrive within {limits.reading_seconds:g} seconds.",
                {"Connection": "close"},
            ) from None
        if isinstance(error, ClientDisconnect):
            raise RefusedError(400, "The connection was closed before the body ended.") from None
        if isinstance(error, RefusedError) and "expect" not in request.headers:
            await _linger(request)
        raise
    return b"".join(parts)


def parse(
    body: bytes, content_type: str, subset: str | None, version: Version, limits: Limits
) -> Asked:
    """Return what a request asks.

    Parameters
    ----------
    body : bytes
    content_type : str
    subset : str or None
        Of its address.
    version : Version
    limits : Limits

    Raises
    ------
    RefusedError
        If it is not what the model takes, or more than the limits allow.
    """
    if content_type != JSON:
        return _of_images([body], subset, version, limits)
    given = document_of(body, _EITHER, version, limits)
    if given.subset is not None:
        if subset not in (None, given.subset):
            raise RefusedError(422, "The subset in the address is another than that in the body.")
        subset = given.subset
    if isinstance(given, ImagesBody):
        return asked_of(version, limits, subset, images=given.images)
    return asked_of(version, limits, subset, features=given.features)


def document_of(body: bytes, kind: TypeAdapter[_T], version: Version, limits: Limits) -> _T:
    """Return a document of samples, or refuse one that is something else, or too much of it."""
    n_features = version.predictor.manifest.input["n_features"]
    if body.count(b",") > limits.batch * (max(1, n_features) + 1) + _FEW:
        raise RefusedError(413, f"There are more values than {limits.batch} samples have.")
    try:
        given = kind.validate_json(body)
    except ValidationError as error:
        raise RefusedError(422, in_document(error)) from None
    if body.count(b":") > len(given.model_fields_set):  # in a label, or a key that is there twice
        json.loads(body, object_pairs_hook=_refuse_repeated)
    return given


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object of which readers take one value or another."""
    for key, n_times in Counter(key for key, _ in pairs).items():
        if n_times > 1:
            raise RefusedError(422, f"The key {key!r} is there {n_times} times; send it once.")


def asked_of(
    version: Version,
    limits: Limits,
    subset: str | None = None,
    *,
    images: list[str] | None = None,
    features: list[list[float]] | None = None,
) -> Asked:
    """Return the samples of a document: images in base64, or else rows of features.

    Raises
    ------
    RefusedError
        If they are not what the model takes, or more than the limits allow.
    """
    if images is not None:
        _check_batch(len(images), limits)
        files = [_decoded(text, index) for index, text in enumerate(images)]
        return _of_images(files, subset, version, limits)
    assert features is not None
    _check_batch(len(features), limits)
    _check_subset(subset, version)
    if "features" not in version.predictor.inputs:
        raise RefusedError(422, "The model takes images, not features.")
    if len(set(map(len, features))) > 1:
        raise RefusedError(422, "The rows of features differ in length.")
    n_features = version.predictor.manifest.input["n_features"]
    try:
        return Asked(version, subset, features=as_features(np.array(features), n_features, None))
    except (TypeError, ValueError) as error:
        raise RefusedError(422, str(error)) from None


def content_type_of(request: Request, *, documents_alone: bool = False) -> str:
    """Return the media type of a body, or refuse one that is not read here."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedError(415, "Send the body as it is, without a Content-Encoding.")
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found == JSON or (found in IMAGE_TYPES and not documents_alone):
        return found
    raw = "" if documents_alone else f"one image as {', '.join(IMAGE_TYPES)}, or "
    raise RefusedError(
        415, f"The Content-Type {found[:100]!r} is not read. Send {raw}a document as {JSON}."
    )


def _of_images(files: list[bytes], subset: str | None, version: Version, limits: Limits) -> Asked:
    _check_subset(subset, version)
    if version.predictor.manifest.kind != "images":
        n_features = version.predictor.manifest.input["n_features"]
        raise RefusedError(422, f"The model takes features, {n_features} per sample, not images.")
    n_pixels = 0
    for index, content in enumerate(files):
        n_pixels += _pixels_of(content, index)
        if n_pixels > limits.pixels:
            raise RefusedError(
                413,
                f"With image {index} there are {n_pixels:,} pixels; at most {limits.pixels:,} are "
                "taken in a request. Make images smaller, or send fewer.",
            )
    return Asked(version, subset, images=files, pixels=n_pixels)


def _pixels_of(content: bytes, index: int) -> int:
    """Return how many pixels a file has, by its header."""
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            return image.width * image.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise RefusedError(413, f"Image {index} has too many pixels; make it smaller.") from None
    except Exception:  # Pillow's plugins raise arbitrary errors for damaged files
        formats = ", ".join(_FORMATS)
        raise RefusedError(422, f"Image {index} cannot be read; send one of {formats}.") from None


def _decoded(text: str, index: int) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(422, f"images[{index}] is not in base64.") from None


def _check_subset(subset: str | None, version: Version) -> None:
    subsets = version.predictor.subsets
    if subset is not None and subset not in subsets:
        raise RefusedError(422, f"There is no subset {subset[:100]!r}; the model has {subsets}.")


def _check_batch(n_samples: int, limits: Limits) -> None:
    if n_samples > limits.batch:
        raise RefusedError(413, f"{n_samples:,} samples are too many; send {limits.batch:,}.")


def _check_length(request: Request, limits: Limits) -> None:
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > limits.body:
        raise _too_large(limits)


def _too_large(limits: Limits) -> RefusedError:
    return RefusedError(
        413,
        f"The body has more than {limits.body:,} bytes. Send smaller images, or fewer.",
        {"Connection": "close"},
    )


async def _linger(request: Request) -> None:
    """Throw away what a refused client still sends, for a moment.

    If the connection were closed while bytes arrive, its system would reset it, and the client
    would not read the answer.
    """
    try:
        async with asyncio.timeout(_LINGER):
            while True:
                message = await request.receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        return
