"""How far apart distributions are, and how far parts of one data set may be."""

import collections
import random
from pathlib import Path
from typing import Any

# Random splits that say how far apart two parts of one data set may be. Of
# categories many are counted at once, so that one odd split decides nothing.
SPLITS = 8
CATEGORY_SPLITS, QUANTILE = 200, 0.99
MARGIN = 1.5
# A few groups decide how wide the bands of a part are: 8 random parts do
# not show how far apart two may be.
WIDER = {"audio_bandwidth": 3.0}
LEAST_LIMIT = 0.05
# Fewer rows, or groups, tell nothing of a distribution.
FEWEST_ROWS = 30
FEWEST_GROUPS = 20
# Rows of a part that distances are measured on, chosen at random.
MOST_ROWS = 10_000
# Below every measured distance, so that each is told.
_TELL_ALL = 1e-9
# Numbers are compared by their ranks, from 0 to this.
_LAST_RANK = 1000

Rows = list[tuple[str, dict[str, Any]]]


def compare(
    tfdv: Any, schema: Any, reference: Rows, rows: Rows, skew: bool
) -> Any:
    """Compare the distributions of two parts.

    Args:
        tfdv: The module.
        schema: A schema with limits.
        reference: Rows of the part to compare with.
        rows: Rows of the other part.
        skew: Whether the limits are those of skew, else of drift.

    Returns:
        Anomalies of TFDV.
    """
    first, second = _statistics_of_two(
        tfdv, [row for _, row in reference], [row for _, row in rows]
    )
    if skew:
        return tfdv.validate_statistics(
            first, schema, serving_statistics=second
        )
    return tfdv.validate_statistics(second, schema, previous_statistics=first)


