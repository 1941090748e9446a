"""Features as data in a Parquet file."""

import datetime

import numpy as np
import pytest

from penultimate import compare, datasets

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

Y = ["cat", "dog", "owl"] * 4
X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
COLUMNS = {f"f{k}": X[:, k] for k in range(3)}


def write(folder, columns, name="pets.parquet"):
    path = folder / name
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path)
    return path


def test_columns_of_numbers(tmp_path):
    about = {
        "label": Y,
        "file": [f"a {k}.png" for k in range(12)],
        "group": [k // 2 for k in range(12)],
        "split": ["train"] * 8 + ["test"] * 4,
    }
    (tmp_path / "a 0.png").touch()
    data = datasets.load(write(tmp_path, about | COLUMNS, "péts.parquet"))
    np.testing.assert_array_equal(data.images, X)
    assert data.images.dtype == np.float32
    assert (data.name, data.classes) == ("péts", ("cat", "dog", "owl"))
    assert data.files.tolist()[:2] == [str(tmp_path / "a 0.png"), "a 1.png"]
    assert len(set(data.groups)) == 6
    assert data.is_test.tolist() == [False] * 8 + [True] * 4


def test_subsets_and_names_in_any_case(tmp_path):
    columns = {" Label": ["a", "b", "c", "d"] * 3, "SUBSET": ["s", "s", "t", "t"] * 3, **COLUMNS}
    data = datasets.load(write(tmp_path, columns), subsets=True)
    assert data.classes == ("s/a", "s/b", "t/c", "t/d")
    assert set(data.subsets) == {"s", "t"}


LISTS = {
    "list": pa.array(X.tolist(), pa.list_(pa.float32())),
    "large": pa.array(X.tolist(), pa.large_list(pa.float32())),
    "fixed": pa.array(X.tolist(), pa.list_(pa.float32(), 3)),
    "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(X),
    "half": pa.array(list(X.astype(np.float16)), pa.list_(pa.float16())),
    "pieces": pa.chunked_array([X[:5].tolist(), X[5:].tolist()], pa.list_(pa.float32())),
}


@pytest.mark.parametrize("column", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("name", ["features", "embedding"])
def test_one_column_of_lists(tmp_path, column, name):
    data = datasets.load(write(tmp_path, {"label": Y, name: column}))
    np.testing.assert_allclose(data.images, X, rtol=1e-3)
    assert data.images.dtype == np.float32


TYPES = {
    "double": (pa.float64(), np.float64),
    "float16": (pa.float16(), np.float32),
    "int8": (pa.int8(), np.float32),
    "uint64": (pa.uint64(), np.float32),
    "bool": (pa.bool_(), np.float32),
    "decimal": (pa.decimal128(30, 2), np.float64),
}


@pytest.mark.parametrize(("kind", "dtype"), TYPES.values(), ids=TYPES)
def test_numbers_of_every_type(tmp_path, kind, dtype):
    values = (np.abs(X) > 0.5).astype(int)
    columns = {f"f{k}": pa.array(values[:, k].tolist()).cast(kind) for k in range(3)}
    for table in (columns, {"features": pa.array(values.tolist()).cast(pa.list_(kind))}):
        data = datasets.load(write(tmp_path, {"label": Y, **table}))
        np.testing.assert_array_equal(data.images, values)
        assert data.images.dtype == dtype


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pa.array(Y).dictionary_encode(), ("cat", "dog", "owl")),
        (pa.chunked_array([pa.array(Y[:5]), pa.array(Y[5:])]).dictionary_encode(), None),
        (pa.array([0, 1, 2] * 4, pa.int8()), ("0", "1", "2")),
        (pa.array([True, False, True] * 4), ("False", "True")),
        (pa.array([b"cat", b"dog", b"owl"] * 4), ("cat", "dog", "owl")),
        (pa.array([" cat", "dog ", "owl"] * 4), ("cat", "dog", "owl")),
        (pa.array(Y, pa.large_string()), ("cat", "dog", "owl")),
    ],
)
def test_labels_of_every_type(tmp_path, labels, classes):
    data = datasets.load(write(tmp_path, {"label": labels, **COLUMNS}))
    assert data.classes == (classes or ("cat", "dog", "owl"))


def test_an_index_that_pandas_stored_is_left_out(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"label": Y, **COLUMNS}, index=range(3, 15)).sample(frac=1, random_state=0)
    frame.to_parquet(tmp_path / "a.parquet")
    data = datasets.load(tmp_path / "a.parquet")
    assert data.images.shape == (12, 3)
    assert data.notes == ("The index '__index_level_0__', which pandas had stored, was left out.",)
    frame.set_index("label").to_parquet(tmp_path / "b.parquet")
    assert datasets.load(tmp_path / "b.parquet").images.shape == (12, 3)


