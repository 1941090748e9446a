"""scikit-learn's callbacks on a classifier with a network."""

import numpy as np
import pytest

from penultimate import SVC, DeepSVC, SVCSearchCV, Training

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.8 has no callbacks")

pytestmark = pytest.mark.usefixtures("solved_networks")
TRAINING = Training(epochs=3, augmentation=None)


class Recorder:
    """Records the tasks that begin and end, those of the head included."""

    max_propagation_depth = None

    def __init__(self):
        self.begun, self.ended, self.fitted = [], [], None

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.ended.append(context.task_name)
        self.fitted = fitted_estimator


def fit(shapes, callback, **params):
    X, y = shapes
    model = DeepSVC(training=TRAINING, random_state=0, **params).set_callbacks(callback)
    return model.fit(X, y)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("selection", "n_networks"), [("heldout", 1), ("resubstitution", 1), ("crossfit", 6)]
)
def test_every_network_and_epoch_is_reported(shapes, selection, n_networks):
    recorder = Recorder()
    fit(shapes, recorder, head=SVC(), selection=selection)
    assert recorder.begun.count("train-network") == n_networks
    assert recorder.begun.count("epoch") == 3 * n_networks
    assert sorted(recorder.begun) == sorted(recorder.ended)


@pytest.mark.slow
def test_the_search_of_the_head_is_a_part_of_the_fit(shapes):
    recorder = Recorder()
    search = SVCSearchCV(param_grid={"C": [1, 10]})
    model = fit(shapes, recorder, head=search, layer=["penultimate", "flatten"])
    assert recorder.begun[:3] == ["fit", "train-network", "epoch"]
    # Two settings on one split, for each layer.
    assert recorder.begun.count("candidate-split-evaluation") == 4
    assert recorder.ended[-1] == "fit"
    assert sorted(recorder.begun) == sorted(recorder.ended)
    np.testing.assert_array_equal(recorder.fitted.predict(shapes[0]), model.predict(shapes[0]))


def test_progress_bar(shapes, capsys):
    fit(shapes, callback.ProgressBar(), head=SVCSearchCV(param_grid={"C": [1, 10]}))
    shown = capsys.readouterr().out
    assert "train-network" in shown
    assert "SVCSearchCV" in shown
