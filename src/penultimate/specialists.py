"""One network, and a head for each subset of classes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from penultimate._validation import check_choice
from penultimate.datasets.splits import Split, split_development, split_folds
from penultimate.datasets.subsets import check_subsets
from penultimate.hybrid import CutNetworkClassifier, DeepSVC
from penultimate.networks import Training, is_keras_model, predict_probabilities
from penultimate.selection import fit_head
from penultimate.svm import SVC, SVCSearchCV

ROUTERS = ("network", "head")

Extract = Callable[[str], NDArray[np.float32]]


@dataclass(frozen=True)
class _Member:
    """A specialist, and what a router that is a head learns of its subset from."""

    specialist: DeepSVC
    features: NDArray[np.float32]
    selection: NDArray[np.bool_]


class Specialists(CutNetworkClassifier):
    """One network for all classes, and an SVM of its own for each subset of them.

    The network is trained once, on the fit part of all samples, and then stays as it is. Each
    subset, such as the vowels among characters, gets a specialist: a standardisation and a head
    that are fitted and selected on this subset's samples alone, split as the network's were, so
    that no parameter is chosen on a sample that the network was trained on. Where a sample's subset
    is not known, a router tells: of the subsets `S` it takes the most probable one,

        argmax over S of the sum over c in S of p(c | x)

    with the probabilities `p` of the network's softmax; or what a further head says, which is
    fitted on the same features with the subsets' names as labels, subsets of all sizes weighing
    the same (``class_weight="balanced"``, ``scoring="balanced_accuracy"``, where it has these).

    Parameters
    ----------
    network : str, callable or keras.Model, default="compact"
        As in `DeepSVC`: a name or a builder is trained, a Keras model is frozen.
    subsets : dict of str to list
        For each subset's name its labels. Every class is in exactly one subset, and a subset has
        at least two.
    head : classifier, optional
        Of each specialist and of the router; by default ``SVCSearchCV()``.
    layer : str or list of str, default="penultimate"
        As in `DeepSVC`; each specialist selects its own. The router uses the first.
    router : {"network", "head"}, default="network"
        How the subset of a sample is found. The network can tell only classes that it was trained
        on here. While there is another one, among those of a frozen network or of a subset that
        was added, ``"network"`` stands for ``"head"``; `router_` says what is used.
    training : Training, optional
        How the network is trained; by default ``Training()``.
    random_state : int, RandomState instance or None, default=None
        Of the split, the initial weights and the training.

    Attributes
    ----------
    specialists_ : dict of str to DeepSVC
        For each subset a fitted classifier of its own, which takes `X` as `fit` did.
    classes_ : ndarray of shape (n_classes,)
        The labels of all subsets.
    network_ : keras.Model
        No method but `fit` changes it.
    history_ : History or None
        The course of the training; None for a frozen network.
    router_ : {"network", "head"}
        What tells the subset.
    n_features_in_ : int
        Length of the second axis of `X`.
    provenance_ : Provenance
        Fingerprints of the samples that it has seen.

    Notes
    -----
    For a router that may become a head, the features of all samples at the first layer are kept, in
    float32.

    References
    ----------
    X.-X. Niu and C. Y. Suen, "A novel hybrid CNN-SVM classifier for recognizing handwritten
    digits", Pattern Recognition 45, 2012.
    F. J. Huang and Y. LeCun, "Large-scale learning with SVM and convolutional nets for generic
    object categorization", CVPR 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import Specialists, Training
    >>> y = np.repeat(["black", "dark", "light", "white"], 20)
    >>> X = np.random.default_rng(0).integers(0, 30, (80, 8, 8), dtype=np.uint8)
    >>> X += np.repeat([0, 70, 140, 210], 20).astype(np.uint8)[:, np.newaxis, np.newaxis]
    >>> model = Specialists(
    ...     subsets={"low": ["black", "dark"], "high": ["light", "white"]},
    ...     training=Training(epochs=8, batch_size=8, augmentation=None), random_state=0,
    ... ).fit(X, y)
    >>> model.predict(X[[0, 20]], subset="low")
    array(['black', 'dark'], dtype='<U5')
    >>> model.predict(X[[0, 20, 40, 60]])
    array(['black', 'dark', 'light', 'white'], dtype='<U5')

    Two further classes, from two images of each:

    >>> X_new = np.zeros((4, 8, 8), np.uint8)
    >>> X_new[:2, :4] = X_new[2:, :, :4] = 255
    >>> y_new = ["above", "above", "left", "left"]
    >>> model.add_subset("half", X_new, y_new).predict(X_new[[0, 2]], subset="half")
    array(['above', 'left'], dtype='<U5')
    """

    def __init__(
        self,
        network: Any = "compact",
        subsets: Mapping[str, Any] | None = None,
        head: Any = None,
        layer: str | list[str] = "penultimate",
        router: str = "network",
        training: Training | None = None,
        random_state: Any = None,
    ) -> None:
        self.network = network
        self.subsets = subsets
        self.head = head
        self.layer = layer
        self.router = router
        self.training = training
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Train the network on all classes, then select and fit a head for each subset.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `DeepSVC`.
        y : array-like of shape (n_samples,)
            Labels of any type.
        groups : array-like of shape (n_samples,), optional
            No group is in both the fit part and the selection part.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `subsets` is no dict of names to lists, or a parameter is of a wrong type.
        ValueError
            If a parameter, the samples or the labels are unusable; if the subsets do not have each
            class once; or if the groups leave a class without samples to fit or select on.
        """
        check_choice(self.router, "router", "Specialists", ROUTERS)
        X, y, codes = self._check_fit(X, y)
        subsets = check_subsets(self.subsets, self.classes_)
        groups = None if groups is None else np.asarray(groups)
        self._seed = int(check_random_state(self.random_state).randint(2**31))
        split = split_development(y, groups=groups, seed=self._seed)
        in_selection = np.isin(np.arange(len(X)), split.second)
        rows = {name: np.flatnonzero(np.isin(codes, subsets[name])) for name in subsets}
        for name in subsets:
            if not in_selection[rows[name]].any():
                raise ValueError(
                    f"Split by group, the subset {name!r} has no sample to select on: its classes, "
                    f"such as {y[rows[name]].tolist()[0]!r}, are in too few groups. Drop the "
                    "groups, or the subset."
                )
        self._network_classes = self.classes_[:0] if is_keras_model(self.network) else self.classes_
        self._extractors = self._fit_network(X, codes, split.first, groups, self._seed)
        features = {layer: cut.transform(X) for layer, cut in self._extractors.items()}
        members = {}
        for name, part in rows.items():
            selection = in_selection[part]
            members[name] = self._fit_member(
                {layer: values[part] for layer, values in features.items()},
                y[part],
                Split(np.flatnonzero(~selection), np.flatnonzero(selection)),
                selection,
            )
        self._set_members(members)
        return self

    def add_subset(self, name: str, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit a specialist for further classes; the network stays as it is.

        The samples should be new to the network. The head is selected on 5 stratified folds of
        them, or as many as the smallest class has samples. With one sample of a class nothing can
        be selected: the first layer is taken, and the head is what its search would search over,
        as it is (``SVC()``).

        Parameters
        ----------
        name : str
            Of the subset.
        X : array-like of shape (n_samples, ...)
            As in `fit`.
        y : array-like of shape (n_samples,)
            At least two labels, none of them in another subset.
        groups : array-like of shape (n_samples,), optional
            No group is in two folds.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `y` holds text where the labels so far are numbers, or the reverse.
        ValueError
            If there is such a subset, a label is in another one, or the samples are unusable.
        """
        check_is_fitted(self)
        if name in self._members:
            raise ValueError(
                f"There is a subset {name!r} already; drop_subset({name!r}) first, or choose "
                "another name."
            )
        X, y = self._check_samples(X, y, reset=False)
        if isinstance(y.tolist()[0], str) != isinstance(self.classes_.tolist()[0], str):
            raise TypeError(
                "Labels must be all text or all numbers; the subset "
                f"{name!r} has {y.tolist()[0]!r} where {self.classes_.tolist()[0]!r} is known."
            )
        present = {other: member.specialist.classes_ for other, member in self._members.items()}
        check_subsets({**present, name: np.unique(y)}, np.union1d(self.classes_, y))
        groups = None if groups is None else np.asarray(groups)
        self._note_seen(X)
        features = {layer: cut.transform(X) for layer, cut in self._extractors.items()}
        folds = split_folds(y, groups=groups, seed=self._seed)
        selection = np.zeros(len(y), bool)
        for fold in split_folds(np.zeros(len(y)), groups=groups, seed=self._seed)[:1]:
            selection[fold.second] = True
        member = self._fit_member(features, y, folds, selection)
        self._set_members({**self._members, name: member})
        return self

    def drop_subset(self, name: str) -> Self:
        """Forget a specialist and its classes.

        Parameters
        ----------
        name : str
            Of the subset.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such subset, or no other.
        """
        self._specialist(name)
        if len(self._members) == 1:
            raise ValueError(f"The subset {name!r} is the only one; add another first.")
        self._set_members({n: member for n, member in self._members.items() if n != name})
        return self

    def predict(self, X: Any, subset: str | None = None) -> NDArray[Any]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.
        subset : str, optional
            The subset that all samples are of; by default the router finds each sample's.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If there is no such subset.
        """
        if subset is not None:
            return self._specialist(subset).predict(X)
        X, extract = self._prepare(X)
        names = self._route(X, extract)
        predictions = np.empty(len(X), self.classes_.dtype)
        for name in np.unique(names):
            rows, specialist = names == name, self.specialists_[name]
            predictions[rows] = specialist.head_.predict(extract(specialist.layer_)[rows])
        return predictions

    def decision_function(self, X: Any, subset: str) -> NDArray[Any]:
        """Compute a specialist's decision values.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.
        subset : str
            Whose.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)

        Raises
        ------
        ValueError
            If there is no such subset.
        """
        return self._specialist(subset).decision_function(X)

    def route(self, X: Any) -> NDArray[Any]:
        """Predict the subset of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), str
        """
        return self._route(*self._prepare(X))

    def _specialist(self, name: str) -> DeepSVC:
        check_is_fitted(self)
        if name not in self.specialists_:
            raise ValueError(f"There is no subset {name!r}; there are {list(self.specialists_)}.")
        return self.specialists_[name]

    def _prepare(self, X: Any) -> tuple[NDArray[Any], Extract]:
        """Check samples; return them, and a function that passes them through each layer once."""
        check_is_fitted(self)
        X = self._check_samples(X, reset=False)
        return X, cache(lambda layer: self._extractors[layer].transform(X))

    def _route(self, X: NDArray[Any], extract: Extract) -> NDArray[Any]:
        names = np.array(list(self.specialists_))
        if len(names) == 1:
            return np.repeat(names, len(X))
        if self.router_ == "head":
            return self._router_head.predict(extract(next(iter(self._extractors))))
        members = [
            np.isin(self._network_classes, specialist.classes_)
            for specialist in self.specialists_.values()
        ]
        sums = predict_probabilities(self.network_, X) @ np.transpose(members)
        return names[sums.argmax(axis=1)]

    def _fit_member(
        self,
        features: Mapping[str, NDArray[np.float32]],
        y: NDArray[Any],
        split: Split | list[Split],
        selection: NDArray[np.bool_],
    ) -> _Member:
        """Fit the specialist of a subset, as if it had computed these features itself."""
        specialist = DeepSVC(
            self.network_,
            self.layer,
            self.head,
            selection="heldout" if isinstance(split, Split) else "crossfit",
            random_state=self._seed,
        )
        specialist._take_inputs_of(self)
        specialist.classes_ = np.unique(y)
        specialist._fit_head(self._extractors, features, y, split)
        return _Member(specialist, features[next(iter(features))], selection)

    def _set_members(self, members: dict[str, _Member]) -> None:
        """Take these specialists, once the router for them is fitted."""
        classes = [member.specialist.classes_ for member in members.values()]
        known = all(np.isin(labels, self._network_classes).all() for labels in classes)
        router = self.router if known else "head"
        if router == "head" and len(members) > 1:
            names = np.repeat(list(members), [len(m.selection) for m in members.values()])
            selection = np.concatenate([member.selection for member in members.values()])
            self._router_head = fit_head(
                _balanced(SVCSearchCV() if self.head is None else self.head),
                np.concatenate([member.features for member in members.values()]),
                names,
                Split(np.flatnonzero(~selection), np.flatnonzero(selection)),
            )
        self.router_, self._members = router, members
        self.specialists_ = {name: member.specialist for name, member in members.items()}
        self.classes_ = np.unique(np.concatenate(classes))


def _balanced(head: Any) -> Any:
    """Copy a head, with subsets of equal weight where it lets them have it, and was told nothing.

    Else a subset of few samples is hardly ever routed to: on few-shot numerals beside thousands of
    letters, this is the difference between 64 and 92 % of them.
    """
    head = clone(head)
    if head.get_params(deep=False).get("estimator", head) is None:
        head.set_params(estimator=SVC())
    wanted = {"class_weight": "balanced", "scoring": "balanced_accuracy"}
    for name, value in head.get_params().items():
        if value is None and name.rpartition("__")[2] in wanted:
            head.set_params(**{name: wanted[name.rpartition("__")[2]]})
    return head
