"""Features as data: from arrays, from an ``.npz`` and from a CSV."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from penultimate import Dataset, datasets

X = np.random.default_rng(0).normal(size=(12, 20)).astype(np.float32)
Y = np.array(["cat", "dog", "owl"] * 4)


def write_csv(path, header, rows):
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_matrix_is_kept_as_it_is():
    data = Dataset.from_features(X, Y, name="pets", groups=np.arange(12) // 2)
    assert not data.has_images
    np.testing.assert_array_equal(data.images, X)
    assert repr(data).splitlines() == [
        "<Dataset 'pets': 12 samples of 20 features",
        "3 classes: cat (4), dog (4), owl (4)",
        "6 groups>",
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (X.astype(np.float64), np.float64),
        ((100 * X).astype(np.int64), np.float32),
        (2**30 + np.arange(240).reshape(12, 20), np.float64),
        (X.astype(np.float16), np.float32),
        (X.tolist(), np.float64),
        (X > 0, np.float32),
        (X.astype(object), np.float64),
    ],
    ids=["float64", "integers", "large integers", "float16", "list", "booleans", "objects"],
)
def test_no_value_is_rounded(given, kept):
    data = Dataset.from_features(given, Y)
    assert data.images.dtype == kept
    np.testing.assert_array_equal(data.images, np.asarray(given).astype(np.float64))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (X[0], r"must be a matrix .* got an array of shape \(20,\)"),
        (X[:, :0], r"at least one column; got an array of shape \(12, 0\)"),
        (X[..., None], "must be a matrix"),
        (sparse.csr_array(X), r"sparse matrix.*toarray\(\)"),
        (np.full((12, 20), "a"), "must be numbers; got an array of dtype <U1"),
        (np.where(X[3, 4] == X, np.nan, X), "in 1 sample and 1 column, first in row 3"),
        (np.where(X[5, 4] == X, np.inf, X), "first in row 5"),
        (np.ones((12, 20)), "Every feature is the same in every sample"),
        (X[:10], "12 labels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_matrix_of_finite_numbers_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_features(wrong, Y)


def test_there_is_nothing_to_show():
    with pytest.raises(ValueError, match="no images to show: 'pets' holds features"):
        Dataset.from_features(X, Y, name="pets").show()


def test_constant_features_are_noted():
    data = Dataset.from_features(np.column_stack([X, np.ones(12), np.zeros(12)]), Y)
    assert data.notes == ("2 of 22 features are the same in every sample.",)


def test_short_vectors_are_no_copies_but_long_ones_are():
    twice = np.repeat(np.arange(6), 2)
    assert len(set(Dataset.from_features(X[twice][:, :15], Y).fingerprint().tolist())) == 12
    assert len(set(Dataset.from_features(X[twice], Y).fingerprint().tolist())) == 6


def test_an_npz_with_a_matrix_holds_features(tmp_path):
    np.savez(tmp_path / "a.npz", X=X, y=Y, groups=np.arange(12) // 2)
    data = datasets.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(data.images, X)
    assert len(set(data.groups)) == 6
    np.savez(tmp_path / "b.npz", X_train=X, y_train=Y, X_test=X + 1, y_test=Y)
    data = datasets.load(tmp_path / "b.npz")
    assert data.images.shape == (24, 20)
    assert data.is_test.sum() == 12


def test_an_npz_of_features_on_other_scales_in_its_parts_is_read(tmp_path):
    # Of images, parts from 0 to 1 and from 0 to 255 are refused; features have no such range.
    np.savez(tmp_path / "a.npz", X_train=np.abs(X), y_train=Y, X_test=np.abs(X) / 9, y_test=Y)
    assert len(datasets.load(tmp_path / "a.npz").labels) == 24


def test_a_csv_of_numbers_holds_features(tmp_path):
    rows = [(f"a {k}.png", y, f"g{k // 2}", *x) for k, (x, y) in enumerate(zip(X, Y))]
    header = "file,label,group," + ",".join(f"f{k}" for k in range(20))
    data = datasets.load(write_csv(tmp_path / "pets.csv", header, rows))
    np.testing.assert_allclose(data.images, X, rtol=1e-6)
    assert data.classes == ("cat", "dog", "owl")
    assert data.files.tolist()[:2] == ["a 0.png", "a 1.png"]
    assert len(set(data.groups)) == 6


def test_a_csv_may_come_with_its_split_and_subsets(tmp_path):
    labels = np.repeat(["cat", "dog", "owl", "cat", "dog", "owl"], 2)
    rows = [
        (*x[:3], y, "test" if k < 8 else "train", "wild" if k % 2 else "tame")
        for k, (x, y) in enumerate(zip(X, labels))
    ]
    path = write_csv(tmp_path / "a.csv", "a,b,c,label,split,subset", rows)
    data = datasets.load(path, subsets=True)
    assert data.is_test.tolist() == [True] * 8 + [False] * 4
    assert set(data.subsets) == {"tame", "wild"}


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("label,a,b", ("cat", 1, "x"), r"Every column except .* must hold numbers"),
        ("label,a,b", ("cat", 1, ""), "must hold numbers"),
        (
            "label,a,b,split",
            ("cat", 1, 2, "later"),
            "must be 'train', 'val' or 'test'; got 'later'",
        ),
        ("label,a,b", ("", 1, 2), "the column 'label' is empty in row 1"),
    ],
)
def test_a_csv_that_is_no_table_of_features_is_refused(tmp_path, header, row, message):
    first = ("dog", 3, 4, "train")[: len(row)]
    with pytest.raises(ValueError, match=message):
        datasets.load(write_csv(tmp_path / "a.csv", header, [first, row]))


def test_a_csv_without_rows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="lists no sample"):
        datasets.load(write_csv(tmp_path / "a.csv", "label,a,b", []))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (X.astype(float) * 1e300, r"must be at most 1e\+37 in size; got \S+e\+300, in row \d+"),
        (np.ma.masked_array(X, X > 2), "masked values"),
        (X.astype(float) * 1e-310, "Every feature is the same"),
    ],
)
def test_values_that_heads_cannot_use(wrong, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_features(np.asanyarray(wrong, np.float64), Y)


def test_numbers_of_a_table_that_are_too_large(tmp_path):
    rows = [[*row[:2], label] for row, label in zip(X.tolist(), Y)]
    rows[7][1] = 1e300
    path = write_csv(tmp_path / "data.csv", "a,b,label", rows)
    with pytest.raises(ValueError, match=r"data.csv' must be .* got 1e\+300, in row 7"):
        datasets.load(path)


def test_empty_lines_at_the_end_are_no_rows(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b,label\r\n" + b"1.5,2,x\r\n2.5,1,y\r\n" * 3 + b"\r\n\r\n")
    assert len(datasets.load(path).images) == 6


def test_classes_that_are_probably_one_are_noted():
    labels = ["cat", "cat ", "caf\u00e9", "cafe\u0301", "nan", "dog"] * 2
    notes = Dataset.from_features(X, labels).notes
    assert sum("differ only in case, blanks or the form" in note for note in notes) == 2
    assert sum("'nan' is the name of a class" in note for note in notes) == 1


@pytest.mark.parametrize("name", ["data.npy", "data.jsonl", "data.pkl", "data.csv.gz"])
def test_formats_that_are_not_read_say_what_to_do(tmp_path, name):
    (tmp_path / name).write_bytes(b"?")
    with pytest.raises(ValueError, match="numpy.savez|to_parquet|Unpack it"):
        datasets.load(tmp_path / name)


def test_a_folder_of_parts_of_a_table(tmp_path):
    (tmp_path / "split=test").mkdir()
    (tmp_path / "split=test" / "part-0.parquet").touch()
    with pytest.raises(ValueError, match=r"1 .parquet file, such as .* Join them"):
        datasets.load(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "X.npy").touch()
    with pytest.raises(ValueError, match=r"1 .npy file.* numpy.savez"):
        datasets.load(tmp_path / "a")


def test_an_archive_with_two_readings(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, X=X, y=Y, X_test=X[:3] + 1, y_test=Y[:3])
    with pytest.raises(ValueError, match="holds 'X' and also 'X_test'"):
        datasets.load(path)
    np.savez(path, X=X, y=Y, X_train=X, y_train=Y)
    assert len(datasets.load(path).images) == 12
    np.savez(path, embeddings=X, labels=Y)
    assert datasets.load(path).images.shape == (12, 20)


def frame(n=24):
    values = np.random.default_rng(1).normal(size=(n, 4))
    return pd.DataFrame(values, columns=list("abcd")), np.array(["cat", "dog", "owl"] * (n // 3))


def test_a_copy_of_the_label_is_no_feature():
    features, y = frame()
    codes = np.array([3, 1, 2] * 8)
    with pytest.raises(ValueError, match="column 'target' of the features is the label"):
        Dataset.from_features(features.assign(target=codes), y)
    with pytest.raises(
        ValueError, match=r"column 4 \(counted from 0\) of the features is the label"
    ):
        Dataset.from_features(np.column_stack([features, codes]), y)
    # Whether it is one class, or with one exception, is a feature.
    codes[5] = 3
    Dataset.from_features(features.assign(target=codes, is_dog=y == "dog"), y)


def test_of_single_samples_of_a_class_every_feature_is_constant():
    X = np.random.default_rng(0).normal(size=(30, 3))
    assert len(Dataset.from_features(X, np.arange(30)).classes) == 30


def test_rows_of_pandas_in_another_order():
    features, y = frame()
    shuffled = pd.Series(y).sample(frac=1, random_state=0)
    for given in ({"y": shuffled}, {"y": y, "groups": shuffled}):
        with pytest.raises(ValueError, match="same index in different orders"):
            Dataset.from_features(features, **given)


def test_a_test_set_on_another_scale_is_noted():
    features, y = frame()
    is_test = np.arange(24) > 15
    assert not Dataset.from_features(features, y, is_test=is_test).notes
    scaled = features * np.where(is_test, 255, 1)[:, None]
    (note,) = Dataset.from_features(scaled, y, is_test=is_test).notes
    assert "test set vary" in note


def test_names_of_columns_are_kept(tmp_path):
    frame = pd.DataFrame({"Width": [1.0, 2.0], "Height": [3.0, 5.0]})
    assert Dataset.from_features(frame, ["a", "b"]).feature_names == ("Width", "Height")
    assert Dataset.from_features(frame.to_numpy(), ["a", "b"]).feature_names is None
    frame.assign(label=["a", "b"]).to_csv(tmp_path / "a.csv", index=False)
    data = datasets.load(tmp_path / "a.csv")
    assert data.take([1]).feature_names == ("Width", "Height")
    with pytest.raises(ValueError, match="1 feature_names for samples of shape"):
        replace(data, feature_names=("Width",))
