"""Named checks of an evaluation: what was found, why it matters, and what to do.

Each function looks for one mistake in its arguments and returns a `Check`, or None if it finds
nothing. `penultimate.compare` runs all of them; each can also be called on its own.
"""

from penultimate.evaluation.checks._check import ABOUT, Check
from penultimate.evaluation.checks.features import check_features, check_scaler, check_stable
from penultimate.evaluation.checks.labels import (
    check_balance,
    check_labels_form,
    check_labels_order,
    check_test_size,
)
from penultimate.evaluation.checks.samples import (
    check_duplicates,
    check_groups,
    check_same_training,
    check_seen,
)
from penultimate.evaluation.checks.selection import (
    check_grid,
    check_selection,
    check_selection_duplicates,
)
from penultimate.evaluation.checks.training import check_training

__all__ = [
    "ABOUT",
    "Check",
    "check_balance",
    "check_duplicates",
    "check_features",
    "check_grid",
    "check_groups",
    "check_labels_form",
    "check_labels_order",
    "check_same_training",
    "check_scaler",
    "check_seen",
    "check_selection",
    "check_selection_duplicates",
    "check_stable",
    "check_test_size",
    "check_training",
]
