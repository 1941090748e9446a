from dataclasses import replace

import numpy as np
import pytest

from penultimate._common.progress import Progress
from penultimate.networks import (
    FeatureExtractor,
    Training,
    build_network,
    fit_network,
    predict_probabilities,
    train,
    train_further,
)
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.keras_models import forward, giving_scores
from penultimate.networks.margins.losses import CrammerSinger
from penultimate.provenance.fingerprints import fingerprint
from penultimate.provenance.records import provenance_of

QUICK = Training(epochs=4, batch_size=8, augmentation=None)


def small(shape, n_classes):
    """A network that tells bars apart as "compact" does, with a fifth of its weights to compile."""
    layers = import_keras().layers
    return import_keras().Sequential(
        [
            layers.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 5, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(16, activation="relu", name="features"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


def linear(activation):
    layers = import_keras().layers
    return lambda shape, n: import_keras().Sequential(
        [
            layers.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(n, activation=activation),
        ]
    )


@pytest.fixture
def samples(shapes):
    images, labels = shapes
    return images[..., None], (labels == "standing").astype(int)


@pytest.mark.slow
def test_it_learns(samples):
    X, codes = samples
    model, history = fit_network("compact", X, codes, Training(epochs=8, batch_size=8))
    assert len(history.loss) == len(history.validation_loss) == 8
    assert history.loss[-1] < history.loss[0]
    assert (predict_probabilities(model, X).argmax(axis=1) == codes).mean() > 0.9


@pytest.mark.slow
def test_same_seed_same_network(samples):
    network = linear("softmax")
    first, again, other = (
        predict_probabilities(fit_network(network, *samples, QUICK, seed=seed)[0], samples[0])
        for seed in (3, 3, 4)
    )
    # Bit for bit only with the backend's determinism, as the tests of the command line check.
    np.testing.assert_allclose(first, again, atol=1e-4)
    assert np.abs(first - other).max() > 1e-3


def test_best_weights_are_kept(samples):
    X, codes = samples
    model = build_network(small, X.shape[1:], 2)
    wild = Training(epochs=6, batch_size=8, learning_rate=0.05, augmentation=None)
    many = np.resize(np.arange(40, 60), 100)
    history = train(model, X[:40], codes[:40], (X[many], codes[many]), wild)
    assert history.best_epoch == int(np.argmin(history.validation_loss))
    accuracy = (predict_probabilities(model, X[many]).argmax(axis=1) == codes[many]).mean()
    assert accuracy == pytest.approx(history.validation_accuracy[history.best_epoch])


@pytest.mark.slow
@pytest.mark.one_backend
def test_a_small_slice_does_not_select_an_epoch(samples):
    """Its labels are wrong, so its loss is lowest while the network still guesses."""
    X, codes = samples
    wrong = (X[40:], 1 - codes[40:])
    recipe = Training(epochs=8, batch_size=8, augmentation=None)

    def fitted(validation, recipe):
        model = build_network(small, X.shape[1:], 2)
        return train(model, X[:40], codes[:40], validation, recipe), model

    history, model = fitted(wrong, recipe)
    assert int(np.argmin(history.validation_loss)) < 7
    assert history.best_epoch == 7
    assert (predict_probabilities(model, X[40:]).argmax(axis=1) == codes[40:]).mean() > 0.9
    assert len(history.validation_accuracy) == 8
    # With patience, as with many samples, the best epoch is selected.
    history, _ = fitted(wrong, replace(recipe, patience=20))
    assert history.best_epoch == int(np.argmin(history.validation_loss))


@pytest.mark.slow
def test_logits_and_probabilities_train_alike(samples):
    (_, one), (_, two) = (
        fit_network(linear(activation), *samples, QUICK) for activation in ("softmax", None)
    )
    np.testing.assert_allclose(one.loss, two.loss, rtol=1e-3)


def test_fewer_samples_than_a_batch(samples):
    X, codes = samples
    model = build_network(linear("softmax"), X.shape[1:], 2)
    assert np.isfinite(train(model, X[:5], codes[:5], None, Training(epochs=1)).loss).all()


@pytest.mark.slow
@pytest.mark.one_backend
def test_no_validation_slice_keeps_the_last_weights(samples, solved_steps):
    recipe = Training(epochs=2, batch_size=8, augmentation=None, validation_size=0)
    _, history = fit_network(small, *samples, recipe)
    assert history.validation_loss == []
    assert history.best_epoch == 1


@pytest.mark.slow
@pytest.mark.one_backend
def test_groups_stay_out_of_the_slice(samples, solved_steps):
    X, codes = samples
    groups = np.arange(60) % 10
    model, history = fit_network(small, X, codes, Training(epochs=1), groups=groups)
    seen, prints = provenance_of(model), fingerprint(X)
    trained, slice_ = (groups[np.isin(prints, part)] for part in (seen.trained, seen.selected))
    assert len(trained) + len(slice_) == 60
    assert len(slice_) >= 6
    assert not set(trained) & set(slice_)
    assert len(history.validation_loss) == 1


@pytest.mark.slow
@pytest.mark.one_backend
def test_progress_reports_every_step(samples):
    reported = []

    class Listener(Progress):
        def update(self, step, done, total):
            reported.append((step, done, total))

    fit_network(linear("softmax"), *samples, QUICK, progress=Listener())
    steps = [epoch + step / 6 for epoch in range(4) for step in range(6)]  # 54 samples by eights
    assert reported == [("train network", pytest.approx(done), 4) for done in [*steps, 4]]


@pytest.mark.slow
def test_bfloat16_learns_and_leaves_a_float32_network(samples):
    X, codes = samples
    recipes = [Training(12, 8, precision=precision) for precision in ("float32", "bfloat16")]
    (_, exact), (model, history) = (fit_network(small, X, codes, r) for r in recipes)
    assert history.loss != exact.loss
    np.testing.assert_allclose(history.loss[0], exact.loss[0], rtol=0.2)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert import_keras().config.dtype_policy().name == "float32"
    probabilities = predict_probabilities(model, X)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (probabilities.argmax(axis=1) == codes).mean() > 0.9
    features = FeatureExtractor(model).fit_transform(X)
    fresh = build_network(small, X.shape[1:], 2)
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(features, FeatureExtractor(fresh).fit_transform(X))


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"epochs": 0}, ValueError),
        ({"epochs": 1.5}, TypeError),
        ({"learning_rate": 0}, ValueError),
        ({"validation_size": 1}, ValueError),
        ({"label_smoothing": -0.1}, ValueError),
        ({"augmentation": True}, TypeError),
        ({"precision": "float16"}, ValueError),
    ],
)
def test_bad_recipe(samples, wrong, error):
    (name,) = wrong
    with pytest.raises(error, match=f"'{name}' parameter of Training"):
        fit_network("compact", *samples, Training(**wrong))


