"""Networks trained with margin losses, as nodes.

The only classifiers whose module imports Keras. They are registered where one may be met, so that a
model without Keras is written, and taught, without it.
"""

import sys
from importlib import import_module
from typing import Any

_MODULE = "penultimate.classifiers.margin"


def is_margin_classifier(model: Any) -> bool:
    """Return whether a model is a `MarginClassifier`, without importing what makes one."""
    module = sys.modules.get(_MODULE)
    return module is not None and isinstance(model, module.MarginClassifier)


def register_margins() -> None:
    """Let `classify` know `MarginClassifier`, if one can have been made in this process."""
    if _MODULE in sys.modules:
        import_module("penultimate.bundle.graph._margin_classifier")
