import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.losses import (
    BinaryHinge,
    CrammerSinger,
    OneVsRestHinge,
    WestonWatkins,
)

keras = import_keras()
MULTICLASS = (CrammerSinger, WestonWatkins, OneVsRestHinge)


def reference(loss, codes, scores, margin, squared):
    """The formulas of the papers, sample by sample."""
    values = []
    for code, row in zip(codes, scores):
        others = np.delete(row, code) if row.size > 1 else row
        if loss is CrammerSinger:
            terms = [max(0, margin + others.max() - row[code])]
        elif loss is WestonWatkins:
            terms = [max(0, margin + other - row[code]) for other in others]
        elif loss is OneVsRestHinge:
            terms = [max(0, margin - (1 if j == code else -1) * s) for j, s in enumerate(row)]
        else:
            terms = [max(0, margin - (2 * code - 1) * row[0])]
        values.append(sum(term**2 if squared else term for term in terms))
    return np.array(values)


def draw(loss, seed, n=7):
    rng = np.random.default_rng(seed)
    n_classes = 2 if loss is BinaryHinge else 4
    return rng.integers(0, n_classes, n), rng.normal(0, 2, (n, 1 if n_classes == 2 else 4))


def per_sample(loss, *arguments):
    value = loss(*arguments)
    return keras.ops.convert_to_numpy(value)


