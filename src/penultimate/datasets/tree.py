"""Folders as a user sees them: in natural order, without what the system left there."""

from dataclasses import dataclass, field
from pathlib import Path

from penultimate.datasets.dataset import natural_order
from penultimate.datasets.images import looks_like_image
from penultimate.datasets.leftovers import is_leftover


@dataclass
class Tree:
    """Folders as a user sees them, each looked into once; counts what is left out."""

    seen: dict[Path, list[Path]] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)

    def entries(self, folder: Path) -> list[Path]:
        """Return what is in a folder, in natural order, without leftovers of the system."""
        if folder not in self.seen:
            inside = list(folder.iterdir())
            self.leftovers += [entry.name for entry in inside if is_leftover(entry.name)]
            self.seen[folder] = natural_order(p for p in inside if not is_leftover(p.name))
        return self.seen[folder]

    def folders(self, folder: Path) -> list[Path]:
        """Return the folders in a folder, without reports of earlier comparisons."""
        return [p for p in self.entries(folder) if p.is_dir() and not _is_report(p)]

    def files(self, folder: Path) -> list[Path]:
        """Return what is no folder, links to nowhere included."""
        return [p for p in self.entries(folder) if not p.is_dir()]

    def images(self, folder: Path) -> list[Path]:
        """Return the files in a folder that are images, whatever they are called."""
        return [p for p in self.files(folder) if looks_like_image(p)]

    def unwrap(self, folder: Path, depth: int) -> Path:
        """Go down while a folder holds one folder alone, and that is no class (or subset)."""
        above = {folder.resolve()}
        while True:
            inside = self.folders(folder)
            if len(inside) != 1 or self.images(folder):
                return folder
            if inside[0].resolve() in above:  # a link that leads back
                return folder
            above.add(inside[0].resolve())
            below = self.folders(inside[0])
            if depth == 2:
                below = [sub for each in below for sub in self.folders(each)]
            if not below or self.images(inside[0]):
                return folder
            folder = inside[0]


def _is_report(folder: Path) -> bool:
    """Say whether a folder holds an earlier comparison, written beside the class folders."""
    return {p.name for p in folder.iterdir()} == {"report.html", "results.json"}
