import numpy as np
import pandas as pd
import pytest

from penultimate import Dataset, datasets

X = np.random.default_rng(0).normal(size=(12, 3))
Y = ["cat", "dog", "owl"] * 4
TABLE = pd.DataFrame(X, columns=list("abc")).assign(label=Y)
SHUFFLED = TABLE.sample(frac=1, random_state=0)


def save(table, path, **options):
    table.to_csv(path, **options) if path.suffix == ".csv" else table.to_parquet(path)
    return path


@pytest.mark.parametrize("end", [".csv", ".parquet"])
@pytest.mark.parametrize("table", [TABLE, SHUFFLED], ids=["in order", "shuffled"])
@pytest.mark.parametrize("name", ["Unnamed: 0", ""])
def test_an_index_without_a_name_is_left_out(tmp_path, table, name, end):
    table = table.rename_axis(None).reset_index().rename(columns={"index": name})
    path = save(table, tmp_path / f"data{end}", index=False)
    data = datasets.load(path)
    np.testing.assert_allclose(data.images, table[["a", "b", "c"]], rtol=1e-6)
    assert any("was left out: an index" in note for note in data.notes)
    # A model that was fitted on them is given the same columns.
    from penultimate.datasets.unlabeled import read_unlabeled

    np.testing.assert_array_equal(read_unlabeled(path), data.images)


@pytest.mark.parametrize("end", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("number", range(5, 17)),
        ("id", np.random.default_rng(0).permutation(12)),
        ("sample_id", np.arange(12) * 7),
        ("Index", range(12)),
    ],
)
def test_other_numbers_of_rows_are_refused(tmp_path, name, values, end):
    path = save(TABLE.assign(**{name: values}), tmp_path / f"data{end}", index=False)
    with pytest.raises(
        ValueError, match=rf"(?i)column '{name}' numbers the samples.* Leave it out"
    ):
        datasets.load(path)
    with pytest.raises(ValueError, match=rf"column '{name}' numbers the samples"):
        Dataset.from_features(TABLE.drop(columns="label").assign(**{name: values}), Y)


def test_a_matrix_has_positions():
    with pytest.raises(
        ValueError, match=r"column 3 \(counted from 0\) numbers the samples, from 0"
    ):
        Dataset.from_features(np.column_stack([X, np.arange(12)]), Y)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("count", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 10]),
        ("width", np.arange(12) / 10),
        ("idle", np.arange(12) * 3),
        ("id", [1, 1, 2, 2] * 3),
    ],
)
def test_what_is_a_feature(name, values):
    frame = TABLE.drop(columns="label").assign(**{name: values})
    assert Dataset.from_features(frame, Y).images.shape == (12, 4)
    assert Dataset.from_features(np.arange(9)[:, None], list("aabbaabba")).images.shape == (9, 1)
