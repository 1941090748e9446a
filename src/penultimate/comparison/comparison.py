"""What `compare` returns: an outcome that can be saved as a report."""

from dataclasses import dataclass
from pathlib import Path

from penultimate.report.files import write_report
from penultimate.results.outcome import Outcome


@dataclass
class Comparison(Outcome):  # noqa: D101  users know an outcome by this name
    __doc__ = Outcome.__doc__

    def save(self, folder: str | Path) -> Path:
        """Write ``report.html`` and ``results.json``, each whole or not at all.

        Parameters
        ----------
        folder : str or Path
            Made if need be. An earlier comparison there is replaced, and `test_uses` counts on
            from it if it was on the same test samples.

        Returns
        -------
        Path
            Of the report.

        Raises
        ------
        ValueError
            If the folder holds something that is no comparison.
        """
        return write_report(self, folder)
