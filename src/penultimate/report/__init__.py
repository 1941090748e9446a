"""The report of a comparison: a summary as a dict, rendered to one page."""

from penultimate._common.lazy import load_lazily

_WHERE = {
    "check_folder": "folder",
    "methods_paragraph": "methods_text",
    "summarize": "summary",
    "verdict": "verdicts",
    "write_report": "files",
}

__all__ = list(_WHERE)
# Lazy, so that the command line can check the output folder before it loads anything heavy.
__getattr__ = load_lazily(__name__, _WHERE)
