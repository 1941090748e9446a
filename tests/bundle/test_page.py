"""The page of a model, in a real browser that can reach nothing."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from penultimate.bundle import load
from penultimate.bundle.archive import pack
from penultimate.bundle.page import render_page
from penultimate.bundle.thumbnails import make_thumbnails
from penultimate.bundle.web_runtime import WebRuntime, find_runtime
from tests.pages import (
    bars_of,
    check_axe,
    check_background,
    check_camera,
    check_policy,
    find,
    in_scheme,
    in_width,
    show,
    until,
    wait_for,
)

from .digits import SUBSETS, digit_images, digits_fields, digits_graph
from .handmade import make_parts, of_features

pytestmark = pytest.mark.browser
NAME = "digits <b>&"
DROP = """
    const [kind, name, content] = arguments;
    const files = new DataTransfer();
    const bytes = Uint8Array.from(atob(content), character => character.charCodeAt(0));
    if (name) files.items.add(new File([bytes], name));
    document.body.dispatchEvent(kind === "drop"
      ? new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true})
      : new ClipboardEvent("paste", {clipboardData: files, bubbles: true, cancelable: true}));
"""


def opened(**options):
    return load(pack(make_parts(digits_graph(**options), **digits_fields(**options))), threads=1)


@pytest.fixture(scope="module")
def predictor():
    return opened()


@pytest.fixture(scope="module")
def runtime(npm_packages):
    return find_runtime(npm_packages)


def visit(browser, page):
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(page.as_uri())
    until(browser, lambda: browser.find_element(By.ID, "status").text != "", 60)
    browser.set_script_timeout(60)
    browser.execute_async_script("penultimate.ready.then(arguments[0], arguments[0])")
    return browser


@pytest.fixture(scope="module")
def page(browser, predictor, runtime, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render_page(predictor, runtime, name=NAME), encoding="utf-8")
    return visit(browser, path)


@pytest.fixture(autouse=True)
def nothing_left(request):
    """Each test begins without answers and with closed panels."""
    yield
    if "page" in request.fixturenames:
        driver = request.getfixturevalue("page")
        driver.execute_script(
            "for (const part of document.querySelectorAll('#drawing, #camera')) {"
            "  if (!part.hidden) document.getElementById(`open-${part.id}`).click();"
            "} document.getElementById('remove-all').click(); scrollTo(0, 0);"
        )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Files of every kind that a browser reads without loss, and what is in them."""
    folder = tmp_path_factory.mktemp("pictures")
    images, _ = digit_images()
    rng = np.random.default_rng(0)
    gray = Image.fromarray(images[0])
    colors = Image.fromarray(rng.integers(0, 256, (37, 61, 3), dtype=np.uint8))
    glass = Image.fromarray(rng.integers(0, 256, (20, 30, 4), dtype=np.uint8))
    glass.putalpha(Image.fromarray(np.repeat(np.uint8([0, 255]), 300).reshape(20, 30)))
    turned = Image.Exif()
    turned[0x0112] = 6
    upright = Image.fromarray(images[5]).resize((40, 24))
    gray.save(folder / "gray.png")
    colors.save(folder / "colors.png")
    colors.quantize(16).save(folder / "palette.gif")
    glass.save(folder / "glass.png")
    upright.save(folder / "turned.png", exif=turned)
    Image.fromarray(images[3]).resize((1, 300)).save(folder / "narrow.bmp")
    upright.save(folder / "lossless.webp", lossless=True)
    return sorted(folder.iterdir())


def test_nothing_goes_wrong_and_nothing_is_fetched(page, pictures):
    show(page, pictures[:1])
    assert page.get_log("browser") == []
    requests = [
        message["params"]["request"]["url"]
        for entry in page.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
    ]
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}


