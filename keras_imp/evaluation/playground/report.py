"""The playground's table: what a model can do, beside baselines."""

import json
from typing import Any

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


def _best_of(models: dict[str, dict[str, Any]] | None) -> float | None:
    return max(m["mean"] for m in models.values()) if models else None
