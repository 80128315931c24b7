"""The page of a run: its settings, its results and its plots."""

from pathlib import Path
from typing import Any

from keras_imp.evaluation import Figure, write_page
from keras_imp.evaluation.page import Part
from keras_imp.evaluation.playground.plots import PLOTS
from keras_imp.evaluation.run_report import score_table


def write_run_page(
    folder: Path,
    settings: dict[str, Any],
    lines: list[dict[str, Any]],
    plots: list[str],
) -> None:
    """Write `report.html` into the folder of a run.

    Args:
        folder: Folder of the run, with its plots.
        settings: What the run was started with, and what it took.
        lines: The lines of `results.json`.
        plots: Names of the plots to show, of `PLOTS`.
    """
    sections: dict[str, list[Part]] = {
        "Settings": [settings],
        "Results": [
            "On the test split, whose concepts are in no training data. The "
            "linear models are fitted on one task each.",
            score_table(lines),
        ],
    }
    for name in plots:
        about = PLOTS[name]
        plot = Figure(folder / name, about.caption)
        sections.setdefault(about.section, []).append(plot)
    write_page(folder / "report.html", "keras-imp: a playground run", sections)
