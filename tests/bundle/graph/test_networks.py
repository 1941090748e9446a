"""Models with a network answer the same as a graph, of images and of features."""

import numpy as np
import onnxruntime
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from penultimate import (
    SVC,
    AbstainingClassifier,
    DeepSVC,
    FeatureExtractor,
    MarginClassifier,
    Specialists,
    Training,
    load,
    save,
)
from penultimate.bundle import parity
from penultimate.bundle.graph import ExportError, build_graph
from penultimate.bundle.operators import check_graph
from penultimate.bundle.parity import prove
from penultimate.classifiers import SoftmaxClassifier
from penultimate.networks import Preprocessing, build_network

TRAINING = Training(epochs=1, batch_size=32, augmentation=None)
SUBSETS = {"low": ["black", "dark"], "high": ["gray", "light", "white"]}
pytestmark = pytest.mark.usefixtures("solved_networks")


@pytest.fixture(scope="module", autouse=True)
def few_sizes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "SIZES", ((1, 1), (8, 8), (9, 30)))
        yield


def small(input_shape, n_classes):
    """A network for what is around it: a named one takes longer to build, and to follow."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def images():
    y = np.repeat(["black", "dark", "gray", "light", "white"], 20)
    X = np.random.default_rng(0).integers(0, 60, (100, 8, 8, 1), dtype=np.uint8)
    return X + np.repeat([0, 40, 80, 120, 160], 20).astype(np.uint8)[:, None, None, None], y


def session_of(model):
    graph = build_graph(model)
    content = graph.SerializeToString()
    check_graph(content)  # who opens a bundle takes it
    session = onnxruntime.InferenceSession(content)
    return graph, session, [each.name for each in session.get_inputs()]


@pytest.fixture(scope="module")
def softmax(solved_networks, images):
    model = SoftmaxClassifier(training=TRAINING, random_state=0, calibration="temperature")
    return model.fit(*images)


def test_the_softmax_of_a_network(softmax, images, tmp_path):
    graph, _, inputs = session_of(softmax)
    assert inputs == ["images"]
    assert set(prove(softmax, graph, images[0]).errors) == {"label", "probabilities"}
    save(softmax, tmp_path / "m.zip", images[0])
    loaded = load(tmp_path / "m.zip")
    assert loaded.predict(images[0]).tolist() == softmax.predict(images[0]).tolist()
    assert loaded.manifest.head["kind"] == "softmax of the network"
    assert loaded.manifest.calibration == {"method": "temperature"}


def test_a_bare_network_with_names_for_its_outputs(softmax, images, tmp_path):
    X, names = images[0], ["e", "d", "c", "b", "a"]  # not in sorted order
    save(softmax.network_, tmp_path / "m.zip", X, classes=names)
    expected = np.array(names)[np.searchsorted(softmax.classes_, softmax.predict(X))]
    np.testing.assert_array_equal(load(tmp_path / "m.zip").predict(X), expected)
    proof = save(softmax.network_, tmp_path / "m.zip", classes=names)  # proved by noise
    assert proof.errors["probabilities"] < 1e-4
    with pytest.raises(TypeError, match="one label for each"):
        save(softmax.network_, tmp_path / "m.zip", X)
    with pytest.raises(TypeError, match="SoftmaxClassifier knows its classes"):
        save(softmax, tmp_path / "m.zip", X, classes=names)
    with pytest.raises(ValueError, match="another number of outputs"):
        save(softmax.network_, tmp_path / "m.zip", X, classes=names[:3])
    with pytest.raises(ValueError, match="must name each output once"):
        save(softmax.network_, tmp_path / "m.zip", X, classes=[*names[:4], "e"])


@pytest.fixture(scope="module")
def deep_svc(solved_networks, images):
    return DeepSVC(training=TRAINING, random_state=0, calibration="temperature").fit(*images)


def test_deep_svc(deep_svc, images):
    graph, session, inputs = session_of(deep_svc)
    assert inputs == ["images", "features"]
    found = prove(deep_svc, graph, images[0])
    assert set(found.errors) == {"label", "scores", "margins", "probabilities"}
    assert found.n_samples == 100
    # Features come in as such, or both do: images first.
    X, _ = images
    features = deep_svc.extract(X)
    none = np.zeros((0, 1, 1, 1), np.uint8)
    (labels,) = session.run(["label"], {"images": none, "features": features})
    np.testing.assert_array_equal(deep_svc.classes_[labels], deep_svc.predict(X))
    (labels,) = session.run(["label"], {"images": X[:3], "features": features[50:52]})
    expected = deep_svc.predict(X[[0, 1, 2, 50, 51]])
    np.testing.assert_array_equal(deep_svc.classes_[labels], expected)


def test_images_of_other_sizes_and_channels_are_brought_to_the_networks(deep_svc, images):
    _, session, _ = session_of(deep_svc)
    large = np.kron(images[0][::10], np.ones((1, 4, 4, 3), np.uint8))
    features = np.zeros((0, deep_svc.extractor_.n_features_out_), np.float32)
    (labels,) = session.run(["label"], {"images": large, "features": features})
    assert (deep_svc.classes_[labels] == images[1][::10]).mean() > 0.8


def test_the_margins_of_a_search_that_forwards_none_are_calibrated(images):
    search = GridSearchCV(SVC(), {"C": [1.0]})
    model = DeepSVC(
        small, head=search, training=TRAINING, random_state=0, calibration="temperature"
    )
    found = prove(model.fit(*images), build_graph(model), images[0])
    assert set(found.errors) == {"label", "scores", "probabilities"}


def test_abstention(deep_svc, images):
    model = AbstainingClassifier(deep_svc, coverage=0.5, random_state=0).fit(*images)
    found = prove(model, build_graph(model), images[0])
    assert {"accepted", "margins", "probabilities"} <= set(found.errors)


@pytest.mark.slow
def test_none_of_the_classes(deep_svc, images):
    """Judged by the features that the head gets, also where these come in as such."""
    model = AbstainingClassifier(clone(deep_svc), novelty=0.2, random_state=0)
    model.fit(*images)
    graph, session, inputs = session_of(model)
    assert inputs == ["images", "features"]
    assert {"accepted", "novel"} <= set(prove(model, graph, images[0]).errors)
    assert sum(node.op_type == "Resize" for node in graph.graph.node) < 6  # computed once
    features = model.estimator_.extract(images[0])
    none = np.zeros((0, 1, 1, 1), np.uint8)
    (novel,) = session.run(["novel"], {"images": none, "features": features})
    np.testing.assert_array_equal(novel, model.is_novel(images[0]))


@pytest.mark.slow
@pytest.mark.parametrize("router", ["network", "head"])
def test_specialists(images, router):
    options = {"random_state": 0, "calibration": "temperature"}
    model = Specialists(small, subsets=SUBSETS, router=router, training=TRAINING, **options)
    model.fit(*images)
    graph, session, inputs = session_of(model)
    # The network's softmax is not computed from features.
    assert inputs == ["images", *(["features"] if router == "head" else []), "subset"]
    # Also with each subset asked for.
    assert set(prove(model, graph, images[0]).errors) >= {"scores", "margins", "probabilities"}
    feed = {"images": images[0][:40], "subset": np.array(-1)}
    if router == "head":
        feed["features"] = np.zeros((0, model._extractors["penultimate"].n_features_out_), "f4")
    (routes,) = session.run(["subset_index"], feed)
    np.testing.assert_array_equal(np.array(["low", "high"])[routes], model.route(images[0][:40]))
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("Conv") == 1  # computed once, though used twice
    assert kinds.count("Resize") < 6
    with pytest.raises(Exception, match="out of data bounds"):
        session.run(None, {**feed, "subset": np.array(2)})


@pytest.mark.slow
def test_specialists_that_abstain(images, tmp_path):
    X, y = images
    model = Specialists(small, subsets=SUBSETS, router="head", training=TRAINING, random_state=0)
    model = FrozenEstimator(model.fit(X[::2], y[::2]))
    model = AbstainingClassifier(model, coverage=0.5, novelty=0.2, random_state=0)
    model.fit(X[1::2], y[1::2])
    X = np.delete(X, save(model, tmp_path / "m.zip", X).near_ties, axis=0)
    saved = load(tmp_path / "m.zip")
    assert saved.subsets == list(SUBSETS)
    np.testing.assert_array_equal(saved.accepts(X), model.accepts(X))
    np.testing.assert_array_equal(saved.is_novel(X), model.is_novel(X))
    # For a subset, the labels are the specialist's.
    expected = model.estimator_.predict(X[40:], subset="high")
    found = saved.predict_all(X[40:], subset="high")
    np.testing.assert_array_equal(found.labels, expected)
    # The threshold was set on routed answers, and says nothing about these.
    assert found.accepted is None
    np.testing.assert_array_equal(found.novel, model.is_novel(X[40:]))


def test_one_specialist(images):
    X, y = images
    subsets = {"all": np.unique(y).tolist()}
    model = Specialists(small, subsets=subsets, training=TRAINING, random_state=0)
    graph, _, inputs = session_of(model.fit(X, y))
    assert inputs == ["images", "features", "subset"]
    prove(model, graph, X)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("loss", ["squared_hinge", "crammer_singer"])
def test_margin_classifier_of_images(images, loss, n_classes):
    X, y = (each[: 20 * n_classes] for each in images)
    model = MarginClassifier(small, loss=loss, training=TRAINING, random_state=0).fit(X, y)
    graph, _, inputs = session_of(model)
    assert inputs == ["images"]
    prove(model, graph, X)


def test_margin_classifier_of_features(images, tmp_path):
    X = images[0].reshape(100, -1)[:, :20].astype(np.float32)
    training = Training(epochs=1, validation_size=0.3)
    model = MarginClassifier(training=training, calibration="sigmoid", random_state=0)
    graph, _, inputs = session_of(model.fit(X, images[1]))
    assert inputs == ["features"]
    assert "probabilities" in prove(model, graph, X).errors
    save(model, tmp_path / "margin.zip", X)
    del model.calibrator_  # there is none without calibration
    model.calibration = None
    save(model, tmp_path / "margin.zip", X)
    assert load(tmp_path / "margin.zip").predict(X[:9]).tolist() == model.predict(X[:9]).tolist()


def test_a_pipeline_with_an_extractor_takes_images_of_any_size(images):
    network = build_network("compact", (8, 8, 1), 2)
    preprocessing = Preprocessing(size=8, channels="gray")
    extractor = FeatureExtractor(network, preprocessing=preprocessing)
    pictures = [
        np.kron(each[..., 0], np.ones((1 + k % 3, 2), np.uint8)) for k, each in enumerate(images[0])
    ]
    model = make_pipeline(extractor, SVC()).fit(pictures, images[1])
    assert prove(model, build_graph(model), pictures).errors["label"] == 0
    with pytest.raises(ExportError, match="must be its first step, and have a preprocessing"):
        build_graph(make_pipeline(FeatureExtractor(network), SVC()).fit(images[0], images[1]))


def test_a_network_of_vectors_takes_them_as_features(images):
    import keras

    layers = [keras.layers.Dense(8, "relu"), keras.layers.Dense(5, "softmax")]
    network = keras.Sequential([keras.layers.Input((20,)), *layers])
    X = images[0].reshape(100, -1)[:, :20].astype(np.float32) / 255
    with pytest.warns(match="provenance|seen|recorded"):
        model = DeepSVC(network, random_state=0).fit(X, images[1])
    graph, _, inputs = session_of(model)
    assert inputs == ["features"]
    prove(model, graph, X)


def test_floats_up_to_1_are_what_bytes_become(images):
    X = images[0].astype(np.float32) / 255
    network = build_network("compact", (8, 8, 1), 5)
    import keras

    bare = keras.Sequential([keras.layers.Input((8, 8, 1)), *network.layers[2:]])
    with pytest.warns(match="provenance|seen|recorded"):
        model = DeepSVC(bare, random_state=0).fit(X, images[1])
    prove(model, build_graph(model), X)
    with pytest.warns(match="provenance|seen|recorded"):
        model = DeepSVC(bare, random_state=0).fit(X - X.mean(), images[1])
    with pytest.raises(ExportError, match="nothing says how pixels become these. State it"):
        build_graph(model)


@pytest.fixture(scope="module")
def vectors():
    y = np.repeat(["a", "b", "c", "d"], 25)
    X = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    return X + 4 * np.eye(4, 6, dtype=np.float32)[np.repeat(np.arange(4), 25)], y


def torch_network(*layers):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch.nn.Sequential(*(getattr(torch.nn, name)(*sizes) for name, *sizes in layers))


VECTORS = ("Linear", 6, 8), ("ReLU",), ("Linear", 8, 4)
IMAGES = ("Conv2d", 3, 4, 3), ("ReLU",), ("AdaptiveAvgPool2d", 1), ("Flatten",), ("Linear", 4, 4)


@pytest.mark.slow
@pytest.mark.parametrize("last", [[], [("Softmax", 1)]], ids=["scores", "probabilities"])
def test_a_bare_torch_module_with_names_for_its_outputs(vectors, last, tmp_path):
    X, _ = vectors
    network = torch_network(*VECTORS, *last).train()
    proof = save(network, tmp_path / "m.zip", X, classes=["d", "c", "b", "a"])
    assert proof.errors["probabilities"] < 1e-5
    assert network.training  # the caller's mode
    import torch

    outputs = network.eval()(torch.tensor(X)).detach().numpy()
    found = load(tmp_path / "m.zip").predict(X)
    np.testing.assert_array_equal(found, np.array(["d", "c", "b", "a"])[outputs.argmax(axis=1)])


@pytest.mark.slow
def test_a_bare_torch_module_of_images(images, tmp_path):
    pictures = np.repeat(images[0], 3, axis=-1)
    network, names = torch_network(*IMAGES), ["a", "b", "c", "d"]
    # Images as they lie in a file, with their channels last, are not what a bare module takes.
    with pytest.raises(ValueError, match="channels first"):
        save(network, tmp_path / "m.zip", pictures, classes=names)
    prepared = FeatureExtractor(network, preprocessing=Preprocessing(size=8, scale=1 / 255))
    proof = save(prepared, tmp_path / "m.zip", pictures, classes=names)
    assert proof.errors["probabilities"] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("router", ["network", "head"])
@pytest.mark.filterwarnings("ignore:.*(provenance|seen|recorded)")
def test_specialists_of_vectors_on_a_torch_module(vectors, router, tmp_path):
    X, y = vectors
    subsets = {"first": ["a", "b"], "second": ["c", "d"]}
    model = Specialists(
        torch_network(*VECTORS), subsets=subsets, head=SVC(), router=router, random_state=0
    ).fit(X, y)
    save(model, tmp_path / "m.zip", X)
    saved = load(tmp_path / "m.zip")
    np.testing.assert_array_equal(saved.predict(X), model.predict(X))
    np.testing.assert_array_equal(
        saved.predict(X[:25], subset="second"), model.predict(X[:25], subset="second")
    )
