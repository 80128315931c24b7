"""The page of a run on own data: data, results and plots."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_imp.evaluation import Figure, write_page
from keras_imp.evaluation.own_data import features, show
from keras_imp.evaluation.own_data.plots import Plot
from keras_imp.evaluation.own_data.recipe import DataRecipe
from keras_imp.evaluation.own_data.rows import TaskRows
from keras_imp.evaluation.page import Part
from keras_imp.evaluation.run_report import score_table

# Sentences on rows that are shown.
SHOWN = 30


def write_run_page(
    folder: Path,
    settings: dict[str, Any],
    recipe: DataRecipe,
    tasks: Mapping[str, TaskRows],
    lines: list[dict[str, Any]],
    plots: list[Plot],
) -> None:
    """Write `report.html` into the folder of a run.

    Args:
        folder: Folder of the run, with its plots.
        settings: What the run was started with, and what it took.
        recipe: All choices.
        tasks: Rows of all tasks.
        lines: The lines of `results.json`.
        plots: The plots to show.
    """
    told = [text for rows in tasks.values() for text in show.told_of(rows)]
    modalities = {name for rows in tasks.values() for name in rows.inputs}
    simple = "; ".join(
        f"{name}: {features.ABOUT[name]}" for name in sorted(modalities)
    )
    sections: dict[str, list[Part]] = {
        "Results": [
            "On the rows that are held out. The linear models are ridge "
            "regressions on simple features, each fitted on the training rows "
            f"of one task ({simple}); their strength is chosen on a fifth of "
            "these rows.",
            score_table(lines),
        ],
        "Data": [
            {name: _in_words(rows) for name, rows in tasks.items()},
            show.sizes_of(recipe),
            *told[:SHOWN],
        ],
    }
    for plot in plots:
        figure = Figure(folder / plot.file, plot.caption)
        sections.setdefault(plot.section, []).append(figure)
    sections["Settings"] = [settings]
    write_page(folder / "report.html", "keras-imp: a run on own data", sections)


def _in_words(rows: TaskRows) -> str:
    text = (
        f"{rows.kind} from {', '.join(rows.inputs)}; {rows.scan.rows:,} rows, "
        f"{len(rows.train):,} to train on, {len(rows.validation):,} held out"
    )
    reasons = show.reasons_of(rows)
    if reasons:
        text += f"; left out: {reasons}"
    later = len(rows.quarantine) - len(rows.scan.bad)
    if later:
        text += f"; found bad in training, and replaced: {later}"
    return text
