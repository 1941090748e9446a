"""The neural half: named networks, training, and features from any layer.

Importing this package does not load a deep-learning framework; using its functions does.
"""

from penultimate.networks.adapting import is_frozen, takes_pixels
from penultimate.networks.architectures import NETWORKS
from penultimate.networks.arguments import check_network
from penultimate.networks.building import build_network
from penultimate.networks.exporting import (
    ExportError,
    export_network,
    export_whole,
    exported,
)
from penultimate.networks.extraction import FeatureExtractor
from penultimate.networks.files import load_network, save_network
from penultimate.networks.frameworks.backend import is_keras_model, make_deterministic
from penultimate.networks.preprocessing import Preprocessing
from penultimate.networks.pretrained import (
    PRETRAINED,
    Pretrained,
    list_networks,
    pretrained_network,
)
from penultimate.networks.probabilities import predict_probabilities
from penultimate.networks.training.augmentation import Augmentation
from penultimate.networks.training.fit import fit_network, train, train_further
from penultimate.networks.training.recipe import History, Training

__all__ = [
    "NETWORKS",
    "PRETRAINED",
    "Augmentation",
    "ExportError",
    "FeatureExtractor",
    "History",
    "Preprocessing",
    "Pretrained",
    "Training",
    "build_network",
    "check_network",
    "export_network",
    "export_whole",
    "exported",
    "fit_network",
    "is_frozen",
    "is_keras_model",
    "list_networks",
    "load_network",
    "make_deterministic",
    "predict_probabilities",
    "pretrained_network",
    "save_network",
    "takes_pixels",
    "train",
    "train_further",
]
