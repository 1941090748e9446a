import numpy as np
import pytest

from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.losses import CrammerSinger
from penultimate.networks.margins.metrics import MarginViolationRate, MeanMargin, SignAccuracy

keras = import_keras()
rng = np.random.default_rng(0)
CODES, SCORES = rng.integers(0, 4, 50), rng.normal(size=(50, 4)).astype(np.float32)
MARGINS = np.array([row[k] - np.delete(row, k).max() for k, row in zip(CODES, SCORES)])
SIGNS, BINARY = np.where(rng.random(50) < 0.5, -1, 1), rng.normal(size=50).astype(np.float32)


def value(metric, *arguments, **kwargs):
    return float(keras.ops.convert_to_numpy(metric(*arguments, **kwargs)))


def test_perfect_predictions_are_perfect():
    targets = np.array([-1.0, 1.0, -1.0, 1.0])
    assert value(SignAccuracy(), targets, targets) == 1
    assert value(MarginViolationRate(), targets, targets) == 0
    assert value(MeanMargin(), targets, targets) == 1
    # Keras's metric counts half of them as wrong.
    assert value(keras.metrics.BinaryAccuracy(), targets, targets) == 0.5


@pytest.mark.parametrize("form", [CODES, CODES[:, None], np.eye(4)[CODES]])
def test_multiclass(form):
    assert value(SignAccuracy(), form, SCORES) == pytest.approx((MARGINS > 0).mean())
    assert value(MeanMargin(), form, SCORES) == pytest.approx(MARGINS.mean(), rel=1e-5)
    rate = value(MarginViolationRate(0.5), form, SCORES)
    assert rate == pytest.approx((MARGINS < 0.5).mean())


@pytest.mark.parametrize("form", [SIGNS, SIGNS > 0, (SIGNS > 0).astype(float)[:, None]])
@pytest.mark.parametrize("scores", [BINARY, BINARY[:, None]])
def test_two_classes(form, scores):
    assert value(SignAccuracy(), form, scores) == pytest.approx((SIGNS * BINARY > 0).mean())
    assert value(MeanMargin(), form, scores) == pytest.approx((SIGNS * BINARY).mean(), rel=1e-4)


def test_violations_are_the_samples_with_a_loss():
    losses = keras.ops.convert_to_numpy(CrammerSinger(reduction=None)(CODES, SCORES))
    assert value(MarginViolationRate(), CODES, SCORES) == pytest.approx((losses > 0).mean())


def test_weights_and_batches():
    metric = MeanMargin()
    weights = np.arange(50.0)
    for part in (slice(0, 20), slice(20, 50)):
        metric.update_state(CODES[part], SCORES[part], sample_weight=weights[part])
    expected = np.average(MARGINS, weights=weights)
    assert float(keras.ops.convert_to_numpy(metric.result())) == pytest.approx(expected, rel=1e-4)


def test_wrong_shapes_raise():
    with pytest.raises(ValueError, match="SignAccuracy needs one target per sample"):
        SignAccuracy()(CODES[:3], SCORES)


def test_saved_and_loaded():
    one = MarginViolationRate(0.5, name="mine")
    other = keras.metrics.deserialize(keras.metrics.serialize(one))
    assert (other.margin, other.name) == (0.5, "mine")


@pytest.mark.slow
def test_together_with_a_loss_in_compile():
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(4)])
    model.compile("adam", CrammerSinger(), metrics=[SignAccuracy(), MeanMargin()])
    history = model.fit(SCORES, CODES, epochs=1, verbose=0).history
    assert 0 <= history["sign_accuracy"][0] <= 1
