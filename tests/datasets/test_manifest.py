import numpy as np
import pytest
from PIL import Image

from penultimate import datasets


def manifest(folders, text):
    path = folders / "list.csv"
    path.write_text(text)
    return path


def test_manifest(folders):
    text = "path,label,group,split\n" + "".join(
        f"{c}/{i}.png,{name},w{i % 2},{'test' if i == 4 else 'train'}\n"
        for c, name in (("9", "nine"), ("10", "ten"))
        for i in range(5)
    )
    data = datasets.load(manifest(folders, text))
    assert data.classes == ("nine", "ten")
    assert data.groups.tolist() == ["w0", "w1", "w0", "w1", "w0"] * 2
    assert data.is_test.tolist() == [False] * 4 + [True] + [False] * 4 + [True]
    assert data.images[3, 0, 0, 0] == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na,b\n", r"columns path and label; its first line names \['file', 'label'\]"),
        ("path,label\n", "lists no image"),
        ("path,label\n9/0.png,\n", "line 2: the column 'label' is empty"),
        ("path,label\n9/77.png,a\n9/0.png,b\n", r"1 of 2 files .* do not exist; first: .*77.png"),
        ("path,label,split\n9/0.png,a,rest\n", "line 2: split must be 'train', 'val' or"),
        ("", "columns path and label"),
        ("path,label\n9/0.png,a,b\n", "line 2 has more entries than the header"),
        ("path,label\n9/0.png,a\n9/./0.png,b\n", r"line 3: '9/./0.png' is already in line 2"),
    ],
)
def test_bad_manifest(folders, text, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(manifest(folders, text))


def test_manifest_that_is_no_text(folders):
    path = folders / "list.csv"
    path.write_bytes(b"path,label\n\xff\xfe,a\n")
    with pytest.raises(ValueError, match="not CSV in UTF-8"):
        datasets.load(path)


def test_missing_files_of_a_manifest_can_be_left_out(folders):
    path = manifest(folders, "path,label\n9/77.png,a\n9/0.png,a\n10/0.png,b\n")
    data = datasets.load(path, skip_corrupt=True)
    assert len(data.images) == 2
    assert "77.png" in data.notes[0]


def test_subsets_of_a_manifest(folders):
    text = "path,label,subset\n" + "".join(
        f"{c}/{i}.png,{i // 3},{name}\n"
        for c, name in (("9", "odd"), ("10", "even"))
        for i in range(5)
    )
    data = datasets.load(manifest(folders, text))
    assert data.classes == ("even/0", "even/1", "odd/0", "odd/1")
    assert data.subsets == {"even": (0, 1), "odd": (2, 3)}


def test_subsets_that_a_manifest_lacks(folders):
    path = manifest(folders, "path,label\n9/0.png,a\n10/0.png,b\n")
    with pytest.raises(ValueError, match="has no column subset"):
        datasets.load(path, subsets=True)


def test_groups_given_twice(folders):
    path = manifest(folders, "path,label,group\n9/0.png,a,x\n10/0.png,b,y\n")
    with pytest.raises(ValueError, match="has a column group; leave out group_from_filename"):
        datasets.load(path, group_from_filename="(.)")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (("1", "1.0", "2"), "'1' and '1.0' are the same number, and were kept as separate"),
        (("a", "NaN", "b"), "'NaN' is the name of a class here. If it stands for a missing label"),
        (("1", "10", "nano"), None),
    ],
)
def test_labels_as_a_spreadsheet_writes_them(tmp_path, labels, words):
    lines = ["path,label"]
    for k in range(6):
        Image.fromarray(np.full((8, 8), 40 * k, np.uint8)).save(tmp_path / f"{k}.png")
        lines.append(f"{k}.png,{labels[k % 3]}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    notes = " ".join(datasets.load(tmp_path / "list.csv").notes)
    assert words in notes if words else not notes
