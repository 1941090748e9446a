"""Heads as graphs answer as they do in Python."""

import numpy as np
import onnxruntime
import pytest
from sklearn import svm
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC

from penultimate import SVC, StreamedSVC, SVCSearchCV
from penultimate.bundle.graph import ExportError, _pairs, build_graph
from penultimate.bundle.operators import check_graph
from penultimate.comparison.searches import OneThreadLogisticRegression
from penultimate.selection.normalization import make_normalization

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32)
FIT, NEW = slice(0, 500), slice(500, 1000)
# Words, so that a label is not its own position.
LABELS = {
    2: np.where(y % 2, "odd", "even"),
    10: np.array([f"digit {k}" for k in range(10)])[y],
    20: np.array([f"{k:02}" for k in range(20)])[2 * y + (X[:, 20] > 8)],
}


def answers(model, rows):
    graph = build_graph(model)
    content = graph.SerializeToString()
    check_graph(content)  # who opens a bundle takes it
    session = onnxruntime.InferenceSession(content)
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, {"features": rows})))


def assert_same(model, rows, tolerance=1e-5):
    found = answers(model, rows)
    np.testing.assert_array_equal(model.classes_[found.pop("label")], model.predict(rows))
    methods = {
        "scores": "decision_function",
        "margins": "class_margins",
        "probabilities": "predict_proba",
    }
    for name, values in found.items():
        if not hasattr(model, methods[name]):
            assert name == "margins"  # of a pipeline, which forwards only scikit-learn's methods
            continue
        expected = getattr(model, methods[name])(rows)
        if expected.ndim == 1:
            expected = np.column_stack([-expected, expected])
        assert np.abs(values - expected).max() <= tolerance * np.abs(expected).max()
    return set(found)


MACHINES = [
    SVC(),
    SVC(C=1e4, gamma=0.01, class_weight="balanced"),
    SVC(kernel="linear"),
    SVC(kernel="poly", coef0=1, degree=2),
    SVC(break_ties=True),
    svm.SVC(gamma=0.001),
    svm.SVC(kernel="linear"),
]


@pytest.mark.parametrize("n_classes", LABELS)
@pytest.mark.parametrize("machine", MACHINES, ids=str)
def test_machines_of_pairs(machine, n_classes):
    machine = machine.fit(X[FIT], LABELS[n_classes][FIT])
    expected = {"scores", "margins"} if isinstance(machine, SVC) else {"scores"}
    assert assert_same(machine, X[NEW]) == expected


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (StreamedSVC(), {"scores", "margins"}),
        (StreamedSVC(kernel="rbf", n_components=64), {"scores", "margins"}),
        (StreamedSVC(kernel="rbf", n_components=64, standardize=False), {"scores", "margins"}),
        (LinearSVC(), {"scores"}),
        (LogisticRegression(max_iter=20), {"scores", "probabilities"}),
        (OneThreadLogisticRegression(max_iter=20), {"scores", "probabilities"}),
        (SVCSearchCV(SVC(), {"C": [1.0]}, cv=2), {"scores", "margins"}),
        (GridSearchCV(SVC(), {"C": [1.0]}, cv=2), {"scores"}),
    ],
    ids=lambda value: "" if isinstance(value, set) else str(value),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_linear_heads_and_searches(head, expected, n_classes):
    head = head.fit(X[FIT], LABELS[n_classes][FIT])
    assert assert_same(head, X[NEW]) == expected


@pytest.mark.parametrize(
    "steps",
    [
        (StandardScaler(),),
        (StandardScaler(with_mean=False),),
        (make_normalization("l2"),),
        (make_normalization("sqrt-l2"),),
        (make_normalization(None),),
        (Normalizer("l1"),),
        (Normalizer("max"),),
        (MinMaxScaler((-1, 1), clip=True), PCA(10, whiten=True)),
        (MaxAbsScaler(clip=True), "passthrough", PCA(10)),
        (RobustScaler(),),
    ],
    # Not their text, in which functions have addresses that differ between processes.
    ids=lambda steps: "+".join(type(step).__name__ for step in steps),
)
def test_transformers(steps):
    rows = X[NEW].copy()
    rows[0] = 0  # has no length
    rows[1] *= 3  # is clipped
    assert_same(make_pipeline(*steps, SVC(C=10)).fit(X[FIT], y[FIT]), rows)