def gradient(loss, codes, scores):
    """The gradient of the summed loss, by the backend's own differentiation."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        variable = tf.Variable(scores)
        with tf.GradientTape() as tape:
            value = loss(codes, variable)
        return tape.gradient(value, variable).numpy()
    if backend == "torch":
        import torch

        variable = torch.tensor(scores, requires_grad=True)
        with torch.enable_grad():
            loss(codes, variable).backward()
        return variable.grad.numpy()
    import jax

    return np.asarray(jax.grad(lambda s: loss(codes, s))(scores))


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("loss", [*MULTICLASS, BinaryHinge])
@given(seed=st.integers(0, 10**6), margin=st.floats(0.1, 3))
@settings(deadline=None, max_examples=15)
def test_formula(loss, squared, seed, margin):
    codes, scores = draw(loss, seed)
    ours = loss(margin=margin, squared=squared, reduction=None, dtype="float32")
    expected = reference(loss, codes, scores, margin, squared)
    np.testing.assert_allclose(per_sample(ours, codes, scores), expected, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("loss", [*MULTICLASS, BinaryHinge])
def test_gradient_equals_finite_differences(loss, squared):
    codes, scores = draw(loss, 3)
    weights = [1.0, 2.0] if loss is BinaryHinge else [1.0, 2.0, 0.5, 1.5]
    ours = loss(squared=squared, class_weight=weights, reduction="sum")
    found = gradient(ours, codes, scores.astype(np.float32))
    step, expected = 1e-4, np.empty_like(scores)
    factors = np.array(weights)[codes]

    def total(values):
        return (factors * reference(loss, codes, values, 1, squared)).sum()

    for place in np.ndindex(*scores.shape):
        moved = np.zeros_like(scores)
        moved[place] = step
        expected[place] = (total(scores + moved) - total(scores - moved)) / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loss", MULTICLASS)
def test_all_forms_of_targets_are_equivalent(loss):
    codes, scores = draw(loss, 0)
    one_hot = np.eye(4)[codes]
    forms = [codes, codes.astype(float), codes[:, None], one_hot, one_hot > 0, 2 * one_hot - 1]
    values = [float(loss()(form, scores)) for form in forms]
    np.testing.assert_allclose(values, values[0], rtol=1e-6)


def test_all_forms_of_binary_targets_are_equivalent():
    codes, scores = draw(BinaryHinge, 0)
    forms = [codes, codes > 0, 2 * codes - 1, codes[:, None], np.eye(2)[codes]]
    values = [float(BinaryHinge()(form, s)) for form in forms for s in (scores, scores[:, 0])]
    np.testing.assert_allclose(values, values[0], rtol=1e-6)


def test_keras_categorical_hinge_is_a_different_function():
    scores, codes = np.array([[-3.0, -5.0, -7.0]]), np.array([0])
    assert float(CrammerSinger()(codes, scores)) == 0
    assert float(keras.losses.CategoricalHinge()(np.eye(3)[codes], scores)) == 4
    # With integer targets, its plain hinge broadcasts, while ours raises an error.
    float(keras.losses.Hinge()(np.array([[0], [2]]), np.zeros((2, 3))))
    with pytest.raises(ValueError, match="takes one score per sample"):
        BinaryHinge()(np.array([[0], [2]]), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("loss", "targets", "scores", "message"),
    [
        (CrammerSinger, (5,), (5, 1), "For two classes and one score, use BinaryHinge"),
        (WestonWatkins, (5,), (5,), "takes one score per class, for two classes or more"),
        (OneVsRestHinge, (5, 2), (5, 3), r"got targets of shape \(5, 2\)"),
        (CrammerSinger, (4,), (5, 3), "needs one target per sample"),
        (BinaryHinge, (5, 3), (5, 1), "targets of 0 and 1 or -1 and 1"),
        (BinaryHinge, (4,), (5, 1), "needs one target per sample"),
        (BinaryHinge, (5,), (5, 2), "For more classes, use CrammerSinger"),
    ],
)
def test_wrong_shapes_raise_instead_of_broadcasting(loss, targets, scores, message):
    with pytest.raises(ValueError, match=message):
        loss()(np.zeros(targets), np.zeros(scores))


@pytest.mark.parametrize("loss", MULTICLASS)
@pytest.mark.parametrize("code", [-1, 4])
def test_an_index_that_is_not_a_class_is_not_ignored(loss, code):
    values = per_sample(loss(reduction=None), np.array([0, code]), np.zeros((2, 4)))
    assert np.isfinite(values[0])
    assert np.isnan(values[1])


def test_a_binary_target_that_is_not_a_sign_is_not_ignored():
    values = per_sample(BinaryHinge(reduction=None), np.array([0, 1, 2]), np.zeros((3, 1)))
    assert np.isnan(values).tolist() == [False, False, True]


@pytest.mark.parametrize("loss", [*MULTICLASS, BinaryHinge])
def test_sample_weights_and_class_weights(loss):
    codes, scores = draw(loss, 1)
    plain = per_sample(loss(reduction=None), codes, scores)
    sample_weight = np.arange(1.0, 8.0)
    weighted = float(loss(reduction="sum")(codes, scores, sample_weight=sample_weight))
    assert weighted == pytest.approx(plain @ sample_weight, rel=1e-5)
    class_weight = np.arange(1.0, 3.0 if loss is BinaryHinge else 5.0)
    by_class = per_sample(loss(class_weight=class_weight, reduction=None), codes, scores)
    np.testing.assert_allclose(by_class, plain * class_weight[codes], rtol=1e-5)


@pytest.mark.parametrize("loss", [*MULTICLASS, BinaryHinge])
def test_saved_and_loaded(loss):
    one = loss(margin=2.0, squared=True, class_weight=[1, 2], name="mine")
    other = keras.losses.deserialize(keras.losses.serialize(one))
    assert other.get_config() == one.get_config()
    assert type(other) is loss


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"margin": 0}, "'margin' parameter of WestonWatkins"), ({"class_weight": [-1]}, "'class_w")],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        WestonWatkins(**parameters)


def test_class_weights_of_the_wrong_length():
    with pytest.raises(ValueError, match="a weight for each of the 3 classes; got 2"):
        CrammerSinger(class_weight=[1, 2])(np.array([0]), np.zeros((1, 3)))


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "units"), [(CrammerSinger, 3), (BinaryHinge, 1)])
def test_a_model_learns_with_it(loss, units):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, max(2, units), 120)
    X = rng.normal(0, 0.3, (120, 3)).astype("float32")
    X[np.arange(120), codes] += 2
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(units)])
    model.compile(keras.optimizers.Adam(0.1), loss())
    losses = model.fit(X, codes, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("loss", [*MULTICLASS, BinaryHinge])
@pytest.mark.parametrize("way", ["fit", "train_on_batch"])
def test_compiled_step_with_sample_weights(loss, way):
    codes, scores = draw(loss, 2)
    scores = scores.astype(np.float32)
    sample_weight = np.arange(1, 8, dtype=np.float32)
    width = scores.shape[1]
    layer = keras.layers.Dense(width, use_bias=False, kernel_initializer="identity")
    model = keras.Sequential([keras.layers.Input((width,)), layer])
    model.compile(keras.optimizers.SGD(0.1), loss())
    if way == "fit":
        history = model.fit(scores, codes, sample_weight=sample_weight, batch_size=7, verbose=0)
        (value,) = history.history["loss"]
    else:
        value = model.train_on_batch(scores, codes, sample_weight=sample_weight)
    plain = per_sample(loss(reduction=None), codes, scores)
    assert float(value) == pytest.approx(plain @ sample_weight / 7, rel=1e-5)
    of_scores = gradient(loss(reduction="sum"), codes, scores) * sample_weight[:, None] / 7
    expected = np.eye(width) - 0.1 * scores.T @ of_scores
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer.kernel), expected, atol=1e-5)
