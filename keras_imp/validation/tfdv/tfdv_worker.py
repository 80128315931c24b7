"""TensorFlow Data Validation (TFDV) on scanned features, in its own process.

    python tfdv_worker.py request.json

It imports nothing of keras_imp, since it may run in another environment: TFDV
1.16.1 cannot be installed beside the package. It works with 1.16.1 and 1.21.
For each kind of row it makes statistics of every part, a schema of the one that
is the reference, and looks for what does not fit. `worker.py` writes the
request. The files beside this one are imported where they are used: they have
no package where this runs.
"""

import collections
import json
import sys
from pathlib import Path
from typing import Any

# A range reaches beyond the 1st and 99th percent by the square root of their
# ratio, or by their difference, and at least by this.
LEAST_RATIO = 4.0
LEAST_DIFFERENCE = 6.0
# Fraction of the rows with a value that allows a category to be rare.
RARE = 0.01
# Fraction of the rows with a value above which all must have one.
ALWAYS = 0.98
MOST_CLASSES = 1000
# Rows of a part and kind that one process makes statistics of.
MOST_ROWS = 100_000
_NEW_COLUMN = "SCHEMA_NEW_COLUMN"
_NEW_VALUE = "ENUM_TYPE_UNEXPECTED_STRING_VALUES"
# TFDV says "Column dropped", where some rows have no value.
SHORT = {"FEATURE_TYPE_LOW_FRACTION_PRESENT": "Missing in some rows"}
# What TFDV says after a number.
_DIGITS = "(upto six significant digits)"
FLAG = "flag_"
STATISTICS, SCHEMA = "statistics.pbtxt", "schema.pbtxt"
# What kinds of rows are named for, joined by a plus sign.
KINDS = {"image", "video", "audio", "text"}
# Features of what a row may lack: `gap` and `video_has_audio` tell of it.
DEPENDENT = ("text_", "audio_")


def main(path: str) -> None:
    """Follow a request.

    Args:
        path: JSON with `features`, `folder`, `answer` (the file of what was
            found), `parts` (name and whether it is the reference), `kinds` (by
            feature), `skew` (whether the reference is other data), `schema` (a
            folder or None) and `beam` (options of a pipeline or None).
    """
    request = json.loads(Path(path).read_text("utf-8"))
    folder = Path(request["folder"])
    import tensorflow_data_validation as tfdv

    result: dict[str, Any] = {
        "tfdv": tfdv.__version__,
        "anomalies": [],
        "notes": [],
        "thresholds": {},
    }
    statistics = _statistics(tfdv, request, result["notes"])
    kinds = sorted({kind for kind, _ in statistics})
    written = []
    for kind in kinds:
        own = {part: s for (k, part), s in statistics.items() if k == kind}
        check_kind(tfdv, request, kind, own, result)
        place = folder / kind if len(kinds) > 1 else folder
        schema = result["thresholds"][kind].pop("schema")
        written += [
            (place / STATISTICS, _joined(tfdv, own)),
            (place / SCHEMA, schema),
        ]
    _remove_written(folder)
    for file, proto in written:
        file.parent.mkdir(exist_ok=True)
        _write(file, proto)
    text = json.dumps(result, indent=1)
    Path(request["answer"]).write_text(text + "\n", "utf-8")


def check_kind(
    tfdv: Any,
    request: dict[str, Any],
    kind: str,
    statistics: dict[str, Any],
    result: dict[str, Any],
) -> None:
    """Find the anomalies of one kind of row.

    Args:
        tfdv: The module.
        request: The request.
        kind: The kind, such as `"image"`.
        statistics: Statistics by part.
        result: Gets anomalies, notes and thresholds.
    """
    reference = next(
        (part for part, is_it in request["parts"] if is_it), None
    ) or next(iter(statistics))
    schema = _given_schema(tfdv, request["schema"], kind, result["notes"])
    given = schema is not None
    if reference not in statistics and not given:
        result["notes"].append(
            f"{kind}: the part {reference!r} has no such rows, so nothing is "
            "known that the others could be compared with."
        )
        reference = next(iter(statistics))
    if not given:
        schema = make_schema(tfdv, statistics[reference], request["kinds"])
    result["thresholds"].setdefault(kind, {"schema": schema})
    for part, own in statistics.items():
        if part == reference and request["skew"]:
            continue  # Other data, which is not what was asked about.
        found = tfdv.validate_statistics(own, schema)
        if given:
            _leave_unknown(kind, found, schema, result["notes"])
        add_anomalies(result, kind, part, found, given)
    _name_rows(request, kind, schema, result)
    if reference in statistics and len(statistics) > 1:
        _compare(tfdv, request, kind, reference, schema, result)


