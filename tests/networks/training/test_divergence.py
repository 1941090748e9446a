import numpy as np
import pytest

from penultimate.networks import Training, build_network, fit_network, train, train_further
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.losses import CrammerSinger

QUICK = Training(epochs=4, batch_size=8, augmentation=None)


@pytest.fixture
def samples(shapes):
    images, labels = shapes
    return images[..., None].astype(np.float32), (labels == "standing").astype(int)


def plain(shape, n_classes):
    """Without a layer that scales the inputs."""
    layers = import_keras().layers
    return import_keras().Sequential(
        [layers.Input(shape), layers.Flatten(), layers.Dense(n_classes)]
    )


def scaled(shape, n_classes):
    """With such a layer."""
    layers = import_keras().layers
    return import_keras().Sequential(
        [layers.Input(shape), layers.Rescaling(1 / 255), *plain(shape, n_classes).layers]
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_broken_samples_are_counted(samples, value):
    X, codes = samples
    X[7:9] = value  # in the first epoch they are left over of its batches, both
    model = build_network(scaled, X.shape[1:], 2)
    message = (
        r"The training loss is nan in epoch 2 of 4, at step 5 of 7\. "
        r"2 of the 60 training samples hold NaN or infinity: drop them\."
    )
    with pytest.raises(ValueError, match=message):
        train(model, X, codes, None, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_advice(samples, precision):
    X, codes = samples
    recipe = Training(4, 8, 1e30, augmentation=None, precision=precision, validation_size=0)
    with pytest.raises(ValueError, match=r"in epoch \d of 4") as caught:
        fit_network(plain, X * 1e5, codes, recipe)
    message = str(caught.value)
    assert "scale the inputs, which go from 0 to 2.3e+07, to about -1 to 1" in message
    assert "lower the learning rate from 1e+30: Training(learning_rate=1e+29)" in message
    assert ("full precision" in message) == (precision == "bfloat16")
    with pytest.raises(ValueError, match=r"of 4.*What to try: lower the learning rate") as caught:
        fit_network(scaled, X, codes, recipe)  # which scales its pixels
    assert "scale the inputs" not in str(caught.value)


def test_a_last_step_that_breaks_the_weights_is_detected(samples):
    """Its loss was finite, so nothing else would reveal it before the network is used."""
    X, codes = samples
    recipe = Training(1, 60, 1e38, weight_decay=10, augmentation=None)
    model = plain(X.shape[1:], 2)
    with pytest.raises(ValueError, match="The last step of epoch 1 of 1 left weights that are"):
        train(model, X, codes, None, recipe)
    model = plain(X.shape[1:], 2)
    with pytest.raises(ValueError, match="The last step of epoch 1 of 1 left weights that are"):
        train_further(model, X, codes, recipe, loss=CrammerSinger())


@pytest.mark.slow
def test_the_checkpoint_is_that_of_the_last_good_epoch(samples, tmp_path, monkeypatch):
    X, codes = samples
    path = tmp_path / "network.safetensors"
    module = "penultimate.networks.training.fit.run_epoch"
    run_epoch = train.__globals__["run_epoch"]
    calls = []

    def breaking(model, *arguments):
        calls.append(path.read_bytes() if path.exists() else b"")
        loss = run_epoch(model, *arguments)
        if len(calls) == 3:
            model.set_weights([np.full_like(weights, np.nan) for weights in model.get_weights()])
        return loss

    monkeypatch.setattr(module, breaking)
    model = build_network(scaled, X.shape[1:], 2)
    with pytest.raises(
        ValueError, match=r"epoch 3 of 4.*The checkpoint is still that of epoch 2\."
    ):
        train(model, X, codes, None, QUICK, checkpoint=path)
    assert path.read_bytes() == calls[2]
    model = build_network(scaled, X.shape[1:], 2)
    assert len(train(model, X, codes, None, QUICK, checkpoint=path).loss) == 4
    assert len(calls) == 5  # the third epoch anew, and the fourth
