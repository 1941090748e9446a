"""Provenance: which samples a model was trained on, and detection of data leakage."""

from penultimate.provenance.fingerprints import fingerprint
from penultimate.provenance.leakage import LeakageError, LeakageWarning, UnknownProvenanceWarning
from penultimate.provenance.records import Provenance, provenance_of, record, set_provenance

__all__ = [
    "LeakageError",
    "LeakageWarning",
    "Provenance",
    "UnknownProvenanceWarning",
    "fingerprint",
    "provenance_of",
    "record",
    "set_provenance",
]