def _leave_unknown(
    kind: str, found: Any, schema: Any, notes: list[str]
) -> None:
    """Take out features of a column that a schema knows, but not them.

    They were not measured yet when it was made, and are no fault of the data.
    """
    known = {feature.name.partition("_")[0] for feature in schema.feature}
    for feature, info in sorted(found.anomaly_info.items()):
        column, measure, _ = feature.partition("_")
        types = {type(info).Type.Name(reason.type) for reason in info.reason}
        if measure and column in known and types == {_NEW_COLUMN}:
            del found.anomaly_info[feature]
            note = f"{kind}: the schema says nothing of {feature!r}."
            if note not in notes:
                notes.append(note)


def _name_rows(
    request: dict[str, Any], kind: str, schema: Any, result: dict[str, Any]
) -> None:
    """Add the first rows that an anomaly is about: TFDV knows only counts."""
    import tfdv_rows

    own = [a for a in result["anomalies"] if a["kind"] == kind]
    wanted = {(a["part"], a["feature"]): a["rows"] for a in own}
    if wanted:
        with Path(request["features"]).open(encoding="utf-8") as lines:
            tfdv_rows.find_unusual(lines, kind, schema, wanted)


def _compare(
    tfdv: Any,
    request: dict[str, Any],
    kind: str,
    reference: str,
    schema: Any,
    result: dict[str, Any],
) -> None:
    """Find the parts whose distributions are not those of the reference."""
    import tfdv_distances

    given = tfdv_distances.limits_in(schema) if request["schema"] else {}
    parts = [part for part, _ in request["parts"]]
    rows = tfdv_distances.sampled_rows(request["features"], kind, parts)
    for part, own in rows.items():
        if part == reference:
            continue
        limits = given or tfdv_distances.calibrated_limits(
            tfdv, rows[reference], len(own)
        )
        if not limits:
            groups = len({group for group, _ in rows[reference]})
            result["notes"].append(
                f"{kind}, {part}: {len(own)} rows, and {groups} groups in "
                f"{reference!r}, are too few to tell whether distributions "
                "differ."
            )
            continue
        result["thresholds"][kind][part] = limits
        tfdv_distances.set_limits(schema, limits, request["skew"])
        found = tfdv_distances.compare(
            tfdv, schema, rows[reference], own, request["skew"]
        )
        add_anomalies(result, kind, part, found, bool(given), comparators=True)


def make_schema(tfdv: Any, statistics: Any, kinds: dict[str, str]) -> Any:
    """The schema of a part, with ranges of numbers.

    `infer_schema` sets no ranges, and takes identifiers for categories.

    Args:
        tfdv: The module.
        statistics: Statistics of the part.
        kinds: How a feature's values are compared, by its name.

    Returns:
        The schema.
    """
    schema = tfdv.infer_schema(statistics, max_string_domain_size=MOST_CLASSES)
    found = {s.path.step[0]: s for s in statistics.datasets[0].features}
    for feature in schema.feature:
        name = feature.name
        own = found[name]
        common = _common(own)
        total = common.num_non_missing + common.num_missing
        if name.startswith(FLAG):
            feature.int_domain.min = feature.int_domain.max = 0
            continue
        if name.startswith(DEPENDENT):
            feature.presence.min_fraction = 0.0
        elif common.num_non_missing >= ALWAYS * total:
            feature.presence.min_fraction = 1.0
        kind = kinds.get(name)
        if kind in ("scale", "level"):
            _set_range(feature, own.num_stats, kind)
        elif kind == "category":
            _leave_out_rare(schema, name, own.string_stats)
    return schema


def _set_range(feature: Any, numbers: Any, kind: str) -> None:
    low, high = _percentiles(numbers)
    if kind == "scale":
        if low <= 0:
            low = high / LEAST_RATIO
        # Half of what they span: else few words and many allow a book.
        ratio = max(LEAST_RATIO, (high / low) ** 0.5 if low > 0 else 0.0)
        low, high = low / ratio, high * ratio
    else:
        reach = max(high - low, LEAST_DIFFERENCE)
        low, high = low - reach, high + reach
    # What the reference has all over is no fault of a row.
    if feature.type == 2:  # schema_pb2.INT
        feature.int_domain.min = int(low)
        feature.int_domain.max = int(high + 1)
    else:
        feature.float_domain.min = low
        feature.float_domain.max = high


def _percentiles(numbers: Any) -> tuple[float, float]:
    for histogram in numbers.histograms:
        if histogram.type == 1 and len(histogram.buckets) > 2:  # QUANTILES
            buckets = histogram.buckets
            return buckets[0].high_value, buckets[-1].low_value
    return numbers.min, numbers.max


def _leave_out_rare(schema: Any, name: str, strings: Any) -> None:
    counts = {b.label: b.sample_count for b in strings.rank_histogram.buckets}
    least = RARE * sum(counts.values())
    for domain in schema.string_domain:
        if domain.name == name:
            kept = [value for value in domain.value if counts[value] >= least]
            del domain.value[:]
            domain.value.extend(kept)


