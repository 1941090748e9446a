"""The page in a real browser that can reach nothing."""

import dataclasses
import json
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from penultimate._common.digits import percent, percent_interval, points, points_interval
from tests.pages import until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser, full, tmp_path_factory):
    report = full.save(tmp_path_factory.mktemp("page") / "out")
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(report.as_uri())
    browser.execute_script(
        "for (const part of document.querySelectorAll('details')) part.open = true"
    )
    return browser


def unfold(page):
    page.execute_script(
        "document.querySelectorAll('details').forEach(part => { part.open = true })"
    )


def find(page, selector):
    return page.find_elements(By.CSS_SELECTOR, selector)


def shown(page, selector):
    """Elements of the figures that the gallery shows."""
    return find(page, f"#thumbs .thumb:not([hidden]) {selector}")


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
    pictures = "[...document.querySelectorAll('#experts img')]"
    page.execute_script(f"{pictures}.forEach(image => {{ image.loading = 'eager' }})")
    script = f"return {pictures}.map(image => image.complete && image.naturalWidth)"
    until(page, lambda: all(page.execute_script(script)), 5)
    widths = page.execute_script(script)
    assert len(widths) >= 4  # two searches, learning curves, training
    assert all(width > 100 for width in widths)


def test_every_error_has_its_picture_and_its_name(page, comparison):
    wrong = ~np.all([comparison.correct(m.name) for m in comparison.methods], axis=(0, 1))
    names = page.execute_script(
        "return [...document.querySelectorAll('#thumbs .file')].map(name => name.textContent)"
    )
    assert sorted(names) == sorted(f"sample {sample}" for sample in comparison.test[wrong])
    sizes = page.execute_script(
        "return [...document.querySelectorAll('#thumbs img')].map(image => image.naturalWidth)"
    )
    assert sizes == [12] * wrong.sum()


def test_an_image_is_enlarged_by_click_and_by_keyboard(page):
    (viewer,) = find(page, "#viewer")
    buttons = shown(page, "button")
    buttons[1].click()
    assert viewer.is_displayed()
    names = [figure.text for figure in shown(page, ".file")]
    assert find(page, "#viewer-name")[0].text == names[1]
    assert find(page, "#viewer img")[0].size["height"] > 300
    ActionChains(page).send_keys(Keys.ARROW_LEFT).perform()
    assert find(page, "#viewer-name")[0].text == names[0]
    ActionChains(page).send_keys(Keys.ESCAPE).perform()
    assert not viewer.is_displayed()
    assert page.switch_to.active_element == buttons[0]
    buttons[0].send_keys(Keys.ARROW_RIGHT)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert find(page, "#viewer-name")[0].text == names[1]
    find(page, "#viewer button")[0].click()
    assert not viewer.is_displayed()


def test_first_screen_answers(page, full):
    found = full.to_dict()["answer"]
    figures = [figure.text.splitlines() for figure in find(page, ".figures li")]
    right, guessing, best = (figure[0] for figure in figures)
    assert right == f"{percent(found['accuracy'], 12)}\u202f%"
    assert guessing == f"{percent(found['guessing'], 12)}\u202f%"
    assert best == found["best"]
    ends = percent_interval(tuple(found["ci95"]), 12)
    assert figures[0][2] == f"95 % interval: {ends} %"
    # The same interval wherever it is shown.
    assert f"(95 % interval: {ends} %)" in find(page, ".answer")[0].text
    (row,) = find(page, f'#accuracy tr[data-method="{best}"]')
    assert f"{percent(found['accuracy'], 12)} {ends}" in row.text
    height, width = full.dataset.images.shape[1:3]
    assert f"12 to test on, of {height} x {width} pixels, 2 classes" in find(page, "header")[0].text


@pytest.mark.slow
def test_figures_by_class_follow_the_method(page, comparison):
    for method in comparison.methods:
        find(page, f'#method-picker button[data-method="{method.name}"]')[0].click()
        rows = [row.text for row in find(page, "#classes tbody tr")]
        for row, figures in zip(rows, comparison.by_class(method.name), strict=True):
            assert row.startswith(figures.name)
            assert row.endswith(f" {figures.support}")
            for value in (figures.precision, figures.recall, figures.f1):
                if value is not None:
                    ends = percent_interval((value.low, value.high), 12)
                    assert f"{percent(value.value, 12)} {ends}" in row


