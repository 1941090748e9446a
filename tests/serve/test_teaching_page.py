"""Teaching on the page, in a real browser: from a wrong answer to a version that serves."""

import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from penultimate.teaching import Teacher, TeachingError
from tests.bundle.digits import digit_images
from tests.pages import (
    check_axe,
    check_background,
    find,
    in_scheme,
    in_width,
    show,
    until,
    wait_for,
)

from .conftest import save_teachable
from .test_page import served

pytestmark = pytest.mark.browser
SCRIPT = "<img src=x onerror=alert(1)>" + 150 * "é"


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A model whose classes have names."""
    names = [f"digit {k}" for k in range(7)]
    return save_teachable(tmp_path_factory.mktemp("named") / "digits.zip", names)


@pytest.fixture(scope="module")
def sevens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sevens")
    images, labels = digit_images()
    for k, image in enumerate(images[labels == 7][:4]):
        Image.fromarray(image).save(folder / f"seven{k}.png")
    return sorted(folder.iterdir())


@pytest.fixture
def path(named, tmp_path):
    (tmp_path / "digits.zip").write_bytes(named)
    return tmp_path / "digits.zip"


@pytest.fixture
def page(browser, path):
    with served([path], teach=True) as address:
        browser.get_log("browser")
        browser.get(address)
        until(browser, lambda: text_of(browser, "#so-far").startswith("Version 1 serves."))
        yield browser
        browser.get("about:blank")


def text_of(page, selector):
    return find(page, selector)[0].text


def correct(page, card, name, *, is_new=False):
    """Correct an answer with the keyboard, and return what the page says of it."""
    details = card.find_element(By.CSS_SELECTOR, ".correct")
    if details.get_attribute("open") is None:
        details.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    choice = details.find_element(By.TAG_NAME, "select")
    until(page, lambda: len(Select(choice).options) > 1)
    Select(choice).select_by_visible_text("a new class …" if is_new else name)
    if is_new:
        assert page.switch_to.active_element.tag_name == "input"
        page.switch_to.active_element.send_keys(name, Keys.ENTER)
    else:
        details.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    said = card.find_element(By.CSS_SELECTOR, ".correction")
    until(page, lambda: said.text not in ("", "Teaching …"))
    return said.text


def step(page, name, begins=""):
    """Press a button with the keyboard, and return what the page says then."""
    (button,) = find(page, f"#{name}")
    until(page, button.is_enabled)
    button.send_keys(Keys.ENTER)
    until(page, lambda: text_of(page, "#teaching-status") not in ("", "Working …"))
    return text_of(page, "#teaching-status")


@pytest.mark.slow
def test_correct_undo_and_what_other_pages_see(page, path, sevens):
    first, _ = show(page, sevens[:2])
    before = first.find_element(By.CSS_SELECTOR, ".said").text
    right = "digit 1" if before != "digit 1" else "digit 2"
    said = correct(page, first, right)
    assert "Lesson 1: 1 sample, 0 right before" in said
    assert page.switch_to.active_element.text == "Is this wrong?", "the focus stays"
    (lesson,) = wait_for(page, "#lessons li")
    assert lesson.text.startswith(f"is {right}")
    (picture,) = find(page, "#lessons img")
    assert page.execute_script("return arguments[0].naturalWidth", picture) == 64
    assert correct(page, first, "digit 3").startswith("Sample 0 was taught as ")
    # What is shown of an answer after a lesson is both, and another page sees the same.
    show(page, [sevens[2]])
    other, *_ = wait_for(page, "#cards > li", 3)  # the latest comes first
    until(page, lambda: "With what it was taught since: digit" in other.text)
    page.refresh()
    wait_for(page, "#lessons li")
    with Teacher(path) as elsewhere:
        elsewhere.teach(sevens[3].read_bytes(), ["digit 5"])
    until(page, lambda: len(find(page, "#lessons li")) == 2)
    assert "2 lessons since:" in text_of(page, "#so-far")
    undo = find(page, "#lessons button")[1]
    assert undo.get_attribute("aria-label") == "Undo lesson 2: digit 5"
    undo.send_keys(Keys.ENTER)
    until(page, lambda: len(find(page, "#lessons li")) == 1)
    assert text_of(page, "#teaching-status") == "The lesson is undone."
    assert page.switch_to.active_element.text == "Teaching"
    with Teacher(path) as elsewhere:
        assert [each.event for each in elsewhere.lessons] == [1]
    messages = [each["message"] for each in page.get_log("browser")]
    assert all("409" in each for each in messages), "but for the refusal, nothing went wrong"


@pytest.mark.slow
def test_a_new_class_is_compared_promoted_and_taken_back(page, sevens):
    (card,) = show(page, sevens[:1])
    assert correct(page, card, " ", is_new=True).startswith("A label has 1 to 200 characters")
    card.find_element(By.CSS_SELECTOR, "input").clear()
    card.find_element(By.CSS_SELECTOR, "input").send_keys(SCRIPT, Keys.ENTER)
    until(page, lambda: f"It now says {SCRIPT}." in card.text)
    assert step(page, "compare") == "Compared."
    assert "On 100 held-out samples" in text_of(page, "#compared")
    assert "95 % interval" in text_of(page, "#compared")
    assert "They were looked at once." in text_of(page, "#compared")
    page.refresh()
    until(page, lambda: "looked at once" in text_of(page, "#compared"))
    assert step(page, "promote").startswith("Version 2 serves now.")
    assert "Version 2 serves. It was taught nothing since." in text_of(page, "#so-far")
    (card,) = show(page, sevens[:1])
    assert card.find_element(By.CSS_SELECTOR, ".said").text == SCRIPT
    assert find(page, "#cards img[onerror], #teaching img[onerror]") == []
    about = find(page, "dl")[0].get_attribute("textContent")
    assert SCRIPT in about, "what is said of the model is that of the new version"
    assert step(page, "restore").startswith("Version 1 serves now.")
    until(page, lambda: "One lesson since:" in text_of(page, "#so-far"))
    assert SCRIPT in text_of(page, "#lessons")


@pytest.mark.slow
def test_specialists_are_asked_for_the_subset_of_a_new_class(
    browser, specialists, sevens, tmp_path
):
    (tmp_path / "digits.zip").write_bytes(specialists)
    with served([tmp_path / "digits.zip"], teach=True) as address:
        browser.get_log("browser")  # of the tests before
        browser.get(address)
        until(browser, lambda: text_of(browser, "#so-far").startswith("Version 1 serves."))
        (card,) = show(browser, sevens[:1])
        card.find_element(By.CSS_SELECTOR, ".correct summary").click()
        choice, group = card.find_elements(By.TAG_NAME, "select")
        until(browser, lambda: len(Select(choice).options) > 1)
        assert not group.is_displayed()
        Select(choice).select_by_visible_text("a new class …")
        Select(group).select_by_visible_text("high")
        card.find_element(By.TAG_NAME, "input").send_keys("7", Keys.ENTER)
        until(browser, lambda: "It now says 7." in card.text)
        assert step(browser, "promote").startswith("Version 2 serves now.")
        find(browser, "#remove-all")[0].click()
        find(browser, '#subset option[value="1"]')[0].click()
        (card,) = show(browser, sevens[:1])
        assert card.find_element(By.CSS_SELECTOR, ".said").text == "7"
        browser.get("about:blank")
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_what_goes_wrong_is_said_and_nothing_is_lost(page, sevens, monkeypatch):
    def full(*_, **__):
        raise OSError("The disk is full: nothing was written.")

    cards = show(page, sevens[:2])
    correct(page, cards[0], "seven", is_new=True)
    with monkeypatch.context() as patch:
        patch.setattr("penultimate.teaching.journal.Journal.add_lesson", full)
        said = correct(page, cards[1], "seven")
        assert said == "The disk is full: nothing was written."
        patch.setattr("penultimate.teaching.teacher.replace_keeping", full)
        assert step(page, "promote") == "The disk is full: nothing was written."
    assert "One lesson since:" in text_of(page, "#so-far")
    with monkeypatch.context() as patch:

        def refuse(*_):
            raise TeachingError("The journal is of another bundle.")

        patch.setattr("penultimate.teaching.teacher.Teacher.undo", refuse)
        find(page, "#lessons button")[0].click()
        until(page, lambda: "of another bundle" in text_of(page, "#teaching-status"))
    assert "It now says seven." in correct(page, cards[1], "seven")
    page.get_log("browser")


@pytest.mark.slow
def test_axe_finds_nothing_and_nothing_sticks_out(page, sevens):
    cards = show(page, sevens[:3])
    correct(page, cards[0], SCRIPT, is_new=True)
    correct(page, cards[1], SCRIPT)
    step(page, "compare")
    cards[2].find_element(By.CSS_SELECTOR, ".correct summary").click()
    choice = cards[2].find_element(By.TAG_NAME, "select")
    until(page, lambda: len(Select(choice).options) > 1)
    Select(choice).select_by_visible_text("a new class …")
    for scheme in ("light", "dark"):
        for _ in in_scheme(page, scheme):
            for width in (1100, 360):
                for _ in in_width(page, width):
                    check_axe(page, width)
                    check_background(page, scheme)


def test_without_teaching_the_page_has_none(browser, path):
    with served([path]) as address:
        browser.get(address)
        until(browser, lambda: text_of(browser, "#status") == "Ready.")
        assert find(browser, "#teaching") == []
        assert "writes nothing to its disk" in text_of(browser, "header")
