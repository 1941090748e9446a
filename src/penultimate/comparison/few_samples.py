"""Few-sample learning curves, on classes that a frozen network was not trained on.

Answers which head to put on an existing network for new classes, and from how many samples on a
network trained from scratch is better. All methods of a seed learn from the same nested samples,
so differences between methods and between sizes are paired.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neural_network import MLPClassifier

from penultimate._common.images import check_images, note_black
from penultimate._common.labels import check_labels
from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Head, Network
from penultimate._common.threads import single_threaded_blas
from penultimate._common.validation import check_choice, check_number
from penultimate.comparison.methods import METHODS, Method
from penultimate.networks import (
    Training,
    fit_network,
    is_frozen,
    predict_probabilities,
    takes_pixels,
)
from penultimate.networks.extractors import cut_each
from penultimate.networks.remembered import extracted_each
from penultimate.results.few_shot import LearningCurves
from penultimate.selection.heldout import check_layers, fit_head, fit_layers, plain_params
from penultimate.splits.draw import split_folds
from penultimate.splits.parts import Split

# About doubled each time: on new Devanagari numerals heads are 84 to 89 % accurate with 5 samples
# per class and 99 % with 50; more samples change little (benchmarks/results/devanagari.md).
SIZES = (5, 10, 20, 50, None)
SCRATCH = "cnn-scratch"
# With few samples, 30 epochs would be only a handful of steps: train for at least this many.
_SCRATCH_BATCH = 32
_SCRATCH_STEPS = 500


# The usual way to put a new last layer on a network. On the same numerals it is 7 points behind a
# converged logistic head with 5 samples per class, and level with it with 50.
def short_softmax(n_jobs: int | None, seed: int) -> Head:
    """Make a new softmax layer, trained by Adam for 30 epochs, converged or not."""
    return MLPClassifier(
        (), batch_size=32, alpha=0, max_iter=30, n_iter_no_change=30, random_state=seed
    )


FEW_SAMPLES_METHODS: dict[str, Method] = {
    **{name: METHODS[name] for name in ("cnn+svm-rbf", "cnn+svm-linear", "cnn+logistic")},
    "cnn+softmax-adam": Method("features", short_softmax, control=True),
    "pca+svm-rbf": METHODS["pca+svm-rbf"],
}


def learning_curves(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    split: Split,
    *,
    sizes: Sequence[int | None] = SIZES,
    methods: Sequence[str] | None = None,
    layers: str | Sequence[str] = ("penultimate", "flatten"),
    seeds: int = 3,
    training: Training | None = None,
    batch_size: int = 256,
    progress: Progress = SILENT,
) -> LearningCurves:
    """Compare ways to learn classes that are new to a network from few samples.

    For each seed the samples of each class are shuffled, and a training set of a given size takes
    the first ones of each class. Smaller sets are thus nested in larger ones, and all methods learn
    from the same samples. Whatever a method selects (the layer, C, gamma, ...) is selected on
    stratified folds of these samples, the same for all methods. This is unbiased as long as the
    network was not trained on them.

    Parameters
    ----------
    network : keras.Model
        A network trained on other classes. It is not modified.
    X : array-like of shape (n_samples, ...)
        Samples, as in `DeepSVC`.
    y : array-like of shape (n_samples,)
        Labels of any type.
    split : Split
        Training samples (`train`) and test samples (`held_out`), as returned by `split_test`.
    sizes : list of int or None, default=(5, 10, 20, 50, None)
        Numbers of samples per class; None for all.
    methods : list of str, optional
        Methods to compare. By default all: on the features, an SVM with an RBF and with a linear
        kernel (``"cnn+svm-rbf"``, ``"cnn+svm-linear"``), a converged logistic regression
        (``"cnn+logistic"``) and a new softmax layer trained by Adam for 30 epochs
        (``"cnn+softmax-adam"``); an SVM on principal components of the pixels
        (``"pca+svm-rbf"``); and a ``"compact"`` network trained on these samples alone
        (``"cnn-scratch"``).
    layers : str or list of str, default=("penultimate", "flatten")
        Where the network is cut; selected in the same way as C.
    seeds : int, default=3
        Number of draws of samples, and of networks trained from scratch.
    training : Training, optional
        How ``"cnn-scratch"`` is trained. By default with augmentation, on all of its samples, for
        at least 30 epochs and at least 500 steps with mini-batches of 32.
    batch_size : int, default=256
        Batch size for inference, which determines its memory use.
    progress : Progress, optional
        Observer of progress; see `Progress`.

    Returns
    -------
    LearningCurves

    Raises
    ------
    TypeError
        If the network is not a Keras model.
    ValueError
        If a parameter or the data is invalid, such as a size that exceeds a class.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.splits import split_test
    >>> from penultimate.comparison.few_samples import learning_curves
    >>> from penultimate.networks import build_network
    >>> y = np.repeat(["dark", "light"], 20)
    >>> X = np.random.default_rng(0).integers(0, 100, (40, 8, 8), dtype=np.uint8)
    >>> X[20:] += 100
    >>> network = build_network("compact", (8, 8, 1), 10)
    >>> curves = learning_curves(network, X, y, split_test(y), sizes=[2, None], seeds=2,
    ...                          methods=["cnn+svm-linear", "pca+svm-rbf"])
    >>> curves.sizes, curves.accuracies.shape
    ([2, 16], (2, 2, 2))
    """
    if not is_frozen(network):
        raise TypeError(
            "The 'network' parameter of learning_curves must be a trained network; got "
            f"{network!r}."
        )
    known = [*FEW_SAMPLES_METHODS, SCRATCH]
    names = known if methods is None else list(dict.fromkeys(methods))
    for name in names:
        check_choice(name, "methods", "learning_curves", known)
    check_number(seeds, "seeds", "learning_curves", low=1, integer=True)
    check_number(batch_size, "batch_size", "learning_curves", low=1, integer=True)
    layers = check_layers(layers, "learning_curves")
    # There is no `Dataset` here, which would check this and note it.
    if takes_pixels(network) and (note := note_black(np.asarray(X), "X")) is not None:
        warnings.warn(note, UserWarning, stacklevel=2)
    inputs = check_images(X) if takes_pixels(network) else np.asarray(X)
    classes, codes = np.unique(check_labels(y, len(inputs)), return_inverse=True)
    counts = _check_sizes(sizes, classes, codes[split.train])
    data = _Data(
        codes,
        # Once for all samples: the network is frozen, so no method changes its features.
        extracted_each(cut_each(network, layers, batch_size, inputs[:1]), inputs),
        inputs.reshape(len(inputs), -1).astype(np.float32),
        check_images(X) if SCRATCH in names else inputs,
        batch_size,
    )
    # All predictions are kept, not just accuracies: differences are paired by sample.
    predictions = np.empty((len(names), len(counts), seeds, len(split.held_out)), np.int64)
    rows: list[dict[str, Any]] = []
    progress.tests_on(len(split.held_out))
    for seed in range(seeds):
        # One order per seed: a smaller size takes a prefix of each class, so the sets are nested.
        order = np.random.default_rng(seed).permutation(split.train)
        for column, (size, count) in enumerate(counts.items()):
            few = np.concatenate([order[codes[order] == k][:count] for k in range(len(classes))])
            # Shared by all methods. With one sample per class there are no folds, and nothing is
            # selected.
            folds = split_folds(codes[few], seed=seed)
            for line, name in enumerate(names):
                progress.update("learning curves", len(rows), predictions[..., 0].size)
                start = time.perf_counter()
                predict, chosen = _fit(name, data, few, folds, training, seed)
                seconds = time.perf_counter() - start
                predictions[line, column, seed] = predict(split.held_out)
                accuracy = float(np.mean(predictions[line, column, seed] == codes[split.held_out]))
                progress.scored(f"{name}, {size} per class", seed, accuracy)
                row = {"method": name, "size": size, "seed": seed, "accuracy": accuracy}
                rows.append({**row, **chosen, "seconds": seconds})
    progress.update("learning curves", len(rows), len(rows))
    return LearningCurves(names, list(counts), classes, codes[split.held_out], predictions, rows)


@dataclass(frozen=True)
class _Data:
    """All samples, in the form that each kind of method takes."""

    codes: NDArray[np.int64]
    features: dict[str, NDArray[np.float32]]
    pixels: NDArray[np.float32]
    images: NDArray[Any]
    batch_size: int


def _check_sizes(
    sizes: Sequence[int | None], classes: NDArray[Any], codes: NDArray[np.int64]
) -> dict[int, int | None]:
    """Return the number of samples per class by ascending size; None for all samples."""
    n_each = np.bincount(codes, minlength=len(classes))
    counts: dict[int, int | None] = {}
    for size in sizes:
        if size is None:
            # Classes may differ in size, so "all" is placed at their mean on the axis.
            counts[round(n_each.mean())] = None
            continue
        check_number(size, "sizes", "learning_curves", low=1, integer=True)
        if size > n_each.min():
            raise ValueError(
                f"There are fewer than {size} samples of some classes to learn from: class "
                f"{classes.tolist()[n_each.argmin()]!r} has {n_each.min()}. Drop this size, "
                "or pass None for all samples."
            )
        counts[int(size)] = int(size)
    if not counts:
        raise ValueError("sizes is empty; pass at least one size, or None for all samples.")
    return dict(sorted(counts.items()))


def _fit(
    name: str,
    data: _Data,
    few: NDArray[np.int64],
    folds: list[Split],
    training: Training | None,
    seed: int,
) -> tuple[Callable[[NDArray[np.int64]], NDArray[np.int64]], dict[str, Any]]:
    """Fit a method on few samples; return its prediction function, and what it selected."""
    y = data.codes[few]
    if name == SCRATCH:
        if training is None:
            epochs = max(30, ceil(_SCRATCH_STEPS / max(1, len(few) // _SCRATCH_BATCH)))
            # Without a validation slice, which would take samples away where these are what is
            # scarce.
            training = Training(epochs, _SCRATCH_BATCH, validation_size=0)
        model, _ = fit_network("compact", data.images[few], y, training, seed=seed)
        return (
            lambda rows: predict_probabilities(
                model, data.images[rows], batch_size=data.batch_size
            ).argmax(axis=1),
            {"layer": None, "params": None},
        )
    method = FEW_SAMPLES_METHODS[name]
    assert method.make_head is not None
    head = method.make_head(None, seed)
    # Products of small matrices are faster on one thread: a hundred times on a busy machine.
    with single_threaded_blas(), warnings.catch_warnings():
        # Adam stopping before convergence, on less than a mini-batch, is what this measures.
        warnings.filterwarnings("ignore", "Stochastic Optimizer|Got `batch_size`", UserWarning)
        if method.inputs == "features":
            samples = {layer: values[few] for layer, values in data.features.items()}
            chosen = fit_layers(head, samples, y, folds)
            layer, fitted, inputs = chosen.layer, chosen.pipeline, data.features[chosen.layer]
        else:
            make = method.make_preprocessing
            before = None if make is None else make(len(few), data.pixels.shape[1])
            layer, inputs = None, data.pixels
            fitted = fit_head(head, inputs[few], y, folds, preprocessing=before)
    params = getattr(fitted["head"], "best_params_", None)
    found = {"layer": layer, "params": None if params is None else plain_params(params)}
    return lambda rows: fitted.predict(inputs[rows]), found
