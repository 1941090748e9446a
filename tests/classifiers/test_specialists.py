import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from penultimate import SVC, DeepSVC, Specialists, SVCSearchCV, Training
from penultimate.classifiers._routing import balanced
from penultimate.networks import fit_network, predict_probabilities
from penultimate.provenance.leakage import LeakageWarning
from penultimate.splits import split_development

pytestmark = pytest.mark.usefixtures("solved_networks")
QUICK = Training(epochs=1, augmentation=None)
SMALL = SVCSearchCV(param_grid={"C": [1, 10], "gamma": [0.001, 0.01]})
SUBSETS = {
    "lying": ["lying, high", "lying, low"],
    "standing": ["standing, left", "standing, right"],
}


def bars(n_each, seed):
    """Horizontal bars, high or low, and vertical bars, left or right."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (4 * n_each, 12, 12), dtype=np.uint8)
    labels = np.tile([label for subset in SUBSETS.values() for label in subset], n_each)
    for image, label in zip(images, labels):
        bar = image if label.startswith("lying") else image.T
        at = rng.integers(1, 4) + 6 * label.endswith(("low", "right"))
        bar[at : at + 2, 2:10] = 230
    return images, labels


def crosses(n_each, seed):
    """Classes that no network here has seen: a cross and a square."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (2 * n_each, 12, 12), dtype=np.uint8)
    labels = np.tile(["cross", "square"], n_each)
    for image, label in zip(images, labels):
        at = rng.integers(3, 7)
        if label == "cross":
            image[at : at + 2, 1:11] = image[1:11, at : at + 2] = 230
        else:
            image[at - 2 : at + 5, at - 2 : at + 5] = 230
    return images, labels


X, y = bars(20, 0)
X_test, y_test = bars(10, 1)


