"""The page for those who use no mouse, see no colours, like it dark, read it aloud or print it."""

import base64
from importlib.util import find_spec
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request, browser, full, tmp_path_factory):
    """The page in a colour scheme."""
    report = full.save(tmp_path_factory.mktemp(request.param) / "out")
    scheme = [{"name": "prefers-color-scheme", "value": request.param}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.get(report.as_uri())
    yield browser
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def find(page, selector):
    return page.find_elements(By.CSS_SELECTOR, selector)


def test_axe_finds_nothing_serious(page):
    package = find_spec("axe_playwright_python")
    if package is None:
        pytest.skip("axe-playwright-python is not installed")
    script = Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    page.execute_script(script)
    found = page.execute_async_script("axe.run().then(arguments[0])")
    assert len(found["passes"]) > 20
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}
    serious = [
        (rule["id"], node["html"])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
    assert serious == []


def test_scheme_of_the_reader(page, request):
    background, ink = page.execute_script(
        "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    )
    bright = [sum(map(int, c[4:-1].split(", "))) for c in (background, ink)]
    assert (bright[0] > bright[1]) == ("light" in request.node.callspec.id)
    # Pictures and the matrix keep their white paper.
    for selector in (".pictures figure", "#matrix", ".map .stage"):
        colour = find(page, selector)[0].value_of_css_property("background-color")
        assert colour == "rgba(255, 255, 255, 1)"


def test_everything_with_the_keyboard(page):
    """From one control to the next by the tab key; the matrix is one of them."""
    page.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    seen = []
    for _ in range(60):
        page.switch_to.active_element.send_keys(Keys.TAB)
        active = page.switch_to.active_element
        if active.tag_name == "body":
            break
        seen.append((active.get_attribute("id"), active.get_attribute("data-at"), active.tag_name))
    ids = [name for name, *_ in seen]
    assert {"map-canvas", "thumbs", "copy"} <= set(ids)
    assert len([at for _, at, _ in seen if at]) == 1
    buttons = [b for b in find(page, "button") if b.is_displayed()]
    assert len([tag for *_, tag in seen if tag == "button"]) == len(buttons)


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


def test_print_shows_all_and_no_controls(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert all(section.is_displayed() for section in find(page, "section"))
        assert not any(b.is_displayed() for b in find(page, ".picker button, #copy, #matrix nav"))
        assert find(page, "#errors-method")[0].is_displayed()
        document = page.execute_cdp_cmd("Page.printToPDF", {})["data"]
        assert base64.b64decode(document)[:5] == b"%PDF-"
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
