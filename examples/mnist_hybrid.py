"""An SVM on a CNN's features, on real digits, with each step on the samples it may use.

Answers three common questions about this: are the steps right, how wide must the layer be that
provides the features, and how is the result used elsewhere? It leaves the file digits.zip.
Run it with: python examples/mnist_hybrid.py [EPOCHS]
"""

import sys

from article_networks import mnist_cnn

from penultimate import DeepSVC, SVCSearchCV, Training, load_mnist_5k, save, split_test

digits = load_mnist_5k()
parts = split_test(digits.labels)
X, y = digits.images[parts.train], digits.labels[parts.train]
X_test, y_test = digits.images[parts.held_out], digits.labels[parts.held_out]

head = SVCSearchCV(param_grid={"C": [1, 10, 100, 1000], "gamma": [1e-3, 1e-4]})
training = Training(epochs=int(sys.argv[1]) if sys.argv[1:] else 20)
model = DeepSVC(mnist_cnn, head=head, training=training, random_state=0).fit(X, y)
softmax = model.network_.predict(X_test, verbose=0).argmax(axis=1)

print(f"{model.best_params_}, chosen with {100 * model.best_score_:.1f} % on held-out samples")
print(f"Test accuracy: SVM on the features {100 * model.score(X_test, y_test):.1f} %,")
print(f"the network's own softmax {100 * (softmax == y_test).mean():.1f} %.")
print("1. Are these steps right? Cutting the network before its last layer is. Testing on samples")
print("   that the network was trained on is not, nor is choosing C and gamma on them: here the")
print(f"   network saw neither set. The {len(y_test)} test samples were scored once.")
print("2. Must the features be as wide as there are classes? No: the cut is before that layer.")
print(f"   The SVM gets {model.extract(X_test).shape[1]} features per sample.")
save(model, "digits.zip", X_test[:200])
print("3. How is it used elsewhere? As one file, digits.zip, which predicts without Keras:")
print("   penultimate predict digits.zip IMAGES, or penultimate.load('digits.zip') in Python.")
