"""One network, and one head per subset of classes.

A specialist distinguishes only the classes of its subset, on features that were learned from all
classes. All specialists share the network's split: a sample that the network was trained on selects
no head. A router predicts the subset of samples for which it is not known.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.utils.validation import check_is_fitted

from penultimate._common.per_sample import take_rows
from penultimate._common.progress import observer
from penultimate._common.protocols import Builder, Head, Network, RandomState
from penultimate._common.seeds import draw_seed
from penultimate._common.subsets import check_subsets
from penultimate._common.validation import check_choice, check_per_sample
from penultimate.classifiers._calibrating import calibrate_or_warn, check_calibration
from penultimate.classifiers._cut_network import Samples
from penultimate.classifiers._routed import RoutedClassifier
from penultimate.classifiers._routing import ROUTERS, Member, choose_router, fit_router_head
from penultimate.classifiers.deep_svc import DeepSVC
from penultimate.networks import Training, is_frozen
from penultimate.networks.remembered import extracted_each
from penultimate.networks.single_images import copies_of, prints_of
from penultimate.provenance.records import provenance_of
from penultimate.selection.heldout import fit_layers
from penultimate.selection.normalization import Normalization, check_normalizations
from penultimate.splits.draw import split_folds
from penultimate.splits.parts import Split


class Specialists(RoutedClassifier):
    """One network for all classes, and one SVM per subset of the classes.

    The network is trained once, on the fit part of all samples, and then stays unchanged. Each
    subset, such as the vowels among characters, gets a specialist: a normalization and a head
    that are fitted and selected on the samples of this subset only. They use the network's split,
    so that no hyper-parameter is chosen on a sample that the network was trained on. If the subset
    of a sample is not known, a router predicts it. It chooses the most probable subset `S`,

        argmax over S of the sum over c in S of p(c | x)

    with the probabilities `p` of the network's softmax; or it is a further head, fitted on the same
    features with the subsets' names as labels, in which subsets of all sizes have equal weight
    (``class_weight="balanced"``, ``scoring="balanced_accuracy"``, if it has these parameters).

    Parameters
    ----------
    network : str, callable, trained network or FeatureExtractor, default="compact"
        The network, as in `DeepSVC`: a name or a builder is trained, anything else is frozen.
    subsets : dict of str to list
        The labels of each subset, by its name. Every class is in exactly one subset, and a subset
        has at least two classes.
    head : classifier, optional
        The classifier of each specialist and of the router; by default ``SVCSearchCV()``.
    layer : str or list of str, default="penultimate"
        Where the network is cut, as in `DeepSVC`; each specialist selects its own layer, and the
        router uses the first.
    router : {"network", "head"}, default="network"
        How the subset of a sample is predicted. The network can only predict classes that it was
        trained on here. As long as there are others, because the network is frozen or a subset was
        added, ``"network"`` falls back to ``"head"``; see `router_`.
    training : Training, optional
        How the network is trained; by default ``Training()``.
    random_state : int, RandomState instance or None, default=None
        Controls the split, the initial weights and the training.
    batch_size : int, default=256
        Batch size for inference, which determines its memory use. The mini-batch size of training
        is set in `training`.
    normalization : {"standardize", "l2", "sqrt-l2", None} or list, default="standardize"
        What is done to the features, as in `DeepSVC`; each specialist selects its own, and so does
        a router head.
    calibration : {"temperature", None}, default=None
        Whether SVM heads get probabilities, as in `DeepSVC`; each specialist has its own
        temperature.

    Attributes
    ----------
    specialists_ : dict of str to DeepSVC
        A fitted classifier per subset, which takes `X` in the same form as `fit`.
    classes_ : ndarray of shape (n_classes,)
        The labels of all subsets.
    network_ : object
        The network. No method except `fit` changes it.
    history_ : History or None
        The training history; None for a frozen network.
    router_ : {"network", "head"}
        The router in use.
    n_features_in_ : int
        Length of the second axis of `X`.
    provenance_ : Provenance
        Fingerprints of the samples that it was fitted on.

    Notes
    -----
    Because a later subset may require a router head, the features of all samples at the first layer
    are kept, in float32.

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

    _SET_LAST = "specialists_"

    def __init__(
        self,
        network: str | Builder | Network = "compact",
        *,
        subsets: Mapping[str, Any] | None = None,
        head: Head | None = None,
        layer: str | list[str] = "penultimate",
        router: str = "network",
        training: Training | None = None,
        random_state: RandomState = None,
        batch_size: int = 256,
        normalization: Normalization | list[Normalization] = "standardize",
        calibration: str | None = None,
    ) -> None:
        self.network = network
        self.subsets = subsets
        self.head = head
        self.layer = layer
        self.router = router
        self.training = training
        self.random_state = random_state
        self.batch_size = batch_size
        self.normalization = normalization
        self.calibration = calibration

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train the network on all classes, then select and fit a head for each subset.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `DeepSVC`.
        y : array-like of shape (n_samples,)
            Labels of any type.
        groups : array-like of shape (n_samples,), optional
            Groups, none of which is in both the fit part and the selection part.
        sample_weight : array-like of shape (n_samples,), optional
            Weights, as in `DeepSVC`, for the network, every specialist and the router.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `subsets` is not a dict from names to lists, a parameter has a wrong type, or `X` is
            a data object instead of an array.
        ValueError
            If a parameter, the samples or the labels are invalid; if the subsets do not contain
            each class exactly once; or if the groups leave a class without samples to fit or
            select on.

        Warns
        -----
        LeakageWarning
            If a frozen network has seen some of the samples, as in `DeepSVC`.
        UnknownProvenanceWarning
            If the training samples of a frozen network are not recorded; see `provenance.record`.
        """
        check_choice(self.router, "router", "Specialists", ROUTERS)
        check_calibration(self.calibration, "heldout")
        X, y, codes, prints = self._check_fit(X, y)
        subsets = check_subsets(self.subsets, self.classes_)
        groups = check_per_sample(groups, len(X), "groups", "Specialists")
        samples = Samples(X, y, codes, prints, groups, self._check_weights(sample_weight, codes))
        params = self._head_params(samples.weights, {} if groups is None else {"groups": groups})
        self._seed = draw_seed(self.random_state)
        self._forget()
        self._warn_if_unknown()
        split = self._split_unseen(samples, folds=False, seed=self._seed)
        assert isinstance(split, Split)
        in_selection = np.isin(np.arange(len(X)), split.held_out)
        rows = {name: np.flatnonzero(np.isin(codes, subsets[name])) for name in subsets}
        for name in subsets:
            if not in_selection[rows[name]].any():
                raise ValueError(
                    f"Split by group, the subset {name!r} has no sample to select on: its classes, "
                    f"such as {y[rows[name]].tolist()[0]!r}, are in too few groups. Drop the "
                    "groups, or the subset."
                )
        # It is not known which class each output of a frozen network stands for: it cannot route.
        self._network_classes = self.classes_[:0] if is_frozen(self.network) else self.classes_
        with config_context(transform_output="default"):
            self._extractors = self._fit_network(samples, split.train, self._seed, observer())
            features = extracted_each(self._extractors, X, observer())
            observer().update("fit the specialists", 0, 1)
            members = {}
            for name, part in rows.items():
                selection = in_selection[part]
                members[name] = self._fit_member(
                    {layer: values[part] for layer, values in features.items()},
                    y[part],
                    Split(np.flatnonzero(~selection), np.flatnonzero(selection)),
                    selection,
                    take_rows(params, part, len(X)),
                )
            self._set_members(members)
        return self

    def add_subset(
        self,
        name: str,
        X: ArrayLike,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit a specialist for further classes; the network stays unchanged.

        The samples should be new to the network. The head is selected on 5 stratified folds of
        them, or as many as the smallest class has samples. If a class has a single sample, nothing
        can be selected: the first layer and normalization are used, with the search's estimator as
        it was passed (by default ``SVC()``).

        Parameters
        ----------
        name : str
            Name of the subset.
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.
        y : array-like of shape (n_samples,)
            Labels of at least two classes, none of them in another subset.
        groups : array-like of shape (n_samples,), optional
            Groups, none of which is in two folds.
        sample_weight : array-like of shape (n_samples,), optional
            Weights, as in `fit`, for this specialist and the router.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `y` holds strings and the labels so far are numbers, or vice versa.
        ValueError
            If the subset exists already, a label is in another one, or the samples are invalid.

        Warns
        -----
        LeakageWarning
            If the network has seen some of the samples.
        """
        check_is_fitted(self)
        if name in self._members:
            raise ValueError(
                f"There is a subset {name!r} already; drop_subset({name!r}) first, or choose "
                "another name."
            )
        X, y = self._check_labeled(X, y, reset=False)
        if isinstance(y.tolist()[0], str) != isinstance(self.classes_.tolist()[0], str):
            raise TypeError(
                "Labels must be all strings or all numbers; the subset "
                f"{name!r} has {y.tolist()[0]!r}, but other subsets have "
                f"{self.classes_.tolist()[0]!r}. Convert them to one type."
            )
        present = {other: member.classes for other, member in self._members.items()}
        check_subsets({**present, name: np.unique(y)}, np.union1d(self.classes_, y))
        groups = check_per_sample(groups, len(y), "groups", "Specialists")
        weights = check_per_sample(sample_weight, len(y), "sample_weight", "Specialists")
        params = self._head_params(weights, {} if groups is None else {"groups": groups})
        prints = prints_of(X)
        self._warn_if_seen(provenance_of(self.network_).holds(prints))
        self._record_training_samples(X)
        # The specialist's head is cross-validated on `folds`. A router head needs one selection
        # part: a fold drawn without labels, which exists even if a class has a single sample.
        selection = np.zeros(len(y), bool)
        copies = copies_of(X, prints)
        rest: dict[str, Any] = {"groups": groups, "fingerprints": copies, "seed": self._seed}
        folds = split_folds(y, **rest)
        for fold in split_folds(np.zeros(len(y)), **rest)[:1]:
            selection[fold.held_out] = True
        with config_context(transform_output="default"):
            features = extracted_each(self._extractors, X)
            member = self._fit_member(features, y, folds, selection, params)
            self._set_members({**self._members, name: member})
        return self

    def drop_subset(self, name: str) -> Self:
        """Remove a specialist and its classes.

        Parameters
        ----------
        name : str
            Name of the subset.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such subset, or it is the only one.
        """
        self._specialist(name)
        if len(self._members) == 1:
            raise ValueError(f"The subset {name!r} is the only one; add another first.")
        self._set_members({n: member for n, member in self._members.items() if n != name})
        return self

    def _fit_member(
        self,
        features: Mapping[str, NDArray[np.float32]],
        y: NDArray[Any],
        split: Split | list[Split],
        selection: NDArray[np.bool_],
        params: Mapping[str, Any],
    ) -> Member:
        """Fit the head of a subset on features that were computed for it."""
        # In a pipeline the weights are called, for example, `svc__sample_weight`.
        weights = next((params[name] for name in params if name.endswith("sample_weight")), None)
        head = fit_layers(
            self._make_head(),
            features,
            y,
            split,
            preprocessing=self._choices(),
            sample_weight=weights,
            params=params,
        )
        specialist = DeepSVC(
            self.network_,
            layer=self.layer,
            head=self.head,
            selection="heldout" if isinstance(split, Split) else "crossfit",
            random_state=self._seed,
            batch_size=self.batch_size,
            normalization=self.normalization,
            calibration=self.calibration,
        )
        calibrator = None
        if self.calibration is not None:
            parts = [split] if isinstance(split, Split) else split
            held_out = [(part, features[head.layer]) for part in parts]
            calibrator = calibrate_or_warn(head.pipeline, held_out, y, weights)
        specialist._on_network_of(self, head, self._extractors, np.unique(y), calibrator)
        return Member(specialist, head, features[next(iter(features))], selection, weights)

    def _set_members(self, members: dict[str, Member]) -> None:
        """Fit the router for these subsets, then take them over.

        In this order, so that a failing fit leaves the specialists as they were.
        """
        router = choose_router(self.router, members, self._network_classes)
        if router == "head" and len(members) > 1:
            normalizations = check_normalizations(self.normalization, "Specialists")
            self._router_head = fit_router_head(self._make_head(), members, normalizations)
        self.router_, self._members = router, members
        self.classes_ = np.unique(np.concatenate([each.classes for each in members.values()]))
        self.specialists_ = {name: each.specialist for name, each in members.items()}
