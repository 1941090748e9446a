import dataclasses

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer

from penultimate import Training, compare
from penultimate._common.progress import Progress
from penultimate.comparison import METHODS, Method, Protocol
from penultimate.comparison.methods import svm_rbf
from penultimate.datasets import Dataset
from penultimate.networks import build_network, fit_network
from penultimate.networks.frameworks.backend import import_keras
from penultimate.provenance.fingerprints import fingerprint
from penultimate.provenance.records import record
from penultimate.splits import Holdout, split_test

pytestmark = pytest.mark.usefixtures("solved_networks")
QUICK = Training(epochs=1)


def small(shape, n_classes):
    """A network for what is around it: the default one takes longer to build, and to pass."""
    layers = import_keras().layers
    return import_keras().Sequential(
        [
            layers.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Reshape((*shape[:2], 1)),  # gray images come to it as they are
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(name="flatten"),
            layers.Dense(16, activation="relu", name="features"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


TRAINED = {"network": small, "training": Training(epochs=1, augmentation=None)}


@pytest.fixture(scope="module")
def comparison(shapes, solved_networks):
    return compare(*shapes, seeds=2, training=QUICK)


def test_every_method_on_the_same_test_part(comparison, shapes):
    flat = [
        name
        for name, method in METHODS.items()
        if method.run != "on request" and not method.needs_subsets
    ]
    assert comparison.names() == flat
    assert comparison.seeds == [0, 1]
    _, y = shapes
    np.testing.assert_array_equal(comparison.test, split_test((y == "standing") * 1).held_out)
    for method in comparison.methods:
        assert method.predictions.shape == (2, 12)
        assert len(method.fits[None].fit_seconds) == len(method.fits[None].params) == 2
        assert not method.knows_subset
    for name in ("cnn-softmax", "cnn+svm-rbf"):
        assert comparison.accuracy(name).value > 0.8
    assert len(comparison.histories) == 2


@pytest.mark.slow
def test_features_are_those_of_the_first_network(shapes, monkeypatch):
    import penultimate.comparison.run as running

    started = []

    def share(*args):
        network = real(*args)
        started.append(network.features)
        return network

    real = running.share_network
    monkeypatch.setattr(running, "share_network", share)
    result = compare(*shapes, methods=["cnn-softmax"], seeds=2, training=QUICK)
    assert len(started) == 2
    for part, n_samples in (("development", 48), ("test", 12)):
        assert result.features[part].shape == (n_samples, 128)
        np.testing.assert_array_equal(result.features[part], started[0][part])


@pytest.mark.slow
def test_network_and_heads_never_see_test_samples(shapes, monkeypatch):
    """Swapping the test labels changes nothing that is fitted."""
    X, y = shapes
    chosen = ["cnn-softmax", "cnn+svm-rbf", "pca+svm-rbf"]
    test = split_test((y == "standing") * 1).held_out
    turned = y.copy()
    turned[test] = np.where(y[test] == "lying", "standing", "lying")
    is_test = np.isin(np.arange(60), test)
    data = [Dataset.from_arrays(X, labels, is_test=is_test) for labels in (y, turned)]
    right, wrong = (compare(d, methods=chosen, seeds=1, **TRAINED) for d in data)
    for one, two in zip(right.methods, wrong.methods, strict=True):
        assert one.fits[None].selection_scores == two.fits[None].selection_scores
        np.testing.assert_array_equal(one.predictions, two.predictions)
    assert wrong.accuracy("cnn+svm-rbf").value == pytest.approx(
        1 - right.accuracy("cnn+svm-rbf").value
    )


@pytest.mark.slow
def test_one_network_per_seed(shapes, monkeypatch):
    trained = []
    import penultimate.comparison.networks as shared_network

    def spy(*args, seed, **kwargs):
        trained.append(seed)
        return real(*args, seed=seed, **kwargs)

    real = shared_network.fit_network
    monkeypatch.setattr(shared_network, "fit_network", spy)
    compare(*shapes, methods=["cnn-softmax", "cnn+knn", "cnn+rf"], seeds=[4, 9], **TRAINED)
    assert trained == [4, 9]
    compare(*shapes, methods=["pca+svm-rbf"], seeds=1)
    assert trained == [4, 9]


def test_frozen_network_without_outputs_for_these_classes(shapes):
    X, y = shapes
    network = build_network("compact", (12, 12, 1), 5)
    record(network, [])
    result = compare(
        X[..., None], y, network=network, methods=["cnn+logistic", "cnn+svm-linear"], seeds=1
    )
    assert result.protocol["frozen"]
    assert result.protocol["epochs"] is None
    assert set(result.methods[0].fits[None].params[0]) == {"C"}
    assert result.histories == []
    assert result.baseline("cnn+svm-linear") == "cnn+logistic"
    assert [c["id"] for c in result.checks] == ["few-test-samples"]


def test_methods_share_a_classifier_only_if_they_are_fitted_alike(shapes, monkeypatch):
    """Each method gives the same result alone and with the other, in either order."""
    monkeypatch.setitem(METHODS, "raw+svm-rbf", Method("pixels", svm_rbf))
    names = ["pca+svm-rbf", "raw+svm-rbf"]
    alone = [compare(*shapes, methods=[name], seeds=1).method(name) for name in names]
    for order in (names, names[::-1]):
        both = compare(*shapes, methods=order, seeds=1)
        for name, expected in zip(names, alone, strict=True):
            assert both.method(name).fits[None].params == expected.fits[None].params
    assert alone[0].fits[None].params != alone[1].fits[None].params


@pytest.mark.slow
def test_the_order_of_methods_changes_nothing(two_subsets):
    names = ["cnn+svm-rbf", "cnn+svm-rbf-routed", "cnn+logistic", "cnn-softmax"]
    first, second = (
        compare(two_subsets, methods=order, seeds=1, **TRAINED) for order in (names, names[::-1])
    )
    assert first.hardest == second.hardest
    assert first.hardest
    for name in names:
        np.testing.assert_array_equal(
            first.method(name).predictions, second.method(name).predictions
        )
    for what in ("checks", "check_states", "learning_curves"):
        one, two = (sorted(map(str, getattr(each, what))) for each in (first, second))
        assert one == two


@pytest.mark.usefixtures("undrawn")
def test_the_object_and_its_file_agree(shapes, tmp_path):
    result = compare(*shapes, methods=["pca+svm-rbf"], seeds=1)
    for uses in (1, 2, 3):
        result.save(tmp_path / "report")
        assert (tmp_path / "report" / "results.json").read_text() == result.to_json() + "\n"
        assert result.to_dict()["protocol"]["test_uses"] == uses


def test_frozen_network_that_scales_pixels_gets_them_from_0_to_255(shapes):
    X, y = shapes
    network = build_network("compact", (12, 12, 1), 5)
    record(network, [])
    of_bytes, of_shares = (
        compare(values, y, network=network, methods=["cnn+svm-linear"], seeds=1)
        for values in (X, X / np.float32(255))
    )
    for part, features in of_bytes.features.items():
        np.testing.assert_allclose(of_shares.features[part], features, rtol=1e-4, atol=1e-4)


def test_probabilities_are_those_of_the_predictions(comparison):
    with_some = [m for m in comparison.methods if m.probabilities is not None]
    assert [m.name for m in with_some] == comparison.names()
    for method in with_some:
        assert method.probabilities.shape == (2, 12, 2)
        np.testing.assert_allclose(method.probabilities.sum(axis=2), 1, rtol=1e-5)
        assert method.calibrated == ("svm" in method.name)
        # An SVM's votes and its scores agree, and a temperature keeps the order.
        agree = method.probabilities.argmax(axis=2) == method.predictions
        assert agree.mean() > 0.95


def test_diagnostics_are_of_the_first_seed(comparison):
    assert comparison.hardest
    for case in comparison.hardest:
        assert case.sample not in comparison.test
        assert comparison.dataset.labels[case.sample] == case.true
        assert (case.predicted == case.true) or case.margin <= 0
    margins = [case.margin for case in comparison.hardest]
    assert margins == sorted(margins)
    assert [c.method for c in comparison.learning_curves] == [
        "cnn+logistic",
        "cnn+svm-rbf",
        "pca+svm-rbf",
    ]
    for curve in comparison.learning_curves:
        assert curve.n_samples == [4, 8, 15, 27, 38]
        # The last point is the chosen setting as it was selected: on the whole fit part.
        (selected, _) = comparison.method(curve.method).fits[None].selection_scores
        assert curve.accuracies[-1] == pytest.approx(selected)
        assert min(curve.accuracies) < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("selection", "n_networks", "n_seen"),
    [
        ("heldout", 1, [38]),
        ("resubstitution", 1, [48]),
        ("crossfit", 6, [38, 38, 38, 39, 39, 48]),
    ],
)
def test_every_selection_works(shapes, monkeypatch, selection, n_networks, n_seen):
    import penultimate.comparison.networks as shared_network

    seen = []

    def spy(network, X, *args, **kwargs):
        seen.append(len(X))
        return real(network, X, *args, **kwargs)

    real = shared_network.fit_network
    monkeypatch.setattr(shared_network, "fit_network", spy)
    methods = ["cnn-softmax", "cnn+svm-rbf", "pca+svm-rbf"]
    result = compare(
        *shapes, methods=methods, seeds=1, **TRAINED, protocol=Protocol(selection=selection)
    )
    assert sorted(seen) == n_seen
    assert len(seen) == n_networks
    assert result.protocol["selection"] == selection
    found = {check["id"] for check in result.checks}
    assert ("selection-on-training-samples" in found) == (selection == "resubstitution")
    assert result.accuracy("cnn+svm-rbf").value > 0.7
    for name in ("cnn+svm-rbf", "pca+svm-rbf"):
        score = result.method(name).fits[None].selection_scores[0]
        assert 0.4 <= score <= 1
    assert (result.method("cnn+svm-rbf").probabilities is None) == (selection == "resubstitution")


class Noting(DummyClassifier):
    """Records the samples that it is fitted on, and those that it then predicts."""

    asked = []

    def fit(self, X, y, sample_weight=None):
        self.seen = fingerprint(X.reshape(-1, 12, 12))
        return super().fit(X, y, sample_weight)

    def predict(self, X):
        self.asked.append((self.seen, fingerprint(X.reshape(-1, 12, 12))))
        return super().predict(X)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("selection", "n_networks"), [("heldout", 1), ("resubstitution", 1), ("crossfit", 6)]
)
def test_groups_are_respected_in_every_selection(shapes, monkeypatch, selection, n_networks):
    """No network and no head predicts a group that it was fitted on."""
    import penultimate.networks.training.fit as training

    X, y = shapes
    groups = np.arange(60) % 12
    prints = fingerprint(X)
    asked, networks, train = [], [], training.train
    monkeypatch.setattr(Noting, "asked", asked)
    noting = dataclasses.replace(
        METHODS["pca+svm-rbf"],
        make_head=lambda n_jobs, seed: GridSearchCV(
            Noting(), {"strategy": ["prior", "most_frequent"]}
        ),
        make_preprocessing=lambda n_samples, n_features: FunctionTransformer(),
        inspect=False,
    )
    monkeypatch.setitem(METHODS, "noting", noting)

    def spy(model, X, codes, validation, *args, **kwargs):
        networks.append((fingerprint(X), fingerprint(validation[0])))
        return train(model, X, codes, validation, *args, **kwargs)

    def groups_of(some):
        assert np.isin(some, prints).all()
        return set(groups[np.isin(prints, some)])

    monkeypatch.setattr(training, "train", spy)
    methods = ["cnn-softmax", "noting"]
    data = Dataset.from_arrays(X, y, groups=groups)
    protocol = Protocol(selection=selection)
    result = compare(data, methods=methods, seeds=1, protocol=protocol, **TRAINED)
    assert len(networks) == n_networks
    # Each setting on the selection part, or on each of five folds; then the test set.
    assert len(asked) == (3 if selection == "heldout" else 11)
    for seen, others in [*networks, *asked]:
        assert groups_of(seen)
        assert groups_of(others)
        assert not groups_of(seen) & groups_of(others)
    of_test = set(groups[result.test])
    assert groups_of(asked[-1][1]) == of_test
    of_development = set(groups) - of_test
    for seen, others in networks:
        assert groups_of(seen) | groups_of(others) <= of_development
    if selection == "crossfit":  # the network of each fold has not seen the fold
        unseen = [of_development - groups_of(np.concatenate(parts)) for parts in networks]
        assert sorted(group for some in unseen for group in some) == sorted(of_development)


def test_crossfit_without_folds_is_refused(shapes):
    X, y = shapes
    groups = np.where(y == "lying", np.arange(60) % 2, 2 + np.arange(60) % 7)
    data = Dataset.from_arrays(X, y, groups=groups, is_test=np.isin(groups, [1, 2]))
    with pytest.raises(ValueError, match="selection='crossfit' needs samples of each class in at"):
        compare(data, methods=["pca+svm-rbf"], seeds=1, protocol=Protocol(selection="crossfit"))


def test_split_that_a_later_seed_needs_fails_before_training(shapes, monkeypatch):
    import penultimate.comparison.networks as shared_network

    monkeypatch.setattr(shared_network, "fit_network", None)
    X, y = shapes
    # Three groups: one is for testing, one for selection, and none is left for validation.
    with pytest.raises(ValueError, match="There is 1 group to split"):
        compare(Dataset.from_arrays(X, y, groups=np.arange(60) % 3), seeds=3)


def test_groups_are_kept_whole(shapes):
    X, y = shapes
    groups = np.arange(60) % 15
    data = Dataset.from_arrays(X, y, groups=groups)
    result = compare(data, methods=["pca+svm-rbf"], seeds=1)
    development = np.setdiff1d(np.arange(60), result.test)
    assert not set(groups[result.test]) & set(groups[development])
    assert result.protocol["groups"]


def test_groups_added_to_a_dataset(shapes):
    data = Dataset.from_arrays(*shapes, name="bars").with_groups(np.arange(60) % 15)
    result = compare(data, methods=["pca+svm-rbf"], seeds=1)
    assert (result.dataset.name, result.protocol["groups"]) == ("bars", True)


def test_path(shapes, tmp_path):
    X, y = shapes
    np.savez(tmp_path / "bars.npz", X=X, y=y)
    result = compare(tmp_path / "bars.npz", methods=["pca+svm-rbf"], seeds=1)
    assert result.dataset.name == "bars"


def test_without_softmax_there_is_no_difference(shapes):
    result = compare(*shapes, methods=["pca+svm-rbf"], seeds=1)
    assert result.vs_softmax("pca+svm-rbf") is None
    assert result.features is None


def test_warnings_of_heads_become_checks(shapes, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    def hasty(n_jobs, seed):
        return GridSearchCV(LogisticRegression(max_iter=1), {"C": [1, 10]})

    monkeypatch.setitem(
        METHODS, "hasty", dataclasses.replace(METHODS["pca+svm-rbf"], make_head=hasty)
    )
    result = compare(*shapes, methods=["hasty"], seeds=2)
    (check,) = (check for check in result.checks if check["id"] == "fit-warning")
    assert check["level"] == "warning"
    assert "hasty: lbfgs failed to converge" in check["message"]


def test_progress(shapes):
    heard, scores = [], []

    class Listener(Progress):
        def update(self, step, done, total):
            heard.append(step)

        def scored(self, method, seed, accuracy):
            scores.append((method, seed))

        def tests_on(self, n_samples):
            scores.append(n_samples)

    compare(
        *shapes,
        methods=["cnn-softmax", "cnn+knn"],
        seeds=1,
        **TRAINED,
        verbose=Listener(),
    )
    assert list(dict.fromkeys(heard)) == ["train network", "extract features", "fit cnn+knn"]
    assert scores == [12, ("cnn-softmax", 0), ("cnn+knn", 0)]


@pytest.fixture(scope="module")
def by_subset(two_subsets, solved_networks):
    return compare(
        two_subsets,
        seeds=1,
        **TRAINED,
        protocol=Protocol(Holdout(by_group=False)),
        methods=[
            name
            for name, method in METHODS.items()
            if name not in ("cnn+rf", "cnn+knn", "cnn+svm-linear") and method.run != "on request"
        ],
    )


@pytest.mark.slow
def test_methods_that_are_given_the_subset_predict_only_its_classes(by_subset):
    assert by_subset.subsets == ["bright", "dark"]
    true = by_subset.dataset.labels[by_subset.test]
    knows = {method.name for method in by_subset.methods if method.knows_subset}
    routed = {"cnn+svm-rbf-routed", "cnn+svm-rbf-head-routed"}
    assert knows == set(by_subset.names()) - {"cnn-softmax", *routed}
    for name in knows:
        # Classes 0 and 1 are bright, 2 and 3 dark.
        np.testing.assert_array_equal(by_subset.method(name).predictions // 2, [true // 2])
    assert by_subset.accuracy("cnn+svm-rbf", "dark").value > 0.8


def test_masked_softmax_is_the_same_network_among_fewer_classes(by_subset):
    """Where the network's own choice is in the subset, masking changes nothing."""
    plain = by_subset.method("cnn-softmax").predictions
    masked = by_subset.method("cnn-softmax-masked").predictions
    inside = plain // 2 == by_subset.dataset.labels[by_subset.test] // 2
    np.testing.assert_array_equal(plain[inside], masked[inside])
    assert by_subset.accuracy("cnn-softmax-masked").value >= by_subset.accuracy("cnn-softmax").value


@pytest.mark.parametrize("router", ["routed", "head-routed"])
def test_routed_specialists_are_the_same_where_the_route_is_right(by_subset, router):
    known = by_subset.method("cnn+svm-rbf").predictions
    routed = by_subset.method(f"cnn+svm-rbf-{router}").predictions
    right_way = routed // 2 == known // 2
    assert right_way.mean() > 0.7
    np.testing.assert_array_equal(known[right_way], routed[right_way])


def test_a_router_may_leave_a_subset_without_samples(two_subsets, monkeypatch):
    import penultimate.comparison.run as running

    everything = np.arange(24)
    monkeypatch.setattr(running, "route", lambda *_: ([everything, everything[:0]], (), None))
    result = compare(
        two_subsets,
        methods=["cnn+svm-rbf-routed"],
        seeds=1,
        **TRAINED,
        protocol=Protocol(Holdout(by_group=False)),
    )
    assert set(result.methods[0].predictions[0] // 2) == {0}


def test_the_accuracy_of_a_subset_is_that_of_its_samples(by_subset):
    both = [by_subset.correct("cnn+logistic", name) for name in by_subset.subsets]
    assert sum(part.shape[1] for part in both) == len(by_subset.test)
    assert np.hstack(both).mean() == by_subset.accuracy("cnn+logistic").value
    assert by_subset.baseline("cnn+logistic") == "cnn-softmax-masked"
    assert by_subset.baseline("cnn+svm-rbf-routed") == "cnn-softmax"
    with pytest.raises(KeyError, match="'cnn' was not compared"):
        by_subset.accuracy("cnn")


def test_every_split_is_another_one_and_keeps_its_kind(two_subsets):
    holdouts = [Holdout(by_group=False), Holdout(by_group=True), Holdout(by_group=True, seed=1)]
    by_subset = compare(two_subsets, seeds=2, protocol=Protocol(holdouts), methods=["pca+svm-rbf"])
    splits = [by_subset, *by_subset.others]
    assert [c.protocol["groups"] for c in splits] == [False, True, True]
    assert [c.seeds for c in splits] == [[0, 1], [0], [0]]
    assert len({tuple(c.test) for c in splits}) == 3
    groups = by_subset.others[0].dataset.groups
    for comparison in by_subset.others:
        development = np.setdiff1d(np.arange(120), comparison.test)
        assert not set(groups[development]) & set(groups[comparison.test])


@pytest.mark.slow
def test_specialists_never_see_test_samples_of_any_subset(two_subsets):
    """Swapping the test labels of both subsets changes nothing that is fitted."""
    test = split_test(two_subsets.labels).held_out
    turned = two_subsets.labels.copy()
    turned[test] ^= 1
    is_test = np.isin(np.arange(120), test)
    right, wrong = (
        compare(
            dataclasses.replace(two_subsets, labels=labels, is_test=is_test, groups=None),
            methods=["cnn-softmax-masked", "cnn+svm-rbf", "cnn-scratch", "pca+svm-rbf"],
            seeds=1,
            **TRAINED,
        )
        for labels in (two_subsets.labels, turned)
    )
    for one, two in zip(right.methods, wrong.methods, strict=True):
        np.testing.assert_array_equal(one.predictions, two.predictions)
        assert {k: log.params for k, log in one.fits.items()} == {
            k: log.params for k, log in two.fits.items()
        }


def test_the_subsets_of_a_dataset_decide(shapes):
    X, y = shapes
    four = np.array([f"{label} {k % 2}" for k, label in enumerate(y)])
    subsets = {"a": ["lying 0", "standing 0"], "b": ["lying 1", "standing 1"]}
    data = Dataset.from_arrays(X, four)
    for given in (data.with_subsets(subsets), Dataset.from_arrays(X, four, subsets=subsets)):
        result = compare(given, methods=["pca+svm-rbf"], seeds=1)
        assert result.subsets == ["a", "b"]
        assert result.vs_softmax("pca+svm-rbf") is None
    assert not compare(given.with_subsets(None), methods=["pca+svm-rbf"], seeds=1).subsets


def test_subset_without_a_test_sample(two_subsets):
    is_test = (two_subsets.labels < 2) & (np.arange(120) % 3 == 0)
    data = dataclasses.replace(two_subsets, is_test=is_test, groups=None)
    with pytest.raises(ValueError, match="No sample of the subset 'dark' is in the test set"):
        compare(data)


def test_frozen_network_by_subset(two_subsets):
    network = build_network("compact", (12, 12, 1), 4)
    record(network, [])
    methods = ["cnn-softmax-masked", "cnn+svm-linear", "cnn+svm-rbf-routed"]
    result = compare(two_subsets, network=network, seeds=1, methods=methods)
    for method in result.methods:
        assert set(method.fits) == {"bright", "dark"}
    assert result.baseline("cnn+svm-linear") == "cnn-softmax-masked"
    with pytest.raises(ValueError, match="'cnn-scratch' needs a network that is trained here"):
        compare(two_subsets, network=network, methods=["cnn-scratch"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ["cnn+svm"]}, "'methods' parameter of compare must be one of 'cnn-softmax'"),
        ({"methods": []}, "methods is empty"),
        ({"seeds": 0}, "'seeds' parameter of compare"),
        ({"n_jobs": 0}, "'n_jobs' parameter of compare"),
        ({"seeds": [1, 1]}, "different integers"),
        ({"seeds": [-1]}, "'seeds' parameter"),
        ({"protocol": Protocol(Holdout(test_size=1.0))}, "'test_size' parameter of Holdout"),
        ({"protocol": Protocol([])}, "holdout is empty"),
        ({"protocol": Protocol(Holdout(by_group=True))}, "needs groups, and the data has none"),
        ({"protocol": Protocol(selection="best")}, "'selection' parameter of Protocol"),
        ({"protocol": Protocol(on_leak="stop")}, "'on_leak' parameter of Protocol"),
        ({"methods": ["cnn-softmax-masked"]}, "is for comparisons by subset"),
        ({"network": "vgg"}, "'network' parameter"),
        ({"training": Training(epochs=0)}, "'epochs' parameter of Training"),
    ],
)
def test_bad_parameters_fail_before_anything_is_trained(shapes, monkeypatch, arguments, message):
    import penultimate.comparison.fit as fits
    import penultimate.networks.training.fit as training

    # Any attempt to fit something then fails, but not with a ValueError.
    monkeypatch.setattr(training, "train", None)
    for name in ("fit_layers", "fit_crossfit"):
        monkeypatch.setattr(fits, name, None)
    with pytest.raises(ValueError, match=message):
        compare(*shapes, **arguments)


def test_bad_data(shapes, tmp_path):
    X, y = shapes
    with pytest.raises(ValueError, match="y is missing"):
        compare(X)
    with pytest.raises(ValueError, match="y must be None if .data. is a path"):
        compare(tmp_path, y)
    few = np.array(["lying"] * 59 + ["standing"])
    with pytest.raises(ValueError, match="class 'standing' has 1 sample; at least 5"):
        compare(X, few)


MARGINS = ["cnn-hinge", "cnn-squared-hinge", "cnn-crammer-singer", "cnn-weston-watkins"]


@pytest.mark.slow
def test_margin_losses_on_request_start_from_the_same_weights(shapes, monkeypatch, tmp_path):
    import penultimate.networks.training.fit as training

    def spy(model, *args, **kwargs):
        first_weights.append(model.get_weights())
        losses.append(kwargs["loss"])
        return real(model, *args, **kwargs)

    first_weights, losses, real = [], [], training.train
    monkeypatch.setattr(training, "train", spy)
    methods = ["cnn-softmax", *MARGINS]
    result = compare(*shapes, methods=methods, seeds=1, **TRAINED, checkpoints=tmp_path / "runs")
    assert result.names() == methods
    assert [type(loss).__name__ for loss in losses] == [
        "NoneType", "OneVsRestHinge", "OneVsRestHinge", "CrammerSinger", "WestonWatkins",
    ]  # fmt: skip
    assert [getattr(loss, "squared", None) for loss in losses] == [None, False, True, False, False]
    for weights in first_weights[1:]:
        for one, two in zip(first_weights[0], weights, strict=True):
            np.testing.assert_array_equal(one, two)
    for name in methods:
        assert result.accuracy(name).value > 0.8
        assert result.method(name).fits[None].fit_seconds[0] > 0
    assert len(list((tmp_path / "runs").iterdir())) == 5  # each has its own checkpoint
    assert result.vs_softmax("cnn-hinge") is not None


@pytest.mark.slow
def test_random_features_on_request(shapes):
    result = compare(*shapes, methods=["cnn-softmax", "cnn+rff"], seeds=1, **TRAINED)
    assert result.accuracy("cnn+rff").value > 0.8
    fits = result.method("cnn+rff").fits[None]
    assert [params["network__gamma"] for params in fits.grids[0]["params"]] == pytest.approx(
        np.array([0.03, 0.1, 0.3]) / 16
    )


@pytest.mark.slow
def test_margin_losses_by_subset_classify_all_classes(two_subsets):
    result = compare(two_subsets, methods=["cnn-softmax", "cnn-hinge"], seeds=1, **TRAINED)
    assert list(result.method("cnn-hinge").fits) == [None]
    assert not result.method("cnn-hinge").knows_subset


def one_test_set(shapes):
    X, y = shapes
    yield "its own test set", {"data": X[:40], "y": y[:40], "test": (X[40:], y[40:])}
    is_test = np.arange(60) % 3 == 0
    yield "its own test set", {"data": Dataset.from_arrays(X, y, is_test=is_test)}
    yield "give each its own seed", {"data": X, "y": y, "same": True}


@pytest.mark.parametrize("number", range(3))
def test_a_test_set_is_not_counted_twice(shapes, number):
    """Its one difference would look like several that agree, with an interval of width 0."""
    words, given = list(one_test_set(shapes))[number]
    seeds = (0, 0) if given.pop("same", False) else (0, 1)
    splits = [Holdout(seed=seed, selection_size=size) for seed, size in zip(seeds, (0.2, 0.3))]
    with pytest.raises(ValueError, match=words):
        compare(**given, protocol=Protocol(splits), methods=["pca+svm-rbf"])


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"methods": "cnn-softmax"}, TypeError, "must be a list of names.*got 'cnn-softmax'"),
        ({"n_jobs": "two"}, TypeError, "'n_jobs' parameter of compare.*got 'two'"),
        ({"n_jobs": 0}, ValueError, "'n_jobs' parameter of compare must not be 0"),
        ({"protocol": Protocol(0.3)}, TypeError, r"such as Holdout\(test_size=0.3\).*got 0.3"),
        ({"protocol": Protocol([0.3])}, TypeError, "'holdout' parameter"),
        ({"protocol": Holdout()}, TypeError, "must be a Protocol"),
        ({"data": iter([1]), "y": [0]}, TypeError, "X is a generator or iterator"),
        ({"data": ["a.png", "b.png"], "y": [0, 1]}, TypeError, "X is a list of paths"),
    ],
)
def test_arguments_of_the_wrong_kind_say_so(shapes, given, error, words):
    X, y = shapes
    with pytest.raises(error, match=words):
        compare(**{"data": X, "y": y, **given})


