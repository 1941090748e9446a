import pickle

import numpy as np
import pytest
from sklearn.base import clone

from penultimate import FeatureExtractor
from penultimate.networks import (
    NETWORKS,
    Preprocessing,
    build_network,
    exporting,
    takes_pixels,
)
from penultimate.networks.exporting import (
    ExportError,
    export_network,
    export_whole,
    exported,
)
from penultimate.networks.frameworks.backend import import_keras
from penultimate.provenance import provenance_of, record

from .frameworks.onnx_models import network as onnx_network

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

SHAPE = (12, 12, 3)


def run(graph, batch):
    session = runtime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"prepared": batch.astype(np.float32)})[0]


@pytest.fixture(scope="module")
def compact():
    return build_network("compact", SHAPE, 4)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (7, *SHAPE), dtype=np.uint8)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_named_network(name, images):
    extractor = FeatureExtractor(build_network(name, SHAPE, 4)).fit()
    graph = export_network(extractor, images)
    features = extractor.transform(images)
    np.testing.assert_allclose(run(graph, images), features, atol=1e-5 * features.max())


def test_the_graph_is_in_the_form_that_was_promised(compact):
    model = export_network(FeatureExtractor(compact).fit())
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
    assert model.ir_version <= 10
    assert not model.functions
    (given,), (made,) = model.graph.input, model.graph.output
    dims = [each.dim_param or each.dim_value for each in given.type.tensor_type.shape.dim]
    assert (given.name, dims) == ("prepared", ["N", *SHAPE])
    dims = [each.dim_param or each.dim_value for each in made.type.tensor_type.shape.dim]
    assert (made.name, dims) == ("features", ["N", 128])


def test_no_rows_give_no_features(compact):
    graph = export_network(FeatureExtractor(compact).fit())
    assert run(graph, np.zeros((0, *SHAPE))).shape == (0, 128)


@pytest.mark.slow
def test_the_same_network_gives_the_same_bytes(compact):
    copy = import_keras().models.clone_model(compact)  # whose layers have other names
    copy.set_weights(compact.get_weights())
    one, two = (export_network(FeatureExtractor(each).fit()) for each in (compact, copy))
    assert one.SerializeToString() == two.SerializeToString()


@pytest.mark.parametrize(
    ("pooling", "mirror"), [("avg", True), ("max", False), ("gem", False), (None, True)]
)
def test_pooling_mirror_and_several_layers(compact, images, pooling, mirror):
    maps = next(each.name for each in compact.layers if each.name.startswith("max_pool"))
    extractor = FeatureExtractor(
        compact, layer=[maps, "penultimate"], pooling=pooling, mirror=mirror
    ).fit()
    features = extractor.transform(images)
    found = run(export_network(extractor), images)
    np.testing.assert_allclose(found, features, atol=1e-5 * features.max())


def test_a_preprocessing_is_no_part_of_the_graph(compact, images):
    prepare = Preprocessing(size=12, channels="bgr")
    extractor = FeatureExtractor(compact, preprocessing=prepare).fit(images)
    prepared = np.stack([extractor.preprocessing_.apply(each) for each in images])
    found = run(export_network(extractor), prepared)
    features = extractor.transform(images)
    np.testing.assert_allclose(found, features, atol=1e-5 * features.max())


@pytest.mark.slow
def test_a_whole_network(compact, images):
    probabilities = run(export_whole(compact), images)
    np.testing.assert_allclose(probabilities, compact.predict(images, verbose=0), atol=1e-5)
    assert probabilities.shape == (7, 4)


def test_an_extractor_that_onnx_runtime_computes(compact, images):
    record(compact, images[:2])
    prepare = Preprocessing(size=12)
    extractor = FeatureExtractor(compact, batch_size=4, preprocessing=prepare, mirror=True).fit(
        images
    )
    faster = exported(extractor)
    features = extractor.transform(images)
    np.testing.assert_allclose(faster.transform(images), features, atol=1e-5 * features.max())
    # What is known of the network stays so, in copies, too.
    assert faster.batch_size == 4
    assert takes_pixels(faster.network)
    for each in (faster, clone(faster), pickle.loads(pickle.dumps(faster))):  # noqa: S301
        assert len(provenance_of(each.network).trained) == 2


def test_weights_that_are_shared_are_stored_once():
    layers = import_keras().layers
    given, shared = layers.Input((6,)), layers.Dense(6, name="shared")
    inner = import_keras().Sequential([layers.Input((6,)), shared])
    model = import_keras().Model(given, layers.Add()([shared(given), inner(shared(given))]))
    model.get_layer("shared").set_weights([np.eye(6), np.arange(6)])
    weights = [each.dims for each in export_whole(model).graph.initializer]
    assert sorted(map(list, weights)) == [[6], [6, 6]]


def test_what_it_computes_otherwise_is_no_graph(compact, monkeypatch):
    monkeypatch.setattr(exporting, "_TOLERANCE", 0)
    with pytest.raises(ExportError, match="values of up to .* differ by"):
        export_network(FeatureExtractor(compact).fit())


def test_a_layer_of_ones_own_is_refused_or_writes_itself():
    keras = import_keras()

    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    class Written(Doubled):
        def to_onnx(self, writer, inputs):
            return writer.node("Mul", inputs, 2.0)

    class Wider(keras.layers.Dense):
        def call(self, inputs):
            return super().call(inputs) * 2

    class Renamed(keras.layers.Dense):
        pass

    def network(layer):
        given = keras.Input((3,))
        return keras.Model(given, layer(given), name="own")

    for layer in (Doubled(name="twice"), Wider(3, name="twice"), keras.layers.Lambda(abs)):
        with pytest.raises(ExportError, match="'(twice|lambda.*)' .* of the network 'own'.*file"):
            export_whole(network(layer))
    for layer in (Written(), Renamed(3)):
        export_whole(network(layer))


