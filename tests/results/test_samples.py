import csv
import dataclasses
import io

import numpy as np
import pytest

from penultimate.results.samples import error_table, prediction_table, sample_names, to_csv


@pytest.fixture
def named(comparison):
    """The comparison, as if its images had been read from files with unpleasant names."""
    names = ["a,b.png", 'c "d".png', "e\nf.png", "Müller Ω.png", "=1+1.png", "<script>.png"]
    files = np.array([f"/data/my photos/{k % 2}/{k} {names[k % 6]}" for k in range(60)])
    files[7] = "/data/my photos/=2+3.png"
    return dataclasses.replace(
        comparison, dataset=dataclasses.replace(comparison.dataset, files=files)
    )


def read(text):
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_names_are_within_the_common_folder(named):
    assert sample_names(named.dataset, np.array([0, 3, 7])) == [
        "0/0 a,b.png",
        "1/3 Müller Ω.png",
        "=2+3.png",
    ]
    relative = dataclasses.replace(named.dataset, files=np.array(["x.png"] * 60))
    assert sample_names(relative)[0] == "x.png"
    mixed = np.array(["x.png", "/a/y.png"] * 30)
    assert sample_names(dataclasses.replace(relative, files=mixed))[:2] == ["x.png", "/a/y.png"]
    invalid = np.array(["d/\udcff.png", "d/y.png"] * 30)
    assert sample_names(dataclasses.replace(relative, files=invalid))[0] == "\\udcff.png"


def test_every_answer(named):
    header, rows = prediction_table(named)
    assert header[:2] == ["file", "label"]
    assert len(rows) == len(named.test)
    data = named.dataset
    for method in named.methods:
        for row, seed in enumerate(named.seeds):
            column = header.index(f"{method.name} seed {seed}")
            assert [r[column] for r in rows] == [data.classes[k] for k in method.predictions[row]]
            assert (f"{method.name} seed {seed} probability" in header) == (
                method.probabilities is not None
            )
            assert (f"{method.name} seed {seed} margin" in header) == (method.family == "svm")
    at = header.index("cnn+svm-rbf seed 1 probability")
    assert rows[0][at] == pytest.approx(named.method("cnn+svm-rbf").probabilities[1, 0].max(), 1e-3)


def test_margins_are_positive_where_two_classes_are_predicted(named):
    for method in named.methods:
        assert (method.margins is not None) == (method.family == "svm")
        if method.margins is not None:
            assert method.margins.shape == method.predictions.shape
            assert (method.margins >= 0).all()
            assert method.margins.any()


def test_errors_are_the_wrong_answers(named):
    header, rows = error_table(named)
    assert header == ["method", "seed", "file", "label", "prediction", "probability", "margin"]
    assert len(rows) == sum(int((~named.correct(name)).sum()) for name in named.names())
    assert all(row[3] != row[4] for row in rows)
    of_one = error_table(named, "cnn+svm-rbf")[1]
    assert of_one == [row for row in rows if row[0] == "cnn+svm-rbf"]
    counts = [[row[2] for row in of_one].count(row[2]) for row in of_one]
    assert counts == sorted(counts, reverse=True)


def test_arrays_have_positions(comparison):
    header, rows = prediction_table(comparison)
    assert header[0] == "sample"
    assert [row[0] for row in rows] == comparison.test.tolist()
    assert sample_names(comparison.dataset, comparison.test[:1]) == [f"sample {comparison.test[0]}"]


def test_csv_reads_back_as_written(named):
    header, rows = prediction_table(named)
    back = read(to_csv(header, rows))
    assert back[0] == header
    assert len(back) == len(rows) + 1
    for written, found in zip(rows, back[1:]):
        assert found == ["" if cell is None else str(cell) for cell in written]


@pytest.mark.parametrize("cell", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell):
    assert read(to_csv(["x"], [[cell]]))[1] == [f"'{cell}"]


@pytest.mark.parametrize("cell", ["-1", "+1", "-0.5e3", "a=b", "", "'", -2.5])
def test_other_cells_are_left_alone(cell):
    assert read(to_csv(["x", "y"], [[cell, "z"]]))[1] == [str(cell), "z"]


def test_only_text_beyond_ascii_gets_a_mark():
    assert to_csv(["x"], [["a"]]).isascii()
    assert to_csv(["x"], [["ü"]]).startswith("\ufeff")
