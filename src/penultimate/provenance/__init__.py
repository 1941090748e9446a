"""Which samples a model has seen, and what follows for those that it is tested on."""

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
