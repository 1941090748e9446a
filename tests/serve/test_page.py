"""The page of a service, in a real browser: it asks this server, and reaches nothing else."""

import contextlib
import json
import threading
import time
from urllib.request import urlopen

import numpy as np
import pytest
import uvicorn
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from penultimate.bundle.archive import pack
from penultimate.bundle.thumbnails import make_thumbnails
from penultimate.serve import Models, create_app
from penultimate.serve import service as service_module
from tests.bundle.digits import SUBSETS, digit_images, digits_fields, digits_graph
from tests.bundle.handmade import make_parts
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

pytestmark = pytest.mark.browser
TOKEN = "a-token-of-20-letters"


@contextlib.contextmanager
def served(paths, **options):
    """A server in a thread of this process; its address."""
    config = uvicorn.Config(
        create_app(Models(paths, threads=1), **options), port=0, log_level="error", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def paths(tmp_path_factory, bundles):
    """A model with training images in its file, specialists, and a model of features."""
    folder = tmp_path_factory.mktemp("page")
    images, labels = digit_images()
    parts = make_thumbnails(images[:40], labels[:40], list(range(10)))
    bundle = pack(make_parts(digits_graph(), parts=parts, **digits_fields()))
    (folder / "<b>&digits.zip").write_bytes(bundle)
    return [folder / "<b>&digits.zip", bundles["special"], bundles["columns"]]


@pytest.fixture(scope="module")
def address(paths):
    with served(paths) as address:
        yield address


@pytest.fixture
def page(browser, address):
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(address)
    until(browser, lambda: find(browser, "#status")[0].text == "Ready.")
    return browser


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    images, _ = digit_images()
    Image.fromarray(images[0]).save(folder / "zero.png")
    Image.fromarray(images[4]).resize((40, 40)).save(folder / "four.jpg")
    Image.fromarray(np.full((9, 9), 128, np.uint8)).save(folder / "plain.png")
    return {path.stem: path for path in folder.iterdir()}


@pytest.mark.slow
def test_files_have_the_answers_of_python(page, paths, pictures):
    predictor = Models(paths, threads=1).find("<b>&digits").predictor
    chosen = [pictures["zero"], pictures["four"]]
    for card, path in zip(show(page, chosen), chosen, strict=True):
        answer = predictor.predict_all(path)
        wanted = dict(zip(map(str, range(10)), answer.margins[0]))
        assert bars_of(card) == pytest.approx(wanted, abs=0.0051)
        label, said = str(answer.labels[0]), card.find_element(By.CSS_SELECTOR, ".said").text
        assert said == (label if answer.accepted[0] else "Not sure")
        (strip,) = card.find_elements(By.CSS_SELECTOR, ".examples img")
        assert page.execute_script("return arguments[0].naturalHeight", strip) == 64
        assert f"Training images of {label}" in card.text
    assert page.get_log("browser") == []
    requests = [
        message["params"]["request"]["url"]
        for entry in page.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
    ]
    assert requests
    assert all(url.startswith((page.current_url, "data:")) for url in requests)


def test_not_sure_none_of_these_and_no_image(page, pictures, tmp_path, monkeypatch):
    (tmp_path / "broken.jpg").write_bytes(b"<html>")
    unsure, broken = show(page, [pictures["plain"], tmp_path / "broken.jpg"])
    assert unsure.find_element(By.CSS_SELECTOR, ".said").text == "Not sure"
    assert broken.text == "broken.jpg is not an image that this browser can read."

    def strange(*given):
        answer = real(*given)
        answer["predictions"][0]["novel"] = True
        return answer

    real = service_module.answer_of
    monkeypatch.setattr(service_module, "answer_of", strange)
    find(page, "#remove-all")[0].click()
    (card,) = show(page, [pictures["zero"]])
    assert card.find_element(By.CSS_SELECTOR, ".said").text == "None of these"
    assert "Of its classes, 0 is closest." in card.text


def test_what_the_server_refuses_is_said_in_its_words(page, pictures, monkeypatch):
    def refuse(*_):
        raise service_module.busy("Too much is asked.")

    monkeypatch.setattr(service_module, "answer_of", refuse)
    (card,) = show(page, [pictures["zero"]])
    assert card.text == "Too much is asked. Ask again in a moment."
    page.get_log("browser")


@pytest.mark.slow
def test_drawing_with_the_keyboard_and_a_pointer(page):
    find(page, "#open-drawing")[0].send_keys(Keys.ENTER)
    page.switch_to.active_element.send_keys(Keys.SPACE, *[Keys.ARROW_DOWN] * 9, Keys.SPACE)
    wait_for(page, "#drawn .said")
    (sheet,) = find(page, "#sheet")
    stroke = ActionChains(page, duration=20).move_to_element_with_offset(sheet, 10, -110)
    stroke.click_and_hold().move_by_offset(-20, 220).release().perform()
    find(page, "#keep")[0].click()
    (card,) = wait_for(page, "#cards > li")
    assert card.text.startswith("Drawing 1")


def test_camera(page):
    check_camera(page)


@pytest.mark.slow
def test_subsets_and_other_models(browser, address, page, pictures):
    assert find(page, "h1")[0].text == "<b>&digits"
    find(page, '#model option[value="special"]')[0].click()
    until(page, lambda: find(page, "h1")[0].text == "special")
    for number, subset in enumerate(SUBSETS):
        find(page, f'#subset option[value="{number}"]')[0].click()
        (card,) = show(page, [pictures["zero"]])
        assert f"subset {subset}" in card.text
        assert set(bars_of(card)) == set(map(str, SUBSETS[subset]))
        find(page, "#remove-all")[0].click()
    browser.get(f"{address}?model=columns")
    assert "It takes features, not images" in find(browser, "main")[0].text
    assert browser.get_log("browser") == []


@pytest.mark.serial
def test_the_first_paint_comes_soon(page):
    """The browser measures it; the best of three counts, since other programs may be running."""
    times = []
    for _ in range(3):
        page.refresh()
        until(page, lambda: page.execute_script(
            "return performance.getEntriesByName('first-contentful-paint').length"
        ))  # fmt: skip
        times.append(page.execute_script(
            "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
        ))  # fmt: skip
    assert min(times) < 300


@pytest.fixture(scope="module")
def explaining(pictured):
    with served([pictured]) as address:
        yield address


@pytest.mark.slow
def test_because_it_looks_like_these(page, pictured, explaining, pictures):
    """The nearest support vectors are shown in the place of examples of the class."""
    page.get(explaining)
    (card,) = show(page, [pictures["zero"]])
    images = wait_for(page, ".neighbors img")
    label = card.find_element(By.CSS_SELECTOR, ".said").text
    assert [each.get_attribute("alt") for each in images] == [
        f"{label}, nearest training image number {k + 1}" for k in range(len(images))
    ]
    assert 1 <= len(images) <= 4
    assert "Because it looks like these" in card.text
    assert "Training images of" not in card.text
    loaded = (
        "return [...document.querySelectorAll('.neighbors img')].every(i => i.naturalWidth === 64)"
    )
    until(page, lambda: page.execute_script(loaded))
    for width in (1100, 360):
        for _ in in_width(page, width):
            for scheme in ("light", "dark"):
                for _ in in_scheme(page, scheme):
                    check_axe(page, width)
    assert page.get_log("browser") == []


@pytest.fixture(params=["light", "dark"])
def scheme(request, page):
    yield from in_scheme(page, request.param)


@pytest.fixture(params=[1100, 360])
def width(request, page):
    yield from in_width(page, request.param)


@pytest.mark.slow
def test_axe_finds_nothing_and_nothing_sticks_out(page, scheme, width, pictures, address):
    show(page, [pictures["zero"], pictures["plain"]])
    find(page, "#open-drawing")[0].click()
    page.switch_to.active_element.send_keys(Keys.SPACE, Keys.ARROW_DOWN, Keys.SPACE)
    wait_for(page, "#drawn .said")
    page.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    check_axe(page, width)
    check_background(page, scheme)
    page.get(f"{address}?model=columns")
    check_axe(page, width)


def test_the_policy_lets_nothing_else_run_or_connect(page):
    check_policy(page)


@pytest.mark.slow
def test_with_a_token_one_signs_in(browser, paths, pictures):
    with served(paths[:1], token=TOKEN) as address:
        for given, words in (("a wrong token", "That is not the token"), (TOKEN, "Ready.")):
            browser.get(address)
            find(browser, "#token")[0].send_keys(given, Keys.ENTER)
            until(
                browser,
                lambda words=words: words in "".join(e.text for e in find(browser, "#status")),
            )
        show(browser, [pictures["zero"]])
        assert browser.execute_script("return document.cookie") == ""
        (cookie,) = browser.get_cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert TOKEN not in cookie["value"]
        browser.delete_all_cookies()
        with pytest.raises(OSError, match="401"):
            urlopen(f"{address}v1/model")
    browser.get_log("browser")
