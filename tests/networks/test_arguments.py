from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from penultimate import DeepSVC, FeatureExtractor, MarginClassifier, Specialists, compare
from penultimate.networks import NETWORKS, build_network, check_network, fit_network
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.builders import RandomFeatureNetwork

layers = import_keras().layers
USERS = {
    "DeepSVC": lambda network, X, y: DeepSVC(network).fit(X, y),
    "Specialists": lambda network, X, y: Specialists(
        network, subsets={"all": ["lying", "standing"]}
    ).fit(X, y),
    "MarginClassifier": lambda network, X, y: MarginClassifier(network).fit(X, y),
    "compare": lambda network, X, y: compare(X, y, network=network),
    "build_network": lambda network, X, y: fit_network(network, X, (y == "lying").astype(int)),
}


def stand_in(package, name="Thing"):
    """An object of a class from the package of another framework."""
    return type(name, (), {"__module__": f"{package}.models", "__call__": lambda *a: None})()


def named(n_classes, shape):
    return None


class OwnModel(import_keras().Model):
    def __init__(self, input_shape, n_classes):
        super().__init__()


REFUSED = [
    ("compcat", ValueError, "Did you mean 'compact'"),
    ("Compact", ValueError, "Did you mean 'compact'"),
    ("Wide ", ValueError, "Did you mean 'wide'"),
    ("resnet50", ValueError, "pass the model itself, such as keras.applications"),
    ("", ValueError, "must be one of"),
    ("MODEL.H5", ValueError, "keras.models.load_model"),
    (Path("resnet.pth"), ValueError, "Load it in torch, into its module, and pass the module"),
    ("weights.safetensors", ValueError, "weights without a network"),
    ("models/saved_model", ValueError, "Load it with the framework that wrote it"),
    (Path("compact"), ValueError, "Load it with the framework that wrote it"),
    (stand_in("torch"), TypeError, "Pass the torch.nn.Module itself"),
    (type(stand_in("torch")), TypeError, "That is a class. Pass the torch.nn.Module"),
    (stand_in("onnx"), TypeError, "Pass an onnx.ModelProto, or the path"),
    (stand_in("onnxruntime"), TypeError, "Pass the path of its .onnx file"),
    (stand_in("tf_keras"), TypeError, "Keras 2 are not supported"),
    (stand_in("tensorflow"), TypeError, "TFSMLayer"),
    (layers.Dense(3), TypeError, "Put it into a model"),
    (layers.Dense, TypeError, "That is a class. Put it into a model"),
    (import_keras().Sequential, TypeError, "That is a class"),
    (LogisticRegression(), TypeError, "as the 'head' parameter of DeepSVC"),
    (make_pipeline(LogisticRegression()), TypeError, "as the 'head' parameter of DeepSVC"),
    (LogisticRegression, TypeError, "That is a class. Pass an instance"),
    (RandomFeatureNetwork, TypeError, "That is a class. Pass an instance"),
    ([layers.Dense(3)], TypeError, "keras.Sequential"),
    (lambda shape: None, TypeError, r"It is called as <lambda>\(\(28, 28, 1\), 10\), but"),
    (lambda: None, TypeError, "too many positional arguments"),
    (3, TypeError, "got 3"),
    (np.zeros(3), TypeError, "got array"),
]


@pytest.mark.parametrize(("network", "kind", "message"), REFUSED)
def test_messages_say_what_to_pass_instead(network, kind, message):
    with pytest.raises(kind, match=message) as caught:
        check_network(network, "DeepSVC")
    assert str(caught.value).startswith("The 'network' parameter of DeepSVC must be one of 'comp")


@pytest.mark.parametrize("owner", USERS)
@pytest.mark.parametrize("network", ["compcat", Path("model.keras"), stand_in("torch")])
def test_everything_that_takes_a_network_checks_it(owner, network, shapes):
    with pytest.raises((TypeError, ValueError), match=f"'network' parameter of {owner} must be"):
        USERS[owner](network, *shapes)


def test_what_is_accepted():
    builder = NETWORKS["compact"]
    for network in (*NETWORKS, builder, partial(builder), named, RandomFeatureNetwork(), OwnModel):
        check_network(network, "DeepSVC")
    model = build_network("compact", (8, 8, 1), 2)
    check_network(model, "DeepSVC")
    with pytest.raises(TypeError, match="the Keras model 'compact'. Pass the function that builds"):
        check_network(model, "MarginClassifier", takes_trained=False)


def test_a_fitted_classifier_is_not_its_network():
    fitted = DeepSVC()
    fitted.network_ = build_network("compact", (8, 8, 1), 2)
    with pytest.raises(TypeError, match=r"Pass its Keras model, the attribute \.network_"):
        check_network(fitted, "DeepSVC")


@pytest.mark.parametrize("make", ["torch.nn.Linear(3, 2)", "onnx.ModelProto()"])
def test_objects_of_the_real_frameworks(make):
    package = make.partition(".")[0]
    module = pytest.importorskip(package)
    import_keras()
    network = eval(make, {package: module})
    check_network(network, "DeepSVC")
    with pytest.raises(TypeError, match="Pass the function that builds it"):
        check_network(network, "MarginClassifier", takes_trained=False)


@pytest.mark.parametrize("name", ["model.keras", "model.ONNX"])
def test_the_path_of_a_network(name, tmp_path):
    path = tmp_path / name
    with pytest.raises(ValueError, match=f"{name}', which does not exist"):
        check_network(path, "DeepSVC")
    path.mkdir()
    with pytest.raises(ValueError, match=f"{name}', which is a folder"):
        FeatureExtractor(str(path)).fit()
    path.rmdir()
    path.write_bytes(b"a network")
    check_network(path, "DeepSVC")  # what is in it is read later