def fit(**parameters):
    parameters = {"subsets": SUBSETS, "training": QUICK, "head": SMALL, **parameters}
    return Specialists(**parameters, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def fitted(solved_networks):
    return fit()


@pytest.fixture(scope="module")
def network(solved_networks):
    """A network that was trained on other samples of these classes."""
    images, labels = bars(20, 7)
    codes = np.unique(labels, return_inverse=True)[1]
    return fit_network("compact", images[..., None], codes, QUICK)[0]


@pytest.fixture
def frozen(network):
    """Specialists that a test may modify."""
    return fit(network=network)


def test_each_specialist_distinguishes_the_classes_of_its_subset(fitted):
    assert list(fitted.specialists_) == list(SUBSETS)
    for name, labels in SUBSETS.items():
        rows = np.isin(y_test, labels)
        specialist = fitted.specialists_[name]
        assert specialist.classes_.tolist() == labels
        assert specialist.score(X_test[rows], y_test[rows]) > 0.9
        np.testing.assert_array_equal(
            fitted.predict(X_test[rows], subset=name), specialist.predict(X_test[rows])
        )
        np.testing.assert_array_equal(
            fitted.decision_function(X_test, subset=name), specialist.decision_function(X_test)
        )
        assert set(specialist.best_params_) == {"C", "gamma"}
    assert fitted.classes_.tolist() == sorted(set(y))


def test_unknown_subset_is_found_by_the_network(fitted):
    assert fitted.router_ == "network"
    routes = fitted.route(X_test)
    assert set(routes) == set(SUBSETS)
    assert (
        np.mean([label in SUBSETS[name] for name, label in zip(routes, y_test, strict=True)]) > 0.9
    )
    assert fitted.score(X_test, y_test) > 0.9
    probabilities = predict_probabilities(fitted.network_, X_test[..., None])
    np.testing.assert_array_equal(
        routes == "lying", probabilities[:, :2].sum(axis=1) > probabilities[:, 2:].sum(axis=1)
    )


@pytest.mark.parametrize("router", ["network", "head"])
def test_a_frozen_network_is_routed_by_a_head(network, router):
    """The classes of a pre-trained network's outputs are not known."""
    model = fit(network=network, router=router)
    assert model.router_ == "head"
    assert model.network_ is network
    assert model.score(X_test, y_test) > 0.9


def test_routed_samples_get_the_prediction_of_their_specialist(frozen):
    routes, predictions = frozen.route(X_test), frozen.predict(X_test)
    for name in SUBSETS:
        rows = routes == name
        np.testing.assert_array_equal(predictions[rows], frozen.predict(X_test[rows], subset=name))


def test_specialists_share_the_split_of_the_network(monkeypatch):
    """Candidates are fitted on samples that the network saw, and scored on the others."""
    from penultimate.classifiers import _cut_network, specialists

    seen, splits = [], []
    train, select = _cut_network.fit_network, specialists.fit_layers
    monkeypatch.setattr(
        _cut_network, "fit_network", lambda *args, **kw: seen.append(args[1]) or train(*args, **kw)
    )
    monkeypatch.setattr(
        specialists,
        "fit_layers",
        lambda *args, **kw: splits.append((args[2], args[3])) or select(*args, **kw),
    )
    model = fit()
    fit_part = split_development(y, seed=model._seed).train
    np.testing.assert_array_equal(seen[0], X[fit_part][..., None])
    for (labels, split), subset in zip(splits, SUBSETS.values(), strict=True):
        positions = np.flatnonzero(np.isin(y, subset))
        np.testing.assert_array_equal(labels, y[positions])
        np.testing.assert_array_equal(
            np.isin(positions, fit_part), np.isin(np.arange(len(positions)), split.train)
        )


def test_a_specialist_is_a_classifier_of_its_own(fitted):
    rows = np.isin(y, SUBSETS["lying"])
    specialist = fitted.specialists_["lying"]
    assert isinstance(specialist, DeepSVC)
    with pytest.warns(LeakageWarning, match="seen 32 of 40 samples .* too few to select on"):
        again = clone(specialist).fit(X[rows], y[rows])
    assert again.network_ is not fitted.network_  # scikit-learn's clone copies a network
    assert again.score(X_test[:2], y_test[:2]) == 1


@pytest.mark.parametrize("router", ["network", "head"])
@pytest.mark.parametrize("n_each", [1, 2, 5])
def test_add_subset_leaves_the_network_unchanged(network, router, n_each):
    model = fit(network=network, router=router)
    before = [weights.copy() for weights in model.network_.get_weights()]
    expected = {name: model.predict(X_test, subset=name) for name in SUBSETS}
    assert model.add_subset("shapes", *crosses(n_each, 2)) is model
    for weights, old in zip(model.network_.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, old)
    for name in SUBSETS:
        np.testing.assert_array_equal(model.predict(X_test, subset=name), expected[name])
    assert hasattr(model.specialists_["shapes"], "best_params_") == (n_each > 1)
    few, labels = crosses(n_each, 2)
    np.testing.assert_array_equal(model.predict(few, subset="shapes"), labels)
    X_new, y_new = crosses(20, 3)
    if n_each == 5:
        assert np.mean(model.predict(X_new, subset="shapes") == y_new) > 0.7
    assert model.classes_.tolist() == sorted({*y, "cross", "square"})
    assert set(model.predict(np.concatenate([X_new, X_test]))) <= set(model.classes_)


def test_a_network_not_trained_on_a_subset_does_not_route():
    model = fit()
    assert model.router_ == "network"
    model.add_subset("shapes", *crosses(20, 2))
    assert model.router_ == "head"
    X_new, y_new = crosses(20, 3)
    assert np.mean(model.route(X_new) == "shapes") > 0.8
    assert model.score(X_new, y_new) > 0.7
    assert model.score(X_test, y_test) > 0.9
    model.drop_subset("shapes")
    assert model.router_ == "network"
    # A subset of classes that the network was trained on is added again.
    rows = np.isin(y, SUBSETS["lying"])
    with pytest.warns(LeakageWarning, match="has seen 32 of 40 samples"):
        model.drop_subset("lying").add_subset("flat", X[rows], y[rows])
    assert model.router_ == "network"
    assert set(model.route(X_test)) == {"standing", "flat"}
    assert model.score(X_test, y_test) > 0.9


def test_a_subset_of_few_samples_weighs_as_much_as_others(network):
    model = fit(network=network).add_subset("shapes", *crosses(2, 2))
    assert np.mean(model.route(crosses(20, 3)[0]) == "shapes") > 0.5
    router, own = model._router_head["head"], model.specialists_["lying"].head_["head"]
    assert router.best_estimator_.class_weight == "balanced"
    assert router.scoring == "balanced_accuracy"
    # The specialists' own heads are not changed.
    assert own.best_estimator_.class_weight is None
    assert own.scoring is None


def test_balanced_heads():
    assert balanced(LogisticRegression()).class_weight == "balanced"
    assert balanced(SVCSearchCV()).estimator.class_weight == "balanced"
    search = balanced(GridSearchCV(make_pipeline(PCA(), SVC()), {"svc__C": [1, 3]}))
    assert search.estimator["svc"].class_weight == "balanced"
    assert search.scoring == "balanced_accuracy"
    assert isinstance(balanced(KNeighborsClassifier()), KNeighborsClassifier)
    # Parameters set by the user are kept.
    mine = GridSearchCV(SVC(class_weight={"a": 2}), {"C": [1]}, scoring="accuracy")
    assert balanced(mine).scoring == "accuracy"
    assert balanced(mine).estimator.class_weight == {"a": 2}


def test_drop_subset(frozen):
    frozen.drop_subset("lying")
    assert list(frozen.specialists_) == ["standing"]
    assert frozen.classes_.tolist() == SUBSETS["standing"]
    assert set(frozen.route(X_test)) == {"standing"}
    assert set(frozen.predict(X_test)) <= set(SUBSETS["standing"])
    with pytest.raises(ValueError, match="'standing' is the only one"):
        frozen.drop_subset("standing")
    with pytest.raises(ValueError, match=r"no subset 'lying'; there are \['standing'\]"):
        frozen.drop_subset("lying")


def test_each_specialist_selects_its_layer_and_head(network):
    layers = ["flatten", "penultimate"]
    model = fit(network=network, layer=layers, head=LogisticRegression(max_iter=1000))
    for specialist in model.specialists_.values():
        assert list(specialist.layer_scores_) == layers
        assert not hasattr(specialist, "best_params_")
    assert model.score(X_test, y_test) > 0.9


def test_all_forms_of_pixels_predict_the_same(network):
    as_bytes, as_shares = fit(network=network), fit(network=network)
    as_shares.fit(X / 255, y)
    expected = as_bytes.predict(X_test)
    np.testing.assert_array_equal(as_shares.predict(X_test / 255), expected)
    np.testing.assert_array_equal(
        as_shares.specialists_["lying"].predict(X_test / 255),
        as_bytes.specialists_["lying"].predict(X_test),
    )


def test_numbers_as_labels(network):
    codes = np.unique(y, return_inverse=True)[1]
    subsets = {"lying": [0, 1], "standing": [2, 3]}
    model = Specialists(network, subsets=subsets, head=SMALL, random_state=0).fit(X, codes)
    assert model.predict(X_test).dtype == codes.dtype
    model.add_subset("shapes", crosses(3, 2)[0], [10, 11] * 3)
    assert model.classes_.tolist() == [0, 1, 2, 3, 10, 11]
    with pytest.raises(TypeError, match="'more' has 'cross', but other subsets have 0"):
        model.add_subset("more", *crosses(3, 2))


def test_groups(network):
    model = Specialists(network, subsets=SUBSETS, head=SMALL, random_state=0)
    assert model.fit(X, y, groups=np.arange(80) // 8).score(X_test, y_test) > 0.9
    model.add_subset("shapes", *crosses(6, 2), groups=np.arange(12) // 4)
    assert model.specialists_["shapes"].head_["head"].n_splits_ == 3


def test_groups_that_make_a_split_impossible(network):
    model = Specialists(network, subsets=SUBSETS, head=SMALL, random_state=0)
    with pytest.raises(ValueError, match="There is 1 group to split"):
        model.fit(X, y, groups=np.zeros(80))
    # Each class is one group: whichever is held out, none of it is left to fit on.
    with pytest.raises(ValueError, match="classes have no sample to fit on, such as class '"):
        model.fit(X, y, groups=y)


def test_groups_that_leave_a_subset_without_selection_samples(network):
    """The split holds one writer out, and no writer wrote both kinds of bars."""
    writers = np.arange(80) // 4
    groups = np.where(np.isin(y, SUBSETS["lying"]), writers % 3, 100 + writers % 2)
    model = Specialists(network, subsets=SUBSETS, head=SMALL, random_state=0)
    with pytest.raises(ValueError, match="the subset '.*' has no sample to select on"):
        model.fit(X, y, groups=groups)


@pytest.mark.parametrize(
    ("subsets", "error", "message"),
    [
        (None, TypeError, "subsets must be a dict"),
        ({"lying": SUBSETS["lying"]}, ValueError, "2 classes are in no subset"),
        ({**SUBSETS, "digits": [1, 2]}, ValueError, "'digits' names 2 of 2 classes"),
        ({**SUBSETS, "more": []}, ValueError, "'more' is empty"),
        ({**SUBSETS, "more": SUBSETS["lying"]}, ValueError, "is in two subsets"),
        ({"a": list(y[:3]), "b": list(y[3:4])}, ValueError, "'b' has only one class"),
    ],
)
def test_bad_subsets(subsets, error, message):
    with pytest.raises(error, match=message):
        Specialists(subsets=subsets).fit(X, y)


def test_bad_samples(frozen):
    one_hot = np.eye(4, dtype=int)[np.unique(y, return_inverse=True)[1]]
    with pytest.raises(ValueError, match="one-hot"):
        clone(frozen).fit(X, one_hot)
    with pytest.raises(ValueError, match="the network takes 12 x 12 x 1: resize them"):
        frozen.predict(X_test[:, :, :10])
    with pytest.raises(ValueError, match="10 x 12 x 1; the network takes 12 x 12 x 1: resize"):
        frozen.predict(X_test[:, :10], subset="lying")
    with pytest.raises(ValueError, match=r"no subset 'shapes'; there are \['lying', 'standing'\]"):
        frozen.predict(X_test, subset="shapes")
    with pytest.raises(ValueError, match=r"no subset 'shapes'; there are"):
        frozen.decision_function(X_test, subset="shapes")
    with pytest.raises(ValueError, match="'router' parameter of Specialists must be one of"):
        Specialists(subsets=SUBSETS, router="svm").fit(X, y)
    with pytest.raises(NotFittedError):
        Specialists(subsets=SUBSETS).predict(X)


def test_bad_additions_change_nothing(frozen):
    X_new, y_new = crosses(3, 2)
    expected = frozen.predict(X_test)
    for name, X_bad, y_bad, message in [
        ("lying", X_new, y_new, "There is a subset 'lying' already"),
        ("shapes", X_new, y[:6], "is in two subsets, 'lying' and 'shapes'"),
        ("shapes", X_new, np.repeat("cross", 6), "1 class"),
        ("shapes", X_new, np.eye(2, dtype=int)[[0, 1] * 3], "one-hot"),
        ("shapes", X_new[:, :, :10], y_new, "the network takes 12 x 12 x 1: resize"),
        ("shapes", X_new[:4], y_new, "inconsistent"),
    ]:
        with pytest.raises(ValueError, match=message):
            frozen.add_subset(name, X_bad, y_bad)
    with pytest.raises(TypeError, match="name of a subset must be a non-empty string"):
        frozen.add_subset(3, X_new, y_new)
    assert list(frozen.specialists_) == list(SUBSETS)
    np.testing.assert_array_equal(frozen.predict(X_test), expected)


def test_each_specialist_and_the_router_select_a_normalization(network):
    names = ["sqrt-l2", "standardize"]
    model = fit(network=network, normalization=names, router="head", head=LogisticRegression())
    for specialist in model.specialists_.values():
        assert [name for _, name in specialist.selection_scores_] == names
        assert specialist.normalization_ in names
        assert specialist.get_params()["normalization"] == names
    assert model.score(X_test, y_test) > 0.9
    alone = fit(network=network, normalization="sqrt-l2", router="head")
    assert alone._router_head["preprocessing"].steps[0][0] == "functiontransformer-1"
    with pytest.raises(ValueError, match="'normalization' parameter of Specialists.*'l2'"):
        fit(network=network, normalization="l_2")
