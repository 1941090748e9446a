"""Selective classification: a classifier that abstains if it is not confident enough.

Confidence (a margin or a probability) ranks the samples, and a threshold on it, set on held-out
samples, decides which get an answer. With `risk` the threshold is certified by exact binomial
tests in a fixed sequence, so that trying many thresholds does not void the guarantee.
"""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, column_or_1d, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from penultimate._common.data_objects import as_samples
from penultimate._common.frames import level_outside
from penultimate._common.labels import check_labels, right_answers, typed_labels
from penultimate._common.per_sample import take, take_rows
from penultimate._common.protocols import Head, RandomState
from penultimate._common.seeds import draw_seed
from penultimate._common.validation import check_choice, check_number, check_per_sample
from penultimate.classifiers._certification import (
    Goal,
    check_known_labels,
    leave_seen_out,
    set_threshold,
)
from penultimate.classifiers._forwarding import ForwardsScores
from penultimate.classifiers._strangeness import features_of, fit_detector
from penultimate.evaluation.abstention.risk_coverage import CRITERIA, confidence_scores
from penultimate.evaluation.novelty.conformal import check_enough
from penultimate.networks.remembered import features_remembered
from penultimate.networks.single_images import (
    as_sequence,
    copies_of,
    prints_of,
    takes_one_by_one,
)
from penultimate.provenance.leakage import warn_if_unknown
from penultimate.provenance.records import provenance_of
from penultimate.selection.heads import weight_params
from penultimate.splits.draw import split_samples


