"""A CNN's features under an SVM, on real digits, with each step on the samples it may see.

Answers two questions that many ask who try this: are the steps right, and how wide must the layer
be that the features come from? Run it with: python examples/mnist_hybrid.py [--epochs N]
"""

import argparse

from penultimate import DeepSVC, SVCSearchCV, Training
from penultimate.datasets import load_mnist_5k, split_test
from penultimate.networks import predict_probabilities

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=30)
epochs = parser.parse_args().epochs

digits = load_mnist_5k()
X, y = digits.images, digits.labels
parts = split_test(y)
grid = {"C": [1, 10, 100, 1000], "gamma": [1e-3, 1e-4]}
model = DeepSVC(
    "mnist-cnn", head=SVCSearchCV(param_grid=grid), training=Training(epochs), random_state=0
).fit(X[parts.first], y[parts.first])

features = model.transform(X[parts.second])
softmax = predict_probabilities(model.network_, X[parts.second]).argmax(axis=1)
print(f"SVM on the features: {model.score(X[parts.second], y[parts.second]):.1%}, chosen by")
print(f"{model.best_score_:.1%} on held-out samples: {model.best_params_}")
print(f"The network's own softmax: {(softmax == y[parts.second]).mean():.1%}")
print("1. Are the steps right? Cutting before the last layer is; testing on samples that the")
print("   network was trained on, and choosing C and gamma on them, is not. Here the network saw")
print(f"   no selection or test sample; {len(parts.second)} test samples were scored once.")
print(
    f"2. Must the features be as wide as the {len(model.classes_)} classes? No: the cut is before"
)
print(f"   that layer. The SVM gets {features.shape[1]} features a sample, of which it makes")
print(f"   {len(model.classes_)} classes itself.")
