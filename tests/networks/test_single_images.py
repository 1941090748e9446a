import io
import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn.frozen import FrozenEstimator

from penultimate import SVC, AbstainingClassifier, DeepSVC, FeatureExtractor, Specialists
from penultimate.evaluation import evaluate
from penultimate.networks import Preprocessing
from penultimate.networks.single_images import as_sequence, come_one_by_one, prints_of
from penultimate.provenance.leakage import LeakageError, LeakageWarning

PREPARE = Preprocessing(size=4, scale=1 / 255)
LABELS = np.repeat(["blue", "green", "red", "white"], 8)
COLORS = {"blue": (0, 0, 200), "green": (0, 200, 0), "red": (200, 0, 0), "white": (200, 200, 200)}


def network(batch):
    return batch.mean(axis=(1, 2))


def extractor():
    return FeatureExtractor(network, preprocessing=PREPARE)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    images = []
    for label in LABELS:
        noise = rng.integers(0, 50, (*rng.integers(3, 20, 2), 3))
        images.append((noise + COLORS[label]).astype(np.uint8))
    return images


@pytest.fixture(scope="module")
def paths(arrays, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number, pixels in enumerate(arrays):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return [folder / f"{number}.png" for number in range(len(arrays))]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is not known what the function was trained on
        yield


@pytest.fixture(scope="module")
def model(arrays):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DeepSVC(extractor(), head=SVC(), random_state=0).fit(arrays, LABELS)


def _forms(arrays, paths):
    pillow = [Image.fromarray(each) for each in arrays]
    contents = []
    for image in pillow:
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        contents.append(buffer.getvalue())
    return {
        "paths": paths,
        "text": list(map(str, paths)),
        "text in an array": np.array(list(map(str, paths))),
        "Pillow": pillow,
        "contents": contents,
        "mixed": [*paths[:5], *arrays[5:]],
    }


@pytest.mark.parametrize(
    "form", ["paths", "text", "text in an array", "Pillow", "contents", "mixed"]
)
def test_every_form_of_an_image_is_the_same_sample(form, arrays, paths, model):
    given = _forms(arrays, paths)[form]
    assert come_one_by_one(given)
    np.testing.assert_array_equal(prints_of(as_sequence(given)), prints_of(as_sequence(arrays)))
    np.testing.assert_array_equal(model.predict(given), model.predict(arrays))
    again = DeepSVC(extractor(), head=SVC(), random_state=0).fit(given, LABELS)
    np.testing.assert_array_equal(again.decision_function(arrays), model.decision_function(arrays))
    with pytest.warns(LeakageWarning, match="32 of 32"):
        model.score(given, LABELS)


def test_one_image_of_a_model_fitted_on_many(arrays, paths, model):
    assert model.predict(paths[:1]).tolist() == ["blue"]
    assert model.predict(arrays[-1][np.newaxis]).tolist() == ["white"]  # an array of one size


def test_arrays_of_one_size_stay_an_array():
    assert not come_one_by_one([np.zeros((4, 4, 3))] * 3)
    assert not come_one_by_one(np.zeros((3, 4, 4)))
    assert not come_one_by_one([[0.0, 1.0], [2.0, 3.0]])


def test_evaluating_finds_seen_images_and_scores_new_ones(arrays, paths, model):
    with pytest.raises(LeakageError, match="32 of 32"):
        evaluate(model, paths, LABELS)
    darker = [each // 2 for each in arrays]
    assert evaluate(model, darker, LABELS).value >= 0.5


def test_specialists_and_abstention_take_them(arrays, paths):
    subsets = {"cold": ["blue", "green"], "warm": ["red", "white"]}
    specialists = Specialists(
        extractor(), subsets=subsets, head=SVC(), router="head", random_state=0
    )
    specialists.fit(paths, LABELS)
    assert specialists.predict(paths[:1], subset="cold").tolist() == ["blue"]
    deep = DeepSVC(extractor(), head=SVC(), random_state=0)
    careful = AbstainingClassifier(deep, coverage=0.9, random_state=0).fit(paths, LABELS)
    assert careful.n_heldout_ < len(LABELS)
    fitted = FrozenEstimator(careful.estimator_)
    with pytest.warns(LeakageWarning):
        AbstainingClassifier(fitted, coverage=0.9).fit(arrays, LABELS)


def test_copies_stay_on_one_side(arrays):
    """Each image twice: no copy of a held-out image is among those that the head is fitted on."""
    twice = [*arrays, *[Image.fromarray(each) for each in arrays]]
    deep = DeepSVC(extractor(), head=SVC(), random_state=0)
    careful = AbstainingClassifier(deep, coverage=0.9, random_state=0)
    careful.fit(twice, np.tile(LABELS, 2))
    seen = careful.estimator_.provenance_.holds(prints_of(as_sequence(twice)))
    assert (~seen).sum() == careful.n_heldout_


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([b"no image"] * 32, "image"),
        ([np.zeros((4, 4, 3), np.uint8), "there is none.png"] * 16, "there is none"),
    ],
)
def test_what_is_no_image_is_named(X, message):
    with pytest.raises((ValueError, OSError), match=message):
        DeepSVC(extractor(), head=SVC()).fit(X, LABELS)


def test_networks_without_a_preprocessing_say_so(paths):
    with pytest.raises(TypeError, match="list of paths"):
        DeepSVC(FeatureExtractor(network), head=SVC()).fit(paths, LABELS)
