import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_iris

from penultimate import Dataset, FeatureExtractor, Holdout, Protocol, Training
from penultimate._common.progress import Progress
from penultimate.comparison.final import fit_final
from penultimate.comparison.final_settings import FinalSettings
from penultimate.networks import Preprocessing
from penultimate.provenance import fingerprint
from penultimate.provenance.leakage import LeakageError

X, codes = load_iris(return_X_y=True)
X = X + np.random.default_rng(0).normal(0, 1e-3, X.shape)  # no copies
NAMES = np.array(["setosa", "versicolor", "virginica"])


@pytest.fixture(scope="module")
def data():
    return Dataset.from_features(X, NAMES[codes])


@pytest.fixture(scope="module")
def fitted(data):
    return fit_final(data, data.images, FinalSettings())


def test_the_test_set_is_seen_by_nothing_but_its_one_score(data, fitted):
    prints = fingerprint(data.images)
    assert len(fitted.test) == fitted.n_test == 30
    assert not fitted.model.provenance_.holds(prints[fitted.test]).any()
    assert fitted.model.provenance_.holds(prints[fitted.development]).all()
    right = fitted.model.predict(data.images[fitted.test]) == NAMES[codes[fitted.test]]
    assert fitted.accuracy.value == right.mean()
    assert fitted.accuracy.low < fitted.accuracy.value < fitted.accuracy.high


def test_the_best_of_several_heads_is_chosen_by_the_selection_score(fitted):
    assert list(fitted.head_scores) == ["svm-rbf", "svm-linear", "logistic"]
    assert fitted.selection_score == max(fitted.head_scores.values())
    assert fitted.model.classes_.tolist() == NAMES.tolist()
    assert fitted.model.predict_proba(X[:2]).shape == (2, 3)
    assert fitted.expected()["what"] == "test set, scored once"
    text = "\n".join(fitted.lines())
    assert "normalization standardize" in text
    assert "by 30 test samples, scored once" in text


def test_one_head_by_name(data):
    settings = FinalSettings(heads=["logistic"], normalization=["standardize", "l2"])
    fitted = fit_final(data, data.images, settings)
    assert fitted.head_scores == {}
    assert type(fitted.model.head_["head"].best_estimator_).__name__.endswith("LogisticRegression")


def test_without_a_test_set_only_the_selection_score_is_known_and_labeled_so(data):
    fitted = fit_final(data, data.images, FinalSettings(heads=["svm-linear"], test=False))
    assert len(fitted.development) == len(X)
    assert fitted.accuracy is None
    assert fitted.expected()["low"] is None
    assert "optimistic" in fitted.expected()["what"]
    assert "optimistic" in fitted.lines()[-1]


def test_a_model_that_may_abstain_is_scored_on_its_answers(data):
    fitted = fit_final(data, data.images, FinalSettings(heads=["svm-linear"], coverage=0.8))
    accepted = fitted.model.accepts(data.images[fitted.test])
    assert fitted.answered == accepted.mean()
    assert "it answers" in fitted.lines()[-1]


def test_copies_of_test_samples_are_found():
    is_test = np.arange(len(X)) % 5 == 0
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(150, 20)) + codes[:, np.newaxis]
    wide[0] = wide[1]
    data = Dataset.from_features(wide, NAMES[codes], is_test=is_test)
    with pytest.raises(LeakageError, match="1 of 30"):
        fit_final(data, data.images, FinalSettings(heads=["svm-linear"]))


def test_a_frozen_network_and_its_layers():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (90, 6, 6, 3), dtype=np.uint8)
    labels = np.arange(90) % 3
    images[np.arange(90), :, :, labels] += 150
    data = Dataset.from_arrays(images, NAMES[labels])
    network = FeatureExtractor(
        lambda batch: batch.mean(axis=(1, 2)), preprocessing=Preprocessing(size=4)
    )
    settings = FinalSettings(
        network=network, heads=["svm-linear"], protocol=Protocol(Holdout(), "crossfit")
    )
    fitted = fit_final(data, images, settings)
    assert fitted.of_images
    assert fitted.accuracy.value > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": ["forest"]}, "forest"),
        ({"risk": 0.1, "coverage": 0.9}, "not both"),
        ({"risk": 2.0}, "risk"),
        ({"novelty": 0}, "novelty"),
        ({"novelty": 0.05, "heads": ["softmax"]}, "novelty needs features"),
        ({"protocol": Protocol(selection="resubstitution")}, "resubstitution"),
        ({"heads": ["softmax", "svm-rbf"]}, "name it alone"),
        ({"heads": ["softmax"], "protocol": Protocol(selection="crossfit")}, "takes one network"),
        ({"heads": ["softmax"]}, "the data are features. Choose another head: svm-rbf"),
    ],
)
def test_wrong_settings_are_named_before_anything_is_fitted(data, settings, message):
    with pytest.raises(ValueError, match=message):
        fit_final(data, data.images, FinalSettings(**settings))


class Steps(Progress):
    """What was reported: the last of each step."""

    def __init__(self):
        self.seen = {}

    def update(self, step, done, total):
        self.seen.setdefault(step, []).append((done, total))


@pytest.mark.parametrize("head", ["svm-linear", "softmax"])
def test_every_epoch_is_reported(shapes, solved_steps, head):
    steps = Steps()
    data = Dataset.from_arrays(*shapes)
    training = Training(epochs=2, augmentation=None)
    fitted = fit_final(data, data.images, FinalSettings(heads=[head], training=training), steps)
    assert {(0, 2), (1, 2), (2, 2)} <= set(steps.seen["train network"])
    assert ("extract features" in steps.seen) == (head != "softmax")
    assert head in fitted.lines()[0]
    assert fitted.model.predict_proba(data.images[:3]).shape == (3, 2)


def test_the_softmax_of_a_frozen_network_is_matched_to_the_classes():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (90, 6, 6, 3), dtype=np.uint8)
    labels = np.arange(90) % 3
    images[np.arange(90), :, :, 2 - labels] += 150  # its outputs come in another order
    data = Dataset.from_arrays(images, NAMES[labels])

    nodes = [
        helper.make_node("ReduceMean", ["x", "sides"], ["colors"], keepdims=0),
        helper.make_node("Gemm", ["colors", "W"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "colors",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 6, 6])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])],
        [
            numpy_helper.from_array(np.eye(3, dtype=np.float32) / 20, "W"),
            numpy_helper.from_array(np.array([2, 3]), "sides"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    network = FeatureExtractor(model, preprocessing=Preprocessing(size=6))
    fitted = fit_final(data, images, FinalSettings(network=network, heads=["softmax"]))
    assert fitted.accuracy.value > 0.9
    assert any("classes were matched to outputs" in note for note in fitted.notes)