@pytest.mark.slow
def test_files_have_the_answers_of_python(page, pictures, predictor):
    cards = show(page, pictures)
    for card, path in zip(cards, pictures, strict=True):
        answer = predictor.predict_all(path)
        bars = bars_of(card)
        wanted = dict(zip(map(str, range(10)), answer.margins[0]))
        assert bars == pytest.approx(wanted, abs=0.0051), path.name
        label, said = str(answer.labels[0]), card.find_element(By.CSS_SELECTOR, ".said").text
        assert next(iter(bars)) == label
        assert said == (label if answer.accepted[0] else "Not sure"), path.name
        assert f"probability {100 * answer.probabilities.max():.0f} %" in card.text
        assert path.name in card.text


def test_where_it_abstains_it_says_so(page, tmp_path):
    Image.fromarray(np.full((9, 9), 128, np.uint8)).save(tmp_path / "plain.png")
    (card,) = show(page, [tmp_path / "plain.png"])
    assert card.find_element(By.CSS_SELECTOR, ".said").text == "Not sure"
    assert "but not clearly enough for an answer." in card.text
    assert "plain.png: Not sure; perhaps " in find(page, "#status")[0].text


def test_what_is_no_image_is_refused_by_name(page, pictures, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"<html>")
    bad, good = show(page, [tmp_path / "broken.jpg", pictures[0]])
    assert bad.text == "broken.jpg is not an image that this browser can read."
    assert "probability" in good.text


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_dropped_and_pasted(page, pictures, kind):
    content = base64.b64encode(pictures[0].read_bytes()).decode()
    page.execute_script(DROP, kind, pictures[0].name, content)
    (card,) = wait_for(page, "#cards > li")
    name = pictures[0].name if kind == "drop" else "Pasted image"
    assert card.text.startswith(name)
    page.execute_script(DROP, kind, "", "")
    words = {"drop": "These are no files.", "paste": "There is no image on the clipboard."}
    assert find(page, "#status")[0].text.startswith(words[kind])


def sheet_pixels(page):
    (sheet,) = find(page, "#sheet")
    text = page.execute_script("return arguments[0].toDataURL().split(',')[1]", sheet)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


@pytest.mark.slow
def test_drawing_with_a_pointer(page, predictor):
    find(page, "#open-drawing")[0].click()
    assert "Nothing is drawn yet." in find(page, "#drawn")[0].text
    find(page, "#on-black")[0].click()
    (sheet,) = find(page, "#sheet")
    stroke = ActionChains(page, duration=20).move_to_element_with_offset(sheet, 10, -110)
    stroke.click_and_hold().move_by_offset(-20, 220).release().perform()
    wait_for(page, "#drawn .said")
    pixels = sheet_pixels(page)
    assert 0.01 < (pixels == 255).mean() < 0.3
    margins = predictor.predict_all(pixels).margins[0]
    wanted = dict(zip(map(str, range(10)), margins))
    assert bars_of(find(page, "#drawn")[0]) == pytest.approx(wanted, abs=0.0051)
    find(page, "#keep")[0].click()
    (card,) = wait_for(page, "#cards > li")
    assert card.text.startswith("Drawing 1")
    assert bars_of(card) == pytest.approx(wanted, abs=0.0051)
    assert "Nothing is drawn yet." in find(page, "#drawn")[0].text
    find(page, "#on-white")[0].click()
    assert (sheet_pixels(page) == 255).all()


@pytest.mark.slow
def test_everything_with_the_keyboard(page):
    """Tab moves from one control to the next, and the arrow keys draw."""
    page.execute_script("document.getElementById('choose').focus()")

    def press(*keys):
        page.switch_to.active_element.send_keys(*keys)

    seen = ["choose"]
    for _ in range(12):
        press(Keys.TAB)
        active = page.switch_to.active_element
        if active.tag_name == "body":
            break
        seen.append(active.get_attribute("id") or active.tag_name)
    assert seen == ["choose", "open-drawing", "open-camera", "summary"]
    find(page, "#open-drawing")[0].send_keys(Keys.ENTER)
    assert page.switch_to.active_element.get_attribute("id") == "sheet"
    assert find(page, "#cursor")[0].is_displayed()
    press(Keys.SPACE, *[Keys.ARROW_DOWN] * 20, *[Keys.ARROW_LEFT] * 20)
    assert (sheet_pixels(page) == 0).any()
    press(Keys.SPACE)
    wait_for(page, "#drawn .said")
    press(Keys.DELETE)
    assert (sheet_pixels(page) == 255).all()
    find(page, "#drawing .close")[0].send_keys(Keys.ENTER)
    assert not find(page, "#drawing")[0].is_displayed()
    assert page.switch_to.active_element.get_attribute("id") == "open-drawing"


