import ast
import importlib.util
import runpy
import subprocess
import sys
import tokenize
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import penultimate
from penultimate import DeepSVC, FeatureExtractor, Training
from penultimate.classifiers import _margin_training
from penultimate.networks import build_network

EXAMPLES = Path(__file__).parents[1] / "examples"
BUILDERS = {
    "mnist_cnn": ("Conv2D Conv2D Conv2D Flatten Dense Dense", [32, 32, 32, 128, 58]),
    "devanagari_cnn": (
        "Conv2D Conv2D MaxPooling2D Dropout Conv2D Flatten Dropout Dense Dropout Dense Dropout "
        "Dense",
        [128, 64, 32, 512, 512, 58],
    ),
    "devanagari_small_cnn": (
        "Conv2D Conv2D MaxPooling2D Dropout Flatten Dense Dropout Dense",
        [32, 64, 256, 58],
    ),
}


@pytest.fixture(scope="module")
def article_networks():
    spec = importlib.util.spec_from_file_location("articles", EXAMPLES / "article_networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines_of_code(path):
    """Numbers of the lines that hold code: no blank line, comment or docstring."""
    no_code = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
    with open(path, "rb") as file:
        _, *tokens = [t for t in tokenize.tokenize(file.readline) if t.type not in no_code]
    return {line for t in tokens for line in range(t.start[0], t.end[0] + 1)}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_import_from_the_top_level_only(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in names if name.startswith("penultimate.")]


def test_every_network_of_an_article_is_built_as_its_author_did(article_networks):
    for name, (kinds, units) in BUILDERS.items():
        model = build_network(getattr(article_networks, name), (28, 28, 1), 58)
        assert [type(layer).__name__ for layer in model.layers[1:]] == kinds.split()
        weighted = [layer for layer in model.layers if layer.weights]
        assert [layer.weights[0].shape[-1] for layer in weighted] == units
        assert FeatureExtractor(model).fit().n_features_out_ == units[-2]
        assert model.predict_on_batch(np.full((2, 28, 28, 1), 200)).shape == (2, 58)
    mnist = build_network(article_networks.mnist_cnn, (28, 28, 1), 10)
    assert mnist.get_layer("flatten").output.shape == (None, 22 * 22 * 32)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_network_of_an_article_is_built_by_a_classifier(article_networks, name):
    """Only built: the network lacks one of the layers, which is found before any training."""
    X, y = np.zeros((8, 12, 12, 1), np.uint8), [0, 1] * 4
    model = DeepSVC(getattr(article_networks, name), layer=["features", "elsewhere"])
    with pytest.raises(ValueError, match="'elsewhere'.*flatten.*features.*probabilities"):
        model.fit(X, y)


def test_images_too_small_for_the_network_of_an_article(article_networks):
    with pytest.raises(ValueError, match="devanagari_cnn builds .* images of at least 10 x 10 pix"):
        build_network(article_networks.devanagari_cnn, (9, 28, 1), 10)


@pytest.fixture
def fewer_digits(monkeypatch):
    """An eighth of them."""
    digits = penultimate.load_mnist_5k()
    monkeypatch.setattr(penultimate, "load_mnist_5k", lambda: digits.take(np.arange(0, 5000, 8)))


# Another process, which has no Keras.
ELSEWHERE = """
import sys
import numpy as np
import penultimate

model = penultimate.load("digits.zip")
np.save("answers.npy", model.predict(np.load("images.npy")))
assert not {"keras", "tensorflow", "sklearn"} & set(sys.modules)
"""


@pytest.mark.slow
def test_mnist_hybrid_answers_three_questions(fewer_digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    script = str(EXAMPLES / "mnist_hybrid.py")
    monkeypatch.setattr(sys, "argv", [script, "1"])
    made = runpy.run_path(script, run_name="__main__")
    output = capsys.readouterr().out
    assert "1. Are these steps right?" in output
    assert "2. Must the features be as wide as there are classes? No" in output
    assert "128 features per sample" in output
    assert "3. How is it used elsewhere? As one file" in output
    np.save("images.npy", made["X_test"])
    subprocess.run([sys.executable, "-c", ELSEWHERE], check=True)
    np.testing.assert_array_equal(np.load("answers.npy"), made["model"].predict(made["X_test"]))


def test_mnist_hybrid_is_short():
    assert len(lines_of_code(EXAMPLES / "mnist_hybrid.py")) <= 25


@pytest.mark.slow
@pytest.mark.usefixtures("solved_steps")
def test_svm_in_keras_draws_and_advises(fewer_digits, tmp_path, monkeypatch, capsys):
    """The whole script, on fewer digits, with networks that are trained without steps."""
    script, picture = str(EXAMPLES / "svm_in_keras.py"), tmp_path / "boundaries.png"
    monkeypatch.setattr(
        penultimate, "Training", lambda *_, **recipe: Training(**{**recipe, "epochs": 2})
    )
    monkeypatch.setattr(_margin_training, "_LINEAR_STEPS", 20)
    monkeypatch.setattr(sys, "argv", [script, "--splits", "1", "--out", str(picture)])
    runpy.run_path(script, run_name="__main__")
    plt.close("all")
    output = capsys.readouterr().out
    assert picture.stat().st_size > 20_000
    assert output.count("<- use this") == 3
    for approach in ("1 linear machine", "2 network", "3 network", "kernel SVM", "random features"):
        assert output.count(approach) == 3