def test_links_lead_to_the_files_beside_the_page(page):
    links = [link.get_attribute("href") for link in find(page, "header a")]
    assert [link.rpartition("/")[2] for link in links] == [
        "errors.csv",
        "predictions.csv",
        "results.json",
    ]
    assert all(Path(url2pathname(urlparse(link).path)).is_file() for link in links)


def test_table_has_every_method(page, comparison):
    names = [row.get_attribute("data-method") for row in find(page, "#accuracy tbody tr")]
    assert names == [method.name for method in comparison.methods]


def test_data_names_are_text_not_markup(page):
    assert find(page, "h1")[0].text == "bars <b>&"
    assert "Made of 60 bars." in find(page, "ul.checks")[0].text
    assert "Classes are <balanced>." in find(page, "ul.checks")[0].text


def test_errors_and_warnings_stand_out_with_words(page):
    error, warning = (item.text for item in find(page, "ul.alarms li"))
    assert error == "\u2716 Error: The test set leaks."
    assert warning.splitlines() == [
        "\u26a0 Warning: Two images are in both parts.",
        "Why it matters: The network has memorized them.",
        "What to do: Drop them.",
    ]


def test_forest_plot_has_a_dot_and_words_for_each_method(page, comparison):
    rows = comparison.to_dict()["methods"][1:]
    clear = [row["vs_softmax"]["ci95"][0] > 0 or row["vs_softmax"]["ci95"][1] < 0 for row in rows]
    dots = find(page, ".plot circle")
    assert [" open" in dot.get_attribute("class") for dot in dots] == [not one for one in clear]
    for row in rows:
        (line,) = find(page, f'#accuracy tr[data-method="{row["name"]}"]')
        difference, ends = row["vs_softmax"]["difference"], tuple(row["vs_softmax"]["ci95"])
        words = f"{points(difference, 12)} {points_interval(ends, 12)}".replace("-", "\u2212")
        assert words in line.text


def test_hardest_cases_the_worst_first(page):
    figures = find(page, "#hardest figure")
    assert [figure.text for figure in figures] == [
        "sample 3\nstanding \u2192 lying, \u22122.25",
        "sample 7\nlying \u2192 standing, \u22121.50",
    ]
    title = find(page, "#hardest-title")[0].get_attribute("textContent")
    assert title == "Hardest cases: 2 training images; check the labels of the first 2"


def test_a_pair_filters_the_images(page, comparison):
    method = next(m for m in comparison.methods if not comparison.correct(m.name).all())
    find(page, f'#method-picker button[data-method="{method.name}"]')[0].click()
    before = len(shown(page, "img"))
    pair = find(page, "#pairs button")[0]
    count = int(pair.find_element(By.CSS_SELECTOR, "b").text)
    true, predicted = map(int, pair.get_attribute("data-pair").split(","))
    labels = comparison.dataset.labels[comparison.test]
    assert count == ((labels == true) & (method.predictions == predicted)).sum()
    pair.click()
    wanted = ((labels == true) & (method.predictions == predicted)).any(axis=0).sum()
    assert len(shown(page, "img")) == wanted <= before
    assert find(page, "td.chosen")[0].get_attribute("data-at") == f"{true},{predicted}"
    assert pair.get_attribute("aria-pressed") == "true"
    pair.click()
    assert len(shown(page, "img")) == before


def test_copying_the_methods_paragraph(page):
    (text,), (button,) = find(page, "#methods-text"), find(page, "#copy")
    assert text.text.startswith("We compared cnn-softmax")
    button.click()
    until(page, lambda: find(page, "#copied")[0].text, 3)
    assert find(page, "#copied")[0].text == "Copied."
    # Without any clipboard the text is selected for the reader's own keys.
    page.execute_script(
        'navigator.clipboard.writeText = () => Promise.reject(new Error("no"));'
        "document.execCommand = () => false; document.getElementById('copied').textContent = '';"
    )
    button.click()
    until(page, lambda: find(page, "#copied")[0].text, 3)
    assert "press Ctrl+C" in find(page, "#copied")[0].text
    assert page.execute_script("return getSelection().toString()").strip() == text.text


