"""Features in the place of images: the same comparison, with a logistic head as the baseline."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from sklearn.decomposition import PCA

from penultimate import SVC, Dataset, Protocol, Training, compare
from penultimate.comparison import FEATURE_METHODS, METHODS, Method
from penultimate.store import FeatureStore, content_hashes

OWN = METHODS["cnn+logistic"]


def blobs(n=240, n_features=24, n_classes=3, seed=0):
    """Three classes that overlap a little."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    X = rng.normal(size=(n, n_features))
    X[np.arange(n), y] += 3
    return X, np.array(["cat", "dog", "owl"])[y]


X, Y = blobs()


@pytest.fixture(scope="module")
def compared():
    return compare(X, Y, seeds=2, verbose=0)


def test_an_open_store_has_its_own_labels(tmp_path):
    hashes = content_hashes(X)
    with FeatureStore(tmp_path / "store", key="blobs") as store:
        store.append(hashes, X)
    with pytest.raises(ValueError, match="lists no samples with labels"):
        compare(store, verbose=0)
    store.write_samples(hashes, label=list(Y))
    chosen = {"methods": ["logistic", "svm-linear"], "seeds": 1, "verbose": 0}
    own, given = compare(store, **chosen), compare(store, Y, **chosen)
    assert own.dataset.classes == given.dataset.classes
    np.testing.assert_array_equal(own.methods[1].predictions, given.methods[1].predictions)


def test_an_open_store_says_itself_whether_damaged_parts_are_left_out(tmp_path):
    hashes = content_hashes(X)
    for half in (slice(0, 120), slice(120, 240)):
        with FeatureStore(tmp_path / "store", key="blobs") as store:
            store.append(hashes[half], X[half])
    store.write_samples(hashes, label=list(Y))
    (part, _) = sorted((tmp_path / "store" / "parts").iterdir())
    part.write_bytes(part.read_bytes() + b"!")
    chosen = {"methods": ["logistic", "svm-linear"], "seeds": 1, "verbose": 0}
    with pytest.warns(UserWarning, match="It was left out"):
        partly = FeatureStore(store.path, on_damage="skip")
    assert partly.damaged == [part]
    assert len(compare(partly, **chosen).dataset.labels) == 120
    part.unlink()
    with pytest.raises(ValueError, match=r"leave them out with FeatureStore\(path, on_damage="):
        compare(FeatureStore(store.path), **chosen)


def test_what_was_selected_is_printed():
    chosen = compare(X, Y, methods=["svm-linear"], normalization=["l2", None], seeds=1, verbose=0)
    assert "Note: Normalization, selected on held-out samples (" in str(chosen)


def test_all_heads_are_compared_with_a_logistic_one(compared):
    by_default = [name for name, method in FEATURE_METHODS.items() if method.run != "on request"]
    assert compared.names() == [name for name in by_default if "routed" not in name]
    assert compared.reference == compared.baseline("svm-rbf") == "logistic"
    assert compared.vs_softmax("svm-rbf") is not None
    assert compared.protocol["network"] is None
    assert all(compared.accuracy(name).value > 0.8 for name in compared.names())
    np.testing.assert_array_equal(compared.features["test"], X[compared.test])


