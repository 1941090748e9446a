"""What a model is shown, compared with what it was calibrated on."""

import threading

import numpy as np
import pytest

from penultimate.bundle import Predictor
from penultimate.bundle.watcher import Watcher

from .digits import digit_images, watched_digits


@pytest.fixture(scope="module")
def predictor():
    return Predictor(watched_digits(), threads=1)


@pytest.fixture(scope="module")
def shown(predictor):
    """What the model says of clean digits, and of inverted ones."""
    images = digit_images()[0][1::2]
    order = np.random.default_rng(0).permutation(len(images))
    return {
        "clean": predictor.predict_all(list(images[order])),
        "inverted": predictor.predict_all(list(255 - images[order][:200])),
    }


def test_clean_images_raise_no_alarm_and_inverted_ones_do(predictor, shown):
    watcher = Watcher(predictor)
    noted = watcher.note(shown["clean"])
    assert not watcher.is_withdrawn
    assert not noted.withdrawn.any()
    assert noted.first == 1
    assert watcher.martingale < 100
    before = watcher.n_seen
    assert before == len(noted.withdrawn) == len(digit_images()[0][1::2])
    noted = watcher.note(shown["inverted"])
    assert watcher.is_withdrawn
    assert noted.first == before + 1
    alarm = watcher.withdrawn_at - noted.first
    assert alarm < 60
    assert noted.withdrawn.tolist() == [k >= alarm for k in range(200)]
    assert watcher.martingale > 100


def test_the_images_that_did_it_are_kept(predictor, shown):
    watcher = Watcher(predictor)
    watcher.note(shown["clean"])
    noted = watcher.note(shown["inverted"])
    telling = watcher.telling
    assert 0 < len(telling) <= 8
    factors = [each.factor for each in telling]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] > 1
    # Those of the alarm, not what came later; nearly all of them inverted.
    assert all(each.number <= watcher.withdrawn_at for each in telling)
    assert sum(each.number >= noted.first for each in telling) >= 4
    assert {noted.first + place for place in noted.telling} <= {each.number for each in telling}
    watcher.show(telling[0].number, "this one")
    watcher.show(10**6, "nobody")
    assert [each.shown for each in watcher.telling] == ["this one"] + [None] * (len(telling) - 1)
    watcher.note(shown["inverted"])
    assert [each.number for each in watcher.telling] == [each.number for each in telling]
    watcher.reset()
    assert not watcher.is_withdrawn
    assert (watcher.telling, watcher.n_seen, watcher.withdrawn_at) == ([], 0, None)


def test_in_parts_and_in_another_process_the_same(predictor, shown):
    whole, parts = Watcher(predictor), Watcher(Predictor(predictor.content, threads=1))
    noted = whole.note(shown["inverted"])
    from penultimate.bundle.predictions import joined

    for k in range(200):
        parts.note(joined([shown["inverted"]], np.array([k])))
    assert parts.withdrawn_at == whole.withdrawn_at == int(noted.withdrawn.argmax()) + 1
    assert parts.martingale == whole.martingale
    assert [each.number for each in parts.telling] == [each.number for each in whole.telling]


def test_threads_lose_nothing(predictor, shown):
    watcher = Watcher(predictor)
    threads = [threading.Thread(target=watcher.note, args=[shown["inverted"]]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watcher.n_seen == 800
    assert watcher.is_withdrawn


def test_a_model_without_held_out_samples_is_refused(feature_bundle):
    with pytest.raises(ValueError, match=r"cannot be watched.*save\(\.\.\., held_out="):
        Watcher(Predictor(feature_bundle, threads=1))