@pytest.mark.slow
def test_choosing_a_method_and_a_cell(page, comparison):
    for method in comparison.methods:
        find(page, f'#method-picker button[data-method="{method.name}"]')[0].click()
        counts = [int(c.text or 0) for c in find(page, "table.confusion td")]
        assert sum(counts) == 24
        wrong = (~comparison.correct(method.name)).any(axis=0).sum()
        assert len(shown(page, "img")) == wrong
        for picture in shown(page, "img"):
            assert picture.get_attribute("src").startswith("data:image/webp")
        if wrong:
            cell = find(page, "table.confusion td.cell")[0]
            cell.click()
            assert 0 < len(shown(page, "img")) <= wrong
            assert find(page, "td.chosen")
            find(page, "button.clear")[0].click()
            assert len(shown(page, "img")) == wrong


@pytest.fixture(scope="module")
def map_data(page):
    return page.execute_script('return JSON.parse(document.getElementById("map-data").textContent)')


def button(page, text):
    (found,) = (b for b in find(page, "#map .picker button, #map .key button") if b.text == text)
    return found


def move_to(page, point):
    """Point at a dot of the map, or at a place of its square, from 0 to 1000."""
    (canvas,) = find(page, "#map-canvas")
    width, height = canvas.size["width"], canvas.size["height"]
    page.execute_script("arguments[0].scrollIntoView()", canvas)
    x, y = (18 + at / 1000 * (side - 36) for at, side in zip(point, (width, height)))
    actions = ActionChains(page)
    actions.move_to_element_with_offset(canvas, round(x - width / 2), round(y - height / 2))
    actions.perform()


@pytest.mark.slow
def test_pointing_at_a_dot_shows_its_image(page, map_data, comparison):
    card, picture, photo = (find(page, f"#map .card{part}")[0] for part in ("", " i", " img"))
    in_gallery = page.execute_script(
        "return [...document.querySelectorAll('#thumbs .file')].map(name => name.textContent)"
    )
    assert not card.is_displayed()
    for index, point in enumerate(map_data["views"][0]["points"]):
        move_to(page, point)
        true, predicted = (map_data["classes"][map_data[k][index]] for k in ("true", "predicted"))
        assert f"label {true}, prediction {predicted}" in card.text
        assert f"sample {comparison.test[index]}" in card.text
        if photo.is_displayed():  # also in the gallery, where it is larger
            assert f"sample {comparison.test[index]}" in in_gallery
            assert photo.size["height"] == 112
            continue
        # Twelve images of 12 pixels in a row, eight times enlarged.
        assert picture.value_of_css_property("background-position") == f"{-96 * index}px 0px"
        assert "data:image/jpeg" in picture.value_of_css_property("background-image")
        assert picture.size == {"width": 96, "height": 96}
    ActionChains(page).move_to_element(find(page, "h1")[0]).perform()
    assert not card.is_displayed()


@pytest.mark.slow
def test_map_with_the_keyboard(page):
    (canvas,), (card,) = find(page, "#map-canvas"), find(page, "#map .card")
    find(page, "#map .picker button")[-1].send_keys(Keys.TAB)
    assert page.switch_to.active_element == canvas
    seen = {card.text}
    ways = (Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_DOWN, Keys.ARROW_UP)
    for key in np.repeat(ways, 12).tolist():
        canvas.send_keys(key)
        seen.add(card.text)
    assert len(seen) > 6
    canvas.send_keys(Keys.ENTER)
    (chosen,) = find(page, '#map .key button[aria-pressed="true"]')
    assert f"label {chosen.text}," in card.text
    canvas.send_keys(Keys.ESCAPE)
    assert not card.is_displayed()
    assert not find(page, '#map .key button[aria-pressed="true"]')


def test_highlighting_a_class_dims_the_others(page):
    painted = """
        const canvas = document.getElementById("map-canvas");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0;
        for (let k = 3; k < data.length; k += 4) sum += data[k];
        return sum;
    """
    before = page.execute_script(painted)
    button(page, "lying").click()
    during = page.execute_script(painted)
    button(page, "lying").click()
    assert during < 0.8 * before
    assert page.execute_script(painted) == before


