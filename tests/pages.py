"""What tests of the pages that classify share: how to use one, and what holds for all of them."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


def find(page, selector):
    return page.find_elements(By.CSS_SELECTOR, selector)


def until(page, holds, seconds=20):
    """Wait until something holds, and return it; selenium itself looks twice a second."""
    return WebDriverWait(page, seconds, poll_frequency=0.02).until(lambda _: holds())


def wait_for(page, selector, count=1):
    until(page, lambda: len(find(page, selector)) >= count)
    return find(page, selector)


def show(page, paths):
    """Choose files, and return the cards of their answers in that order."""
    find(page, "#files")[0].send_keys("\n".join(map(str, paths)))
    return wait_for(page, "#cards > li", len(paths))[::-1]


def bars_of(card):
    """Return the values of all classes by name."""
    rows = card.find_elements(By.CSS_SELECTOR, "tbody tr")
    texts = [[cell.get_attribute("textContent") for cell in row.find_elements(By.XPATH, "*")]
             for row in rows]  # fmt: skip
    return {name: float(value.replace("\u2212", "-")) for name, _, value in texts}


def in_scheme(page, scheme):
    """Show a page in a color scheme until the generator goes on."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    yield scheme
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def in_width(page, width):
    """Show a page in a width, in pixels, until the generator goes on."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield width
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def check_axe(page, width):
    """Check that axe finds nothing, and that nothing sticks out of the page."""
    package = find_spec("axe_playwright_python")
    if package is None:
        pytest.skip("axe-playwright-python is not installed")
    page.execute_script(Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    found = page.execute_async_script("axe.run().then(arguments[0])")
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}
    assert [(each["id"], node["html"]) for each in found["violations"]
            for node in each["nodes"]] == []  # fmt: skip
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def check_background(page, scheme):
    """Check that the page follows the color scheme."""
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(", "))) > 380) == (scheme == "light")


def check_policy(page):
    """Check that the page runs no script of its own, and reaches nothing else."""
    blocked = page.execute_async_script("""
        const done = arguments[0], blocked = [];
        document.addEventListener("securitypolicyviolation",
          event => blocked.push(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "globalThis.ran = true";
        document.body.append(script);
        const image = new Image();
        image.src = "http://127.0.0.1:9/image.png";
        fetch("http://127.0.0.1:9/").catch(() => setTimeout(() => done([blocked, globalThis.ran])));
    """)
    assert sorted(blocked[0]) == ["connect-src", "img-src", "script-src-elem"]
    assert blocked[1] is None
    page.get_log("browser")


def check_camera(page):
    """Take a picture, and check that the camera is let go."""
    find(page, "#open-camera")[0].click()
    wait_for(page, "#seen .said")
    find(page, "#take")[0].click()
    (card,) = wait_for(page, "#cards > li")
    assert card.text.startswith("Picture 1 \u00b7 640 \u00d7 480 pixels")
    find(page, "#camera .close")[0].click()
    assert page.execute_script("return document.getElementById('video').srcObject") is None
