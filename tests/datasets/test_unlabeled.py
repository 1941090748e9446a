import numpy as np
import pytest

from penultimate.datasets.unlabeled import read_unlabeled

X = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_every_form_gives_the_same_samples(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    np.save(tmp_path / "a.npy", X)
    np.savez(tmp_path / "one.npz", anything=X)
    np.savez(tmp_path / "two.npz", X=X, y=np.zeros(4))
    rows = "\n".join(",".join(["cat", *map(str, row)]) for row in X)
    (tmp_path / "a.csv").write_text(f"label,a,b,c\n{rows}\n")
    (tmp_path / "bare.csv").write_text(
        "a,b,c\n" + "\n".join(",".join(map(str, row)) for row in X) + "\n"
    )
    table = {"label": ["cat"] * 4, **{name: X[:, k] for k, name in enumerate("abc")}}
    parquet.write_table(pa.table(table), tmp_path / "a.parquet")
    parquet.write_table(pa.table({"embedding": X.tolist()}), tmp_path / "list.parquet")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_unlabeled(path), X, err_msg=path.name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"no array", "a.npy"),
        ("a.npz", b"PK no zip", "plain arrays"),
        ("a.csv", b"a,b\n1,red\n", "must hold numbers"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_unlabeled(tmp_path / name)


def test_python_objects_are_not_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        read_unlabeled(tmp_path / "a.npy")


def test_an_archive_of_several_arrays_needs_a_name(tmp_path):
    np.savez(tmp_path / "a.npz", first=X, second=X)
    with pytest.raises(ValueError, match=r"must hold an array X; it holds \['first', 'second'\]"):
        read_unlabeled(tmp_path / "a.npz")


@pytest.mark.parametrize("row", ["1,2,3,cat", "1,cat"])
def test_a_row_with_an_entry_too_many_or_too_few(tmp_path, row):
    path = tmp_path / "data.csv"
    path.write_text(f"a,b,label\n1,2,dog\n{row}\n")
    with pytest.raises(ValueError, match="line 3 has (more|fewer) entries than the header"):
        read_unlabeled(path)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_columns_have_to_be_those_of_training(tmp_path, name):
    path = tmp_path / name
    if name == "a.csv":
        path.write_text("Width,label,Height\n1,cat,2\n")
    else:
        pa = pytest.importorskip("pyarrow")
        table = pa.table({"Width": [1.0], "label": ["cat"], "Height": [2.0]})
        pytest.importorskip("pyarrow.parquet").write_table(table, path)
    assert read_unlabeled(path, ["width", "Height"]).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match=rf"{name}'.*\['Width', 'Height'\].*\['height', 'width'\]"):
        read_unlabeled(path, ["height", "width"])
