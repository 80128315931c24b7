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
        JSON-ready rows. `linear` is the linear model's figure, `keras` the
        better one of a plain convolutional network and a plain Transformer,
        each on a task of its own; None where there is none.
    """
    known = json.loads((playground.FILES / "baselines.json").read_text("utf-8"))
    lines = []
    for row in rows:
        baseline = known.get(row.baseline, {})
        lines.append(
            {
                "task": row.objective,
                "what": row.what,
                # The most frequent class of the training data may not occur.
                "chance": baseline.get("chance") or row.chance,
                "linear": baseline.get("linear"),
                "keras": _best_of(baseline.get("keras")),
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
    for column in ("chance", "linear", "plain Keras", "keras-imp"):
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
            _shown(linear),
            _shown(line["keras"]),
            Text(f"{line['keras_imp']:.3f}", style=color),
        )
    return result


def _best_of(models: dict[str, dict[str, Any]] | None) -> float | None:
    return max(m["mean"] for m in models.values()) if models else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