def test_a_head_is_fitted_as_without_a_comparison(compared):
    """The answers are those of the selected head, fitted on all of development by hand."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from penultimate import SVC

    learned = np.delete(np.arange(len(X)), compared.test)
    result = compared.method("svm-rbf")
    for row, params in enumerate(result.fits[None].params):
        by_hand = make_pipeline(StandardScaler(), SVC(**params)).fit(X[learned], Y[learned])
        classes = np.array(compared.dataset.classes)
        np.testing.assert_array_equal(
            by_hand.predict(X[compared.test]), classes[result.predictions[row]]
        )


def test_what_computed_the_features_is_unknown_and_never_passed(compared):
    states = {state["id"]: state for state in compared.check_states}
    assert states["test-samples-seen"]["state"] == "unknown"
    assert "what computed the features" in states["test-samples-seen"]["why"]
    assert states["network-undertrained"]["state"] == "not applicable"


@pytest.mark.usefixtures("undrawn")
def test_the_report_speaks_of_samples(compared, tmp_path):
    page = compared.save(tmp_path / "report").read_text(encoding="utf-8")
    results = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    schema = files("penultimate.report").joinpath("results.schema.json").read_text()
    jsonschema.validate(results, json.loads(schema))
    assert results["dataset"]["unit"] == "sample"
    assert results["dataset"]["image_shape"] == [24]
    shown = page[page.index("<main>") : page.index("<dialog")]
    assert "test samples" in shown
    assert "of 24 features" in shown
    for text in (compared.answer, compared.verdict, str(compared)):
        assert "image" not in text
        assert "sample" in text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"network": "wide"}, "network"),
        ({"training": Training(epochs=3)}, "training"),
        ({"checkpoints": "states"}, "checkpoints"),
        ({"network": "wide", "training": Training()}, "network and training"),
    ],
)
def test_what_is_about_networks_is_refused(options, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"so that {named} would do nothing"):
        compare(X, Y, verbose=0, **options)


@pytest.mark.parametrize("name", ["cnn-softmax", "pca+svm-rbf", "cnn+svm-rbf"])
def test_methods_of_images_are_refused_by_name(name):
    with pytest.raises(ValueError, match="must be one of 'logistic', 'svm-rbf'"):
        compare(X, Y, methods=[name], verbose=0)


def test_methods_of_features_are_refused_on_images():
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    with pytest.raises(ValueError, match="must be one of 'cnn-softmax'"):
        compare(images, np.arange(60) % 2, methods=["svm-rbf"], verbose=0)


def test_a_method_of_ones_own(compared):
    from sklearn.naive_bayes import GaussianNB

    bayes = Method("features", lambda n_jobs, seed: GaussianNB())
    result = compare(X, Y, methods=["logistic", ("bayes", bayes)], seeds=1, verbose=0)
    assert result.accuracy("bayes").value > 0.8
    with pytest.raises(ValueError, match="'raw' needs images or a network"):
        compare(X, Y, methods=[("raw", Method("pixels", lambda n_jobs, seed: GaussianNB()))])


@pytest.mark.parametrize("selection", ["crossfit", "resubstitution"])
def test_every_selection(selection):
    result = compare(
        X, Y, methods=["svm-linear"], seeds=1, protocol=Protocol(selection=selection), verbose=0
    )
    assert result.accuracy("svm-linear").value > 0.8


def test_a_test_set_groups_and_subsets():
    held_out = blobs(60, seed=1)
    result = compare(X, Y, test=held_out, methods=["logistic"], seeds=1, verbose=0)
    assert result.test.tolist() == list(range(240, 300))
    more, labels = np.tile(X, (2, 1)), np.repeat(np.arange(2), 240)
    four = np.char.add(np.char.add(np.tile(Y, 2), "-"), labels.astype(str))
    data = Dataset.from_features(
        np.column_stack([more, 9.0 * labels]),
        four,
        groups=np.arange(480) // 4,
        subsets={str(k): [f"{name}-{k}" for name in ("cat", "dog", "owl")] for k in range(2)},
    )
    result = compare(data, seeds=1, verbose=0)
    assert result.names() == ["logistic", "svm-rbf", "svm-linear", "svm-rbf-head-routed"]
    groups = set(data.groups[result.test]) & set(np.delete(data.groups, result.test))
    assert not groups
    assert result.accuracy("svm-rbf-head-routed").value > 0.7


@pytest.mark.parametrize("name", ["X", "X_test"])
def test_rows_that_are_not_finite_are_those_of_the_array_given(name):
    parts = {"X": X.copy(), "X_test": X[:9].copy()}
    parts[name][5, 2] = np.nan
    with pytest.raises(ValueError, match=f"{name} must be finite.* first in row 5"):
        compare(parts["X"], Y, test=(parts["X_test"], Y[:9]), verbose=0)


@pytest.mark.parametrize("form", ["sparse", "list", "data frame", "text", "one-hot"])
def test_other_forms_of_features(form):
    pd = pytest.importorskip("pandas")
    from scipy import sparse

    if form in ("data frame", "list"):
        matrix = pd.DataFrame(X) if form == "data frame" else X.tolist()
        result = compare(matrix, Y, methods=["svm-linear"], seeds=1, verbose=0)
        assert result.accuracy("svm-linear").value > 0.8
        return
    given, labels, message = {
        "sparse": (sparse.csr_array(X), Y, r"toarray\(\)"),
        "text": (pd.DataFrame(X).assign(name="a"), Y, "must be numbers"),
        "one-hot": (X, np.eye(3)[np.arange(240) % 3], "one label per sample|one-hot"),
    }[form]
    with pytest.raises(ValueError, match=message):
        compare(given, labels, verbose=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            (X[:9, :5], Y[:9]),
            r"shape \(24,\) and X_test of shape \(5,\); compute the same features",
        ),
        ((X[0], "cat"), r"The test set is one sample, of shape \(24,\)"),
    ],
)
def test_a_test_set_of_another_form_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        compare(X, Y, test=wrong, verbose=0)


def test_one_row_is_too_few():
    with pytest.raises(ValueError, match="1 class"):
        compare(X[:1], Y[:1], verbose=0)


def test_one_image_is_still_one_image():
    with pytest.raises(ValueError, match=r"X\[None\]"):
        compare(np.zeros((28, 28), np.uint8), "cat", verbose=0)


def test_a_leak_between_the_parts_is_found():
    from penultimate.provenance import LeakageError

    with pytest.raises(LeakageError, match="3 of 10 test samples"):
        compare(X[:200], Y[:200], test=(X[197:207], Y[197:207]), verbose=0)


@pytest.mark.slow
def test_no_backend_is_loaded(tmp_path):
    np.savez(tmp_path / "pets.npz", X=X[:120], y=Y[:120])
    code = (
        "import sys\n"
        "from penultimate.cli.compare import app\n"
        f"app(['compare', {str(tmp_path / 'pets.npz')!r}, '--out', {str(tmp_path / 'out')!r}, "
        "'--seeds', '1', '--methods', 'svm-rbf'], standalone_mode=False)\n"
        "assert not {'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test samples" in done.stdout
    assert (tmp_path / "out" / "report.html").exists()


def directions():
    """Classes that differ in the direction of a sample, while its length says nothing."""
    rng = np.random.default_rng(0)
    lengths = np.exp(rng.normal(0, 2, (len(X), 1)))
    return (lengths * (X - X.mean(axis=0))).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("selection", ["heldout", "crossfit", "resubstitution"])
def test_every_head_selects_its_normalization(selection, tmp_path):
    from sklearn.preprocessing import FunctionTransformer

    # Unscaled, a logistic head takes long to converge.
    heads = ["logistic", "svm-linear"] if selection == "heldout" else ["svm-linear"]
    names = ["standardize", "l2"]
    mine = Method("features", lambda *_: SVC(), lambda *_: FunctionTransformer())
    result = compare(
        directions(),
        Y,
        methods=[*heads, ("mine", mine)],
        normalization=names,
        seeds=1,
        protocol=Protocol(selection=selection),
        verbose=0,
    )
    for name in heads:
        (selected,) = result.method(name).fits[None].selected
        assert [pair["normalization"] for pair in selected["scores"]] == names
        assert (selected["layer"], selected["normalization"]) == (None, "l2")
        score = max(pair["score"] for pair in selected["scores"])
        assert result.method(name).fits[None].selection_scores == [score]
        alone = compare(
            directions(),
            Y,
            methods=[name],
            normalization="l2",
            seeds=1,
            protocol=Protocol(selection=selection),
            verbose=0,
        )
        np.testing.assert_array_equal(
            alone.method(name).predictions, result.method(name).predictions
        )
    (own,) = result.method("mine").fits[None].selected
    assert own["normalization"] == "own"
    assert len(own["scores"]) <= 1
    said = {check["id"]: check["message"] for check in result.checks}["selected-features"]
    assert "svm-linear: l2 (standardize " in said
    assert "mine" not in said
    results = result.to_dict()
    schema = files("penultimate.report").joinpath("results.schema.json").read_text()
    jsonschema.validate(results, json.loads(schema))
    assert results["protocol"]["normalizations"] == names
    assert results["protocol"]["layers"] == []
    assert results["methods"][0]["selected"]["0"]["normalization"] == "l2"
    page = result.save(tmp_path / "report").read_text(encoding="utf-8")
    assert "svm-linear, features</dt><dd>seed 0: l2; selection accuracies: standardize " in page
    assert "The normalization of the features (standardization and scaling each sample" in page


def test_by_default_features_are_standardized(compared):
    for method in compared.methods:
        for selected in method.fits[None].selected:
            assert selected["normalization"] == "standardize"
            assert len(selected["scores"]) == 1
    assert "selected-features" not in {check["id"] for check in compared.checks}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalization": "L2"}, "'normalization' parameter of compare.*Did you mean 'l2'"),
        ({"normalization": []}, "at least one normalization"),
        ({"layer": ["flatten", "flatten"]}, "'layer' parameter of compare.*only once"),
        ({"layer": "flatten"}, "so that layer would do nothing"),
        (
            {"normalization": "l2", "methods": {"mine": replace(OWN, make_preprocessing=PCA)}},
            "normalization would do nothing: none of the methods",
        ),
    ],
)
def test_bad_layers_and_normalizations(options, message):
    with pytest.raises(ValueError, match=message):
        compare(X, Y, verbose=0, **options)
