"""A visit to a served model, by a browser: it draws a digit that the model does not know.

The model was fitted on digits without the seven. On its page a seven is drawn, the answer is
corrected, and what was taught is compared and promoted. Then the server is killed (-9) and started
again, and knows the digit. It needs Chromium, its driver, and the package selenium.
Run it with: python examples/visit.py [--model FILE] [--pictures FOLDER]
"""

import argparse
import base64
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from penultimate import SVC, DeepSVC, Training, load_mnist_5k, save, split_test

PATIENCE = 60  # seconds, on a busy machine
SEVEN = [(-85, -95), (160, 0), (-95, 210)]  # pixels from the middle of the sheet, and strokes
# Of the page, what is pictured: the answers, and what was taught.
PART = """
    const place = selector => document.querySelector(selector).getBoundingClientRect();
    const top = place("#answers").top - 12, bottom = place("#teaching").bottom + 12;
    const {x, width} = place("main");
    return {x, width, y: scrollY + top, height: bottom - top, scale: 1};
"""


def fit(path):
    """Save a model of nine digits that can be taught."""
    digits = load_mnist_5k()
    known = digits.labels != 7
    images, labels = digits.images[known], digits.labels[known]
    parts = split_test(labels)
    X, y = images[parts.train], labels[parts.train]
    model = DeepSVC("compact", head=SVC(C=10), training=Training(epochs=5), random_state=0)
    model.fit(X, y)
    held_out = images[parts.held_out], labels[parts.held_out]
    rows = model.head_[-1].support_  # what answers are explained by; twenty of each class are kept
    rows = np.concatenate([rows[y[rows] == digit][:20] for digit in model.classes_])
    save(
        model,
        path,
        held_out[0][:200],
        thumbnails=(X[rows], y[rows], rows),
        teach=(X, y),
        held_out=held_out,
    )


class Server:
    """A served model that can be taught, in a process of its own."""

    def __init__(self, path):
        command = [sys.executable, "-m", "penultimate", "serve", path, "--teach", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = re.search(r"http://\S+:\d+", self.process.stdout.readline())[0]

    def kill(self):
        """End it as a power failure would."""
        self.process.kill()
        self.process.communicate()


def open_browser():
    """Return a headless Chromium."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for each in ("headless", "no-sandbox", "disable-gpu", "window-size=1100,1500"):
        options.add_argument(f"--{each}")
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


class Page:
    """The page of the model, as a visitor uses it."""

    def __init__(self, browser, server):
        self.browser = browser
        browser.get(server.address)
        self.until(lambda: self.find("#status").text == "Ready.")

    def until(self, holds):
        """Wait until something holds."""
        return WebDriverWait(self.browser, PATIENCE).until(lambda _: holds())

    def find(self, selector):
        """Return the first such element."""
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def press(self, selector):
        """Press a button, wherever it is on the page."""
        element = self.find(selector)
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def draw(self):
        """Draw a seven, white on black, and return what the model says."""
        self.press("#open-drawing")
        self.press("#on-black")
        self.browser.execute_script("arguments[0].scrollIntoView()", self.find("#drawing"))
        start, *strokes = SEVEN
        pen = ActionChains(self.browser, duration=100)
        pen.move_to_element_with_offset(self.find("#sheet"), *start).click_and_hold()
        for stroke in strokes:
            pen.move_by_offset(*stroke)
        pen.release().perform()
        self.press("#keep")
        self.until(lambda: self.browser.find_elements(By.CSS_SELECTOR, "#cards .said"))
        return self.find("#cards .said").text

    def correct(self, name):
        """Teach that the last answer is of a new class; return what is said, and after how long."""
        self.press("#cards .correct summary")
        Select(self.find("#cards .correct select")).select_by_visible_text("a new class …")
        self.find("#cards .correct input").send_keys(name)
        start = time.perf_counter()
        self.press("#cards .correct button")
        said = self.find("#cards .correction")
        self.until(lambda: said.text not in ("", "Teaching …"))
        return said.text, time.perf_counter() - start

    def step(self, name):
        """Press a button of the section about teaching, and return what it says."""
        self.press(f"#{name}")
        said = self.find("#teaching-status")
        self.until(lambda: said.text not in ("", "Working …"))
        return said.text


def visit(path, browser, picture):
    """Visit the model; `picture` is called with a name wherever there is something to see."""
    server = Server(path)
    try:
        page = Page(browser, server)
        print(f"A seven is drawn. The model, which knows none, says: {page.draw()}")
        said, seconds = page.correct("7")
        print(f"After it was corrected: {said} ({1000 * seconds:.0f} ms, as the browser saw it)")
        print(page.step("compare"), page.find("#compared").text)
        picture("teach")
        print(page.step("promote"))
        picture("promoted")
    finally:
        server.kill()
    print("The server is killed, and started again.")
    server = Server(path)
    try:
        page = Page(browser, server)
        answer = page.draw()
        print(f"The seven is drawn again. The model says: {answer}")
        picture("known")
    finally:
        server.kill()
    return answer


def main():
    """Fit a model, or take one, and visit it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a model of digits that can be taught")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the page")
    options = parser.parse_args()

    def picture(name):
        """Keep a picture of the answers and of what was taught."""
        if options.pictures is not None:
            shot = {"clip": browser.execute_script(PART), "captureBeyondViewport": True}
            content = browser.execute_cdp_cmd("Page.captureScreenshot", shot)["data"]
            (options.pictures / f"{name}.png").write_bytes(base64.b64decode(content))

    browser = open_browser()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "digits.zip")
            if options.model is None:
                fit(path)
            else:
                shutil.copyfile(options.model, path)
            answer = visit(path, browser, picture)
    finally:
        browser.quit()
    sys.exit(0 if answer == "7" else 1)


if __name__ == "__main__":
    main()
