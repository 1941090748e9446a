"""Draw the rooms of the package, layer by layer, and the imports between them.

The layers are those of the import contract in ``pyproject.toml``, which CI checks; the imports are
read from the sources. An import is left out where others lead to the same room by a longer way.
Run it with: python tools/draw_layers.py [--out docs/images/layers.svg]
"""

import argparse
import ast
import tomllib
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "penultimate"
_WIDTH, _HEIGHT = 1.9, 0.62  # of a room's box; rows are one unit apart
_INK, _LINE, _FILL = "#1f2937", "#94a3b8", "#eef2f7"


def main() -> None:
    """Draw the picture into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "layers.svg")
    out = parser.parse_args().out
    figure = draw(read_layers(), find_imports())
    # Without a date and random ids, the same code gives the same file.
    figure.savefig(out, metadata={"Date": None}, bbox_inches="tight", dpi=150)
    print(out)


def read_layers() -> list[list[str]]:
    """Return the rooms of each layer, the highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


def find_imports() -> set[tuple[str, str]]:
    """Return the pairs of rooms of which the first imports the second, without detours."""
    below: dict[str, set[str]] = {}
    for path in SOURCE.glob("*/**/*.py"):
        room = path.relative_to(SOURCE).parts[0]
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("penultimate."):
                below.setdefault(room, set()).add(str(node.module).split(".")[1])

    def reached(room: str) -> set[str]:
        direct = below.get(room, set()) - {room}
        return direct.union(*(reached(lower) for lower in direct))

    return {
        (room, lower)
        for room, direct in below.items()
        for lower in direct - {room}
        if not any(lower in reached(other) for other in direct - {room, lower})
    }


def draw(layers: list[list[str]], imports: set[tuple[str, str]]) -> Figure:
    """Draw each room as a box, and each import between rooms as a line downwards."""
    figure = Figure(figsize=(9, 1 * len(layers)))
    axes = figure.subplots()
    center = {
        room: ((place - (len(rooms) - 1) / 2) * 2.6, -row)
        for row, rooms in enumerate(layers)
        for place, room in enumerate(rooms)
    }
    for upper, lower in sorted(imports):
        (x1, y1), (x2, y2) = center[upper], center[lower]
        axes.annotate(
            "",
            xy=(x2 + 0.25 * (x1 - x2) / 2.6, y2 + _HEIGHT / 2),
            xytext=(x1 - 0.25 * (x1 - x2) / 2.6, y1 - _HEIGHT / 2),
            arrowprops={"arrowstyle": "-|>", "color": _LINE, "linewidth": 1.4},
        )
    for room, (x, y) in center.items():
        n_modules = len(list((SOURCE / room).rglob("*.py")))
        axes.add_patch(
            FancyBboxPatch(
                (x - _WIDTH / 2, y - _HEIGHT / 2),
                _WIDTH,
                _HEIGHT,
                boxstyle="round,pad=0.02",
                facecolor=_FILL,
                edgecolor=_INK,
                linewidth=1.1,
                zorder=3,
            )
        )
        axes.text(x, y + 0.08, room, ha="center", va="center", fontsize=11, color=_INK, zorder=4)
        words = f"{n_modules} module{'s' * (n_modules > 1)}"
        axes.text(x, y - 0.17, words, ha="center", va="center", fontsize=8, color=_INK, zorder=4)
    axes.set_xlim(-5.2, 5.2)
    axes.set_ylim(-len(layers) + 0.5, 0.5)
    axes.axis("off")
    return figure


if __name__ == "__main__":
    main()