class AbstainingClassifier(ForwardsScores, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """A classifier that answers only if it is confident enough, and knows what it is shown.

    Part of the samples is held out, the classifier is fitted on the rest, and a threshold on its
    confidence is set on the held-out samples. Either the error rate among the answers is at most
    `risk`, with a guarantee (see `certified_threshold`), or a share `coverage` of the samples gets
    an answer. At most one of the two can be given.

    Doubt between classes is one reason to abstain; another is a sample of none of the classes,
    about which a classifier may be quite confident. With `novelty`, a `NoveltyDetector` on the
    features, calibrated with the same held-out samples, recognizes these.

    Parameters
    ----------
    estimator : classifier
        The classifier, which is cloned and fitted. A ``FrozenEstimator(fitted)`` is used unchanged;
        all samples passed to `fit` are then held-out samples, which it must not have seen.
    risk : float, optional
        Maximum error rate among the answers. It holds for new samples from the distribution of the
        held-out ones, with probability `level` over the draw of these. That takes many of
        them: even without a single error, 72 for a risk of 0.05, 368 for 0.01 and 3,688 for 0.001
        (see `error_free_samples`).
    coverage : float, optional
        Minimum share of held-out samples that get an answer.
    level : float, default=0.95
        Probability with which the guarantee holds, or, with `coverage`, the bound `risk_bound_`.
    criterion : {"auto", "margin", "probability"}, default="auto"
        The measure of confidence, as in `confidence_scores`: ``"auto"`` uses the margin if the
        classifier has a `decision_function`, else the probability.
    holdout : float, default=0.2
        Share of the samples that is held out.
    novelty : float, optional
        False-alarm rate of *none of the classes*: the probability with which a sample of a known
        class may be called novel; see `NoveltyDetector`. It judges the network's features for
        `DeepSVC` and `Specialists`, which have an `extract`, and otherwise the samples themselves.
        With a ``FrozenEstimator``, the samples that are not held out are those that new ones are
        compared with.
    novel_label : label, optional
        Label of novel samples, as `reject_label` is that of abstentions. If None, both are None,
        and `is_novel` tells them apart.
    reject_label : label, optional
        Label of abstentions. If None (the default), abstentions are None and `predict` returns an
        object array, since any number or string could be a class. With a label of the classes'
        type, such as ``-1`` or ``"unknown"``, `predict` returns an array of this type, as
        scikit-learn's metrics require; they treat an abstention as one more class.
    random_state : int, RandomState instance or None, default=None
        Controls the split.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    threshold_ : float
        Samples whose confidence exceeds it get an answer; ``-inf`` accepts all, ``inf`` none.
    coverage_ : float
        Share of the held-out samples above the threshold.
    risk_bound_ : float
        Upper bound on the error rate among answers: the Clopper-Pearson bound from the held-out
        samples above the threshold; 1 if there are none. With `coverage` it holds with probability
        `level`. With `risk` it belongs to one of several thresholds that were tried, and is at
        most `risk`; the guarantee is then for `risk`, not for this bound.
    n_heldout_, n_accepted_, n_errors_ : int
        Numbers of held-out samples, without those that are called novel, of those above the
        threshold, and of errors among these.
    fitted_, heldout_ : ndarray of int
        Positions, in what was passed to `fit`, of the samples that the classifier was fitted on
        (none, if it is frozen), and of the held-out ones.
    novelty_detector_ : NoveltyDetector
        With `novelty`: the fitted detector, which takes features.
    classes_ : ndarray of shape (n_classes,)
        The class labels of the fitted classifier.
    n_features_in_ : int
        Number of features; only if the fitted classifier has this attribute.

    Notes
    -----
    With `novelty`, the guarantee for the answers is set on the held-out samples that are not called
    novel, because no others get an answer.

    The guarantee assumes independent samples from the distribution of future ones. Samples of one
    group, such as a writer, are not independent: if `groups` are passed, none is on both sides of
    the split, but the bound still counts samples, and is too low for new groups.

    References
    ----------
    C. K. Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions on Information
    Theory 16(1), 1970.
    Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.
    X.-X. Niu and C. Y. Suen, "A novel hybrid CNN-SVM classifier for recognizing handwritten
    digits", Pattern Recognition 45(4), 2012.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from penultimate import SVC, AbstainingClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = AbstainingClassifier(SVC(gamma=0.001), coverage=0.9, random_state=0)
    >>> model.fit(X[:1500], y[:1500]).predict(X[1528:1531]).tolist()
    [2, None, 2]
    """

    def __init__(
        self,
        estimator: Head,
        *,
        risk: float | None = None,
        coverage: float | None = None,
        level: float = 0.95,
        criterion: str = "auto",
        holdout: float = 0.2,
        novelty: float | None = None,
        novel_label: object = None,
        reject_label: object = None,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.risk = risk
        self.coverage = coverage
        self.level = level
        self.criterion = criterion
        self.holdout = holdout
        self.novelty = novelty
        self.novel_label = novel_label
        self.reject_label = reject_label
        self.random_state = random_state

    # Like scikit-learn's splitters, this classifier requests groups by default.
    __metadata_request__fit = {"groups": True}

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **fit_params: object,
    ) -> Self:
        """Fit the classifier on part of the samples, and set the threshold on the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, in the form that the classifier takes.
        y : array-like of shape (n_samples,)
            Labels.
        groups : array-like of shape (n_samples,), optional
            Groups, none of which is both fitted on and held out. They are also passed to the
            classifier's `fit`, if it has such a parameter.
        sample_weight : array-like of shape (n_samples,), optional
            Weights for the classifier's `fit`. Held-out samples all count the same, whatever their
            weight, because `risk` is an error rate over samples.
        **fit_params : dict
            Parameters of the classifier's `fit`; arrays with one value per sample are restricted to
            the samples that it is fitted on. With metadata routing it receives what it requests.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` is a data object instead of an array, such as a path or a generator.
        LeakageError
            If the classifier, or a network in it, has seen all held-out samples; a ``ValueError``.
        ValueError
            If a parameter or the data is invalid, or fewer samples are held out than `risk` needs.

        Warns
        -----
        LeakageWarning
            If it has seen some of them; the threshold is then set on the others.
        UnknownProvenanceWarning
            If nobody said which samples a network in it was trained on: these may be among them.
        UserWarning
            If no threshold gives the guarantee; the classifier then abstains from every sample.
        """
        self._check_parameters()
        everything = self.risk is None and self.coverage is None  # but for what is novel
        goal = Goal(self.risk, 1.0 if everything else self.coverage, self.level)
        owner, frozen = type(self).__name__, isinstance(self.estimator, FrozenEstimator)
        one_by_one = takes_one_by_one(self.estimator, X)
        X = as_sequence(X) if one_by_one else as_samples(X, owner)
        if y is None:
            raise ValueError(f"{owner} requires y to be passed, but the target y is None.")
        X, y = indexable(X, typed_labels(y))
        # Held-out samples of a frozen classifier may all belong to one class.
        labels = column_or_1d(y, warn=True)
        y = check_labels(labels, len(labels), n_classes=1 if frozen else 2)
        check_classification_targets(y)
        groups = check_per_sample(groups, len(y), "groups", owner)
        weights = check_per_sample(sample_weight, len(y), "sample_weight", owner)
        params = self._route(groups, weights, fit_params)
        # Held-out samples are predicted, looked at for novelty, and asked for their confidence.
        with features_remembered():
            if frozen and self.novelty is None:
                goal.check_enough(len(y), len(y))
                self.estimator_ = self.estimator
                self.fitted_, heldout = np.arange(0), np.arange(len(y))
            else:
                seed = draw_seed(self.random_state)
                prints = copies = None
                if one_by_one or _is_numeric(X):
                    samples = np.asarray(X)
                    prints = prints_of(samples)
                    copies = copies_of(samples, prints)
                split = split_samples(y, groups, self.holdout, fingerprints=copies, seed=seed)
                n_seen = 0
                if prints is not None:  # by a pre-trained network; must be counted before any fit
                    # A clone forgets an earlier fit, but not what a network in it was trained on.
                    seen = provenance_of(self.estimator if frozen else clone(self.estimator))
                    n_seen = int(seen.holds(prints[split.held_out]).sum())
                goal.check_enough(len(split.held_out), len(y), n_seen)
                if self.novelty is not None:
                    check_enough(self.novelty, len(split.held_out) - n_seen, n_seen=n_seen)
                rows = take(X, split.train)
                if frozen:
                    self.estimator_ = self.estimator
                else:
                    self.estimator_ = clone(self.estimator)
                    self.estimator_.fit(
                        rows, y[split.train], **take_rows(params, split.train, len(y))
                    )
                known = rows, y[split.train], None if groups is None else groups[split.train]
                self.fitted_ = split.train[:0] if frozen else split.train
                X, y, heldout = take(X, split.held_out), y[split.held_out], split.held_out
            self._take_over()
            check_known_labels(y, self.classes_)
            warn_if_unknown(
                self.estimator_, "the guarantee does not hold", stacklevel=level_outside() + 1
            )
            X, y, unseen = leave_seen_out(self.estimator_, X, y, goal)
            self.heldout_ = heldout[unseen]
            if self.novelty is not None:
                self.novelty_detector_ = fit_detector(
                    self.estimator_, self.novelty, *known, X, seed
                )
                rows = np.flatnonzero(~self.is_novel(X))
                X, y = take(X, rows), y[rows]
            correct = right_answers(self.estimator_.predict(X), y)
            threshold = set_threshold(goal, correct, self._confidence_of(X))
            self.threshold_, self.n_heldout_ = threshold.value, threshold.n_heldout
            self.n_accepted_, self.n_errors_ = threshold.n_accepted, threshold.n_errors
            self.coverage_ = threshold.n_accepted / threshold.n_heldout
            self.risk_bound_ = threshold.risk_bound
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata is routed: see scikit-learn's user guide on metadata routing.

        Returns
        -------
        MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def _route(
        self,
        groups: NDArray[Any] | None,
        weights: NDArray[Any] | None,
        fit_params: dict[str, Any],
    ) -> dict[str, Any]:
        """Return the parameters of the classifier's `fit`."""
        if isinstance(self.estimator, FrozenEstimator):
            return {}
        if get_config()["enable_metadata_routing"]:
            given = {"groups": groups, "sample_weight": weights, **fit_params}
            given = {name: value for name, value in given.items() if value is not None}
            return dict(process_routing(self, "fit", **given)["estimator"]["fit"])
        params = {**fit_params, **weight_params(self.estimator, weights)}
        if groups is not None and has_fit_parameter(self.estimator, "groups"):
            params["groups"] = groups
        return params

    def _check_parameters(self) -> None:
        owner = type(self).__name__
        neither = self.risk is None and self.coverage is None and self.novelty is None
        if neither or (self.risk is not None and self.coverage is not None):
            raise ValueError(
                f"{owner} takes either a 'risk', such as 0.01, or a 'coverage', such as 0.9, or "
                f"neither with a 'novelty', such as 0.05; got risk={self.risk!r} and "
                f"coverage={self.coverage!r}."
            )
        if self.coverage is not None:
            check_number(self.coverage, "coverage", owner, low=0, high=1, open_low=True)
        for name in ("risk", "level", "holdout", "novelty"):
            value = getattr(self, name)
            if value is not None or name not in ("risk", "novelty"):
                check_number(value, name, owner, low=0, high=1, open_low=True, open_high=True)
        check_choice(self.criterion, "criterion", owner, CRITERIA)
        if callable(getattr(self.estimator, "get_weights", None)):
            raise TypeError(
                f"The 'estimator' parameter of {owner} must be a scikit-learn classifier; got a "
                "network. Put a head on it first: DeepSVC(network)."
            )
        if not hasattr(self.estimator, "fit") or isinstance(self.estimator, type):
            raise TypeError(
                f"The 'estimator' parameter of {owner} must be a classifier, such as SVC(); "
                f"got {self.estimator!r}."
            )

    def _take_over(self) -> None:
        """Take over the classes and feature names of the fitted classifier."""
        self.classes_ = np.asarray(self.estimator_.classes_)
        self.__dict__.pop("novelty_detector_", None)  # left by an earlier fit, as may be these
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        for name in ("reject_label", "novel_label"):
            given = getattr(self, name)
            if any(label == given for label in self.classes_.tolist()):
                raise ValueError(
                    f"The '{name}' parameter of {type(self).__name__} must not be one of the "
                    f"classes; got {given!r}."
                )

    def _confidence_of(self, X: ArrayLike) -> NDArray[np.float64]:
        return confidence_scores(self.estimator_, X, criterion=self.criterion)

    def accepts(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Decide which samples get an answer.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), bool
        """
        check_is_fitted(self)
        accepted = self._confidence_of(X) > self.threshold_
        return accepted if self.novelty is None else accepted & ~self.is_novel(X)

    @available_if(lambda self: self.novelty is not None)
    def is_novel(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Determine which samples are of none of the classes.

        Only with `novelty`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), bool
        """
        check_is_fitted(self, "novelty_detector_")
        return self.novelty_detector_.predict(features_of(self.estimator_, X)) == -1

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each sample, or abstain.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels, `reject_label` for abstentions, and `novel_label` for novel samples; an object
            array, unless these have the classes' type.
        """
        accepted = self.accepts(X)
        labels = np.asarray(self.estimator_.predict(X))
        answers = _with_room_for(self.reject_label, labels)
        answers[~accepted] = self.reject_label
        if self.novelty is not None:
            answers = _with_room_for(self.novel_label, answers)
            answers[self.is_novel(X)] = self.novel_label
        return answers

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute the accuracy among the samples that get an answer.

        Report it together with their share, ``accepts(X).mean()``: the lower the coverage, the
        easier the samples. If no sample gets an answer, the score is NaN, with a warning.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples in the accuracy.

        Returns
        -------
        float
        """
        accepted = self.accepts(X)
        if not accepted.any():
            warnings.warn(
                "The classifier abstains from all of these samples; accuracy is undefined.",
                UndefinedMetricWarning,
                stacklevel=2,
            )
            return float("nan")
        correct = right_answers(self.estimator_.predict(X), y)[accepted]
        owner = type(self).__name__
        weights = check_per_sample(sample_weight, len(accepted), "sample_weight", owner)
        weights = None if weights is None else weights[accepted]
        return float(np.average(correct, weights=weights))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "risk_bound_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        given = get_tags(self.estimator).input_tags
        tags.input_tags.sparse, tags.input_tags.allow_nan = given.sparse, given.allow_nan
        return tags


def _with_room_for(label: object, labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels in a copy whose type takes another one; objects if they are not alike."""
    given = np.asarray(label)
    numbers = given.dtype.kind in "iuf" and labels.dtype.kind in "iuf"
    alike = given.dtype.kind == labels.dtype.kind
    # A longer string as the label needs a wider type, or it would be cut off.
    return labels.astype(np.result_type(labels, given) if numbers or alike else object)


def _is_numeric(X: ArrayLike) -> bool:
    return not hasattr(X, "toarray") and np.asarray(X).dtype.kind in "biuf"
