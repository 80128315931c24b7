"""Rows of `features.jsonl`, and statistics of them."""

import json
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

FLAG = "flag_"
# Buckets of a histogram, so that the first and the last one end at the 1st and
# the 99th percent.
QUANTILES = 100
MOST_CLASSES = 1000
# Rows that are named for an anomaly.
MOST_NAMED = 12


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


class Sample:
    """Rows that are kept of many: random ones, each as likely.

    Args:
        most: How many to keep.

    Attributes:
        rows: Those that are kept.
        seen: How many there were.

    Example:
        >>> from keras_imp.validation.tfdv.tfdv_rows import Sample
        >>> sample = Sample(most=2)
        >>> for row in range(9):
        ...     sample.add(row)
        >>> len(sample.rows), sample.seen
        (2, 9)
    """

    def __init__(self, most: int):
        self.rows: list = []
        self.seen = 0
        self._most = most
        self._draw = random.Random(0)

    def add(self, row: Any) -> None:
        """See one more row.

        Args:
            row: The row.
        """
        self.seen += 1
        place = len(self.rows)
        if place == self._most:
            place = self._draw.randrange(self.seen)
        if place < self._most:
            self.rows[place : place + 1] = [row]


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


def find_unusual(
    lines: Iterable[str],
    kind: str,
    schema: Any,
    wanted: dict[tuple[str, str], list[int]],
) -> None:
    """Find the rows with values that a schema does not allow.

    Args:
        lines: Lines of `features.jsonl`.
        kind: Kind of row.
        schema: The schema.
        wanted: By part and feature: a list that gets numbers of rows.
    """
    fits = {
        feature.name: _test_of(schema, feature) for feature in schema.feature
    }
    for line in lines:
        record = json.loads(line)
        if record["kind"] != kind or record["flags"]["unreadable"]:
            continue
        for (part, feature), rows in wanted.items():
            if part != record["part"] or len(rows) >= MOST_NAMED:
                continue
            value = record["features"].get(feature, [])
            values = value if isinstance(value, list) else [value]
            if feature in fits and not fits[feature](values):
                rows.append(record["row"])


def _test_of(schema: Any, feature: Any) -> Callable[[list], bool]:
    """Whether values of a row fit a feature."""
    needed = feature.presence.min_fraction == 1.0
    allowed = {
        value
        for domain in schema.string_domain
        if feature.domain and domain.name == feature.domain
        for value in domain.value
    }
    name = feature.WhichOneof("domain_info")
    limits = name in ("int_domain", "float_domain") and getattr(feature, name)

    def fits(values: list) -> bool:
        if not values:
            return not needed
        if allowed:
            return allowed.issuperset(values)
        return not limits or limits.min <= values[0] <= limits.max

    return fits
