"""Figures about the shape of the code, for several versions side by side.

Each version is a git revision or a folder that contains ``src/penultimate``. Everything is read
with ast and tokenize; nothing is imported. Run it with: python tools/code_figures.py 4f4374b .
"""

import argparse
import ast
import io
import subprocess
import sys
import tarfile
import tempfile
import tokenize
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "penultimate"
# Rooms that had few comments, by the names they have had.
ROOMS = {
    "comparison": ("comparison", "comparison.py", "_run.py", "_plan.py", "_shared_network.py"),
    "svm": ("svm",),
    "networks": ("networks",),
}
_NOT_COMMENTS = ("# noqa", "# type:", "# fmt:", "# pragma")


def main() -> None:
    """Print a table with one column per version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="+", help="git revisions or folders")
    versions = parser.parse_args().versions
    with tempfile.TemporaryDirectory() as temporary:
        columns = [
            figures(_find(version, Path(temporary, str(number))))
            for number, version in enumerate(versions)
        ]
    print(f"| figure | {' | '.join(versions)} |")
    print(f"| --- |{' ---: |' * len(versions)}")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(column[name] for column in columns)} |")


def figures(source: Path) -> dict[str, str]:
    """Return the figures of one version, by name, from the folder of its package."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(source.rglob("*.py"))}
    nodes = [(path, node) for path, tree in trees.items() for node in ast.walk(tree)]
    classes = [(_lines_of(n), n.name) for _, n in nodes if isinstance(n, ast.ClassDef)]
    functions = [
        (len(_parameters(n)), n.name)
        for _, n in nodes
        if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    loose = [p for p in source.glob("*.py") if p.stem not in ("__init__", "__main__")]
    imports = _imports_by_module(source, trees)
    chain, rooms = _longest_chain(imports), _longest_chain(_by_room(imports))
    table = {
        "modules": str(len(trees)),
        "loose in the root": str(len(loose)),
        "longest import chain, modules": f"{len(chain)}",
        "longest import chain, rooms": f"{len(rooms)}",
        "largest class, lines without docstrings": "{} ({})".format(*max(classes)),
        "most parameters": "{} ({})".format(*max(functions)),
        "annotations that are Any": str(sum(_is_any(node) for _, node in nodes)),
    }
    for room, names in ROOMS.items():
        paths = [p for p in trees if p.relative_to(source).parts[0] in names]
        comments, code = (sum(counts) for counts in zip(*(_count_lines(p) for p in paths)))
        table[f"comment lines per 100 of code, {room}"] = f"{100 * comments / code:.1f}"
    for kind, names in (("modules", chain), ("rooms", rooms)):
        print(f"{source}, {kind}: {' > '.join(names)}", file=sys.stderr)
    return table


def _find(version: str, folder: Path) -> Path:
    """Return the package of a version, unpacking it first if it is a revision."""
    if (found := Path(version, "src", PACKAGE)).is_dir():
        return found
    packed = subprocess.run(
        ["git", "archive", version, "src"], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src" / PACKAGE


def _lines_of(node: ast.ClassDef) -> int:
    """Count the lines of a class, without the docstrings in it."""
    n_lines = (node.end_lineno or node.lineno) - node.lineno + 1
    for inner in ast.walk(node):
        if (docstring := _docstring(inner)) is not None:
            n_lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return n_lines


def _docstring(node: ast.AST) -> ast.Expr | None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
        first = node.body[0]
        assert isinstance(first, ast.Expr)
        return first
    return None


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [parameter for parameter in every if parameter.arg not in ("self", "cls")]


def _is_any(node: ast.AST) -> bool:
    """Return whether a node's annotation is `Any`, and thus says nothing of its type."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        annotation = node.returns
    else:
        annotation = getattr(node, "annotation", None)
    return isinstance(annotation, ast.Name) and annotation.id == "Any"


def _count_lines(path: Path) -> tuple[int, int]:
    """Count the lines with a comment and those with code; docstrings are neither."""
    text = path.read_text("utf-8")
    docstrings = {
        line
        for node in ast.walk(ast.parse(text))
        if (found := _docstring(node)) is not None
        for line in range(found.lineno, (found.end_lineno or found.lineno) + 1)
    }
    layout = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    comments, code = set(), set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if not token.string.startswith(_NOT_COMMENTS):
                comments.add(token.start[0])
        elif token.type not in layout:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(comments), len(code - docstrings)


def _imports_by_module(source: Path, trees: dict[Path, ast.Module]) -> dict[str, set[str]]:
    """Return what each module imports; a package's ``__init__`` is a module that ends in a dot."""
    packages = {_name_of(path, source) for path in trees if path.stem == "__init__"}
    modules = {_name_of(path, source): tree for path, tree in trees.items()}

    def marked(name: str) -> str:
        return f"{name}." if name in packages else name

    return {
        marked(name): {marked(each) for each in _imports(tree.body, modules)} - {marked(name)}
        for name, tree in modules.items()
    }


def _by_room(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return what each room imports: a folder below the package's, or a module beside these."""

    def room_of(name: str) -> str:
        return name.removeprefix(f"{PACKAGE}.").partition(".")[0] or f"{PACKAGE}."

    rooms: dict[str, set[str]] = {}
    for name, imported in imports.items():
        room = room_of(name)
        rooms.setdefault(room, set()).update(map(room_of, imported))
        rooms[room].discard(room)
    return rooms


def _longest_chain(imports: dict[str, set[str]]) -> list[str]:
    """Return the longest path of imports.

    Packages' ``__init__`` are passed through, but not listed: they only collect names.
    """
    chains: dict[str, list[str]] = {}

    def chain_of(name: str) -> list[str]:
        if name not in chains:
            chains[name] = [name]  # ends a circle, if there is one
            lower = [chain_of(each) for each in sorted(imports.get(name, ()))]
            own = [] if name.endswith(".") else [name]
            chains[name] = own + max(lower, key=len, default=[])
        return chains[name]

    return max((chain_of(name) for name in sorted(imports)), key=len)


def _name_of(path: Path, source: Path) -> str:
    parts = [PACKAGE, *path.relative_to(source).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(body: list[ast.stmt], modules: dict[str, ast.Module]) -> Iterator[str]:
    """Yield the modules that are imported when a module is; not those that functions import."""
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names if alias.name in modules)
        elif isinstance(statement, ast.ImportFrom) and statement.module in modules:
            inner = [f"{statement.module}.{alias.name}" for alias in statement.names]
            yield from ((name if name in modules else statement.module) for name in inner)
        elif isinstance(statement, (ast.Try, ast.With)):
            yield from _imports(statement.body, modules)


if __name__ == "__main__":
    main()
