"""The report: one HTML file without scripts, which loads nothing."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras_imp
from keras_imp._files import write_text
from keras_imp._optional import require
from keras_imp._printable import printable
from keras_imp.data import paths
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.manifest import Manifest
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.validation.drawings import histogram, waveform
from keras_imp.validation.features import KINDS
from keras_imp.validation.findings import ERROR, Finding
from keras_imp.validation.flags import FLAGS
from keras_imp.validation.isolated import Call, call_isolated
from keras_imp.validation.places import Place, places_of, span_of
from keras_imp.validation.scan import Scan

TEMPLATE = "report.html.j2"
FILE = "report.html"
PREVIEWS = "keras_imp.validation.previews:preview_of"
# Rows that are shown of a flag.
MOST_SHOWN = 12
# Values of a feature of a part that its histogram is drawn from.
_MOST_VALUES = 200_000
_LONGEST = 120


def write_report(
    folder: Path,
    title: str,
    scan: Scan,
    data: list[Manifest],
    result: dict[str, Any],
    seconds: float = 30.0,
) -> Path:
    """Write the report.

    Args:
        folder: Where.
        title: What is reported on.
        scan: The rows.
        data: The manifests, in the order in which rows are counted.
        result: `anomalies` and `notes` of TFDV, its version `tfdv`, and
            `missing`, why it did not run, or `""`.
        seconds: Time for one file.

    Returns:
        Its path.

    Raises:
        ImportError: If Jinja2 is not installed.
    """
    jinja = require("jinja2", extra="data")
    environment = jinja.Environment(
        loader=jinja.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    severities = [anomaly["severity"] for anomaly in result["anomalies"]]
    errors = sum(scan.counts(ERROR).values()) + severities.count(ERROR)
    total = sum(scan.counts().values()) + len(severities)
    flags = [
        {
            "name": name,
            "count": count,
            "severity": next(
                f.severity for f in scan.findings if f.flag == name
            ),
            "meaning": FLAGS[name][1],
        }
        for name, count in scan.counts().items()
    ]
    text = environment.get_template(TEMPLATE).render(
        data=title,
        version=keras_imp.__version__,
        rows=list(scan.rows.items()),
        errors=errors,
        warnings=total - errors,
        flags=flags,
        sections=_sections(scan, data, result["anomalies"], seconds),
        features=_features(scan),
        **{key: result[key] for key in ("anomalies", "notes")},
        tfdv=result["tfdv"],
        missing=result["missing"],
    )
    write_text(folder / FILE, printable(text))
    return folder / FILE


def _sections(
    scan: Scan,
    data: list[Manifest],
    anomalies: list[dict[str, Any]],
    seconds: float,
) -> list[dict[str, Any]]:
    """Rows that are shown, of each flag and of each anomaly."""
    chosen = []
    for name, count in scan.counts().items():
        own = [f for f in scan.findings if f.flag == name]
        shown = own[:MOST_SHOWN]
        chosen.append((name, f"{len(shown)} of {count}", shown))
    # Of the data that is asked about, which comes last.
    before = sum(map(len, data[:-1]))
    for anomaly in anomalies:
        own = [
            Finding(before + row, "", anomaly["severity"])
            for row in anomaly["rows"]
        ]
        name = f"{anomaly['feature']} ({anomaly['kind']}, {anomaly['part']})"
        if own:
            rows = "1 row" if len(own) == 1 else f"{len(own)} rows"
            chosen.append((name, f"{rows}: {anomaly['short']}", own))
    pairs = [places_of(data, f) for *_, own in chosen for f in own]
    previews = call_isolated(PREVIEWS, _calls(pairs), 1, seconds)
    return [
        {
            "name": name,
            "more": more,
            "shown": [_card(data, finding, previews) for finding in own],
        }
        for name, more, own in chosen
    ]


def _card(
    data: list[Manifest], finding: Finding, previews: Iterator
) -> dict[str, Any]:
    rows = places_of(data, finding)
    shown = []
    for row in rows:
        for name, _ in _files(row):
            found = next(previews).value or {}
            if "low" in found:
                found = {"points": waveform(found["low"], found["high"])}
            if found:
                shown.append({"image": "", "points": "", "name": name, **found})
    lines = [str(rows[0])]
    if finding.detail not in ("", finding.flag):
        lines.append(f"{finding.column or 'row'}: {finding.detail}")
    lines += _values(rows[0])
    other = ""
    if len(rows) > 1:
        other = "; ".join([str(rows[1]), *_values(rows[1])])
    return {"previews": shown, "lines": lines, "other": other}


def _files(row: Place) -> Iterator[tuple[str, Call]]:
    """Name and call of each file of a row that can be opened."""
    manifest = row.manifest
    for column in MEDIA:
        if column not in manifest.columns:
            continue
        value = manifest.column(column)[row.row]
        if value is None:
            continue
        try:
            source = manifest.source(row.row, column)
        except BadFile:
            continue
        name = paths.shown(value)
        span = {} if column == "image" else span_of(manifest, row.row)
        yield name, Call(source, {"column": column, "name": name, **span})


def _calls(rows: Iterable[list[Place]]) -> Iterator[Call]:
    for pair in rows:
        for row in pair:
            for _, call in _files(row):
                yield call


def _values(row: Place) -> list[str]:
    """What the table has in a row, but for its split."""
    lines = []
    for name, value in row.manifest.row(row.row).items():
        if value is None or value == ():
            continue
        text = ", ".join(value) if isinstance(value, tuple) else str(value)
        text = paths.shown(text) if name in MEDIA else text
        text = printable(text)
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}… ({len(text)} characters)"
        lines.append(f"{name}: {text}")
    return lines


def _features(scan: Scan) -> list[tuple[str, list]]:
    """Histograms of all features, by kind of row."""
    values: dict[str, dict[str, dict[str, list]]] = {
        kind: {} for kind in scan.kinds
    }
    for record in scan.records():
        of_kind = values[record["kind"]]
        for name, value in record["features"].items():
            parts = of_kind.setdefault(name, {part: [] for part in scan.rows})
            own = parts[record["part"]]
            if len(own) < _MOST_VALUES:
                own += value if isinstance(value, list) else [value]
    return [
        (
            kind,
            [
                histogram(name, values[kind][name], KINDS[name] == "scale")
                for name in KINDS
                if name in values[kind]
            ],
        )
        for kind in scan.kinds
    ]
