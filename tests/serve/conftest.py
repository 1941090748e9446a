import asyncio
import base64
import functools
import io
from contextlib import asynccontextmanager

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image

from penultimate import DeepSVC, save
from penultimate.bundle.archive import pack
from penultimate.serve import Limits, Models, create_app
from penultimate.svm import SVC
from tests.bundle.digits import digit_images, digits_fields, digits_graph
from tests.bundle.handmade import make_parts, of_features
from tests.teaching import specialists as specials


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
def teachable(tmp_path_factory):
    """The content of a model of digits 0 to 6 that can be taught."""
    return save_teachable(tmp_path_factory.mktemp("teachable") / "digits.zip", np.arange(7))


def save_teachable(path, names):
    """Save a model of digits 0 to 6, which can be taught, under these names; its content."""
    images, labels = digit_images()
    images, labels = images[labels < 7][..., None], np.asarray(names)[labels[labels < 7]]
    fitted, held_out = slice(300), slice(300, 400)
    network = specials.pixels_network(path.parent)
    model = DeepSVC(network, head=SVC(C=3), normalization=None, random_state=0)
    model.fit(images[fitted], labels[fitted])
    save(
        model,
        path,
        images[held_out],
        thumbnails=(images[:40], labels[:40], np.arange(40)),
        teach=(images[fitted], labels[fitted]),
        held_out=(images[held_out], labels[held_out]),
    )
    return path.read_bytes()


@pytest.fixture(scope="session")
def specialists(tmp_path_factory):
    """The content of specialists that can be taught."""
    path = tmp_path_factory.mktemp("specialists") / "digits.zip"
    X, y = specials.IMAGES, specials.LABELS
    save(
        specials.fit_specialists(path.parent),
        path,
        X[specials.TEST],
        teach=(X[specials.FIT], y[specials.FIT]),
        held_out=(X[specials.TEST], y[specials.TEST]),
    )
    return path.read_bytes()


@pytest.fixture(scope="session")
def pictured(teachable, tmp_path_factory):
    """Its file, which no test changes."""
    path = tmp_path_factory.mktemp("pictured") / "digits.zip"
    path.write_bytes(teachable)
    return path


@pytest.fixture
def taught(teachable, tmp_path):
    """Its file, which a test may change."""
    path = tmp_path / "digits.zip"
    path.write_bytes(teachable)
    return path


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
