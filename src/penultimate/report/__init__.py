"""The report of a comparison: a summary as a dict, rendered to one page."""

from importlib import import_module
from typing import Any

_WHERE = {
    "check_folder": "folder",
    "methods_paragraph": "methods_text",
    "summarize": "summary",
    "verdict": "verdicts",
    "write_report": "files",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    # Lazy, so that the command line can check the output folder before it loads anything heavy.
    if name not in _WHERE:
        raise AttributeError(f"module 'penultimate.report' has no attribute {name!r}")
    return getattr(import_module(f"penultimate.report.{_WHERE[name]}"), name)