def add_anomalies(
    result: dict[str, Any],
    kind: str,
    part: str,
    found: Any,
    given: bool,
    comparators: bool = False,
) -> None:
    """Add what TFDV found to the result.

    Args:
        result: The result.
        kind: Kind of row.
        part: Part of the data.
        found: Anomalies of TFDV.
        given: Whether the schema is one that somebody has written or checked:
            what breaks it is an error. One that was inferred is a guess.
        comparators: Whether to add distances between parts, or all else.
    """
    for feature, info in sorted(found.anomaly_info.items()):
        if feature.startswith(FLAG):
            continue  # Told by row, which is more than a count.
        reasons = [
            (name, reason)
            for reason in info.reason
            for name in [type(info).Type.Name(reason.type)]
            if name.startswith("COMPARATOR") == comparators
        ]
        if not reasons:
            continue
        types = [name for name, _ in reasons]
        result["anomalies"].append(
            {
                "kind": kind,
                "part": part,
                "feature": feature,
                "severity": _severity(feature, types, given),
                "types": types,
                "rows": [],
                "short": "; ".join(
                    # Once, where a value is too small and one too large.
                    dict.fromkeys(
                        SHORT.get(name, reason.short_description)
                        for name, reason in reasons
                    )
                ),
                "long": " ".join(
                    r.description.replace(_DIGITS, "") for _, r in reasons
                ),
            }
        )


def _severity(feature: str, types: list[str], given: bool) -> str:
    if any(name.startswith("COMPARATOR") for name in types):
        return "warning"
    is_new_class = feature == "label" and _NEW_VALUE in types
    return "error" if given or is_new_class else "warning"


def _given_schema(
    tfdv: Any, path: str | None, kind: str, notes: list[str]
) -> Any:
    """The schema that was given for a kind of row, None if there is none."""
    if path is None:
        return None
    place = Path(path)
    if place.is_dir():
        own = place / kind / SCHEMA
        place = own if own.exists() else place / SCHEMA
        if not place.exists():
            notes.append(
                f"{kind}: the folder of the schema has none for such rows, so "
                "one is inferred."
            )
            return None
    return tfdv.load_schema_text(str(place))


def names_kind(folder: str) -> bool:
    """Whether a folder has what was written of one kind of row.

    Args:
        folder: Its name.

    Returns:
        True for `"audio"` and `"image+text"`, for example.
    """
    return {*folder.split("+")} <= KINDS


def _remove_written(folder: Path) -> None:
    """Remove what an earlier validation wrote for each kind of row.

    Else `--schema` would find the schema of a kind that is there no more.
    """
    for place in (
        folder,
        *(each for each in folder.iterdir() if each.is_dir()),
    ):
        if names_kind(place.name) or place == folder:
            for name in (STATISTICS, SCHEMA):
                (place / name).unlink(missing_ok=True)


def _statistics(
    tfdv: Any, request: dict[str, Any], notes: list[str]
) -> dict[tuple[str, str], Any]:
    """Statistics by kind and part, parts in their order."""
    if request["beam"] is not None:
        import tfdv_beam

        found = tfdv_beam.statistics(request)
    else:
        import tfdv_rows

        kept: dict[tuple[str, str], Any] = collections.defaultdict(
            lambda: tfdv_rows.Sample(MOST_ROWS)
        )
        with Path(request["features"]).open(encoding="utf-8") as lines:
            for kind, part, _, features in tfdv_rows.read_rows(lines):
                kept[kind, part].add(features)
        found = {}
        for (kind, part), own in kept.items():
            found[kind, part] = tfdv_rows.statistics(tfdv, own.rows)
            if own.seen > MOST_ROWS:
                notes.append(
                    f"{kind}, {part}: statistics are of {MOST_ROWS:,} random "
                    f"rows of {own.seen:,}. A --runner makes them of all."
                )
    order = [part for part, _ in request["parts"]]
    return dict(sorted(found.items(), key=lambda x: order.index(x[0][1])))


def _common(feature: Any) -> Any:
    field = feature.WhichOneof("stats")
    return getattr(feature, field).common_stats


def _joined(tfdv: Any, statistics: dict[str, Any]) -> Any:
    """One message with a data set for each part."""
    first = next(iter(statistics.values()))
    joined = type(first)()
    for part, own in statistics.items():
        dataset = joined.datasets.add()
        dataset.CopyFrom(own.datasets[0])
        # A pipeline has them in any order.
        dataset.features.sort(key=lambda feature: feature.path.step[0])
        dataset.name = part
    return joined


def _write(path: Path, proto: Any) -> None:
    from google.protobuf import text_format

    path.write_text(text_format.MessageToString(proto), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
