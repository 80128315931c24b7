"""A plan as text: its table and its position rows."""

import itertools
from collections.abc import Mapping
from typing import Any

HEADER = (
    "task",
    "shape",
    "tokens",
    "drop",
    "kept",
    "batch",
    "tokens/step",
    "GFLOPs",
    "share",
)
# More separate runs of rows than this are only counted.
MOST_RUNS = 6


def table(rows: list[list[str]]) -> list[str]:
    """Lines of a plan's table, the first two columns to the left.

    Args:
        rows: Cells, one for each of `HEADER`.

    Returns:
        The lines.
    """
    widths = [max(map(len, column)) for column in zip(HEADER, *rows)]
    lines = [HEADER, ["-" * width for width in widths], *rows]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    ]


def rows_text(rows: Mapping[str, Any]) -> str:
    """Row numbers by axis, as short as they can be told.

    Args:
        rows: Ascending numbers by axis.

    Returns:
        Runs as "3-7", many in equal steps as "0, 2, ..., 14", many others as
        "24 rows of 1-31".

    Example:
        >>> from keras_imp.data.shapes.plan_text import rows_text
        >>> rows_text({"frames": [0, 1, 2, 7], "height": range(0, 12, 2)})
        'frames 0-2, 7; height 0, 2, ..., 10'
    """
    return "; ".join(f"{axis} {_ranges(own)}" for axis, own in rows.items())


def _ranges(rows: Any) -> str:
    rows = [int(row) for row in rows]
    steps = {b - a for a, b in itertools.pairwise(rows)}
    if len(rows) > 4 and len(steps) == 1 and steps != {1}:
        return f"{rows[0]}, {rows[1]}, ..., {rows[-1]}"
    runs: list[list[int]] = []
    for row in rows:
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    if len(runs) > MOST_RUNS:
        return f"{len(rows)} rows of {rows[0]}-{rows[-1]}"
    return ", ".join(
        str(first) if first == last else f"{first}-{last}"
        for first, last in runs
    )
