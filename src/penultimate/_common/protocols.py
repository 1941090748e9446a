"""What this library uses of objects that it does not define: classifiers, searches, networks.

Neither scikit-learn nor Keras has types, and users bring classes of their own. So what takes such
an object is annotated with the members that it must have, not with a class. A protocol lists only
the members that are used here.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

# As scikit-learn takes them: a generator that is given is advanced by every fit; the only text for
# class weights is "balanced".
RandomState = int | np.random.RandomState | None
ClassWeight = Mapping[Any, float] | str | None
Scorer = Callable[..., Any]
Metrics = str | Scorer | Collection[str] | Mapping[str, str | Scorer] | None
# True, the metric that chooses, or a function of `cv_results_` that returns an index.
Refit = bool | str | Callable[..., int]
# What has an entry per sample and can be indexed: labels, weights, or the samples themselves.
PerSample = NDArray[Any] | Sequence[Any]
# Training and validation samples of a fold: positions or masks.
Division = tuple[PerSample, PerSample]


class Sliceable(Protocol):
    """What is sliced like an array, such as one that stays in its file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, rows: slice | NDArray[np.intp], /) -> ArrayLike: ...


class Splitter(Protocol):
    """A splitter of scikit-learn, which draws the folds of a cross-validation."""

    def split(
        self, X: PerSample, y: PerSample | None = None, groups: PerSample | None = None
    ) -> Iterator[Division]:
        """Draw the folds."""


CrossValidation = int | Splitter | Iterable[Division] | None


class Head(Protocol):
    """A scikit-learn classifier."""

    classes_: NDArray[Any]

    def fit(self, X: ArrayLike, y: ArrayLike, **params: object) -> Self:
        """Fit it."""

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each sample."""

    def score(self, X: ArrayLike, y: ArrayLike, **params: object) -> float:
        """Compute its score, such as the accuracy."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return its parameters."""

    def set_params(self, **params: object) -> Self:
        """Set some of its parameters."""


class Classifier(Protocol):
    """A fitted classifier, of this library or of another."""

    classes_: NDArray[Any]

    def predict(self, X: ArrayLike, /) -> NDArray[Any]:
        """Predict the class of each sample."""


class Search(Head, Protocol):
    """A classifier that searches the hyper-parameters of another one."""

    estimator: Head | None
    scoring: Metrics
    refit: Refit
    best_estimator_: Head
    best_params_: dict[str, Any]
    best_score_: float
    cv_results_: dict[str, Any]


class Transformer(Protocol):
    """A scikit-learn transformer."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: object) -> Self:
        """Fit it."""

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Transform samples."""


class Tensor(Protocol):
    """A tensor of the backend, or a symbolic one of Keras."""

    name: str
    shape: tuple[Any, ...]
    dtype: object

    def __getitem__(self, key: object) -> Self: ...
    def __neg__(self) -> Self: ...
    def __add__(self, other: object) -> Self: ...
    def __radd__(self, other: object) -> Self: ...
    def __sub__(self, other: object) -> Self: ...
    def __rsub__(self, other: object) -> Self: ...
    def __mul__(self, other: object) -> Self: ...
    def __rmul__(self, other: object) -> Self: ...
    def __lt__(self, other: object) -> Self: ...
    def __gt__(self, other: object) -> Self: ...


class Variable(Tensor, Protocol):
    """A weight of a layer."""

    regularizer: object


class Layer(Protocol):
    """A layer of a network, or another operation of its graph."""

    name: str


class Optimizer(Protocol):
    """The optimizer of a compiled network."""

    variables: list[Any]


class Network(Protocol):
    """A Keras model."""

    name: str
    layers: Sequence[Layer]
    inputs: list[Tensor]
    outputs: list[Tensor]
    output_shape: tuple[Any, ...]
    optimizer: Optimizer
    variables: list[Any]
    trainable_variables: list[Any]
    weights: list[Any]
    run_eagerly: bool
    jit_compile: bool | str
    distribute_strategy: object
    loss: object

    def get_layer(self, name: str) -> Layer:
        """Return the layer of a name."""

    def compute_output_shape(self, input_shape: object) -> tuple[int, ...]:
        """Return the shape of its outputs, for inputs of a shape."""

    def get_weights(self) -> list[NDArray[Any]]:
        """Return its weights."""

    def set_weights(self, weights: Sequence[NDArray[Any]]) -> None:
        """Set its weights."""

    def compile(self, optimizer: object, loss: object = None, **settings: object) -> None:
        """Prepare it for training."""

    def predict_on_batch(self, x: ArrayLike) -> NDArray[Any]:
        """Compute its outputs."""

    def train_on_batch(
        self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Take one step of its training; return the loss."""

    def train_step(self, data: object) -> dict[str, Any]:
        """Take one step, in the backend's own tensors; return the loss and metrics."""

    def reset_metrics(self) -> None:
        """Forget the metrics of earlier steps."""

    def save(self, path: str | Path, **settings: object) -> None:
        """Write it to a file."""

    def to_json(self) -> str:
        """Describe its layers."""


# The input of a network: an array, or one per input, in order or by name.
Inputs = ArrayLike | Mapping[str, ArrayLike]
Loss = Callable[..., Any]
Builder = Callable[[tuple[int, ...], int], Network]
