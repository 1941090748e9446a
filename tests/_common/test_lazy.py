import sys

import pytest


def test_names_of_the_stub_load_from_where_it_imports_them(tmp_path, monkeypatch):
    """Whatever a stub lists is public, under the name that it gives, and loads on first use."""
    package = tmp_path / "made_lazy"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from penultimate._common.lazy import load_lazily\n"
        "version = '1'\n"
        "__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)\n"
    )
    (package / "__init__.pyi").write_text(
        "from made_lazy.part import one as one\n"
        "from made_lazy.part import two as second\n"
        "version: str\n"
    )
    (package / "part.py").write_text("one, two, three = 1, 2, 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    import made_lazy

    assert "made_lazy.part" not in sys.modules
    assert (made_lazy.one, made_lazy.second) == (1, 2)
    assert made_lazy.__all__ == ["version", "one", "second"]
    assert dir(made_lazy) == ["one", "second", "version"]
    with pytest.raises(AttributeError, match="module 'made_lazy' has no attribute 'two'"):
        made_lazy.two  # noqa: B018
