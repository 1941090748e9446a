"""The report of a comparison: a summary as a dict, rendered to one page."""

from penultimate._common.lazy import load_lazily

# Lazy, so that the command line can check the output folder before it loads anything heavy.
__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)
