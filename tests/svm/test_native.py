import os
import runpy
import sys

import pytest
from threadpoolctl import threadpool_limits

from penultimate import svm
from penultimate.svm import _native


def test_import_without_the_compiled_part_says_what_to_do(monkeypatch):
    monkeypatch.delattr(svm, "_core")
    monkeypatch.setitem(sys.modules, "penultimate.svm._core", None)  # as if not installed
    with pytest.raises(ImportError, match=r"Reinstall .* with a C\+\+17 compiler \(g\+\+"):
        runpy.run_path(_native.__file__)


def test_linear_algebra_is_found():
    addresses = _native.linear_algebra()
    assert min(addresses) > 0
    assert len(set(addresses)) == 3


def test_plain_variant_is_always_available():
    assert "plain" in _native.core.variants()


@pytest.mark.parametrize(
    ("limit", "size"),
    [(1000, 1000), ("1KiB", 1024), ("2 GiB", 2**31), ("1.5M", 1.5 * 2**20), ("7B", 7)],
)
def test_memory(limit, size):
    assert _native.memory_in_bytes(limit) == size


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say; 1 GiB is taken there")
def test_default_memory_is_a_share_of_free_memory():
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < _native.memory_in_bytes(None) <= total / 4


def test_threads():
    assert _native.count_threads(3) == 3
    assert _native.count_threads(-1) == _native.count_threads(None) >= 1
    with threadpool_limits(1, "openmp"):
        assert _native.count_threads(None) == 1
