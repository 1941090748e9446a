"""The page of a service, after the guarantee was withdrawn."""

import base64
import json
from urllib.request import Request, urlopen

import pytest

from tests.bundle.digits import digit_images, watched_digits
from tests.pages import check_axe, find, in_scheme, in_width, show, until, wait_for

from .conftest import as_file
from .test_page import served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("watched") / "digits.zip"
    path.write_bytes(watched_digits())
    with served([path]) as address:
        yield address


def send(address, images):
    content = [base64.b64encode(as_file(image)).decode() for image in images]
    headers = {"Content-Type": "application/json"}
    body = json.dumps({"images": content}).encode()
    with urlopen(Request(f"{address}v1/predict", body, headers)) as response:
        return json.load(response)["watch"]


@pytest.mark.slow
def test_the_page_withdraws_the_guarantee_until_a_person_resets_it(browser, address, tmp_path):
    images = digit_images()[0][1:121:2]
    (tmp_path / "one.png").write_bytes(as_file(images[0]))
    browser.get(address)
    (card,) = show(browser, [tmp_path / "one.png"])
    assert not find(browser, "#watch")[0].is_displayed()
    assert "withdrawn" not in card.text
    assert send(address, 255 - images)["withdrawn"]
    # The page finds out with its next answer, and each answer says so.
    show(browser, [tmp_path / "one.png"])
    card = wait_for(browser, "#cards > li", 2)[0]
    assert "The guarantee is withdrawn" in card.text
    pictures = wait_for(browser, "#telling img")
    assert 1 <= len(pictures) <= 8
    assert all(each.get_property("naturalWidth") == 8 for each in pictures)
    for scheme in ("light", "dark"):
        for _ in in_scheme(browser, scheme):
            for width in in_width(browser, 360):
                check_axe(browser, width)
    browser.get(address)  # opened anew, at once
    assert find(browser, "#watch")[0].is_displayed()
    find(browser, "#watch-anew")[0].click()
    until(browser, lambda: not find(browser, "#watch")[0].is_displayed())
    assert "nothing is withdrawn" in find(browser, "#status")[0].text
    with urlopen(f"{address}v1/watch") as response:
        assert json.load(response)["watch"]["n_seen"] == 0


@pytest.mark.slow
def test_a_drawing_is_counted_once_when_it_is_kept(browser, address):
    from selenium.webdriver import ActionChains

    def n_seen():
        with urlopen(f"{address}v1/watch") as response:
            return json.load(response)["watch"]["n_seen"]

    browser.get(address)
    before = n_seen()
    find(browser, "#open-drawing")[0].click()
    sheet = find(browser, "#sheet")[0]
    ActionChains(browser).click_and_hold(sheet).move_by_offset(30, 40).release().perform()
    wait_for(browser, "#drawn .said")
    assert n_seen() == before
    find(browser, "#keep")[0].click()
    wait_for(browser, "#cards > li")
    assert n_seen() == before + 1
