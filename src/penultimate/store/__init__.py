"""Features that were computed once, in files that outlive the process."""

from penultimate.store.feature_store import FeatureStore
from penultimate.store.hashes import content_hash, content_hashes
from penultimate.store.manifest import is_store

__all__ = ["FeatureStore", "content_hash", "content_hashes", "is_store"]
