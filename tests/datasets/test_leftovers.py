import shutil

import pytest

from penultimate import datasets
from penultimate.datasets.leftovers import is_leftover
from tests.datasets.conftest import fill

FILES = [
    ".DS_Store", "._0.png", "Thumbs.db", "THUMBS.DB", "desktop.ini", "Desktop.ini", "Icon\r",
    "ehthumbs.db", ".directory", ".nomedia", ".hidden.png", ".gitkeep", ".nfs0001",
    "ZbThumbnail.info", "0.png:Zone.Identifier", "0.png@SynoEAStream",
]  # fmt: skip
FOLDERS = [
    "__MACOSX", "@eaDir", ".ipynb_checkpoints", "#recycle", "$RECYCLE.BIN", "lost+found", ".git",
    ".thumbnails", "System Volume Information", ".Trash-1000", "__pycache__", ".AppleDouble",
]  # fmt: skip


def leave_all(place):
    for name in FILES:
        (place / name).write_bytes(b"\0\5\x16\7")
    for name in FOLDERS:
        fill(place / name / "inner", 2)


@pytest.mark.parametrize("form", ["folder", "zip", "gztar", "subsets", "split"])
def test_left_out_wherever_they_are(tmp_path, form):
    root = tmp_path / "here" / "photos"
    places = {"subsets": ("a/", "b/"), "split": ("train/", "test/")}.get(form, ("",))
    for k, place in enumerate(places):
        for label in ("cat", "dog"):
            fill(root / place / label, 6, 40 * k + 20 * (label == "dog"))
    below = [*root.rglob("cat"), *root.rglob("dog"), *(root / place for place in places), root]
    every = {*below, root.parent}
    for place in every:
        leave_all(place)
    path = root.parent
    if form in ("zip", "gztar"):
        path = shutil.make_archive(str(tmp_path / "packed"), form, root.parent)
    data = datasets.load(path, subsets=form == "subsets")
    assert len(data.images) == 12 * len(places)
    assert {name.split("/")[-1] for name in data.classes} == {"cat", "dog"}
    assert (data.is_test is not None) == (form == "split")
    n = len(every) * (len(FILES) + len(FOLDERS))
    assert f"{n:,} hidden or system files and folders were left out: " in data.notes[-1]


def test_left_out_of_a_manifest(folders):
    lines = ["path,label"]
    for label in ("9", "10"):
        for name in (*FILES[:3], ".ipynb_checkpoints/0-checkpoint.png", "__MACOSX/x.png"):
            lines.append(f"{label}/{name},{label}")
        lines += [f"{label}/{k}.png,{label}" for k in range(5)]
    (folders / "9" / ".meant.png").write_bytes((folders / "9" / "0.png").read_bytes())
    lines.append("9/.meant.png,9")  # hidden, but listed by name
    (folders / "list.csv").write_text("\n".join(lines))
    data = datasets.load(folders / "list.csv")
    assert len(data.images) == 11
    assert data.notes[0].startswith("10 hidden or system files and folders were left out: ")


def test_manifest_of_leftovers_alone(folders):
    (folders / "list.csv").write_text("path,label\n9/Thumbs.db,9\n")
    with pytest.raises(ValueError, match="lists no image except hidden or system files"):
        datasets.load(folders / "list.csv")


@pytest.mark.parametrize(
    "name", ["thumbs", "macosx", "icon", "Icons", "recycle", "0.5", "git", "~"]
)
def test_what_may_be_data_is_none(name):
    assert not is_leftover(name)
