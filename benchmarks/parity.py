"""How far a graph is from its model in Python: every kind of head on every kind of network.

Each model is written as a graph and proved by `penultimate.bundle.parity.prove`, as at every
export: on real samples, and on 50 sizes of images made from them. The tables give the largest
differences of scores, margins and probabilities, as a share of the largest value; how many samples
are so nearly tied that rounding decides; and the largest difference of a prepared pixel. That node
and a browser agree with Python on 1,000 images of 50 sizes is tests/bundle/test_runtimes.py. Run it
with: python -m benchmarks.parity [PHOTOS] [--number 40] [--out RESULTS.md]
PHOTOS is a folder with one folder of JPEG files per class, such as TrashNet's; without it the
pretrained network is left out. Needs the extras [tensorflow], [torch], [pretrained] and [onnx].
"""

import argparse
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnxruntime
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from penultimate import (
    SVC,
    AbstainingClassifier,
    DeepSVC,
    FeatureExtractor,
    MarginClassifier,
    Specialists,
    StreamedSVC,
    Training,
)
from penultimate.bundle.graph import build_graph
from penultimate.bundle.parity import prove
from penultimate.classifiers.on_features import FeatureClassifier
from penultimate.networks import Preprocessing
from penultimate.networks.margins.builders import RandomFeatureNetwork

SEED = 0
N_FIT = 600
TRAINING = Training(epochs=3, augmentation=None)
HEADS = {
    "`SVC`, RBF": SVC,
    "`SVC`, linear": lambda: SVC(kernel="linear"),
    "`SVC`, cubic": lambda: SVC(kernel="poly", degree=3, coef0=1),
    "logistic": lambda: LogisticRegression(max_iter=2000),
    "`MarginClassifier`": lambda: MarginClassifier(training=TRAINING, random_state=SEED),
    "`MarginClassifier`, random features": lambda: MarginClassifier(
        RandomFeatureNetwork(random_state=SEED), training=TRAINING, random_state=SEED
    ),
    "`StreamedSVC`, random features": lambda: StreamedSVC(kernel="rbf", random_state=SEED),
}
COLUMNS = ("scores", "margins", "probabilities")


def on_network(network, classes):
    """Yield the names of models on a network, and the models."""
    half = len(classes) // 2
    subsets = {"first": classes[:half], "second": classes[half:]}
    settings = {"calibration": "temperature", "random_state": SEED}
    for name, head in HEADS.items():
        yield name, DeepSVC(network, head=head(), **settings)
    for router in ("network", "head"):
        yield (
            f"`Specialists`, router of the {router}",
            Specialists(network, subsets=subsets, head=SVC(), router=router, **settings),
        )
    yield "abstaining", abstaining(DeepSVC(network, head=SVC(), **settings))


def on_features():
    """Yield the names of models on features, and the models."""
    for name, head in HEADS.items():
        yield name, FeatureClassifier(head(), calibration="temperature", random_state=SEED)
    head = FeatureClassifier(SVC(), calibration="temperature", random_state=SEED)
    yield "abstaining", abstaining(head)


def abstaining(model):
    return AbstainingClassifier(model, coverage=0.5, random_state=SEED)


def torch_module():
    """Return an extractor of a small module of torch with random weights."""
    import torch

    torch.manual_seed(SEED)
    layers = torch.nn.Sequential(
        *(torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.ReLU()),
        *(torch.nn.MaxPool2d(2), torch.nn.Conv2d(16, 32, 3, padding=1), torch.nn.GELU()),
        *(torch.nn.Flatten(), torch.nn.Linear(512, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10)),
    ).eval()
    prepare = Preprocessing(size=8, scale=1 / 255, channels="gray")
    return FeatureExtractor(layers, preprocessing=prepare)


def of_models(title, models, X, y, n_fit):
    """Yield the lines of a table: all models of a network, fitted on the first samples."""
    yield f"## {title}: {len(X):,} samples"
    yield ""
    yield f"| head | {' | '.join(COLUMNS)} | near ties | prepared pixels, of 255 |"
    yield "| --- |" + " ---: |" * (len(COLUMNS) + 2)
    for name, model in models:
        model.fit(X[:n_fit], y[:n_fit])
        found = prove(model, build_graph(model), X)
        errors = [f"{found.errors[each]:.1e}" if each in found.errors else "" for each in COLUMNS]
        pixels = "" if found.pixel_error is None else f"{found.pixel_error:.1e}"
        yield f"| {name} | {' | '.join(errors)} | {len(found.near_ties)} | {pixels} |"
    yield ""


def measured(photos, number):
    """Yield the lines of all tables."""
    yield f"ONNX Runtime {onnxruntime.__version__}, in Python; {os.cpu_count()} processors."
    yield ""
    data = load_digits()
    digits = np.rint(data.images * 255 / 16).astype(np.uint8)[..., np.newaxis]
    y = data.target
    trained = DeepSVC("compact", head=SVC(), training=TRAINING, random_state=SEED)
    compact = trained.fit(digits[:N_FIT], y[:N_FIT]).network_
    classes = np.unique(y).tolist()
    yield from of_models("compact, Keras", on_network(compact, classes), digits, y, N_FIT)
    yield from of_models("a torch module", on_network(torch_module(), classes), digits, y, N_FIT)
    yield from of_models("features", on_features(), data.data.astype(np.float32), y, N_FIT)
    if photos is not None:
        folders = sorted(each for each in photos.iterdir() if each.is_dir())
        per_class = max(2, number // len(folders))
        paths = [path for each in folders for path in sorted(each.glob("*.jpg"))[:per_class]]
        labels = np.array([path.parent.name for path in paths])
        models = on_network("efficientnet-lite0", [each.name for each in folders])
        yield from of_models("efficientnet-lite0, ONNX", models, paths, labels, len(paths))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="?", help="Folder of folders of JPEG files.")
    parser.add_argument("--number", type=int, default=40, help="How many photos.")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # how good the models are is not measured here
    lines = []
    for line in measured(given.photos, given.number):
        print(line, flush=True)
        lines.append(line)
    if given.out is not None:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
