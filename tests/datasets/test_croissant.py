"""Descriptions in Croissant, read by mlcroissant, which finds what is wrong in them."""

import hashlib
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from penultimate.datasets.croissant import describe_in_croissant
from penultimate.datasets.survey import survey

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")


def described(path, folder):
    """Return a description as a dict and as mlcroissant reads it."""
    import mlcroissant as mlc

    text = describe_in_croissant(survey(path), path)
    (folder / "croissant.json").write_text(text, encoding="utf-8")
    return json.loads(text), mlc.Dataset(jsonld=folder / "croissant.json")


def records(dataset, name):
    """Return the records of a set, as text and numbers."""
    plain = lambda each: each.decode() if isinstance(each, bytes) else each  # noqa: E731
    return [
        {key.partition("/")[2]: plain(value) for key, value in record.items()}
        for record in dataset.records(name)
    ]


def draw(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 8), (value, 5, 9)).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def photos(tmp_path):
    """Three photos of each of two classes, in two parts, and a file that cannot be read."""
    folder = tmp_path / "photos"
    for part, numbers in (("train", (1, 2)), ("test", (3,))):
        for k, name in enumerate(("Äpfel", "<b>")):
            for number in numbers:
                draw(folder / part / name / f"{number}.png", 40 * k + number)
    (folder / "train" / "<b>" / "broken.png").write_bytes(b"\x89PNG nonsense")
    return folder


def test_a_folder_of_images(photos, tmp_path):
    document, dataset = described(photos, tmp_path)
    issues = dataset.metadata.ctx.issues
    assert issues.errors == set()
    unknown = ("citeAs", "datePublished", "license", "version")  # which only its publisher knows
    assert all(any(name in warning for name in unknown) for warning in issues.warnings)
    assert document["description"] == "6 labeled images of 2 classes."
    assert document["recordSet"][0]["dataType"] == "sc:Enumeration"
    assert document["distribution"][0]["includes"] == ["**/*.png"]
    assert document["distribution"][0]["encodingFormat"] == ["image/png"]
    classes = {record["name"]: record for record in records(dataset, "classes")}
    assert classes["Äpfel"] == {"name": "Äpfel", "images": 3, "train": 2, "test": 1}
    found = records(dataset, "images")
    assert len(found) == 6
    for record in found:
        path = photos / record["file"]
        assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert record["file"].split("/")[:2] == [record["split"], record["label"]]
    urls = {record["name"]: record["url"] for record in records(dataset, "splits")}
    assert urls == {"train": "cr:TrainingSplit", "test": "cr:TestSplit"}


def test_the_same_data_gives_the_same_text(photos):
    assert describe_in_croissant(survey(photos), photos) == describe_in_croissant(
        survey(photos), photos
    )


def test_an_archive_has_one_hash(photos, tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for each in sorted(photos.rglob("*.png")):
            archive.write(each, each.relative_to(photos))
    document, dataset = described(path, tmp_path)
    (file,) = document["distribution"]
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file["contentSize"] == f"{path.stat().st_size} B"
    found = records(dataset, "images")
    assert {record["file"] for record in found} >= {"test/<b>/3.png", "train/Äpfel/1.png"}
    assert set(found[0]) == {"file", "label", "split"}


def test_a_manifest_names_its_files_from_its_own_folder(tmp_path):
    digests = {f"all/{k}.png": draw(tmp_path / "all" / f"{k}.png", 9 * k) for k in range(4)}
    rows = [f"{name},{'ab'[k % 2]}" for k, name in enumerate(digests)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    document, dataset = described(tmp_path / "labels.csv", tmp_path)
    assert [each["@type"] for each in document["distribution"]] == ["cr:FileObject", "cr:FileSet"]
    assert document["distribution"][0]["encodingFormat"] == "text/csv"
    found = records(dataset, "images")
    assert {record["file"]: record["sha256"] for record in found} == digests
    assert [record["label"] for record in found] == ["a", "b", "a", "b"]
    assert [each["@id"] for each in document["recordSet"]] == ["classes", "images"]


def write_npz(path, X, y):
    np.savez(path, X=X.reshape(-1, 8, 8), y=y)


def write_csv(path, X, y):
    header = ",".join(["label", *(f"pixel{k}" for k in range(64))])
    np.savetxt(path, np.column_stack([y, X]), "%d", ",", header=header, comments="")


@pytest.mark.parametrize(("write", "name"), [(write_npz, "a.npz"), (write_csv, "a.csv")])
def test_arrays(write, name, tmp_path):
    path = tmp_path / name
    write(path, (np.arange(6 * 64) % 251).astype(np.uint8).reshape(6, 64), [0, 1, 0, 1, 0, 1])
    document, dataset = described(path, tmp_path)
    (file,) = document["distribution"]
    assert file["contentUrl"] == name
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert records(dataset, "classes") == [{"name": "0", "images": 3}, {"name": "1", "images": 3}]
    assert [each["@id"] for each in document["recordSet"]] == ["classes"]
