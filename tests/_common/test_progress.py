import threading

from penultimate._common.progress import SILENT, Progress, observed_by, observer


def test_an_observer_is_that_of_its_thread_and_block():
    mine, seen = Progress(), []
    with observed_by(mine):
        thread = threading.Thread(target=lambda: seen.append(observer()))
        thread.start()
        thread.join()
        assert observer() is mine
    assert seen == [SILENT]
    assert observer() is SILENT
