"""The definition of a method: all that the comparison and the report need to know about it.

Nothing else is derived from a method's name, so that a user's own `Method` is treated like ours in
the terminal, in ``results.json`` and in the report.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from penultimate._common.protocols import Head, Transformer
from penultimate._common.validation import check_choice

# The choices of the annotations below, for check_choice, which lists them in its message.
INPUTS = ("probabilities", "features", "pixels", "network")
SUBSETS = ("optional", "ignored", "needed")
ROUTERS = ("network", "head")
RUNS = ("by default", "without subsets", "on request")


# Frozen, since METHODS are the same objects in every comparison.
@dataclass(frozen=True)
class Method:
    """Definition of a method of the comparison.

    Attributes
    ----------
    inputs : {"probabilities", "features", "pixels", "network"}
        What it works on: the outputs of the shared network, its features, or the flattened images;
        ``"network"`` trains a separate network.
    make_head : callable, optional
        A function of (n_jobs, seed) that returns an unfitted search or classifier; None if a
        network itself classifies.
    make_preprocessing : callable, optional
        A function of (n_samples, n_features) that returns the preprocessing of the head's input;
        None stands for standardization.
    family : str, default="other"
        What kind of classifier it is. ``"svm"`` heads on features are those that the verdict is
        about; a ``"logistic"`` head stands in for the softmax of a network that has none.
    control : bool, default=False
        Whether the method serves to explain the others rather than to win.
    subsets : {"optional", "ignored", "needed"}, default="optional"
        How it handles subsets of classes. ``"optional"`` fits one classifier per subset, or one for
        all classes if there are no subsets; ``"needed"`` exists only by subset; ``"ignored"``
        always fits one for all classes.
    router : {None, "network", "head"}, default=None
        How the subset of a test sample is found: None takes it as known; ``"network"`` predicts it
        with the shared network's softmax, ``"head"`` with a further head on the same input.
    augmented : bool, default=True
        Whether a separate network is trained with the augmentation of the shared one, or without.
    loss : str, optional
        The margin loss of a separate network, a name in ``networks.margins.losses.LOSSES``; None
        stands for cross-entropy.
    run : {"by default", "without subsets", "on request"}, default="by default"
        Whether it runs without being named: always, only in comparisons without subsets, or never,
        because it is slow or answers a separate question.
    inspect : bool, default=False
        Whether the report examines its head closely (learning curve; hard cases of an SVM).

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from penultimate.comparison import Method
    >>> bayes = Method("features", lambda n_jobs, seed: GaussianNB(), family="bayes")
    >>> bayes.uses_network, bayes.knows_subset
    (True, True)
    """

    inputs: Literal["probabilities", "features", "pixels", "network"]
    make_head: Callable[[int | None, int], Head] | None = None
    make_preprocessing: Callable[[int, int], Transformer] | None = None
    family: str = "other"
    control: bool = False
    subsets: Literal["optional", "ignored", "needed"] = "optional"
    router: Literal["network", "head"] | None = None
    augmented: bool = True
    loss: str | None = None
    run: Literal["by default", "without subsets", "on request"] = "by default"
    inspect: bool = False

    @property
    def uses_network(self) -> bool:
        """Whether it uses the network that the comparison trains for all classes."""
        return self.inputs == "features" or self.needs_softmax

    @property
    def needs_softmax(self) -> bool:
        """Whether it uses the outputs of the shared network, one per class."""
        # A router adds up the softmax over the classes of each subset.
        return self.inputs == "probabilities" or self.router == "network"

    @property
    def needs_subsets(self) -> bool:
        """Whether it exists only in a comparison by subset."""
        # A router chooses between subsets; without any there is nothing for it to do.
        return self.subsets == "needed" or self.router is not None

    @property
    def knows_subset(self) -> bool:
        """Whether, in a comparison by subset, it is given the subset of each sample."""
        return self.subsets != "ignored" and self.router is None

    @property
    def fit_key(self) -> tuple[Any, ...]:
        """All that decides the fit: methods with the same key share their classifiers."""
        # By identity: functions are equal only to themselves, and may not be hashable.
        head, preprocessing = id(self.make_head), id(self.make_preprocessing)
        return (self.inputs, head, preprocessing, self.augmented, self.loss)

    def check(self, name: str) -> None:
        """Raise ``TypeError`` or ``ValueError`` for an attribute that is invalid.

        Parameters
        ----------
        name : str
            Name of the method, for the message.
        """
        # Here and not in __init__, because only `compare` knows the name that the message needs.
        owner = f"the method {name!r}"
        check_choice(self.inputs, "inputs", owner, INPUTS)
        check_choice(self.subsets, "subsets", owner, SUBSETS)
        check_choice(self.run, "run", owner, RUNS)
        check_choice(self.router, "router", owner, (*ROUTERS, None))
        if self.loss is not None:
            # Imported late: the losses need Keras, and most methods do not.
            from penultimate.networks.margins.losses import LOSSES

            check_choice(self.loss, "loss", owner, LOSSES)
        for field in ("make_head", "make_preprocessing"):
            value = getattr(self, field)
            if value is not None and not callable(value):
                example = "lambda n_jobs, seed" if field == "make_head" else "lambda n, n_features"
                raise TypeError(
                    f"The '{field}' parameter of {owner} must be a function, such as {example}: "
                    f"{value!r}; got {value!r}."
                )
        if not isinstance(self.family, str):
            raise TypeError(
                f"The 'family' parameter of {owner} must be a string; got {self.family!r}."
            )
        has_head = self.inputs in ("features", "pixels")
        if self.make_head is not None and not has_head:
            raise ValueError(
                f"The method {name!r} has a make_head that would not be used: on "
                f"inputs={self.inputs!r} a network itself classifies. Use 'features' or 'pixels'."
            )
        if self.router == "head" and not has_head:
            raise ValueError(
                f"The method {name!r} has router='head', a head on its inputs, which can be "
                f"'features' or 'pixels'; got {self.inputs!r}. Use router='network'."
            )
        if self.router is not None and self.subsets == "ignored":
            raise ValueError(
                f"The method {name!r} has a router but subsets='ignored': leave out one of them."
            )
        if self.make_head is None and has_head:
            raise ValueError(
                f"The method {name!r} needs make_head, a function of (n_jobs, seed) that returns "
                "its unfitted head."
            )
