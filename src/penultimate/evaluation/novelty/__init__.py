"""Novelty: recognizing samples of none of the known classes."""

from penultimate.evaluation.novelty.detector import NoveltyDetector

__all__ = ["NoveltyDetector"]