def calibrated_limits(tfdv: Any, rows: Rows, count: int) -> dict[str, float]:
    """Limits of distances for a part of some rows.

    They are 1.5 times (of `WIDER`, more) the largest distance between a random
    part of the reference and its rest, which share no group; of categories, the
    distance that 99 % of the random parts have at most.

    Args:
        tfdv: The module.
        rows: Group and features of rows of the reference.
        count: Number of rows of the part.

    Returns:
        Limits by feature; none if they would tell nothing.
    """
    groups = sorted({group for group, _ in rows})
    if count < FEWEST_ROWS or len(groups) < FEWEST_GROUPS:
        return {}
    largest: dict[str, float] = {}
    for seed in range(SPLITS):
        chosen = _held_out(groups, rows, min(count, len(rows) // 2), seed)
        first, second = _statistics_of_two(
            tfdv,
            [row for g, row in rows if g not in chosen],
            [row for g, row in rows if g in chosen],
        )
        for name, distance in _distances(tfdv, first, second).items():
            largest[name] = max(distance, largest.get(name, 0.0))
    of_categories = _distances_of_categories(groups, rows, count)
    largest |= {k: v for k, v in of_categories.items() if k in largest}
    return {
        name: max(LEAST_LIMIT, round(WIDER.get(name, MARGIN) * distance, 4))
        for name, distance in largest.items()
    }


def _distances_of_categories(
    groups: list[str], rows: Rows, count: int
) -> dict[str, float]:
    """Largest difference of a category's fraction, in most random splits."""
    import numpy as np

    number = {group: place for place, group in enumerate(groups)}
    # By feature and value: the group of each row that has it.
    places: dict[str, dict[str, list[int]]] = collections.defaultdict(dict)
    for group, row in rows:
        for name, values in row.items():
            for value in values if isinstance(values[0], str) else ():
                places[name].setdefault(value, []).append(number[group])
    held_out = np.zeros((CATEGORY_SPLITS, len(groups)))
    for seed in range(CATEGORY_SPLITS):
        chosen = _held_out(groups, rows, min(count, len(rows) // 2), seed)
        held_out[seed, [number[group] for group in chosen]] = 1
    found = {}
    for name, of_values in places.items():
        part = np.stack(
            [held_out[:, rows].sum(axis=1) for rows in of_values.values()], 1
        )
        rest = np.array(list(map(len, of_values.values()))) - part
        apart = _fractions(part) - _fractions(rest)
        distances = np.abs(apart).max(axis=1)
        found[name] = float(np.quantile(distances, QUANTILE))
    return found


def _fractions(counts: Any) -> Any:
    return counts / counts.sum(axis=1, keepdims=True).clip(1)


def set_limits(schema: Any, limits: dict[str, float], skew: bool) -> None:
    """Write limits of distances into a schema.

    Args:
        schema: The schema.
        limits: Largest distance by feature.
        skew: Whether they are for the skew comparator, else for drift.
    """
    for feature in schema.feature:
        feature.ClearField("skew_comparator")
        feature.ClearField("drift_comparator")
        limit = limits.get(feature.name)
        if limit is None:
            continue
        comparator = (
            feature.skew_comparator if skew else feature.drift_comparator
        )
        if feature.type == 1:  # schema_pb2.BYTES
            comparator.infinity_norm.threshold = limit
        else:
            comparator.jensen_shannon_divergence.threshold = limit


def limits_in(schema: Any) -> dict[str, float]:
    """The limits that a schema has.

    Args:
        schema: The schema.

    Returns:
        Largest distance by feature.
    """
    limits = {}
    for feature in schema.feature:
        for comparator in (feature.skew_comparator, feature.drift_comparator):
            for name in ("infinity_norm", "jensen_shannon_divergence"):
                if comparator.HasField(name):
                    limits[feature.name] = getattr(comparator, name).threshold
    return limits


def sampled_rows(path: str, kind: str, parts: list[str]) -> dict[str, Rows]:
    """Random rows of each part, each as likely.

    Args:
        path: `features.jsonl`.
        kind: Kind of row.
        parts: Names of the parts.

    Returns:
        Group and features of rows, by part; flags are left out.
    """
    import tfdv_rows

    kept = {part: tfdv_rows.Sample(MOST_ROWS) for part in parts}
    with Path(path).open(encoding="utf-8") as lines:
        for own_kind, part, group, row in tfdv_rows.read_rows(lines):
            if own_kind == kind:
                kept[part].add((group, tfdv_rows.without_flags(row)))
    return {part: each.rows for part, each in kept.items() if each.rows}


def _statistics_of_two(
    tfdv: Any, first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> tuple[Any, Any]:
    """Statistics of two parts, with ranks among both in place of numbers.

    The bars of a histogram then have as many rows each, so that a few rows far
    away, which the ranges of the schema tell of, do not leave it one bar. And
    both have the same bars: TFDV spreads the rows of a bar evenly over the bars
    of another histogram that it reaches into, and numbers of words, which are
    few, would be far from themselves.
    """
    import tfdv_rows

    ranks = _ranks([*first, *second])
    # Two rows more, for a part that does not reach the ends of the range.
    ends = [
        {name: [type(next(iter(of_values)))(end)]}
        for name, of_values in ranks.items()
        for end in (0, _LAST_RANK)
    ]
    return tuple(
        tfdv_rows.statistics(
            tfdv, [*(_ranked(row, ranks) for row in rows), *ends]
        )
        for rows in (first, second)
    )


def _ranks(rows: list[dict[str, Any]]) -> dict[str, dict[Any, Any]]:
    """The rank of each value of each number; equal values share the middle."""
    numbers: dict[str, list] = collections.defaultdict(list)
    for row in rows:
        for name, (first, *_) in row.items():
            if not isinstance(first, str):
                numbers[name].append(first)
    ranks: dict[str, dict[Any, Any]] = {}
    for name, values in numbers.items():
        counts = collections.Counter(values)
        below, of_values = 0, {}
        for value in sorted(counts):
            middle = (below + counts[value] / 2) / len(values)
            of_values[value] = type(value)(round(_LAST_RANK * middle))
            below += counts[value]
        ranks[name] = of_values
    return ranks


def _ranked(
    row: dict[str, Any], ranks: dict[str, dict[Any, Any]]
) -> dict[str, Any]:
    return {
        name: [ranks[name][values[0]]] if name in ranks else values
        for name, values in row.items()
    }


def _held_out(groups: list[str], rows: Rows, count: int, seed: int) -> set[str]:
    """Random groups that have about so many rows together."""
    sizes = collections.Counter(group for group, _ in rows)
    order = list(groups)
    random.Random(seed).shuffle(order)
    chosen: set[str] = set()
    for group in order:
        if count <= 0:
            break
        chosen.add(group)
        count -= sizes[group]
    return chosen


def _distances(tfdv: Any, first: Any, second: Any) -> dict[str, float]:
    import tfdv_rows

    schema = tfdv.infer_schema(
        first, max_string_domain_size=tfdv_rows.MOST_CLASSES
    )
    names = [feature.name for feature in schema.feature]
    set_limits(schema, dict.fromkeys(names, _TELL_ALL), skew=False)
    found = tfdv.validate_statistics(second, schema, previous_statistics=first)
    return {
        info.path.step[0]: measured.value
        for info in found.drift_skew_info
        for measured in info.drift_measurements
    }
