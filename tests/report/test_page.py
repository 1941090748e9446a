"""The page in a real browser that can reach nothing."""

import json

import pytest
from selenium.webdriver.common.by import By

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser, comparison, tmp_path_factory):
    report = comparison.save(tmp_path_factory.mktemp("page") / "out")
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(report.as_uri())
    return browser


def find(page, selector):
    return page.find_elements(By.CSS_SELECTOR, selector)


def test_no_console_error(page):
    assert page.get_log("browser") == []


def test_nothing_is_fetched(page):
    requests = [
        message["params"]["request"]["url"]
        for entry in page.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
    ]
    assert requests
    assert {url.partition(":")[0] for url in requests} <= {"file", "data"}


def test_every_picture_is_there(page):
    widths = page.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert len(widths) == 3
    assert all(width > 100 for width in widths)


def test_sprite_sheet_loads_and_holds_every_thumbnail(page, comparison):
    size = page.execute_async_script(
        """
        const done = arguments[0], image = new Image();
        const {uri} = JSON.parse(document.getElementById("page-data").textContent).sprites;
        image.onload = () => done([image.naturalWidth, image.naturalHeight]);
        image.onerror = () => done(null);
        image.src = uri;
        """
    )
    errors = page.execute_script(
        'return JSON.parse(document.getElementById("page-data").textContent).errors.length'
    )
    assert size == [12 * min(errors, 20), 12 * -(-errors // 20)]


def test_table_has_every_method(page, comparison):
    names = [row.get_attribute("data-method") for row in find(page, "table.methods tbody tr")]
    assert names == [method.name for method in comparison.methods]


def test_data_names_are_text_not_markup(page):
    assert find(page, "h1")[0].text == "bars <b>&"
    assert "Made of 60 bars." in find(page, "ul.checks")[0].text


def test_choosing_a_method_and_a_cell(page, comparison):
    for method in comparison.methods:
        find(page, f'#method-picker button[data-method="{method.name}"]')[0].click()
        counts = [int(c.text or 0) for c in find(page, "table.confusion td")]
        assert sum(counts) == 24
        wrong = (~comparison.correct(method.name)).any(axis=0).sum()
        assert len(find(page, ".thumb")) == wrong
        for thumb in find(page, ".thumb i"):
            assert "data:image/png" in thumb.value_of_css_property("background-image")
        if wrong:
            cell = find(page, "table.confusion td.cell")[0]
            cell.click()
            assert 0 < len(find(page, ".thumb")) <= wrong
            assert find(page, "td.chosen")
            find(page, "button.clear")[0].click()
            assert len(find(page, ".thumb")) == wrong


def test_nothing_is_cut_off_on_a_phone(page):
    page.set_window_size(500, 900)
    overflow = page.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    page.set_window_size(1120, 1400)
    assert overflow == 0
