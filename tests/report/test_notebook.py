import dataclasses
import re
from html import unescape
from html.parser import HTMLParser

from penultimate.report.notebook import render_notebook
from penultimate.results.overview import overview
from penultimate.results.statements import sentences


class Elements(HTMLParser):
    """Lists the elements, and checks that each is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def cells(html):
    return [unescape(cell) for cell in re.findall(r"<t[hd](?: scope=\"\w+\")?>(.*?)</t[hd]>", html)]


def test_the_same_words_and_figures_as_the_text(full):
    html = full._repr_html_()
    assert html == render_notebook(full)
    written = [unescape(line) for line in re.findall("<p.*?>(.*?)</p>", html)]
    assert written == sentences(full)
    tables = overview(full)
    assert len(tables) == 2  # the methods, and classes as strangers
    wanted = [[*table.head, *(cell for row in table.rows for cell in row)] for table in tables]
    assert cells(html) == [cell for table in wanted for cell in table]


def test_small_closed_and_without_scripts(full):
    parser = Elements()
    html = full._repr_html_()
    parser.feed(html)
    assert not parser.open
    assert set(parser.tags) == {
        "div", "style", "p", "table", "caption", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert len(html) < 6_000
    assert "http" not in html


def test_colors_are_the_notebooks(full):
    style = re.search("<style>(.*)</style>", full._repr_html_(), re.DOTALL)[1]
    assert not re.search(r"#[0-9a-f]{3}|rgb|background|white|black", style)
    # Every rule is about what is inside: a notebook's own tables are left alone.
    rules = ",".join(re.findall(r"^(.*?) \{", style, re.MULTILINE)).split(",")
    assert all(part.strip().startswith(".penultimate") for part in rules)


def test_names_are_text(comparison):
    evil = "<script>alert('é')</script>"
    methods = [dataclasses.replace(comparison.methods[0], name=evil)]
    data = dataclasses.replace(comparison.dataset, name=evil, classes=(evil, "b"))
    checks = [{"id": evil, "level": "error", "message": evil, "advice": evil}]
    made = dataclasses.replace(comparison, dataset=data, methods=methods, checks=checks)
    html = made._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5
    assert evil in unescape(html)
