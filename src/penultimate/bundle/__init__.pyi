from penultimate.bundle.archive import write_archive as write_archive
from penultimate.bundle.errors import BundleError as BundleError
from penultimate.bundle.loading import load as load
from penultimate.bundle.manifest import Manifest as Manifest
from penultimate.bundle.parts import describe_part as describe_part
from penultimate.bundle.predictions import Predictions as Predictions
from penultimate.bundle.predictor import Predictor as Predictor
from penultimate.bundle.writing import save as save
