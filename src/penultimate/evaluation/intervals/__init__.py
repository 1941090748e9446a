"""Confidence intervals of accuracies and their differences, and significance tests."""
