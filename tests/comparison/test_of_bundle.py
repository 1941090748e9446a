import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save as save_tensors
from sklearn.datasets import load_iris

from penultimate import SVC, AbstainingClassifier, Dataset, load, load_data, save
from penultimate.bundle.archive import pack
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.comparison.of_bundle import evaluate_bundle
from penultimate.provenance import fingerprint
from penultimate.provenance.leakage import LeakageError
from tests.bundle.handmade import OF_IMAGES, make_parts, of_images

X, codes = load_iris(return_X_y=True)
X = (X + np.random.default_rng(0).normal(0, 1e-3, X.shape)).astype(np.float32)  # no copies
y = np.array(["setosa", "versicolor", "virginica"])[codes]
NEW = np.arange(150) % 2 == 0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "iris.zip"
    fitted = FeatureClassifier(SVC(), calibration="temperature", random_state=0)
    save(fitted.fit(X[~NEW], y[~NEW]), path, X[NEW])
    return load(path)


def test_figures_are_those_of_its_answers(model):
    found = evaluate_bundle(model, Dataset.from_features(X[NEW], y[NEW]))
    said = model.predict(X[NEW])
    assert found.accuracy.value == (said == y[NEW]).mean()
    assert found.confusion.sum() == found.n_samples == found.n_answered == 75
    assert found.per_class["setosa"].value == 1.0
    assert found.confusion[1, 2] == np.sum((y[NEW] == "versicolor") & (said == "virginica"))
    assert 0 < found.calibration_error < 0.3
    text = "\n".join(found.lines())
    assert "on 75 samples" in text
    assert found.to_dict()["accuracy"]["low"] < found.accuracy.value


def test_samples_that_it_has_seen_are_refused(tmp_path):
    wide = np.hstack([X, np.random.default_rng(1).normal(size=(150, 16)).astype(np.float32)])
    save(FeatureClassifier(SVC()).fit(wide[~NEW], y[~NEW]), tmp_path / "wide.zip", wide[NEW])
    model, data = load(tmp_path / "wide.zip"), Dataset.from_features(wide, y)
    with pytest.raises(LeakageError, match="75 of 150"):
        evaluate_bundle(model, data)
    assert "75 of 150" in evaluate_bundle(model, data, on_leak="warn").leak
    assert evaluate_bundle(model, Dataset.from_features(wide[NEW], y[NEW])).leak == ""


def test_of_short_vectors_it_cannot_be_told_and_is_said_so(model):
    assert "cannot be told" in evaluate_bundle(model, Dataset.from_features(X, y)).leak


def test_some_classes_suffice_and_unknown_ones_are_named(model):
    two = NEW & (codes < 2)
    found = evaluate_bundle(model, Dataset.from_features(X[two], y[two]))
    assert list(found.per_class) == ["setosa", "versicolor"]
    assert found.confusion.shape == (3, 3)
    one = Dataset.from_features(X[NEW][:1], y[NEW][:1])
    assert evaluate_bundle(model, one).accuracy.low < 0.5
    named = np.where(y == "setosa", "daisy", y)
    with pytest.raises(ValueError, match="does not know, such as 'daisy'"):
        evaluate_bundle(model, Dataset.from_features(X[NEW], named[NEW]))


def test_abstentions_do_not_count_as_answers(tmp_path):
    careful = AbstainingClassifier(SVC(), coverage=0.6, random_state=0).fit(X[~NEW], y[~NEW])
    save(careful, tmp_path / "careful.zip", X[NEW])
    found = evaluate_bundle(load(tmp_path / "careful.zip"), Dataset.from_features(X[NEW], y[NEW]))
    assert found.n_answered == careful.accepts(X[NEW]).sum() < found.n_samples
    assert f"{found.n_answered} of 75 samples it answers" in "\n".join(found.lines())


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colors")
    rng = np.random.default_rng(0)
    for place, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir()
        for number in range(4):
            pixels = rng.integers(0, 60, (5 + number, 9, 3), dtype=np.uint8)
            pixels[..., place] += 150
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_image_files_are_predicted_at_their_own_size(colors):
    model = load(pack(make_parts(of_images(), **OF_IMAGES)))
    found = evaluate_bundle(model, load_data(colors, image_size=8))
    assert found.accuracy.value == 1.0
    with pytest.raises(ValueError, match="takes images, and the data are features"):
        evaluate_bundle(model, Dataset.from_features(X, y))


def test_images_that_were_resized_for_the_network_are_recognized(colors):
    data = load_data(colors, image_size=8)
    for form in (data.fingerprint(), fingerprint(data.images)):
        tensors = {"head.safetensors": save_tensors({"provenance": np.sort(form[:3])})}
        model = load(pack(make_parts(of_images(), parts=tensors, **OF_IMAGES)))
        with pytest.raises(LeakageError, match="3 of 12"):
            evaluate_bundle(model, data)


def test_classes_are_in_natural_order_with_their_probabilities(tmp_path):
    named = np.array(["10", "9", "b"])[codes]
    save(FeatureClassifier(SVC(), calibration="temperature").fit(X, named), tmp_path / "m.zip", X)
    found = evaluate_bundle(load(tmp_path / "m.zip"), Dataset.from_features(X, named))
    assert found.classes == ["9", "10", "b"]
    assert found.accuracy.value > 0.9
    np.testing.assert_array_equal(found.probabilities.argmax(axis=1), found.said)
    assert (found.margins > 0).all()


def test_data_are_checked_and_the_file_is_described(model):
    found = evaluate_bundle(model, Dataset.from_features(X[NEW], y[NEW]), name="iris.zip")
    states = {each["id"]: each["state"] for each in found.check_states}
    assert states["test-samples-seen"] == "unknown"  # short vectors
    assert states["class-imbalance"] == "passed"
    assert found.checks[0]["advice"] == "Score the model on more samples."
    assert dict(found.facts)["SHA-256"] == model.sha256