def test_a_comparison_and_its_data_fit_a_screen(comparison):
    assert len(repr(comparison).splitlines()) < 20
    assert repr(comparison).startswith(f"<Comparison on {comparison.dataset.name}")
    assert "60 images of 12 x 12" in repr(comparison.dataset)


def test_checkpoints_in_the_place_of_a_file(shapes, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"The folder of checkpoints '.*file' is a file; choose"):
        compare(*shapes, checkpoints=tmp_path / "file")


@pytest.mark.slow
@pytest.mark.parametrize("selection", ["heldout", "crossfit"])
def test_heads_on_a_trained_network_select_their_layer(shapes, selection, monkeypatch):
    X, y = shapes
    # One training stands for those of all folds.
    trained = fit_network("compact", X[:30, ..., None], np.arange(30) % 2, QUICK)
    monkeypatch.setattr("penultimate.comparison.networks.fit_network", lambda *_, **__: trained)
    layers = ["penultimate", "flatten"]
    options = {"methods": ["cnn+svm-linear"], "seeds": 1, "protocol": Protocol(selection=selection)}
    result = compare(X, y, layer=layers, **options)
    log = result.method("cnn+svm-linear").fits[None]
    scores = {pair["layer"]: pair["score"] for pair in log.selected[0]["scores"]}
    assert list(scores) == layers
    assert log.selected[0]["layer"] == max(layers, key=scores.get)
    assert log.selection_scores == [scores[log.selected[0]["layer"]]]
    assert result.features["test"].shape == (12, 128)
    alone = compare(X, y, layer="flatten", **options)
    assert alone.method("cnn+svm-linear").fits[None].selection_scores == [scores["flatten"]]
    assert alone.features["test"].shape == (12, 6 * 6 * 32)


def test_a_misspelled_layer_is_found_before_the_training(shapes, monkeypatch):
    monkeypatch.setattr("penultimate.comparison.networks.fit_network", lambda *_, **__: 1 / 0)
    with pytest.raises(ValueError, match="'flaten'.*'flatten'"):
        compare(*shapes, methods=["cnn+svm-rbf"], layer=["penultimate", "flaten"])
