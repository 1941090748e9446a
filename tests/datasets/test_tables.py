"""Manifests as spreadsheets and other systems write them."""

import unicodedata

import pytest

from penultimate import datasets
from penultimate.datasets.tables import read_table
from tests.datasets.conftest import fill

ROWS = "".join(
    f"{c}/{i}.png,{name}\n" for c, name in (("9", "nine"), ("10", "ten")) for i in range(5)
)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", "|"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "sep=;\n" + text.replace(",", ";"),
        lambda text: text.replace("path,label", " Path ,LABEL"),
        lambda text: text.replace("path,label", '"path","label"'),
        lambda text: (
            text.replace(".png,", '.png,"').replace("\n", '"\n').replace('label"', "label")
        ),
        lambda text: "".join(
            ", ".join(f'"{entry}"' for entry in line.split(",")) + "\n"
            for line in text.splitlines()
        ),
        lambda text: text.replace("/", "\\"),
        lambda text: text.replace(".png", ".PNG"),
        lambda text: text.replace("\n", "\n,\n") + ",\n,\n",
        lambda text: text.rstrip("\n"),
        lambda text: text.replace(",", ",more,").replace("path,more", "path,extra"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("suffix", ["csv", "CSV", "tsv"])
def test_ways_to_write_a_table(folders, change, encoding, suffix):
    path = folders / f"list.{suffix}"
    path.write_bytes(change("path,label\n" + ROWS).encode(encoding))
    data = datasets.load(path)
    assert data.classes == ("nine", "ten")
    assert data.images[:, 0, 0, 0].tolist() == [*range(9, 14), *range(10, 15)]


def test_what_was_changed_is_noted(folders):
    text = "path,label,group,subset\n" + "".join(
        f"{' ' * (k % 2)}{c}/{k}.png,{name}{' ' * k},w{k % 2}\u00a0, {k // 3}\n"
        for c, name in (("9", "odd"), ("10", "even"))
        for k in range(5)
    )
    (folders / "list.csv").write_text(text, encoding="utf-8")
    data = datasets.load(folders / "list.csv")
    assert data.classes == ("0/even", "0/odd", "1/even", "1/odd")
    assert data.groups.tolist() == ["w0", "w1", "w0", "w1", "w0"] * 2
    assert data.notes == (
        "Blanks around entries of the manifest were removed: path (4), label (8), group (10), "
        "subset (10).",
    )


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_table", ["NFC", "NFD"])
def test_accents_in_either_form(tmp_path, on_disk, in_table):
    lines = ["path,label"]
    for k, name in enumerate(("Müller", "café")):
        fill(tmp_path / unicodedata.normalize(on_disk, name), 3, 10 * k)
        for i in range(3):
            path = unicodedata.normalize(in_table if i else "NFC", name)
            lines.append(f"{path}\\{i}.png,{path}")
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    data = datasets.load(tmp_path / "list.csv")
    assert data.classes == ("Müller", "café")
    assert (
        "6 paths of the manifest, such as 'Müller\\\\0.png', differ from the names on disk"
        in (data.notes[0])
    )


def test_file_that_is_there_as_written_is_taken(folders):
    (folders / "9" / "A.png").write_bytes((folders / "9" / "4.png").read_bytes())
    (folders / "9" / "a.png").write_bytes((folders / "10" / "4.png").read_bytes())
    (folders / "list.csv").write_text("path,label\n9/A.png,x\n9/a.png,y\n")
    data = datasets.load(folders / "list.csv")
    assert data.images[:, 0, 0, 0].tolist() == [13, 14]
    (folders / "list.csv").write_text("path,label\n9\\a.PNG,x\n9/a.png,y\n")
    with pytest.raises(ValueError, match=r"1 of 2 files .* do not exist"):  # either could be meant
        datasets.load(folders / "list.csv")


def test_one_file_spelled_in_two_ways_is_listed_twice(folders):
    (folders / "list.csv").write_text("path,label\n9/0.png,a\n9\\0.PNG,b\n")
    with pytest.raises(ValueError, match=r"line 3: .*0.PNG' is already in line 2"):
        datasets.load(folders / "list.csv")


@pytest.mark.parametrize(
    ("parts", "n_parts"),
    [
        (("train", "val", "test"), (4, 2, 4)),
        (("Training", "Validation", " TESTING"), (4, 2, 4)),
        (("train", "dev", "test"), (4, 2, 4)),
        (("dev", "dev", "test"), (6, 0, 4)),
        (("train", "val", "val"), (4, 0, 6)),
    ],
)
def test_split_column(folders, parts, n_parts):
    names = [parts[k] for k in (0, 0, 1, 2, 2)]
    rows = [f"{c}/{k}.png,{c},{names[k]}" for c in ("9", "10") for k in range(5)]
    (folders / "list.csv").write_text("\n".join(["path,label,Split", *rows]))
    data = datasets.load(folders / "list.csv")
    n_selected = 0 if data.is_selection is None else data.is_selection.sum()
    assert (10 - n_selected - data.is_test.sum(), n_selected, data.is_test.sum()) == n_parts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,Path,label\n", "names the column 'path' more than once"),
        (b"path,label\nx.png,caf\xe9\n", "not CSV in UTF-8.*Save it again, as 'CSV UTF-8'"),
        (b'path,label\n"x.png,a\n', "not CSV in UTF-8"),
        (b"path,label,group\nx.png,a\n", "line 2 has fewer entries than the header"),
        (b"sep=;\npath;label\nx.png;\n", "line 3: the column 'label' is empty"),
        (b'path,label\n"a\nb.png",\n', "line 2: the column 'label' is empty"),
    ],
)
def test_bad_tables(tmp_path, content, message):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        datasets.load(tmp_path / "list.csv")


def test_lines_are_counted_with_those_inside_quotes(tmp_path):
    (tmp_path / "list.csv").write_text('path,label\n"a\nb",x\n\nc,y\n')
    assert read_table(tmp_path / "list.csv").rows() == [(2, ["a\nb", "x"]), (5, ["c", "y"])]


def test_blanks_before_quotes_and_in_them(folders):
    text = "path,label\n" + ROWS.replace(",nine", ',  "a, ""b"" "').replace(",ten", ', "a,b"')
    (folders / "list.csv").write_text(text)
    assert datasets.load(folders / "list.csv").classes == ('a, "b"', "a,b")
