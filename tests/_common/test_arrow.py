"""Parquet files are read by the calling thread alone, wherever they are read."""

import os
from pathlib import Path

import numpy as np
import pytest

import penultimate
from penultimate._common.arrow import ParquetReader

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def n_threads():
    return len(os.listdir("/proc/self/task"))


def test_nothing_else_opens_a_parquet_file():
    sources = Path(penultimate.__file__).parent.rglob("*.py")
    found = [path.name for path in sources if "ParquetFile(" in path.read_text(encoding="utf-8")]
    assert found == ["arrow.py"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
def test_no_thread_is_started_that_could_outlive_the_interpreter(tmp_path):
    path = tmp_path / "table.parquet"
    table = pa.table({name: np.arange(2000.0) for name in "abc"})
    pq.write_table(table, path, row_group_size=100)
    before = n_threads()
    with path.open("rb") as file:
        reader = ParquetReader(file)
        assert reader.read(["a"]).num_rows == 2000
        assert reader.read().equals(table)
        assert reader.schema.names == ["a", "b", "c"]
    assert n_threads() == before
