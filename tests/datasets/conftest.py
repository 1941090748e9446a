from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def fill(folder: Path, n: int, value: int = 0) -> None:
    """Make a folder of n small images, each of another grey."""
    folder.mkdir(parents=True)
    for i in range(n):
        Image.fromarray(np.full((8, 8), value + i, np.uint8)).save(folder / f"{i}.png")


@pytest.fixture
def folders(tmp_path):
    """Two classes, named so that their natural order is not the alphabet's."""
    root = tmp_path / "photos"
    for name in ("10", "9"):
        fill(root / name, 5, int(name))
    return root


@pytest.fixture
def sets(tmp_path):
    """Two subsets, each with classes called 0 and 1; files named after two writers."""
    root = tmp_path / "letters"
    for k, name in enumerate(("vowels", "numerals")):
        for label in (0, 1):
            fill(root / name / str(label), 4, 100 * k + 10 * label)
            for file in sorted((root / name / str(label)).iterdir()):
                file.rename(file.with_name(f"w{int(file.stem) % 2}_{file.name}"))
    return root