@pytest.mark.slow
def test_a_margin_loss_trains_scores(samples):
    X, codes = samples
    recipe = Training(epochs=8, batch_size=8)
    model, history = fit_network(small, X, codes, recipe, loss=CrammerSinger())
    outputs = forward(model, X, batch_size=64)
    assert outputs.min() < 0
    assert (outputs.argmax(axis=1) == codes).mean() > 0.9
    assert history.loss[-1] < history.loss[0]
    # The initial weights are the same as with the cross-entropy.
    first = build_network(small, X.shape[1:], 2, seed=0).get_weights()
    again = giving_scores(build_network(small, X.shape[1:], 2, seed=0)).get_weights()
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_sample_weights_count_in_training_and_validation(samples):
    X, codes = samples

    def fitted(weight):
        model = build_network(small, X.shape[1:], 2)
        validation = X[40:], codes[40:], weight[40:]
        return model, train(model, X[:40], codes[:40], validation, QUICK, sample_weight=weight[:40])

    weight = np.where(codes == 1, 20.0, 0.05).astype(np.float32)
    (model, history), (opposite, _) = fitted(weight), fitted(1 / weight)
    shares = [predict_probabilities(network, X)[:, 1].mean() for network in (model, opposite)]
    assert shares[0] > shares[1] + 0.005
    outputs = np.log(predict_probabilities(model, X[40:]).astype(float))
    smoothed = 0.9 * np.eye(2)[codes[40:]] + 0.05
    expected = np.mean(-weight[40:] * (smoothed * outputs).sum(axis=1))
    assert history.validation_loss[history.best_epoch] == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_patience_ends_a_training_and_keeps_its_best_weights(samples, tmp_path):
    X, codes = samples
    recipe = Training(100, 8, 0.02, augmentation=None, patience=2)
    reported = []

    class Listener(Progress):
        def update(self, step, done, total):
            reported.append(done)

    def run(progress):
        model = build_network(small, X.shape[1:], 2, seed=1)
        path = tmp_path / "network.safetensors"
        validation = (X[40:], codes[40:])
        return model, train(
            model, X[:40], codes[:40], validation, recipe, progress=progress, checkpoint=path
        )

    model, history = run(Listener())
    assert len(history.loss) == history.best_epoch + 3 < 100
    assert reported[-1] == 100
    again, same = run(Listener())
    assert same == history  # and not an epoch more
    for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="patience=2.* Set a validation_size, or no patience"):
        Training(patience=2, validation_size=0).check()


@pytest.mark.slow
def test_train_further_on_more_samples(samples):
    X, codes = samples
    model = giving_scores(build_network(small, X.shape[1:], 2))
    recipe = Training(batch_size=16, learning_rate=0.01)
    losses = [
        train_further(model, X, codes, recipe, loss=CrammerSinger(), epoch=epoch)
        for epoch in range(10)
    ]
    assert np.mean(losses[-3:]) < 0.5 * losses[0]
    assert int(model.optimizer.iterations) == 10 * 4  # sixty samples by sixteens
