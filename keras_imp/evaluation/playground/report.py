"""The playground's table: what a model can do, beside baselines."""

import json
from typing import Any

from rich.table import Table
from rich.text import Text

from keras_imp.data import playground
from keras_imp.evaluation.playground.measures import Row


def with_baselines(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows as dicts, with chance and the linear baseline.

    Args:
        rows: From `measure`.

    Returns:
        JSON-ready rows; `linear` is None where there is no baseline.
    """
    known = json.loads((playground.FILES / "baselines.json").read_text("utf-8"))
    lines = []
    for row in rows:
        baseline = known.get(row.baseline, {})
        lines.append(
            {
                "task": row.objective,
                "what": row.what,
                "chance": baseline.get("chance", row.chance),
                "linear": baseline.get("linear"),
                "keras_imp": round(row.value, 4),
            }
        )
    return lines


def table(lines: list[dict[str, Any]]) -> Table:
    """The lines as a table for the terminal.

    Args:
        lines: From `with_baselines`.

    Returns:
        A rich table; a figure that beats the linear baseline is green, or
        one that beats chance where there is none.
    """
    result = Table(title="Test split, unseen concepts")
    for column in ("task", "what"):
        result.add_column(column)
    for column in ("chance", "linear", "keras-imp"):
        result.add_column(column, justify="right")
    for line in lines:
        linear = line["linear"]
        beaten = line["keras_imp"] > (linear or line["chance"])
        color = "green" if beaten else "yellow"
        result.add_row(
            # As text: in markup, brackets in a name would be lost.
            Text(line["task"]),
            Text(line["what"]),
            f"{line['chance']:.3f}",
            "-" if linear is None else f"{linear:.3f}",
            Text(f"{line['keras_imp']:.3f}", style=color),
        )
    return result
