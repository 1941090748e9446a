"""The page for those who use no mouse, see no colors, like it dark, read it aloud or print it."""

import base64
import io
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.pages import until

pytestmark = pytest.mark.browser


def unfold(page):
    page.execute_script(
        "document.querySelectorAll('details').forEach(part => { part.open = true })"
    )


@pytest.fixture
def width(request, page):
    """A screen that wide, in pixels."""
    metrics = {"width": request.param, "height": 1400, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield request.param
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request, browser, full, tmp_path_factory):
    """The page in a color scheme."""
    report = full.save(tmp_path_factory.mktemp(request.param) / "out")
    scheme = [{"name": "prefers-color-scheme", "value": request.param}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.get(report.as_uri())
    unfold(browser)
    yield browser
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def find(page, selector):
    return page.find_elements(By.CSS_SELECTOR, selector)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 390], indirect=True)
def test_axe_finds_nothing(page, width):
    package = find_spec("axe_playwright_python")
    if package is None:
        pytest.skip("axe-playwright-python is not installed")
    script = Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    page.execute_script(script)
    found = page.execute_async_script("axe.run().then(arguments[0])")
    assert len(found["passes"]) > 20
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}
    violations = [
        (rule["id"], node["html"]) for rule in found["violations"] for node in rule["nodes"]
    ]
    assert violations == []


def test_scheme_of_the_reader(page, request):
    background, ink = page.execute_script(
        "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    )
    bright = [sum(map(int, c[4:-1].split(", "))) for c in (background, ink)]
    assert (bright[0] > bright[1]) == ("light" in request.node.callspec.id)
    # The pictures and the map have no paper of their own: it is the page's.
    for selector in ("#matrix", ".map .stage", ".pictures figure"):
        color = find(page, selector)[0].value_of_css_property("background-color")
        assert color == "rgba(0, 0, 0, 0)"


def test_pictures_follow_the_scheme(page, request):
    """The corner of a picture, which is paper, has the color of the section around it."""
    picture = find(page, "#experts .pictures img")[0]
    page.execute_script("arguments[0].loading = 'eager'; arguments[0].scrollIntoView()", picture)
    until(page, lambda: picture.get_property("naturalWidth"), 3)
    shot = Image.open(io.BytesIO(picture.screenshot_as_png)).convert("RGB")
    assert shot.getpixel((3, 3)) == (
        (255, 255, 255) if "light" in request.node.callspec.id else (29, 35, 45)
    )


@pytest.mark.slow
def test_everything_with_the_keyboard(page):
    """The tab key moves from one control to the next; the matrix is one of them."""
    page.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    find(page, "h1")[0].click()  # the key goes on from where the reader was last
    seen = []
    for _ in range(60):
        page.switch_to.active_element.send_keys(Keys.TAB)
        active = page.switch_to.active_element
        if active.tag_name == "body":
            break
        seen.append((active.get_attribute("id"), active.get_attribute("data-at"), active.tag_name))
    ids = [name for name, *_ in seen]
    assert {"map-canvas", "copy"} <= set(ids)
    assert len([at for _, at, _ in seen if at]) == 1
    # Of the images of a gallery only one, as of the cells of the matrix.
    reached = 'button:not([tabindex="-1"])'
    buttons = [b for b in find(page, reached) if b.is_displayed()]
    assert len([tag for *_, tag in seen if tag == "button"]) == len(buttons)


@pytest.mark.slow
def test_arrow_keys_go_from_cell_to_cell(page):
    for button in find(page, "#method-picker button"):
        button.send_keys(Keys.ENTER)
        if find(page, "td.cell"):
            break
    find(page, '#matrix td[tabindex="0"]')[0].send_keys(Keys.NULL)
    for key in (Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_LEFT, Keys.ARROW_LEFT):
        find(page, '#matrix td[tabindex="0"]')[0].send_keys(key)
    assert page.switch_to.active_element.get_attribute("data-at") == "0,0"
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.switch_to.active_element.get_attribute("data-at") == "0,1"
    wrong = find(page, "td.cell")[0]
    for key in (Keys.ENTER, Keys.SPACE):
        assert wrong.get_attribute("aria-selected") == "false"
        wrong.send_keys(key)
        assert wrong.get_attribute("aria-selected") == "true"
        wrong.send_keys(key)


def test_print_shows_what_is_unfolded_and_no_controls(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert all(section.is_displayed() for section in find(page, "section"))
        assert not any(b.is_displayed() for b in find(page, ".picker button, #copy, #matrix nav"))
        assert find(page, "#errors-method")[0].is_displayed()
        page.execute_script(
            "for (const part of document.querySelectorAll('details')) part.open = false"
        )
        assert not find(page, "#experts")[0].is_displayed()
        assert find(page, "#checks")[0].is_displayed()
    finally:
        unfold(page)
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.slow
def test_printed_it_fits_four_pages(browser, full, tmp_path):
    browser.get(full.save(tmp_path).as_uri())
    paper = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
    document = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", paper)["data"])
    assert document[:5] == b"%PDF-"
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", document)) <= 4