def test_a_pipeline_of_a_frozen_head():
    inner = make_pipeline(StandardScaler(), SVC()).fit(X[FIT], y[FIT])
    assert_same(make_pipeline(FrozenEstimator(inner)).fit(X[FIT], y[FIT]), X[NEW])


def test_features_far_from_zero_keep_their_digits():
    rng = np.random.default_rng(0)
    rows = (1000.3 + 0.01 * rng.normal(size=(300, 5))).astype(np.float32)
    labels = (rows.astype(float) - 1000.3).sum(axis=1) > 0
    for head in (SVC(), SVC(kernel="linear"), StreamedSVC(standardize=False)):
        model = make_pipeline(StandardScaler(), head).fit(rows, labels)
        assert_same(model, rows, 1e-4)
    assert_same(SVC(gamma=1e3).fit(rows, labels), rows, 1e-4)


def test_ties_go_to_the_class_that_svc_gives_them_to():
    # Both decisions of the middle are exactly 0, and every class wins one pair of the center.
    line = np.array([[-1.0], [1.0]], np.float32)
    assert_same(SVC(kernel="linear").fit(line, [0, 1]), np.zeros((1, 1), np.float32))
    corners = np.array([[-1, 0], [1, 0], [0, 1]], np.float32)
    for machine in (SVC(kernel="linear"), SVC(kernel="linear", break_ties=True)):
        machine.fit(corners, ["a", "b", "c"])
        assert_same(machine, np.array([[0, 0], [0, 0.5], [0, -9], [1e4, 1e4]], np.float32))
    # So far away that all kernel values are 0, and so is the intercept.
    machine = SVC(gamma=1.0).fit(line, [0, 1])
    assert_same(machine, np.array([[1e4]], np.float32))


def test_scores_are_per_class_or_absent():
    machine = SVC(decision_function_shape="ovo").fit(X[FIT], y[FIT])
    assert set(answers(machine, X[NEW])) == {"label", "margins"}


def test_large_coefficients_are_computed_in_double_precision():
    # Noise that is fitted exactly: coefficients of millions that nearly cancel.
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 3)).astype(np.float32)
    machine = SVC(C=1e7, gamma=0.01, max_iter=20_000)
    with pytest.warns(match="did not reach"):
        machine.fit(rows, rng.integers(0, 3, 120))
    assert not _pairs._float32_suffices(machine, _pairs.kernel_of(machine))
    assert_same(machine, rng.normal(size=(200, 3)).astype(np.float32))


def test_one_row_and_no_rows():
    graph = build_graph(SVC().fit(X[FIT], y[FIT]))
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    for n_rows in (0, 1):
        found = session.run(["label", "scores"], {"features": X[:n_rows]})
        assert [each.shape for each in found] == [(n_rows,), (n_rows, 10)]


def test_the_same_model_gives_the_same_bytes():
    machine = SVC().fit(X[FIT], y[FIT])
    first, second = build_graph(machine), build_graph(machine)
    assert first.SerializeToString() == second.SerializeToString()
    assert first.opset_import[0].version == 18


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (RandomForestClassifier(2), "RandomForestClassifier cannot be exported. These can: "),
        (KNeighborsClassifier(), "LogisticRegression, .*SVC, .*StreamedSVC"),
        (SVC(kernel="precomputed"), "kernel='precomputed' cannot be exported"),
        (svm.SVC(kernel="sigmoid"), "Use kernel='rbf', 'linear' or 'poly'"),
        (svm.SVC(), "gamma='scale' stood for"),
        (make_pipeline(FunctionTransformer(np.abs), SVC()), r"FunctionTransformer\(absolute\)"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_what_cannot_be_exported_is_refused_by_name(model, words):
    rows = X[:50] @ X[:50].T if "precomputed" in str(model) else X[:50]
    with pytest.raises(ExportError, match=words):
        build_graph(model.fit(rows, y[:50]))