def test_networks_that_have_no_single_graph_are_refused():
    keras = import_keras()
    one, two = keras.Input((3,), name="one"), keras.Input((3,), name="two")
    both = keras.Model([one, two], keras.layers.Dense(2)(keras.layers.Add()([one, two])))
    with pytest.raises(ExportError, match="2 inputs \\('one', 'two'\\)"):
        export_network(FeatureExtractor(both).fit())

    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ExportError, match="no graph of layers"):
        export_whole(Subclassed())

    def embed(batch):
        return np.asarray(batch).reshape(len(batch), -1)

    extractor = FeatureExtractor(embed).fit(np.zeros((2, 3)))
    with pytest.raises(ExportError, match="'embed' is a function"):
        export_network(extractor)


def test_half_precision_is_refused_where_it_begins():
    keras = import_keras()
    given = keras.Input((3,))
    model = keras.Model(given, keras.layers.Dense(2, dtype="mixed_bfloat16")(given))
    with pytest.raises(ExportError, match="computes in mixed_bfloat16; load"):
        export_whole(model)


CNN = (
    "c = Conv<pads=[1,1,1,1]>(x, w) b = BatchNormalization(c, g, g, g, g) r = Relu(b) "
    "p = GlobalAveragePool(r) f = Flatten(p) y = Gemm(f, v)"
)
WEIGHTS = {"w": (4, 3, 3, 3), "g": np.arange(1, 5, dtype=np.float32), "v": (4, 2)}


@pytest.mark.parametrize("opset", [9, 13, 18, 21])
@pytest.mark.parametrize("rows", ["N", "1", "4"])
def test_onnx_files_of_other_opsets_and_batches(opset, rows):
    model = onnx_network(CNN, opset, inputs=f"float[{rows},3,8,8] x", **WEIGHTS)
    extractor = FeatureExtractor(model, layer=["r", "f"], pooling="max", mirror=True).fit()
    graph = export_network(extractor)
    assert graph.opset_import[0].version == 18
    batch = np.random.default_rng(0).normal(size=(5, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(run(graph, batch), extractor.transform(batch), atol=1e-5)


def test_onnx_files_of_one_size_are_refused():
    model = onnx_network(
        "f = Reshape(x, s) y = Gemm(f, v)",
        inputs="float[1,3,2,2] x",
        s=np.array([1, 12]),
        v=(12, 2),
    )
    extractor = FeatureExtractor(model, layer="f").fit()
    with pytest.raises(ExportError, match="only in batches of 1.*dynamic axes"):
        export_network(extractor)


def test_onnx_files_with_other_operators_are_refused():
    model = onnx_network(
        "g = com.microsoft.Gelu(x) f = Flatten(g) y = Gemm(f, v)",
        domains=("", "com.microsoft"),
        inputs="float[N,3,2,2] x",
        v=(12, 2),
    )
    with pytest.raises(ExportError, match=r"com\.microsoft\.Gelu"):
        export_network(FeatureExtractor(model, layer="f").fit())


def test_bytes_are_cast_inside():
    model = onnx_network(
        "f = Cast<to=1>(x) g = Flatten(f) y = Gemm(g, v)", inputs="uint8[N,3,2,2] x", v=(12, 2)
    )
    extractor = FeatureExtractor(model, layer="g").fit()
    batch = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 2))
    np.testing.assert_array_equal(run(export_network(extractor), batch), batch.reshape(5, -1))


@pytest.fixture(scope="module")
def torch_network():
    nn = pytest.importorskip("torch").nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.GELU()
            )
            self.drop, self.last = nn.Dropout(), nn.Linear(4, 2)

        def forward(self, x):
            return self.last(self.drop(self.body(x).mean((2, 3)))).softmax(-1)

    network = Network()
    network.body.eval()  # the rest trains
    return network


@pytest.mark.slow
def test_torch_modules(torch_network):
    batch = np.random.default_rng(0).normal(size=(5, 3, 9, 8)).astype(np.float32)
    extractor = FeatureExtractor(torch_network, layer=["body", "penultimate"], mirror=True).fit(
        batch
    )
    model = export_network(extractor)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(model, batch), extractor.transform(batch), atol=1e-5)
    # As it was: the modes, and what the file tells of the machine.
    modes = [each.training for each in (torch_network, torch_network.body, torch_network.drop)]
    assert modes == [True, False, True]
    assert not any(hook for each in torch_network.modules() for hook in each._forward_hooks)
    assert not model.functions
    del model.graph.initializer[:]
    assert b"/" not in model.SerializeToString()


def test_torch_modules_state_their_shapes_by_samples(torch_network):
    with pytest.raises(ValueError, match="pass X"):
        export_whole(torch_network)


@pytest.mark.slow
def test_torch_modules_that_do_not_export_are_refused():
    torch = pytest.importorskip("torch")

    class Branches(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x if x.sum().item() > 0 else -x)

    with pytest.raises(ExportError, match="'Branches' cannot be exported by torch.*pass the file"):
        export_whole(Branches(3, 2), np.ones((2, 3), np.float32))
