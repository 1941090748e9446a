"""Intervals of accuracies and of their differences, and tests of significance."""
