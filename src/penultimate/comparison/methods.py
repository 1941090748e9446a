"""The methods of a comparison, by name: what each is fitted on, and with which classifier.

Besides the SVM heads there are controls, which separate the possible causes of a gain: a converged
logistic head (refitting, without a margin), the softmax masked to a subset (knowing the subset),
and networks trained from scratch (fewer classes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

from penultimate._common.door import spelled
from penultimate._common.protocols import Head, Transformer
from penultimate._common.validation import check_choice
from penultimate.comparison.given import DEFAULT_LAYER
from penultimate.comparison.method import Method
from penultimate.comparison.searches import (
    ByFeaturesSearchCV,
    ForestSearchCV,
    LogisticSearchCV,
    NeighborsSearchCV,
    OneThreadLogisticRegression,
)
from penultimate.networks import Training
from penultimate.selection.crossfit import check_candidates
from penultimate.selection.heads import check_head
from penultimate.selection.normalization import DEFAULT_NORMALIZATION, Normalization
from penultimate.svm import SVC, StreamedSVC, SVCSearchCV

N_COMPONENTS = 50


def logistic(n_jobs: int | None, seed: int) -> Head:
    """Make a multinomial logistic regression, trained to convergence, with a search over C."""
    # Enough iterations to converge, as a control has to: stopped early, it would differ from the
    # SVM by more than its loss.
    return LogisticSearchCV(
        OneThreadLogisticRegression(max_iter=3000),
        {"C": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0]},
        n_jobs=n_jobs,
    )


def svm_rbf(n_jobs: int | None, seed: int) -> Head:
    """Make an SVM with an RBF kernel, with a search over C and gamma."""
    return SVCSearchCV(n_jobs=n_jobs)


def svm_linear(n_jobs: int | None, seed: int) -> Head:
    """Make an SVM with a linear kernel, with a search over C."""
    return SVCSearchCV(SVC(kernel="linear"), n_jobs=n_jobs)


def svm_linear_streamed(n_jobs: int | None, seed: int) -> Head:
    """Make a linear SVM that is solved in passes over the samples, with a search over C."""
    # One-vs-rest with the squared hinge, so not the same as `svm_linear`: for many samples, whose
    # pairs of classes would take hours. The comparison has standardized the features already.
    machine = StreamedSVC(standardize=False, n_jobs=n_jobs)
    return GridSearchCV(machine, {"C": [0.001, 0.003, 0.01, 0.03, 0.1, 1.0]})


def random_forest(n_jobs: int | None, seed: int) -> Head:
    """Make a random forest of 200 fully grown trees."""
    # Nothing to search over: on 30 draws of 60 to 360 samples of three data sets, fully grown trees
    # were right on 80.5 % in the mean, and those of a search over leaves of 1 or 3 samples on
    # 79.8 %. With a fifth of the labels wrong, they were level. Scores select the layer.
    forest = RandomForestClassifier(200, n_jobs=n_jobs, random_state=seed)
    return ForestSearchCV(forest, {"min_samples_leaf": [1]}, n_jobs=n_jobs)


def nearest_neighbors(n_jobs: int | None, seed: int) -> Head:
    """Make a nearest-neighbor classifier, with a search over number and weighting."""
    return NeighborsSearchCV(
        KNeighborsClassifier(),
        {"n_neighbors": [1, 3, 5, 9, 15], "weights": ["uniform", "distance"]},
    )


def random_features(n_jobs: int | None, seed: int) -> Head:
    """Make a linear SVM on 4,096 random Fourier features, with a search over gamma."""
    from penultimate.classifiers.margin import MarginClassifier
    from penultimate.networks.margins.builders import RandomFeatureNetwork

    # Loss, batch size and peak rate of benchmarks/random_features.py, where 4,096 features come
    # within 0.24 points of the exact kernel machine in a quarter of its time. The comparison has
    # standardized the features already.
    machine = MarginClassifier(
        RandomFeatureNetwork(random_state=seed),
        loss="crammer_singer",
        C=10.0,
        standardize=False,
        training=Training(20, 256, learning_rate=0.1, validation_size=0),
        random_state=seed,
    )
    # The classifier's own `score` would warn about duplicates in the data; this scorer does not.
    return ByFeaturesSearchCV(machine, {"network__gamma": [0.03, 0.1, 0.3]}, scoring="accuracy")


def principal_components(n_samples: int, n_features: int) -> Transformer:
    """Make the projection onto the first 50 principal components, without whitening."""
    # One random state for all seeds: the draws of its solver for large data must not add to the
    # variance between seeds.
    return PCA(min(N_COMPONENTS, n_samples, n_features), random_state=0)


def _with_margin_loss(loss: str) -> Method:
    return Method("network", family="margin", subsets="ignored", loss=loss, run="on request")


# Each is trained from the weights that the shared network starts from, so only the loss differs.
_MARGIN_LOSSES = {
    "cnn-hinge": "hinge",
    "cnn-squared-hinge": "squared_hinge",
    "cnn-crammer-singer": "crammer_singer",
    "cnn-weston-watkins": "weston_watkins",
}
# What several methods have in common; each differs by what is replaced below.
_SOFTMAX = Method("probabilities", family="softmax")
_SVM = Method("features", svm_rbf, family="svm")
_SCRATCH = Method("network", family="softmax", control=True, subsets="needed")
# In the order of every table: the baseline, its controls, the heads, and what uses no network.
METHODS: dict[str, Method] = {
    "cnn-softmax": replace(_SOFTMAX, subsets="ignored"),
    "cnn-softmax-masked": replace(_SOFTMAX, subsets="needed"),
    "cnn+logistic": Method("features", logistic, family="logistic", control=True, inspect=True),
    "cnn+svm-rbf": replace(_SVM, inspect=True),
    "cnn+svm-linear": replace(_SVM, make_head=svm_linear),
    "cnn+svm-rbf-routed": replace(_SVM, router="network"),
    "cnn+svm-rbf-head-routed": replace(_SVM, router="head"),
    "cnn+rf": Method("features", random_forest, family="forest", run="without subsets"),
    "cnn+knn": Method("features", nearest_neighbors, family="neighbors", run="without subsets"),
    "cnn-scratch": _SCRATCH,
    "cnn-scratch-plain": replace(_SCRATCH, augmented=False),
    "pca+svm-rbf": Method("pixels", svm_rbf, principal_components, family="svm", inspect=True),
    **{name: _with_margin_loss(loss) for name, loss in _MARGIN_LOSSES.items()},
    "cnn+rff": Method("features", random_features, family="margin", run="on request"),
    "cnn+svm-linear-streamed": replace(_SVM, make_head=svm_linear_streamed, run="on request"),
}
# Where the data are features, there is no network to name, and nothing but heads on them.
FEATURE_METHODS: dict[str, Method] = {
    "logistic": METHODS["cnn+logistic"],
    "svm-rbf": METHODS["cnn+svm-rbf"],
    "svm-linear": METHODS["cnn+svm-linear"],
    "svm-rbf-head-routed": METHODS["cnn+svm-rbf-head-routed"],
    "rf": METHODS["cnn+rf"],
    "knn": METHODS["cnn+knn"],
    "rff": METHODS["cnn+rff"],
    "svm-linear-streamed": METHODS["cnn+svm-linear-streamed"],
}


def choose_methods(
    methods: Sequence[str | tuple[str, Method]] | Mapping[str, Method] | None,
    *,
    by_subset: bool,
    frozen: bool,
    classifies: bool = True,
    on_features: bool | None = False,
) -> dict[str, Method]:
    """Return the given methods, or those that suit a comparison.

    Parameters
    ----------
    methods : list of str and of (str, Method), dict of str to Method, or None
        Names in `METHODS`, and methods of your own with their names; by default all suitable ones
        in `METHODS` that are not on request.
    by_subset : bool
        Whether the comparison is by subset.
    frozen : bool
        Whether the shared network is pre-trained; none can then be trained from scratch.
    classifies : bool, default=True
        Whether the shared network has one output per class, and thus its own softmax.
    on_features : bool or None, default=False
        Whether the data are features, for which names are those of `FEATURE_METHODS`; None if that
        is not known yet, and any known name will do.

    Returns
    -------
    dict of str to Method

    Raises
    ------
    TypeError, ValueError
        If there are no methods, a name is unknown or given twice, or a method is invalid, or
        impossible in such a comparison.
    """
    known = {False: METHODS, True: FEATURE_METHODS, None: METHODS | FEATURE_METHODS}[on_features]
    if methods is None:
        return {
            name: method
            for name, method in known.items()
            if method.run == "by default" or (method.run == "without subsets" and not by_subset)
            if not _reason_against(method, by_subset, frozen, classifies)
        }
    # The same method named twice is one method; two methods of one name would share a row.
    chosen: dict[str, Method] = {}
    for name, method in _named(methods, known):
        if chosen.setdefault(name, method) != method:
            raise ValueError(f"Two methods are named {name!r}; give each its own name.")
        method.check(name)
        reason = _reason_against(method, by_subset, frozen, classifies)
        if on_features and method.inputs != "features":
            reason = "needs images or a network, and the data are features. Drop the method."
        if reason:
            raise ValueError(f"The method {name!r} {reason}")
    if not chosen:
        raise ValueError("methods is empty; name at least one, or pass None for all of them.")
    return chosen


def check_heads(
    methods: Mapping[str, Method], n_jobs: int | None, seed: int, selection: str
) -> None:
    """Make every head once, so that one that cannot be used is found before anything is trained.

    Parameters
    ----------
    methods : dict of str to Method
    n_jobs, seed : int
        As passed to `Method.make_head`.
    selection : {"heldout", "crossfit", "resubstitution"}

    Raises
    ------
    TypeError
        If a head is no classifier, or its function cannot be called.
    ValueError
        If its search does not refit, or cannot be cross-fitted.
    """
    for name, method in methods.items():
        if method.make_head is None:
            continue
        try:
            head = method.make_head(n_jobs, seed)
        except TypeError as error:
            raise TypeError(
                f"make_head of the method {name!r} must be a function of (n_jobs, seed) that "
                f"returns an unfitted head: {error}"
            ) from error
        check_head(head, f"the method {name!r}")
        if selection == "crossfit":
            check_candidates(head)


def check_selected(
    methods: Mapping[str, Method],
    layers: Sequence[str],
    normalizations: Sequence[Normalization],
) -> None:
    """Raise ``ValueError`` for a layer or normalization that is of no use to any of the methods.

    Parameters
    ----------
    methods : dict of str to Method
    layers : list of str
    normalizations : list of str or None
    """
    heads = [method for method in methods.values() if method.inputs == "features"]
    unused = []
    if not heads and list(layers) != [DEFAULT_LAYER]:
        unused.append(spelled("--layer", "layer"))
    normalized = [method for method in heads if method.make_preprocessing is None]
    if not normalized and list(normalizations) != [DEFAULT_NORMALIZATION]:
        unused.append(spelled("--normalization", "normalization"))
    if unused:
        raise ValueError(
            f"{' and '.join(unused)} would do nothing: none of the methods {list(methods)} has a "
            "head on features (with a preprocessing that may be replaced). Add one, such as "
            "'cnn+svm-rbf', or leave it out."
        )


def choose_headline(methods: Mapping[str, Method]) -> str | None:
    """Return the name of the SVM head that the verdict is about; None if there is none.

    It is chosen by what the methods are, whatever their order and their accuracies: picking the
    best of several heads by its test accuracy would be a selection on the test set.
    """
    known = [*METHODS, *FEATURE_METHODS]
    # Methods that the report examines come first, then ours in their order, then by name.
    heads = [
        (not method.inspect, known.index(name) if name in known else len(known), name)
        for name, method in methods.items()
        if method.family == "svm" and method.inputs == "features"
        if method.router is None and not method.control
    ]
    return min(heads)[-1] if heads else None


def _named(
    methods: Sequence[str | tuple[str, Method]] | Mapping[str, Method], known: Mapping[str, Method]
) -> list[tuple[str, Method]]:
    """Return methods with their names, looking up those that are only named."""
    # One message for every wrong form, because it lists all the right ones.
    wrong = TypeError(
        "The 'methods' parameter of compare must be a list of names, such as "
        f"{[*known][:2]}, and of pairs (name, Method), or a dict of names to Methods; got "
        f"{methods!r}."
    )
    if isinstance(methods, (str, Method)):
        raise wrong
    given = [*methods.items()] if isinstance(methods, Mapping) else [*methods]
    named = []
    for one in given:
        if isinstance(one, str):
            check_choice(one, "methods", "compare", known)
            one = one, known[one]
        if not (
            isinstance(one, tuple)
            and len(one) == 2
            and isinstance(one[0], str)
            and isinstance(one[1], Method)
        ):
            raise wrong
        named.append(one)
    return named


def _reason_against(method: Method, by_subset: bool, frozen: bool, classifies: bool) -> str:
    if method.needs_subsets and not by_subset:
        return (
            "is for comparisons by subset; "
            f"{spelled('add --subsets', 'pass a Dataset with subsets')}, or drop the method."
        )
    if frozen and method.inputs == "network":
        return (
            "needs a network that is trained here; got a pre-trained one. Pass a name or a "
            "builder, or drop the method."
        )
    if not classifies and method.needs_softmax:
        return (
            "needs a network with exactly one output, softmax or logit, per class of this data; "
            "this one has other outputs. Use 'cnn+logistic', a logistic head on its features."
        )
    return ""