@pytest.mark.slow
def test_camera(page):
    check_camera(page)


@pytest.fixture(params=["light", "dark"])
def scheme(request, page):
    yield from in_scheme(page, request.param)


@pytest.fixture(params=[1200, 360])
def width(request, page):
    yield from in_width(page, request.param)


@pytest.mark.slow
def test_axe_finds_nothing_and_nothing_sticks_out(page, scheme, width, pictures, tmp_path):
    long = tmp_path / f"{'a very long name of a file_' * 5}.png"
    long.write_bytes(pictures[0].read_bytes())
    (tmp_path / "no.png").write_bytes(b"")
    show(page, [long, tmp_path / "no.png"])
    find(page, "#open-drawing")[0].click()
    page.switch_to.active_element.send_keys(Keys.SPACE, Keys.ARROW_DOWN, Keys.SPACE)
    wait_for(page, "#drawn .said")
    page.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    check_axe(page, width)
    check_background(page, scheme)
    page.execute_script("document.querySelectorAll('details').forEach(one => { one.open = false })")


def test_names_are_text(page):
    assert find(page, "h1")[0].text == NAME
    assert page.title == f"{NAME}: Penultimate model"


def test_the_policy_lets_nothing_else_run_or_connect(page):
    check_policy(page)


@pytest.mark.slow
def test_subsets(browser, runtime, tmp_path):
    specialists = opened(abstains=False, subsets=True)
    path = tmp_path / "page.html"
    path.write_text(render_page(specialists, runtime, name="digits"), encoding="utf-8")
    visit(browser, path)
    Image.fromarray(digit_images()[0][0]).save(tmp_path / "zero.png")
    for subset in (None, *SUBSETS):
        answer = specialists.predict_all(tmp_path / "zero.png", subset=subset)
        number = -1 if subset is None else list(SUBSETS).index(subset)
        find(browser, f'#subset option[value="{number}"]')[0].click()
        (card,) = show(browser, [tmp_path / "zero.png"])
        assert card.find_element(By.CSS_SELECTOR, ".said").text == str(answer.labels[0])
        assert f"subset {subset or 'round'}" in card.text
        assert set(bars_of(card)) == set(map(str, SUBSETS[subset or "round"]))
        find(browser, "#remove-all")[0].click()
    assert browser.get_log("browser") == []


def test_the_same_model_gives_the_same_page(predictor):
    runtime = WebRuntime("1", b"script", b"binary")
    pages = {render_page(predictor, runtime, name="digits") for _ in range(2)}
    assert len(pages) == 1
    assert "\r" not in pages.pop()


def test_training_images_of_a_bundle_are_in_its_page():
    images, labels = digit_images()
    parts = make_thumbnails(images[:1], labels[:1], list(range(10)))
    predictor = load(pack(make_parts(digits_graph(), parts=parts, **digits_fields())))
    page = render_page(predictor, WebRuntime("1", b"script", b"binary"), name="digits")
    assert page.count("data:image/png;base64,") == 1
    assert '"examples": {"0": "data:image/png;base64,' in page


def test_a_model_of_features_has_no_page():
    predictor = load(pack(make_parts(of_features())))
    with pytest.raises(ValueError, match="takes features, and a page classifies images"):
        render_page(predictor, WebRuntime("1", b"", b""), name="x")
