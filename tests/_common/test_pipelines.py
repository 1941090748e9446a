import numpy as np
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penultimate import SVC
from penultimate._common.pipelines import ask_last_step


def test_the_last_step_gets_what_the_others_give():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), "passthrough", SVC()).fit(X, y)
    scaled, svc = pipeline[0].transform(X), pipeline[-1]
    np.testing.assert_array_equal(
        ask_last_step(pipeline, "class_margins", X), svc.class_margins(scaled)
    )
    np.testing.assert_array_equal(ask_last_step(pipeline, "predict", X), pipeline.predict(X))
    two = make_pipeline(pipeline[0], svc)
    np.testing.assert_array_equal(ask_last_step(two, "class_margins", X), svc.class_margins(scaled))
    alone = make_pipeline(svc)
    np.testing.assert_array_equal(
        ask_last_step(alone, "class_margins", scaled), svc.class_margins(scaled)
    )
