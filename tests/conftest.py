"""What tests share: small images, the real data beside the project, and a browser."""

import os
import random
import shutil
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
# Tests use TensorFlow before a network is trained, which would then warn that it may not repeat.
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
import pytest

from penultimate.datasets import Dataset

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def same_draws():
    """What draws without a seed of its own draws the same in every run."""
    random.seed(0)
    np.random.seed(0)
    if (keras := sys.modules.get("keras")) is not None:
        keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def shapes():
    """Sixty images of two classes that a network learns at once: bars that lie, bars that stand."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (60, 12, 12), dtype=np.uint8)
    labels = np.repeat(["lying", "standing"], 30)
    for image, label in zip(images, labels):
        at = rng.integers(3, 9)
        bar = image if label == "lying" else image.T
        bar[at : at + 2, 2:10] = 230
    order = rng.permutation(60)
    return images[order], labels[order]


@pytest.fixture(scope="session")
def two_subsets(shapes):
    """The bars, bright and dark: two subsets whose classes have the same names; eight writers."""
    images, labels = shapes
    return Dataset.from_arrays(
        np.concatenate([images, 255 - images]),
        np.concatenate([labels, labels]),
        name="bars",
        subsets=np.repeat(["bright", "dark"], 60),
        groups=[f"writer {k % 8}" for k in range(120)],
    )


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data; a test that needs it is skipped, by name, where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the real data in shared/data is not here")
    return SHARED


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium that can reach nothing, or a skip by name where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("Chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1120,1400",
        "--proxy-server=127.0.0.1:9",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    page = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield page
    page.quit()