@pytest.mark.slow
def test_choosing_a_subset_hides_the_others(page, map_data, comparison):
    button(page, "flat").click()
    assert [b.text for b in find(page, "#map .key button")] == ["lying"]
    (card,) = find(page, "#map .card")
    view = next(view for view in map_data["views"] if view["subset"] == "flat")
    lying = [k for k, label in enumerate(map_data["true"]) if label == 0]
    assert len(view["points"]) == len(lying) < len(map_data["true"])
    for index, point in zip(lying, view["points"]):
        move_to(page, point)
        assert f"sample {comparison.test[index]}" in card.text
    button(page, "all classes").click()
    assert [b.text for b in find(page, "#map .key button")] == ["lying", "standing"]
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_nothing_is_cut_off_on_a_phone(page):
    page.set_window_size(500, 900)
    overflow = page.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    page.set_window_size(1120, 1400)
    assert overflow == 0


@pytest.fixture(scope="module")
def ten_classes(full, tmp_path_factory):
    """Return a comparison with as many classes, errors, findings and methods as the demo's."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 10
    names = tuple(f"class <b>{k}" for k in range(10))
    data = dataclasses.replace(full.dataset, labels=labels, classes=names, subsets={})
    guesses = rng.integers(0, 10, (2, len(full.test)))
    methods = [
        dataclasses.replace(m, predictions=guesses, probabilities=None, margins=None)
        for m in full.methods
    ]
    made = dataclasses.replace(
        full, dataset=data, methods=methods, hardest=[], others=[], strangers=None
    )
    return made, made.save(tmp_path_factory.mktemp("ten") / "out")


@pytest.mark.slow
def test_short_and_light_before_anything_is_unfolded(browser, ten_classes):
    _, report = ten_classes
    assert report.stat().st_size < 1_000_000
    metrics = {"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        browser.get(report.as_uri())
        height = browser.execute_script("return document.documentElement.scrollHeight")
        assert 1000 < height <= 3000
        assert len(find(browser, "ul.alarms li")) == 2
        assert "class <b>3" in find(browser, "#classes")[0].text
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
def test_readable_without_scripts(browser, ten_classes):
    made, report = ten_classes
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(report.as_uri())
        figures = [f for f in find(browser, "#thumbs figure") if f.is_displayed()]
        wrong = ~made.correct("cnn+svm-rbf")
        assert len(figures) == wrong.any(axis=0).sum()
        assert "\u2192 class <b>" in figures[0].text
        assert sum(int(c.text or 0) for c in find(browser, "table.confusion td")) == wrong.size
        assert not any(button.is_displayed() for button in find(browser, ".picker button"))
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.slow
@pytest.mark.serial
def test_ten_thousand_images_open_quickly(browser, comparison, tmp_path):
    """Digits in size and number, a tenth of them wrong: under 8 MB, open within a second."""
    rng = np.random.default_rng(0)
    labels = np.arange(10_100) % 10
    data = dataclasses.replace(
        comparison.dataset,
        images=rng.integers(0, 255, (10_100, 28, 28, 1), dtype=np.uint8),
        labels=labels,
        classes=tuple("0123456789"),
        subsets={},
        fingerprints=None,
    )
    test = np.arange(100, 10_100)
    guesses = np.where(rng.random((2, 10_000)) < 0.1, 9 - labels[test], labels[test])
    sure = rng.dirichlet(np.ones(10), (2, 10_000)).astype(np.float32)
    methods = [
        dataclasses.replace(m, predictions=guesses, probabilities=sure, margins=None)
        for m in comparison.methods
    ]
    features = {
        name: rng.normal(size=(n, 8)) for name, n in (("development", 100), ("test", 10_000))
    }
    big = dataclasses.replace(
        comparison, dataset=data, test=test, methods=methods, features=features, others=[]
    )
    report = big.save(tmp_path)
    assert report.stat().st_size < 8_000_000, report.stat().st_size
    seconds = []
    for _ in range(3):
        browser.get(report.as_uri())
        seconds.append(
            browser.execute_script(
                'return performance.getEntriesByType("navigation")[0].loadEventEnd / 1000'
            )
        )
    assert 0 < min(seconds) < 1
