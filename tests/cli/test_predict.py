"""``penultimate predict``: what it is given, the rows it writes, and how it ends."""

import csv
import io
import json
import os
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from penultimate.bundle.archive import pack
from penultimate.cli import predict as module  # registers the command
from penultimate.cli.app import app
from tests.bundle.conftest import OF_IMAGES, make_parts, of_features, of_images
from tests.bundle.digits import digit_images, watched_digits

COLORS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "colors.zip"
    path.write_bytes(pack(make_parts(of_images(), **OF_IMAGES)))
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two folders of images of several sizes, among them a file that is no image."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "more").mkdir()
    for number, (name, color) in enumerate(COLORS.items()):
        size = (5 + number, 9)
        Image.new("RGB", size, color).save(folder / f"{name}.png")
        Image.new("RGB", size[::-1], color).save(folder / "more" / f"{name}2.png")
    (folder / "notes.txt").write_text("not an image")
    (folder / ".DS_Store").write_text("left by a system")
    return folder


def run(*arguments, stdin=None, code=0):
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)], input=stdin)
    assert result.exit_code == code, result.output + result.stderr
    return result


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_folder_gives_one_row_per_image_in_order(bundle, photos):
    rows = rows_of(run(bundle, photos).stdout)
    names = [row["file"] for row in rows]
    assert names == [
        str(photos / each)
        for each in (
            "blue.png",
            "green.png",
            "more/blue2.png",
            "more/green2.png",
            "more/red2.png",
            "red.png",
        )
    ]
    for row in rows:
        assert row["label"] in row["file"]
        assert float(row["probability"]) > 0.9
        assert row["error"] == ""


