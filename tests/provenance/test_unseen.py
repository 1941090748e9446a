"""What a network has seen counts wherever it sits in a classifier."""

import itertools
import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from penultimate import SVC, AbstainingClassifier, FeatureExtractor
from penultimate.evaluation import evaluate
from penultimate.networks import build_network
from penultimate.provenance import UnknownProvenanceWarning, record
from penultimate.provenance.records import holds_unknown_network

SEEDS = itertools.count(1)


def network_and_samples():
    # Networks of equal weights share what is recorded: every test draws its own.
    X = np.random.default_rng(0).integers(0, 256, (60, 8, 8)).astype(np.float32)
    return build_network("compact", (8, 8, 1), 2, seed=next(SEEDS)), X, np.arange(60) % 2


HOLDERS = {
    "pipeline": lambda net: make_pipeline(FeatureExtractor(net), SVC()),
    "frozen": lambda net: FrozenEstimator(make_pipeline(FeatureExtractor(net), SVC())),
    "calibrated": lambda net: CalibratedClassifierCV(
        make_pipeline(FeatureExtractor(net), SVC()), ensemble=False, cv=2
    ),
    "search": lambda net: GridSearchCV(
        Pipeline([("features", FeatureExtractor(net)), ("head", SVC())]), {"head__C": [1]}, cv=2
    ),
    "voting": lambda net: VotingClassifier([("a", make_pipeline(FeatureExtractor(net), SVC()))]),
    "union": lambda net: make_pipeline(FeatureUnion([("a", FeatureExtractor(net))]), SVC()),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("holder", HOLDERS)
def test_a_network_is_found_however_deep_it_sits(holder):
    network, X, y = network_and_samples()
    model = HOLDERS[holder](network)
    assert holds_unknown_network(model)
    if holder == "frozen":
        model.estimator.fit(X, y)
    else:
        model.fit(X, y)
    assert holds_unknown_network(model)
    record(network, [])
    assert not holds_unknown_network(model)
    assert not holds_unknown_network(make_pipeline(StandardScaler(), SVC()))


@pytest.mark.slow
@pytest.mark.parametrize("holder", ["pipeline", "frozen"])
def test_what_nobody_recorded_is_warned_of_wherever_a_figure_depends_on_it(holder):
    network, X, y = network_and_samples()
    model = HOLDERS[holder](network)
    fitted = model.estimator.fit(X, y) if holder == "frozen" else model.fit(X, y)
    with pytest.warns(UnknownProvenanceWarning, match="the guarantee does not hold"):
        AbstainingClassifier(model, coverage=0.9).fit(X, y)
    with pytest.warns(UnknownProvenanceWarning, match="this accuracy is too good"):
        evaluate(fitted, X, y)
    record(network, [])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnknownProvenanceWarning)
        AbstainingClassifier(model, coverage=0.9).fit(X, y)
        evaluate(fitted, X, y)
