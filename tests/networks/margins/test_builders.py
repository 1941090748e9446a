import numpy as np
import pytest

from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.builders import build_margin_network, linear, predict_scores
from penultimate.networks.margins.losses import BinaryHinge

X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)


def test_linear_starts_from_zero():
    assert not predict_scores(linear((4,), 3), X).any()
    assert linear((2, 2, 1), 3).output_shape == (None, 3)


def test_the_penalty_is_on_the_last_weights_only():
    layers = import_keras().layers

    def network(shape, n_outputs):
        return import_keras().Sequential(
            [
                layers.Input(shape),
                layers.Dense(5, activation="relu"),
                layers.Dense(n_outputs, bias_initializer="ones"),
            ]
        )

    model = build_margin_network(network, (4,), 1, penalty=0.25, seed=0)
    codes = np.arange(20) % 2
    model.compile("sgd", BinaryHinge())
    scores = predict_scores(model, X)[:, 0]
    hinge = np.mean(np.maximum(0, 1 - np.where(codes == 1, 1, -1) * scores))
    kernel = model.get_weights()[2]
    loss = model.evaluate(X, codes, batch_size=20, verbose=0)
    assert float(np.ravel(loss)[0]) == pytest.approx(hinge + 0.25 * (kernel**2).sum(), rel=1e-5)


def test_penalty_survives_saving(tmp_path):
    model = build_margin_network(linear, (4,), 3, penalty=0.25)
    model.save(tmp_path / "model.keras")
    again = import_keras().models.load_model(tmp_path / "model.keras")
    again.layers[-1].kernel.assign(np.ones((4, 3)))
    loss = import_keras().ops.convert_to_numpy(sum(again.losses))
    assert float(loss) == pytest.approx(0.25 * 12)
