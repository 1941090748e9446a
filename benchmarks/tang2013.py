"""Tang 2013 on MNIST: an L2-SVM in place of the softmax, trained with the network.

Y. Tang, "Deep learning using linear support vector machines", ICML workshop on challenges in
representation learning, 2013, reports a test error of 0.87 % with it and of 0.99 % without. Details
that the paper leaves open were chosen on held-out training images, not on test images. Run it with:

    python benchmarks/tang2013.py --data ../shared/data/mnist.tar --keep kept-tang2013
"""

import numpy as np
from papers import N_CLASSES, STEPS_PER_CALL, Paper, Row, loss_of, main
from sklearn.decomposition import PCA

N_COMPONENTS, N_HIDDEN = 70, 512
LEARNING_RATE, MOMENTUM = 0.1, 0.9
WEIGHT_COST = 0.001
NOISE = 1.0
INITIAL = 0.01
HINGE_FACTOR = 0.3


class Tang2013(Paper):
    """A network with two hidden layers on noisy principal components."""

    name = "tang2013"
    title = "Tang 2013: softmax or L2-SVM, trained with the network"
    batch_size = 200
    n_steps = 120_000
    unit, steps_per_unit = "epochs", 300
    precision = "float32"
    rows = Row("softmax", "softmax", 1 - 0.0099), Row("L2-SVM", "svm", 1 - 0.0087)
    protocol = f"""\
Y. Tang, "Deep learning using linear support vector machines", ICML workshop on challenges in \
representation learning, 2013: {N_COMPONENTS} principal components (fitted on training images), \
two hidden layers of {N_HIDDEN} units, SGD with momentum, a learning rate that falls linearly from \
{LEARNING_RATE:g} to 0, a weight cost of {WEIGHT_COST:g} on the output layer (half of it times the \
sum of squares), Gaussian noise on the inputs with a standard deviation that falls linearly from \
{NOISE:g} to 0. The paper reports test errors, 0.99 and 0.87 %; accuracies are given here.

The paper leaves open: the activation (ReLU here, as in its network for CIFAR-10), the momentum \
({MOMENTUM:g}), the scale of the inputs relative to the noise (components of pixels from 0 to 1, \
not whitened), the initial weights, and the factor of the hinge, C. Here the squared hinge is \
summed over the {N_CLASSES} classes, averaged over a batch, and multiplied by {HINGE_FACTOR:g}; \
with the weight cost, which both methods have, this is an L2-SVM with C = {HINGE_FACTOR:g} / \
({WEIGHT_COST:g} n) for n samples. Two of these were chosen on the last 10,000 training images, \
with seeds that are not used here. Initial weights: with He initialization, training with the \
hinge diverges at the paper's learning rate; with normal weights of standard deviation \
{INITIAL:g}, as was usual at the time, it does not, and both methods were better with them. C: \
after 120 epochs, factors of 1, 0.3 and 0.1 had errors of 1.14, 0.98 and 1.22 % on these images \
(means of two seeds). The factor of 1 had been tried on the test set before, with an error of \
1.04 % and everything else as here, so the L2-SVM was evaluated on the test set twice, the softmax \
once."""

    def prepare(self, data):
        pixels = data.images.reshape(len(data.images), -1).astype(np.float32) / 255
        pca = PCA(N_COMPONENTS, svd_solver="covariance_eigh").fit(pixels[~data.is_test])
        parts = pixels[~data.is_test], pixels[data.is_test]
        return tuple(pca.transform(part).astype(np.float32) for part in parts)

    def compiled(self, method, seed, n_steps):
        import keras

        keras.utils.set_random_seed(seed)

        def dense(n_units, **settings):
            initial = keras.initializers.RandomNormal(stddev=INITIAL)
            return keras.layers.Dense(n_units, kernel_initializer=initial, **settings)

        network = keras.Sequential(
            [
                keras.Input((N_COMPONENTS,)),
                dense(N_HIDDEN, activation="relu"),
                dense(N_HIDDEN, activation="relu"),
                dense(N_CLASSES, kernel_regularizer=keras.regularizers.L2(WEIGHT_COST / 2)),
            ]
        )
        rate = keras.optimizers.schedules.PolynomialDecay(LEARNING_RATE, n_steps, 0.0)
        network.compile(
            keras.optimizers.SGD(rate, momentum=MOMENTUM),
            loss_of(method),
            loss_weights=[HINGE_FACTOR if method == "svm" else 1.0],
            steps_per_execution=STEPS_PER_CALL,
            jit_compile=False,
        )
        return network

    def perturb(self, X, share, seed, step):
        import tensorflow as tf

        noise = tf.random.stateless_normal(tf.shape(X), [seed, step])
        return X + NOISE * (1 - share) * noise


if __name__ == "__main__":
    main(Tang2013(), __doc__.splitlines()[0])
