"""All checks of a data set, one after another, and their report."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from keras_imp._errors import check_rate, message
from keras_imp._files import write_text
from keras_imp.data import paths
from keras_imp.data.manifest import Manifest
from keras_imp.data.reading.delimited import Columns
from keras_imp.data.reading.read import read
from keras_imp.validation.environment import find_tfdv
from keras_imp.validation.findings import ERROR, WARNING, Finding
from keras_imp.validation.places import Place, describe, places_of
from keras_imp.validation.report import write_report
from keras_imp.validation.rows import AGAINST
from keras_imp.validation.scan import Scan, scan_and_flag
from keras_imp.validation.tfdv.tfdv_worker import SCHEMA, names_kind
from keras_imp.validation.worker import Beam, WorkerError, run_tfdv

CLEAN, ERRORS, NOT_CHECKED = 0, 1, 3
RESULT = "anomalies.json"


class Validation(NamedTuple):
    """What a validation found.

    Attributes:
        scan: Features and flags of the rows.
        anomalies: What TensorFlow Data Validation found: dicts of `kind`,
            `part`, `feature`, `severity`, `types`, `rows` (numbers of up to
            12 rows), `where` (their files or lines), `short` and `long`.
        notes: What could not be told.
        missing: Why TensorFlow Data Validation did not run; `""` if it did.
        report: The HTML file.
        first: The first row of each flag, in words: its file or line, the row
            that it repeats, and what is known of it.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.validation import Scan, Validation
        >>> scan = Scan(Path("features.jsonl"), [], {}, [], [], {})
        >>> Validation(scan, [], [], "", Path("report.html"), {}).code
        0
    """

    scan: Scan
    anomalies: list[dict[str, Any]]
    notes: list[str]
    missing: str
    report: Path
    first: dict[str, str]

    @property
    def errors(self) -> int:
        """Number of errors: flags of rows, and anomalies."""
        return sum(self.scan.counts(ERROR).values()) + self._anomalies(ERROR)

    @property
    def warnings(self) -> int:
        """Number of warnings."""
        rows = sum(self.scan.counts(WARNING).values())
        return rows + self._anomalies(WARNING)

    @property
    def code(self) -> int:
        """0 without errors, 1 with errors, 3 if not all was checked."""
        if self.errors:
            return ERRORS
        return NOT_CHECKED if self.missing else CLEAN

    def _anomalies(self, severity: str) -> int:
        return sum(a["severity"] == severity for a in self.anomalies)


def validate(
    data: str | os.PathLike | Manifest,
    out: str | os.PathLike,
    *,
    against: str | os.PathLike | Manifest | None = None,
    schema: str | os.PathLike | None = None,
    columns: Columns = None,
    workers: int | None = None,
    seconds: float = 30.0,
    max_bad: float = 0.0,
    tfdv_python: str | None = None,
    beam: Beam | None = None,
) -> Validation:
    r"""Check a data set: every file, rows against each other, distributions.

    Every file is decoded, each in a process that may be lost. Rows get flags,
    `keras_imp.validation.FLAGS`. TensorFlow Data Validation makes statistics
    and a schema of the training split, and compares the other splits with
    them. If it is not installed, all else is done, and `missing` says so.

    Args:
        data: What `keras_imp.data.read` reads, or a manifest.
        out: Folder for `report.html`, `features.jsonl`, `anomalies.json`,
            `statistics.pbtxt` and `schema.pbtxt`.
        against: The data that is trained on, if `data` is other data.
        schema: A schema that the data must follow, or the folder of an
            earlier validation. Defaults to one that is inferred.
        columns: What the data calls its columns, as for `read`.
        workers: Processes that decode. Defaults to the number of cores.
        seconds: Time for one file.
        max_bad: Fraction of the rows whose files may be bad: up to it, they
            are warnings.
        tfdv_python: A Python that has TensorFlow Data Validation. Defaults to
            what `find_tfdv` finds.
        beam: Make the statistics by an Apache Beam pipeline.

    Returns:
        What was found.

    Raises:
        ReadError: If the data cannot be read.
        ValueError: If an argument is out of its range, or there is no schema.
        OSError: If `out` cannot be written.

    Example:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> import keras_imp
        >>> for name in ("red", "blue"):
        ...     Image.new("RGB", (32, 32), name).save(f"{name}.png")
        >>> _ = Path("data.csv").write_text(
        ...     "image,label,split\nred.png,a,train\nblue.png,b,test\n")
        >>> scan = keras_imp.validation.scan_and_flag(
        ...     keras_imp.data.read("data.csv"), ".")
        >>> scan.counts("error")  # `validate` has more, and a report.
        {'label_unseen': 1}
    """
    check_rate(max_bad=max_bad)
    manifest = (
        data if isinstance(data, Manifest) else read(data, columns=columns)
    )
    other = against
    if against is not None and not isinstance(against, Manifest):
        other = read(against, columns=columns)
    # Before hours of decoding.
    if schema is not None:
        _check_schema(Path(schema))
    found = find_tfdv(tfdv_python)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    scan = scan_and_flag(
        manifest, folder, against=other, workers=workers, seconds=seconds
    )
    scan = _allowing(scan, max_bad)
    result: dict[str, Any] = {
        "tfdv": "",
        "missing": "" if found.python else found.reason,
        "anomalies": [],
        "notes": [],
    }
    if found.python:
        try:
            own = Path(schema) if schema is not None else None
            result.update(run_tfdv(found.python, scan, folder, own, beam))
        except WorkerError as error:
            result["missing"] = str(error)
    manifests = [manifest] if other is None else [other, manifest]
    result["flags"] = [
        {**finding._asdict(), "where": _where(manifests, finding)}
        for finding in scan.findings
    ]
    for anomaly in result["anomalies"]:
        anomaly["where"] = [
            str(Place(manifest, row)) for row in anomaly["rows"]
        ]
    write_text(folder / RESULT, json.dumps(result, indent=1) + "\n")
    title = manifest.root if isinstance(data, Manifest) else data
    report = write_report(
        folder,
        paths.shown(title),
        scan,
        manifests,
        result,
        seconds,
    )
    return Validation(
        scan,
        result["anomalies"],
        result["notes"],
        result["missing"],
        report,
        _first_rows(manifests, scan.findings),
    )


def _check_schema(place: Path) -> None:
    """Raise unless there is a schema, of some kind of row at least."""
    if not place.exists():
        raise ValueError(
            message(
                "`schema` must be a file, or the folder of a validation.",
                schema=str(place),
            )
        )
    kinds = (each.parent.name for each in place.glob(f"*/{SCHEMA}"))
    if (
        place.is_dir()
        and not (place / SCHEMA).exists()
        and not any(map(names_kind, kinds))
    ):
        raise ValueError(
            message(
                f"The folder of `schema` must have a {SCHEMA}, or one in a "
                "folder for each kind of row, as a validation by TensorFlow "
                "Data Validation writes them.",
                "Name the folder of its report.",
                schema=str(place),
            )
        )


def _allowing(scan: Scan, max_bad: float) -> Scan:
    """The same, with few bad files as warnings."""
    bad = scan.counts().get("unreadable", 0)
    rows = sum(n for part, n in scan.rows.items() if part != AGAINST)
    if not 0 < bad <= max_bad * rows:
        return scan
    return scan._replace(
        findings=[
            f._replace(severity=WARNING) if f.flag == "unreadable" else f
            for f in scan.findings
        ]
    )


def _where(manifests: list[Manifest], finding: Finding) -> str:
    place = places_of(manifests, finding)[0]
    return paths.shown(str(place.manifest.where(place.row)))


def _first_rows(
    manifests: list[Manifest], findings: list[Finding]
) -> dict[str, str]:
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.flag, finding)
    return {flag: describe(manifests, one) for flag, one in first.items()}
