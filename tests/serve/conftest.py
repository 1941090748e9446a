import asyncio
import base64
import functools
import io
from contextlib import asynccontextmanager

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image

from penultimate.bundle.archive import pack
from penultimate.serve import Limits, Models, create_app
from tests.bundle.digits import digit_images, digits_fields, digits_graph
from tests.bundle.handmade import make_parts, of_features


def digits(**options):
    return pack(make_parts(digits_graph(**options), **digits_fields(**options)))


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """Bundles by name: digits with abstention, digits in subsets, and a model of features."""
    folder = tmp_path_factory.mktemp("bundles")
    contents = {
        "digits": digits(),
        "special": digits(abstains=False, subsets=True),
        "columns": pack(make_parts(of_features())),
    }
    for name, content in contents.items():
        (folder / f"{name}.zip").write_bytes(content)
    return {name: folder / f"{name}.zip" for name in contents}


@pytest.fixture(scope="session")
def models(bundles):
    """Each bundle as the models of a service."""
    return {name: Models([path], threads=1) for name, path in bundles.items()}


def in_loop(test):
    """Run a test that is a coroutine."""

    @functools.wraps(test)
    def run(*arguments, **named):
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 60))

    return run


@asynccontextmanager
async def serving(models, *, headers=None, **options):
    """A client of a service that runs in this process."""
    limits = Limits(**{name: options.pop(name) for name in Limits.__dataclass_fields__
                       if name in options})  # fmt: skip
    app = create_app(models, limits=limits, **options)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        address = "http://localhost"
        async with httpx.AsyncClient(
            transport=transport, base_url=address, headers=headers
        ) as client:
            client.app = app
            yield client


def as_file(pixels, form="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, form, **options)
    return buffer.getvalue()


def as_text(content):
    return base64.b64encode(content).decode()


@pytest.fixture(scope="session")
def files():
    """Twenty digits as files of several formats without loss."""
    images, _ = digit_images()
    forms = ("PNG", "BMP", "TIFF", "GIF")
    return [as_file(image, forms[k % 4]) for k, image in enumerate(images[:20])]
