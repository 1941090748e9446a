"""Selective classification: which samples to reject, and what risk that guarantees."""