def test_constant_features_are_noted(tmp_path):
    data = datasets.load(write(tmp_path, {"label": Y, **COLUMNS, "c": np.ones(12)}))
    assert data.notes == ("1 of 4 features is the same in every sample.",)


def with_hole(values):
    return pa.array([None, *values[1:]])


REFUSED = {
    "null label": ({"label": with_hole(Y), **COLUMNS}, "'label' is empty in row 0"),
    "NaN label": ({"label": [np.nan, *[1.0] * 11], **COLUMNS}, "'label' is empty in row 0"),
    "empty label": ({"label": [*Y[:-1], ""], **COLUMNS}, "'label' is empty in row 11"),
    "nested label": ({"label": [[1]] * 12, **COLUMNS}, "'label' holds list.*one value per sample"),
    "null": ({"label": Y, "f": with_hole(X[:, 0].tolist())}, "NaN or infinity is in 1 sample"),
    "null integer": ({"label": Y, "f": with_hole(list(range(12)))}, "NaN or infinity"),
    "only nulls": ({"label": Y, "f": pa.nulls(12), **COLUMNS}, "NaN or infinity is in 12 samples"),
    "all constant": ({"label": Y, "f": np.ones(12)}, "Every feature is the same"),
    "text": ({"label": Y, "f": Y}, "the column 'f' holds string"),
    "dates": ({"label": Y, "f": [datetime.date(2020, 1, 1)] * 12}, "the column 'f' holds date"),
    "struct": ({"label": Y, "f": [{"a": 1}] * 12}, "the column 'f' holds struct"),
    "lists of lists": ({"label": Y, "f": [[[1.0]]] * 12}, "'f' holds list.*one list per sample"),
    "lists of texts": ({"label": Y, "f": [["a"]] * 12}, "'f' holds list.* must be numbers"),
    "ragged": ({"label": Y, "f": [[1.0, 2.0]] * 11 + [[1.0]]}, "row 11 has 1 numbers, the first"),
    "null list": ({"label": Y, "f": [[1.0]] * 5 + [None] + [[2.0]] * 6}, "in row 5 is empty"),
    "null in a list": ({"label": Y, "f": [[None, 1.0]] + [[1.0, 2.0]] * 11}, "NaN or infinity"),
    "null fixed list": (
        {"label": Y, "f": pa.array([[1.0]] * 5 + [None] + [[2.0]] * 6, pa.list_(pa.float32(), 1))},
        "in row 5 is empty",
    ),
    "lists and more": (
        {"label": Y, "f": X.tolist(), **COLUMNS},
        "'f' of lists, .* also 'f0', 'f1'",
    ),
    "two lists": ({"label": Y, "f": X.tolist(), "g": X.tolist()}, "'f' of lists, .* also 'g'"),
    "no label": ({"class": Y, **COLUMNS}, "no column 'label'; its columns are 'class', 'f0'"),
    "a manifest": ({"path": Y, "class": Y}, "no column 'label'.*path and label is a CSV"),
    "no features": ({"label": Y}, "has no column of features"),
    "twice": ({"label": Y, "Label": Y}, "the column 'label' more than once"),
    "no rows": ({"label": pa.array([], pa.string()), "f": pa.array([], pa.int8())}, "no sample"),
    "split": ({"label": Y, "split": ["train"] * 11 + ["x"], **COLUMNS}, "got 'x'"),
}


@pytest.mark.parametrize(("columns", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path, columns, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(write(tmp_path, columns))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a" * 99, slice(-40), slice(20, None)])
def test_a_damaged_file_is_named(tmp_path, content):
    path = write(tmp_path, {"label": Y, **COLUMNS})
    whole = path.read_bytes()
    path.write_bytes(whole[content] if isinstance(content, slice) else content)
    with pytest.raises(ValueError, match=r"pets.parquet' can't be read as Parquet"):
        datasets.load(path)


def test_parameters_for_images_are_refused(tmp_path):
    path = write(tmp_path, {"label": Y, **COLUMNS})
    with pytest.raises(ValueError, match="image_size resizes image files"):
        datasets.load(path, image_size=32)
    with pytest.raises(ValueError, match="group_from_filename is for image files"):
        datasets.load(path, group_from_filename="(?P<group>.)")


def test_without_pyarrow(tmp_path, monkeypatch):
    path = write(tmp_path, {"label": Y, **COLUMNS})
    monkeypatch.setattr("penultimate._common.imports.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"'pyarrow' is not .*pip install 'penultimate\[store\]'"):
        datasets.load(path)


def test_heads_are_compared_on_them(tmp_path):
    columns = {"label": np.repeat(["a", "b"], 20), "f": np.arange(40) / 2, "g": np.arange(40.0) % 7}
    result = compare(write(tmp_path, columns), methods=["logistic"], seeds=1)
    assert [method.name for method in result.methods] == ["logistic"]
