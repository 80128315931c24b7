"""Rows of `features.jsonl`, and statistics of them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

FLAG = "flag_"
# Buckets of a histogram, so that the first and the last one end at the 1st and
# the 99th percent.
QUANTILES = 100
MOST_CLASSES = 1000


def read_rows(
    lines: Iterable[str],
) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Kind, part, group and features of rows that can be used.

    One that cannot has no features, and would be an anomaly of each.

    Args:
        lines: Lines of `features.jsonl`.

    Yields:
        What a row has; features and flags as lists of one or more values.
    """
    for line in lines:
        record = json.loads(line)
        if record["flags"].pop("unreadable"):
            continue
        features = {}
        for name, value in record["features"].items():
            features[name] = value if isinstance(value, list) else [value]
        for name, value in record["flags"].items():
            features[FLAG + name] = [value]
        yield record["kind"], record["part"], record["group"], features


def options(tfdv: Any) -> Any:
    """How statistics are made, everywhere alike."""
    return tfdv.StatsOptions(
        num_quantiles_histogram_buckets=QUANTILES,
        num_rank_histogram_buckets=MOST_CLASSES,
    )


def statistics(tfdv: Any, rows: list[dict[str, Any]]) -> Any:
    """Statistics of rows in memory.

    Args:
        tfdv: The module.
        rows: Features, as lists.

    Returns:
        A message with one data set.
    """
    import pandas as pd

    names = sorted({name for row in rows for name in row})
    # Lists, and None where there is no value: pandas would turn integers with
    # a gap into floats.
    columns = {name: [row.get(name) for row in rows] for name in names}
    return tfdv.generate_statistics_from_dataframe(
        pd.DataFrame(columns, dtype=object), options(tfdv), n_jobs=1
    )


def without_flags(row: dict[str, Any]) -> dict[str, Any]:
    """The features of a row that are no flags.

    Args:
        row: Its features.

    Returns:
        The others.

    Example:
        >>> from keras_imp.validation.tfdv.tfdv_rows import without_flags
        >>> without_flags({"label": ["a"], "flag_blank": [0]})
        {'label': ['a']}
    """
    return {k: v for k, v in row.items() if not k.startswith(FLAG)}
