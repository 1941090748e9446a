"""Reading ahead of who takes what is read."""

import threading
import time

import numpy as np
import pytest

from penultimate.bundle.reading_ahead import ReadAhead

SIZE = 100


def read(index):
    return np.full(SIZE, index)


def test_in_order_and_each_once():
    items = [(index, take()) for index, take in ReadAhead(read, 50, 8, 10 * SIZE)]
    assert [index for index, _ in items] == [item[0] for _, item in items] == list(range(50))


@pytest.mark.parametrize("n_items", [0, 1])
def test_of_few(n_items):
    assert len(list(ReadAhead(read, n_items, 8, SIZE))) == n_items


def test_no_more_is_held_than_was_said(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    n_read = 0

    def counted(index):
        nonlocal n_read
        n_read += 1
        return read(index)

    reader = iter(ReadAhead(counted, 50, 30, 5 * SIZE))
    _, take = next(reader)
    take()
    deadline = time.monotonic() + 10
    while n_read < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert 6 <= n_read <= 1 + 5 + 3  # taken, the bound, and what each thread had begun
    assert len(list(reader)) == 49


def test_the_one_that_is_waited_for_is_never_kept_out(monkeypatch):
    # Later items fill the bound before the first is begun: it must be read all the same.
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    later = threading.Semaphore(0)

    def slow_first(index):
        if index % 8 == 0:
            later.acquire(timeout=0.2)
        else:
            later.release()
        return read(index)

    items = [take()[0] for _, take in ReadAhead(slow_first, 40, 16, 1)]
    assert items == list(range(40))


def test_an_error_is_raised_at_its_place_and_the_rest_is_read():
    def odd(index):
        if index == 3:
            raise ValueError("three")
        return read(index)

    found = []
    for index, take in ReadAhead(odd, 10, 4, SIZE):
        try:
            found.append(take()[0])
        except ValueError as error:
            found.append(str(error))
            assert index == 3
    assert found == [0, 1, 2, "three", *range(4, 10)]


def test_who_stops_leaves_no_thread_behind():
    before = threading.active_count()
    reader = iter(ReadAhead(read, 1000, 30, 2 * SIZE))
    next(reader)[1]()
    reader.close()
    assert threading.active_count() == before
