import json
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from penultimate import datasets
from penultimate._common.door import at_terminal
from penultimate.cli import look as _  # noqa: F401  registers the command
from penultimate.cli.app import app


def draw(path, seed, size=(40, 30), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def messy(tmp_path):
    """Twelve photos of each of two classes, with every kind of oddity."""
    root = tmp_path / "my photos"
    for k in range(24):
        draw(root / ("Äpfel", "<b>")[k % 2] / f"p{k // 4}_{k}.png", k)
    draw(root / "<b>" / "p0_gray.png", 90, mode="L")
    draw(root / "<b>" / "p1_tiny.png", 91, size=(9, 40))
    (root / "<b>" / "p2_broken.png").write_bytes(b"\x89PNG nonsense")
    draw(root / "Äpfel" / "p0_copy.png", 0)  # of p0_0.png in the same class
    draw(root / "<b>" / "p3_copy.png", 2)  # of p0_2.png in the other class
    (root / "Thumbs.db").write_bytes(b"")
    return root


def look(*arguments):
    return CliRunner().invoke(app, ["look", *map(str, arguments)])


def test_everything_odd_is_named(messy, tmp_path):
    result = look(messy, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found == json.loads((tmp_path / "out" / "look.json").read_text())
    assert {one["name"]: one["images"] for one in found["classes"]} == {"<b>": 15, "Äpfel": 13}
    assert found["sizes"][0] == {"height": 40, "width": 30, "images": 27}
    odd = {one["file"]: one["what"] for one in found["odd"]}
    assert set(odd) == {f"<b>/{name}.png" for name in ("p0_gray", "p1_tiny", "p2_broken")}
    assert "can't be read" in odd["<b>/p2_broken.png"]
    copies = [[one["file"] for one in copy["files"]] for copy in found["copies"]]
    assert copies == [
        ["<b>/p3_copy.png", "Äpfel/p0_2.png"], ["Äpfel/p0_0.png", "Äpfel/p0_copy.png"],
    ]  # fmt: skip
    assert [copy["across_classes"] for copy in found["copies"]] == [True, False]
    assert any("Thumbs.db" in note for note in found["notes"])
    assert found["groups"]["pattern"] == "(?P<group>[^_]+)_"
    assert found["groups"]["suggested"]
    assert found["groups"]["n_groups"] == 6
    assert "--skip-corrupt" in found["command"]
    # There are two sizes: what compare does with them is stated, and needs no option.
    resized = next(words for words in found["treatment"] if "resized" in words)
    with at_terminal():
        data = datasets.load(messy, image_size="auto", skip_corrupt=True)
    assert resized.replace(" are ", " were ", 1) in data.notes
    assert "--image-size" not in found["command"]
    assert f"'{messy}'" in found["command"]  # a blank is in the path


def test_page_is_escaped_and_the_terminal_says_the_same(messy, tmp_path):
    result = look(messy, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "look.html").read_text()
    for text in ("&lt;b&gt;", "p3_copy.png", "p2_broken.png", "data:image/jpeg"):
        assert text in page
    assert "<h3><b>" not in page
    assert "http" not in page
    for text in ("my photos: 28 images", "p3_copy.png", "2 sizes", "--group-from-filename"):
        assert text in " ".join(result.stdout.split())


def test_suggestion_can_be_followed(messy, tmp_path):
    pattern = "(?P<group>[^_]+)_"
    result = look(messy, "--group-from-filename", pattern, "--out", tmp_path / "out", "--json")
    found = json.loads(result.stdout)
    assert not found["groups"]["suggested"]
    assert pattern in found["command"]


@pytest.mark.parametrize(
    "name", ["apple{i}.png", "{label}_{i}.png", "IMG_{i}.png", "{label}-{k}_{i}.png"]
)
def test_running_numbers_and_class_names_are_no_groups(tmp_path, name):
    for i in range(8):
        label = "ab"[i % 2]
        draw(tmp_path / "in" / label / name.format(i=i, label=label, k=i % 2), i)
    result = look(tmp_path / "in", "--out", tmp_path / "out", "--json")
    assert json.loads(result.stdout)["groups"] is None


def test_given_parts_arrays_and_archives(tmp_path):
    for k in range(12):
        draw(tmp_path / "in" / ("train", "test")[k % 3 == 2] / "ab"[k % 2] / f"{k}.png", k)
    found = json.loads(look(tmp_path / "in", "--out", tmp_path / "out", "--json").stdout)
    assert found["classes"][0]["parts"] == {"train": 4, "test": 2}
    assert "The split that came with the data is kept." in found["treatment"]
    X = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    X[5] = X[0]
    np.savez(tmp_path / "arrays.npz", X=X, y=[0, 1] * 3)
    found = json.loads(look(tmp_path / "arrays.npz", "--out", tmp_path / "o2", "--json").stdout)
    assert [one["file"] for one in found["copies"][0]["files"]] == ["image 0", "image 5"]
    assert "--image-size" not in found["command"]


def test_errors_are_those_of_compare(messy, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, text in [
        ((tmp_path / "empty",), "it is empty"),
        ((tmp_path / "none",), "There is no file or folder"),
        ((messy, "--out", messy), "not of an earlier look"),
    ]:
        result = (
            look(*arguments, "--out", tmp_path / "out") if len(arguments) < 2 else look(*arguments)
        )
        assert result.exit_code == 1
        assert result.stderr.startswith("penultimate: ")
        assert text in result.stderr
    assert look(messy, "--group-from-filename", "(", "--out", tmp_path / "out").exit_code == 2


def test_a_look_next_to_the_classes_is_no_class(messy):
    out = messy / "look"
    assert look(messy, "--out", out).exit_code == 0
    assert look(messy, "--out", out).exit_code == 0  # the same command twice
    data = datasets.load(messy, image_size=16, skip_corrupt=True)
    assert data.classes == ("<b>", unicodedata.normalize("NFC", "Äpfel"))


def test_options_of_compare_say_what_they_will_do(messy, tmp_path):
    options = ["--image-size", "20x30", "--skip-corrupt", "--drop-duplicates"]
    found = json.loads(look(messy, *options, "--out", tmp_path / "o", "--json").stdout)
    assert found["command"].endswith("--image-size 20x30 --skip-corrupt --drop-duplicates")
    assert any(
        words.startswith("Images are resized to 20 x 30 (from") for words in found["treatment"]
    )
    assert "Unreadable files are left out." in found["treatment"]
    (obstacle,) = found["obstacles"]
    assert "dropping duplicates does not choose a label" in obstacle
    found = json.loads(
        look(messy, "--image-size", "original", "--out", tmp_path / "o", "--json").stdout
    )
    assert found["obstacles"][0].startswith("The images have 2 sizes")
    assert look(messy, "--image-size", "wide", "--out", tmp_path / "o").exit_code == 2


def test_the_command_keeps_the_subsets(tmp_path):
    for k in range(8):
        draw(tmp_path / "in" / f"s{k % 2}" / f"c{k // 2 % 2}" / f"{k}.png", k)
    found = json.loads(look(tmp_path / "in", "--subsets", "--out", tmp_path / "o", "--json").stdout)
    assert "--subsets" in found["command"]


def test_the_page_of_other_data_is_not_replaced_in_silence(messy, tmp_path):
    for k in range(2):
        draw(tmp_path / "other" / "ab"[k] / f"{k}.png", k)
    assert "replaced" not in look(messy, "--out", tmp_path / "o").stdout
    assert "replaced" not in look(messy, "--out", tmp_path / "o").stdout
    said = " ".join(look(tmp_path / "other", "--out", tmp_path / "o").stdout.split())
    assert "Note: the page of 'my photos' in " in said


def test_a_stray_file_is_noted(messy, tmp_path):
    (messy / "<b>" / "notes.txt").write_text("of a biologist")
    found = json.loads(look(messy, "--out", tmp_path / "o", "--json").stdout)
    assert "1 file that is no image was left out: notes.txt." in found["notes"]
    assert not any("notes.txt" in one["file"] for one in found["odd"])


@pytest.mark.slow
def test_no_backend_is_loaded(messy, tmp_path):
    code = (
        "import sys; from typer.testing import CliRunner; from penultimate.cli import look;"
        "from penultimate.cli.app import app;"
        f"CliRunner().invoke(app, ['look', {str(messy)!r}, '--out', {str(tmp_path / 'o')!r}]);"
        "print({'tensorflow', 'keras', 'torch', 'jax', 'matplotlib'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert shown.strip() == "set()"
    assert (tmp_path / "o" / "look.html").exists()


def test_what_stands_in_the_way_comes_before_the_next_command(tmp_path):
    for k in range(6):
        draw(tmp_path / "photos" / "train" / "ab"[k % 2] / f"{k}.png", k)
        draw(tmp_path / "photos" / "test" / "ab"[k % 2] / f"{k}.png", k + k // 5 * 10)
    (tmp_path / "photos" / "train" / "c").mkdir()
    result = look(tmp_path / "photos", "--out", tmp_path / "out")
    assert result.exit_code == 0
    words = " ".join(result.output.split())
    assert "In the way of a comparison: 5 test images can also be found outside" in words
    assert "Next, once this is out of the way: penultimate compare" in words
    assert words.index("--drop-duplicates") > words.index("In the way")
    assert "Exact copies stay on one side" not in words
    page = (tmp_path / "out" / "look.html").read_text("utf-8")
    assert "What stands in the way of a comparison" in page


def test_a_description_in_croissant(messy, tmp_path):
    result = look(messy, "--out", tmp_path / "out", "--croissant", tmp_path / "data.json")
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "data.json").read_text(encoding="utf-8"))
    assert found["name"] == "my photos"
    assert len(found["recordSet"][1]["data"]) == 28
    for name in (tmp_path, tmp_path / "nowhere" / "data.json"):
        result = look(messy, "--out", tmp_path / "other", "--croissant", name)
        assert result.exit_code == 2
        assert "must be a file in a folder that exists" in " ".join(
            result.stderr.replace("\u2502", " ").split()
        )
    assert not (tmp_path / "other").exists()
