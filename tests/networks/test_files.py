import numpy as np
import pytest

from penultimate import DeepSVC, FeatureExtractor
from penultimate.networks import build_network, load_network, save_network
from penultimate.networks.frameworks.backend import import_keras
from penultimate.provenance import provenance_of, record


def test_code_in_a_file_is_not_run(tmp_path):
    keras = import_keras()
    path = tmp_path / "with code.keras"
    layers = keras.layers
    keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x), layers.Dense(2)]).save(path)
    for load in (load_network, lambda path: FeatureExtractor(path).fit()):
        with pytest.raises(
            ValueError, match=r"with code\.keras' has a Lambda layer.*safe_mode=False"
        ):
            load(path)


@pytest.mark.parametrize("content", [b"", b"abc"])
def test_a_damaged_file(content, tmp_path):
    path = tmp_path / "network.keras"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"network\.keras' is damaged"):
        FeatureExtractor(path).fit()


@pytest.mark.slow
def test_a_path_is_a_network(tmp_path):
    network = build_network("compact", (8, 8, 1), 2)
    path = tmp_path / "Netz.keras"
    X = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
    y = np.arange(24) % 2
    record(network, X[:4])
    save_network(network, path)
    features = FeatureExtractor(network).fit_transform(X)
    np.testing.assert_array_equal(FeatureExtractor(str(path)).fit_transform(X), features)
    with pytest.warns(UserWarning, match="The network has seen 4 of 24 samples"):
        model = DeepSVC(path, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.extract(X), features)
    assert len(provenance_of(model.network_).trained) == 4
    # A file that was changed is read again.
    save_network(build_network("compact", (8, 8, 1), 2, seed=5), path)
    assert (FeatureExtractor(path).fit_transform(X) != features).any()
