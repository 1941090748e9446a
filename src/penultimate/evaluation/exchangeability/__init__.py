"""Exchangeability: noticing, as samples come in, that they are no longer as they were."""

from penultimate.evaluation.exchangeability.monitor import ExchangeabilityMonitor

__all__ = ["ExchangeabilityMonitor"]
