import numpy as np
import pytest
from sklearn.datasets import load_digits

from penultimate import save
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.svm import SVC

X, y = load_digits(return_X_y=True)
X, y = X[:600].astype(np.float32), y[:600]
KNOWN = y < 6  # the others are new to the model
X_FIT, Y_FIT = X[:400][KNOWN[:400]], y[:400][KNOWN[:400]]
X_TEST, Y_TEST = X[400:][KNOWN[400:]], y[400:][KNOWN[400:]]
SEVENS = X[y == 7]


@pytest.fixture(scope="session")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "model.zip"
    model = FeatureClassifier(SVC(C=3), calibration="temperature", random_state=0)
    model.fit(X_FIT, Y_FIT)
    save(model, path, X_TEST, teach=(X_FIT, Y_FIT), held_out=(X_TEST, Y_TEST))
    return path.read_bytes()


@pytest.fixture
def path(content, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(content)
    return path
