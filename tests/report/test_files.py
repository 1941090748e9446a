import dataclasses
import json
from importlib.resources import files

import jsonschema
import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.usefixtures("undrawn")
FILES = ["errors.csv", "predictions.csv", "report.html", "results.json"]


@pytest.fixture
def comparison(comparison):
    """A copy, for saving counts the uses of a test set on the object."""
    return dataclasses.replace(comparison)


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


def test_both_files(comparison, tmp_path):
    report = comparison.save(tmp_path / "out")
    assert report == tmp_path / "out" / "report.html"
    assert sorted(p.name for p in report.parent.iterdir()) == FILES
    assert report.stat().st_size < 8_000_000


def test_results_follow_the_schema(comparison, tmp_path):
    comparison.save(tmp_path)
    schema = json.loads(files("penultimate.report").joinpath("results.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(results_of(tmp_path), schema)


def test_uses_of_the_same_test_set_are_counted(comparison, tmp_path):
    for uses in (1, 2, 3):
        comparison.save(tmp_path)
        assert results_of(tmp_path)["protocol"]["test_uses"] == uses
    text = (tmp_path / "report.html").read_text()
    assert "used 3 times" in text


def test_another_test_set_restarts_the_count(comparison, tmp_path):
    comparison.save(tmp_path)
    results = results_of(tmp_path)
    results["dataset"]["test_sha256"] = "0" * 64
    (tmp_path / "results.json").write_text(json.dumps(results))
    with pytest.warns(UserWarning, match=r"held the report of another test set, of 'bars") as said:
        comparison.save(tmp_path)
    assert said[0].filename == __file__
    assert results_of(tmp_path)["protocol"]["test_uses"] == 1


def test_foreign_folder_is_left_alone(comparison, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="not written by penultimate"):
        comparison.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_all_or_nothing(comparison, tmp_path, monkeypatch):
    comparison.save(tmp_path)
    before = [(tmp_path / name).read_bytes() for name in FILES]
    write_text = type(tmp_path).write_text

    def full_disk(self, text, **kwargs):
        if "report" in self.name:
            write_text(self, text[:2])
            raise OSError(28, "No space left on device")
        return write_text(self, text, **kwargs)

    monkeypatch.setattr("pathlib.Path.write_text", full_disk)
    with pytest.raises(OSError, match=r"report.html' could not be written: No space left on dev"):
        comparison.save(tmp_path)
    assert [(tmp_path / name).read_bytes() for name in FILES] == before
    assert sorted(p.name for p in tmp_path.iterdir()) == FILES


def test_tables_of_answers(comparison, tmp_path):
    names = ["a,b.png", "c\nd.png", "\u00fc.png"]
    files = np.array([f"photos/{k} {names[k % 3]}" for k in range(60)])
    comparison.dataset = dataclasses.replace(comparison.dataset, files=files)
    comparison.save(tmp_path)
    frame = pd.read_csv(tmp_path / "predictions.csv")
    assert frame["file"].tolist() == results_of(tmp_path)["dataset"]["test_files"]
    assert frame["file"].tolist() == [files[k].removeprefix("photos/") for k in comparison.test]
    accuracy = (frame["cnn+svm-rbf seed 0"] == frame["label"]).mean()
    assert accuracy == pytest.approx(comparison.correct("cnn+svm-rbf")[0].mean())
    wrong = pd.read_csv(tmp_path / "errors.csv")
    assert len(wrong) == sum((~comparison.correct(name)).sum() for name in comparison.names())
