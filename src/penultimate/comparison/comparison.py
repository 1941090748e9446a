"""What `compare` returns: an outcome that speaks for itself, and can be saved as a report."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from penultimate.comparison.plots import Plots
from penultimate.networks.frameworks.frozen import ExportError
from penultimate.report.files import write_report
from penultimate.report.notebook import render_notebook
from penultimate.results.outcome import Outcome
from penultimate.results.statements import Statements
from penultimate.results.tables import Exports

MODELS = "models"  # the folder of kept models in that of a report


@dataclass(repr=False)
class Comparison(Statements, Exports, Plots):  # noqa: D101  users know an outcome by this name
    __doc__ = Outcome.__doc__

    def save(self, folder: str | Path) -> Path:
        """Write the report and its data, each file completely or not at all.

        ``report.html``, ``results.json``, ``predictions.csv`` (every answer, one row per test
        image) and ``errors.csv`` (the wrong ones, one row each). Models that were kept are written
        into ``models``, one file each.

        Parameters
        ----------
        folder : str or Path
            Created if needed. An earlier comparison there is replaced; if it used the same test
            samples, `test_uses` continues its count.

        Returns
        -------
        Path
            Path of the report.

        Raises
        ------
        ValueError
            If the folder contains something other than a comparison.

        Warns
        -----
        UserWarning
            If a model that was kept cannot be written, such as a forest.
        """
        report = write_report(self, folder)
        for name, kept in self.models.items():
            models = Path(folder, MODELS)
            models.mkdir(exist_ok=True)
            try:
                kept.save(models / f"{name}.zip")
            except ExportError as error:
                warnings.warn(f"{name} was not kept as a file: {error}", stacklevel=2)
        return report

    def _repr_html_(self) -> str:
        return render_notebook(self)