def test_files_patterns_lists_and_archives_are_the_same(bundle, photos, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(photos / "red.png", "inside/red.png")
        archive.write(photos / "notes.txt", "inside/notes.txt")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(photos / "red.png", "red.png")
    ways = [
        run(bundle, photos / "red.png"),
        run(bundle, str(photos / "re*.png")),
        run(bundle, "-", stdin=f"{photos / 'red.png'}\n\n"),
        run(bundle, tmp_path / "a.zip"),
        run(bundle, tmp_path / "a.tar.gz"),
    ]
    expected = {**rows_of(ways[0].stdout)[0], "file": ""}
    for way in ways:
        (row,) = rows_of(way.stdout)
        assert row["file"].endswith("red.png")
        assert {**row, "file": ""} == expected


@pytest.mark.skipif(sys.platform == "win32", reason="names are printable there")
def test_odd_characters_in_names(bundle, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, broken = "a\rb\n\x1b[2J.png", "\x1b[2J.png"
    Path(name).write_bytes((photos / "red.png").read_bytes())
    Path(broken).write_bytes(b"no image")
    run(bundle, name, "--out", "rows.csv")
    with open("rows.csv", newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == [name]
    table = run(bundle, name, broken, "--format", "table", code=1).stdout
    assert r"a\rb\n\x1b[2J.png" in table
    assert table.count("\n") == 3
    assert table.replace("\n", "").isprintable()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_that_lead_back_are_not_followed(bundle, photos, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "red.png").write_bytes((photos / "red.png").read_bytes())
        (tmp_path / name / "itself").symlink_to(".")
    (tmp_path / "a" / "of b").symlink_to("../b")  # followed, once
    (tmp_path / "b" / "of a").symlink_to("../a")
    rows = rows_of(run(bundle, tmp_path / "a").stdout)
    assert [row["file"].removeprefix(str(tmp_path)) for row in rows] == [
        "/a/of b/red.png",
        "/a/red.png",
    ]


@pytest.mark.parametrize("name", ["rows.csv", "rows.npy"])
def test_rows_of_a_table_are_not_taken_for_an_image(bundle, tmp_path, name):
    rows = np.zeros((5, 9), np.float32)
    np.save(tmp_path / "rows.npy", rows)
    np.savetxt(tmp_path / "rows.csv", rows, "%g", ",", header="a,b,c,d,e,f,g,h,i", comments="")
    assert "takes features of shape (n_samples, 3); got (5, 9)" in (
        run(bundle, tmp_path / name, code=1).stderr
    )


def test_no_image_is_said(bundle, tmp_path):
    (tmp_path / "notes.txt").write_text("not an image")
    found = run(bundle, tmp_path, code=1)
    assert f"there is no image in '{tmp_path}'" in found.stderr
    assert rows_of(found.stdout) == []
    assert "no image in '-'" in run(bundle, "-", stdin="").stderr  # which may be so every night


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_said_in_words(bundle, photos):
    found = run(bundle, photos, "--out", "/dev/full", code=1)
    assert found.stderr == "penultimate: No space left on device.\n"


def test_no_cell_is_a_formula_for_a_spreadsheet(bundle, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "=HYPERLINK(1).png"
    Path(name).write_bytes((photos / "red.png").read_bytes())
    assert rows_of(run(bundle, name).stdout)[0]["file"] == f"'{name}"
    assert json.loads(run(bundle, name, "--format", "jsonl").stdout)["file"] == name


@pytest.mark.parametrize("text", ["\ufeff{0}\n{0}", "{0}\r\n\r\n{0}\r\n", "{0}\n\n{0}"])
def test_lists_from_other_systems(bundle, photos, tmp_path, text):
    odd = tmp_path / "r\u00f6t, 1 .png"
    odd.write_bytes((photos / "red.png").read_bytes())
    rows = rows_of(run(bundle, "-", stdin=text.format(odd)).stdout)
    assert [(row["file"], row["label"]) for row in rows] == [(str(odd), "red")] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text on other systems")
def test_names_that_are_no_utf8_pass_through(bundle, photos, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Path(name).write_bytes((photos / "red.png").read_bytes())
    for suffix in ("csv", "jsonl"):
        out = tmp_path / f"rows.{suffix}"
        run(bundle, "-", "--format", suffix, "--out", out, stdin=os.fsencode(name) + b"\n")
        assert os.fsencode(name) in out.read_bytes()
        assert b"red" in out.read_bytes()
    printed = run(bundle, name)
    assert os.fsencode(name) in printed.stdout_bytes


@pytest.mark.parametrize("text", [b"a.png\0b.png\0", "a.png\n".encode("utf-16")])
def test_a_list_with_nul_characters_says_what_to_write(bundle, text):
    found = run(bundle, "-", stdin=text, code=1)
    assert "find -print, not -print0" in found.stderr


def test_closed_standard_output_is_said(bundle, photos, monkeypatch):
    monkeypatch.setattr(module, "sys", SimpleNamespace(stdout=None, stderr=sys.stderr))
    with pytest.raises(ValueError, match="name a file for the rows with --out"):
        module._opened(None)


def test_json_lines_and_a_table(bundle, photos):
    (line,) = run(bundle, photos / "red.png", "--format", "jsonl").stdout.splitlines()
    row = json.loads(line)
    assert (row["label"], row["file"]) == ("red", str(photos / "red.png"))
    assert "error" not in row
    header, line = run(bundle, photos / "red.png", "--format", "table").stdout.splitlines()
    assert header.split() == ["label", "score", "probability", "file"]
    assert line.split()[0] == "red"


@pytest.mark.parametrize(("option", "code"), [([], 1), (["--skip-corrupt"], 0)])
def test_bad_files_have_their_reason_in_their_row_and_the_others_are_predicted(
    bundle, photos, tmp_path, option, code
):
    bad = tmp_path / "b.jpg"
    bad.write_text("<html>no photo</html>")
    given = [photos / "red.png", bad, "nowhere.png", photos / "blue.png"]
    result = run(bundle, *given, *option, code=code)
    rows = rows_of(result.stdout)
    assert [row["label"] for row in rows] == ["red", "", "", "blue"]
    assert "b.jpg" in rows[1]["error"]
    assert "nowhere.png" in rows[2]["error"]
    assert "2 of 4 images could not be read" in result.stderr


def test_odd_files_are_read_as_they_are_meant_or_have_their_reason(bundle, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    red, turned = Image.new("RGB", (8, 6), "red"), Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (1, 1), "red").save(folder / "a_pixel.png")
    red.save(folder / "b_animation.gif", save_all=True, append_images=[Image.new("RGB", (8, 6))])
    red.convert("CMYK").save(folder / "c_cmyk.jpg")
    red.convert("RGBA").save(folder / "d_alpha.png")
    red.save(folder / "e_turned.jpg", exif=turned)
    cv2.imwrite(str(folder / "f_16_bits.png"), np.full((6, 8, 3), (0, 0, 65535), np.uint16))
    content = (folder / "e_turned.jpg").read_bytes()
    (folder / "g_truncated.jpg").write_bytes(content[:-200])
    header = bytearray((folder / "a_pixel.png").read_bytes())
    header[16:24] = (20_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    (folder / "h_huge.png").write_bytes(header)
    (folder / "i_page.jpg").write_text("<!doctype html><html></html>")
    result = run(bundle, folder, code=1)
    rows = rows_of(result.stdout)
    assert [row["label"] for row in rows] == ["red"] * 6 + [""] * 3
    reasons = ("truncated", "too many pixels", "not an image in a known format")
    assert all(reason in row["error"] for reason, row in zip(reasons, rows[6:], strict=True))
    assert "penultimate: Of images with several frames" in result.stderr
    assert "site-packages" not in result.stderr


def test_rows_go_to_a_file(bundle, photos, tmp_path):
    result = run(bundle, photos, "--out", tmp_path / "rows.csv")
    assert result.stdout == ""
    assert len(rows_of((tmp_path / "rows.csv").read_text())) == 6


def test_features_come_from_a_table(tmp_path):
    path = tmp_path / "features.zip"
    path.write_bytes(pack(make_parts(of_features())))
    X = np.eye(4, dtype=np.float32)[[2, 0]]
    np.savez(tmp_path / "X.npz", X=X)
    rows = rows_of(run(path, tmp_path / "X.npz").stdout)
    assert [row["label"] for row in rows] == ["c", "a"]
    error = run(path, tmp_path, code=2).stderr
    assert "takes features, 4 per sample" in error


def test_a_head_without_scores_has_no_column_of_them(tmp_path):
    graph = of_features()
    others = [each for each in graph.graph.output if each.name != "scores"]
    assert len(others) < len(graph.graph.output)
    del graph.graph.output[:]
    graph.graph.output.extend(others)
    (tmp_path / "labels.zip").write_bytes(pack(make_parts(graph)))
    np.savez(tmp_path / "X.npz", X=np.eye(4, dtype=np.float32)[:2])
    rows = rows_of(run(tmp_path / "labels.zip", tmp_path / "X.npz").stdout)
    assert [row["label"] for row in rows] == ["a", "b"]
    assert "score" not in rows[0]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no*thing.png"], 1, "Nothing matches 'no*thing.png'"),
        (["a.png", "--subset", "vowels"], 2, "there is no subset 'vowels'"),
        (["X.npz", "a.png"], 2, "predicted alone"),
    ],
)
def test_wrong_arguments_are_named(bundle, arguments, code, message):
    error = " ".join(run(bundle, *arguments, code=code).stderr.replace("│", " ").split())
    assert message in error


def test_what_is_no_bundle_is_refused(photos):
    error = run(photos / "red.png", photos, code=1).stderr
    assert "no bundle" in error


def test_ten_thousand_names_are_read_as_they_are_predicted(bundle, photos, monkeypatch):
    """The first rows are written before the last names are read."""
    from penultimate.cli import predict as command

    seen = []
    monkeypatch.setattr(command, "_CHUNK", 2)
    original = command.each_source

    def spy(given):
        for source in original(given):
            seen.append(source.name)
            yield source

    monkeypatch.setattr(command, "each_source", spy)
    from penultimate import load

    model = load(bundle)
    rows = command._rows(model, [str(photos)], None, 32)
    next(rows)
    assert len(seen) == 2


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A model that can be watched, clean images and inverted ones, in an order without classes."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "model.zip").write_bytes(watched_digits())
    images = digit_images()[0][1::2]
    order = np.random.default_rng(0).permutation(len(images))[:80]
    for place, k in enumerate(order):
        image = images[k] if place < 40 else 255 - images[k]
        Image.fromarray(image).save(folder / f"{place:03}.png")
    (folder / "041a.png").write_bytes(b"no image")
    return folder


def test_watch_says_in_every_row_whether_the_guarantee_is_withdrawn(watched):
    clean = sorted(watched.glob("0[0-3]*.png"))
    rows = rows_of(run(watched / "model.zip", *clean, "--watch").stdout)
    assert {row["withdrawn"] for row in rows} == {"False"}
    names = sorted(watched.glob("*.png"))
    result = run(watched / "model.zip", *names, "--watch", "--skip-corrupt", code=1)
    rows = rows_of(result.stdout)
    said = [row["withdrawn"] for row in rows if not row["error"]]
    first = said.index("True")
    assert 40 < first < 80
    assert said == ["False"] * first + ["True"] * (80 - first)
    assert [row["withdrawn"] for row in rows if row["error"]] == [""]
    (line,) = [each for each in result.stderr.splitlines() if "withdrawn" in each]
    read = [row["file"] for row in rows if not row["error"]]
    assert f"from sample {first + 1} ({read[first]}) on" in line
    assert "Most telling: " in line
    again = run(watched / "model.zip", *names, "--watch", "--skip-corrupt", code=1)
    assert again.stdout == result.stdout


def test_watch_in_the_other_forms(watched):
    names = sorted(watched.glob("0[4-7]?.png"))
    lines = run(watched / "model.zip", *names, "--watch", "--format", "jsonl", code=1).stdout
    found = [json.loads(line)["withdrawn"] for line in lines.splitlines()]
    assert found == sorted(found)
    assert found[-1] is True
    table = run(watched / "model.zip", *names, "--watch", "--format", "table", code=1).stdout
    header, *rows = table.splitlines()
    column = header.split().index("withdrawn")
    assert [row.split()[column] for row in rows] == ["yes" if each else "no" for each in found]


def test_watch_is_refused_where_it_cannot_be(bundle, photos, watched):
    result = run(bundle, photos / "red.png", "--watch", code=2)
    assert "Fit it with a test set" in " ".join(result.stderr.replace("│", " ").split())
    assert "withdrawn" not in run(watched / "model.zip", watched / "001.png").stdout
