"""Every file of a manifest, decoded once: features, hashes, faults by row."""

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_imp._files import commit, unfinished
from keras_imp._printable import printable
from keras_imp.data import paths
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.manifest import Manifest
from keras_imp.data.manifest.numbers import as_number
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.validation.findings import Finding, Findings
from keras_imp.validation.flags import (
    FLAGS,
    flags_across_rows,
    flags_from_texts,
    flags_of_row,
)
from keras_imp.validation.flags_of_values import are_numbers
from keras_imp.validation.isolated import Answer, Call, call_isolated
from keras_imp.validation.places import span_of
from keras_imp.validation.rows import (
    AGAINST,
    EMPTY,
    Part,
    RowKeys,
    parts_of,
)
from keras_imp.validation.texts import (
    features_of_text,
    hash_of_text,
    notes_of_text,
)

TARGET = "keras_imp.validation.features:features_of"
FILE = "features.jsonl"
_SCANNED = "scanned.jsonl"


class Scan(NamedTuple):
    """What a scan found.

    Attributes:
        path: `features.jsonl`: a line of JSON for each row, with `part`,
            `kind` (the files that it has, such as `"image"`), `group`,
            `features` and `flags`.
        parts: The parts of the rows, the reference first.
        rows: Number of rows by part.
        kinds: Kinds of rows.
        findings: What is wrong, by row: the first 10,000 of each flag. `path`
            has the flags of all rows.
        rows_with: How many rows have each flag.

    Example:
        >>> from PIL import Image
        >>> import keras_imp
        >>> for name in ("a.png", "b.png"):
        ...     Image.new("RGB", (32, 32), "red").save(name)
        >>> scan = keras_imp.validation.scan_and_flag(
        ...     keras_imp.data.Manifest({"image": ["a.png", "b.png"]}), ".")
        >>> scan.counts()
        {'blank': 2}
    """

    path: Path
    parts: list[Part]
    rows: dict[str, int]
    kinds: list[str]
    findings: list[Finding]
    rows_with: dict[str, int]

    def counts(self, severity: str | None = None) -> dict[str, int]:
        """How many rows have each flag.

        Args:
            severity: `"error"` or `"warning"`. Defaults to both.

        Returns:
            Numbers of rows by flag, errors first.
        """
        of = {finding.flag: finding.severity for finding in self.findings}
        return {
            flag: number
            for flag, number in self.rows_with.items()
            if severity in (None, of[flag])
        }

    def records(self) -> Iterator[dict[str, Any]]:
        """The rows, one after another, as `features.jsonl` has them."""
        return _lines(self.path)


def scan_and_flag(
    manifest: Manifest,
    folder: str | Path,
    *,
    against: Manifest | None = None,
    workers: int | None = None,
    seconds: float = 30.0,
    image_size: tuple[int, int] | None = None,
    target: str = TARGET,
) -> Scan:
    """Decode every file of some data, and flag what is wrong with its rows.

    Files are decoded by processes that may be lost, so one that crashes a
    decoder, or never ends, is one more file that cannot be used.

    Args:
        manifest: The rows.
        folder: Where to write `features.jsonl`.
        against: The data that is trained on, if it is another one.
        workers: Number of processes. Defaults to the number of cores.
        seconds: Time for one file.
        image_size: Height and width to decode images to, which is quicker for
            large JPEG files. Defaults to that of each file.
        target: The function that decodes; see `features.features_of`.

    Returns:
        The path of the features, the parts of the data, and the findings.

    Raises:
        ValueError: If a number is out of its range.
        OSError: If the folder cannot be written.

    Example:
        >>> import keras_imp
        >>> from pathlib import Path
        >>> _ = Path("a.png").write_bytes(b"no image")
        >>> scan = keras_imp.validation.scan_and_flag(
        ...     keras_imp.data.Manifest({"image": ["a.png"]}), ".")
        >>> scan.findings[0].flag, scan.findings[0].detail
        ('unreadable', 'not_image')
    """
    folder = Path(folder)
    keys = RowKeys()
    scanned = folder / _SCANNED
    findings = Findings(list(FLAGS))
    # Of the data that is asked about; the other is only compared with.
    skipped = 0 if against is None else len(against)
    kinds = set()
    with scanned.open("w", encoding="utf-8") as file:
        for data, is_against in ((against, True), (manifest, False)):
            if data is None:
                continue
            files = _Files(data, image_size)
            answers = call_isolated(target, files.calls(), workers, seconds)
            for record in _scan(
                data, keys, is_against, against is not None, files, answers
            ):
                row = len(keys) - 1
                kinds.add(record["kind"])
                own = flags_of_row(row, record["faults"], record["notes"])
                findings.add(own, skipped)
                file.write(json.dumps(record) + "\n")
    findings.add(flags_across_rows(keys), skipped)
    findings.add(flags_from_texts(manifest, skipped), skipped)
    path = folder / FILE
    numbers = bool(keys.label_names) and are_numbers(keys)
    _write_with_flags(scanned, path, findings, numbers)
    scanned.unlink()
    counts = np.bincount(keys.array_of("part"), minlength=len(keys.parts))
    return Scan(
        path,
        keys.parts,
        dict(zip(keys.names, counts.tolist())),
        sorted(kinds),
        [*findings.kept()],
        findings.rows_with(skipped),
    )


def _scan(
    manifest: Manifest,
    keys: RowKeys,
    is_against: bool,
    has_against: bool,
    files: "_Files",
    answers: Iterator[Answer],
) -> Iterator[dict[str, Any]]:
    """The records of rows; each is also noted in `keys`."""
    offset = len(keys.parts)
    if is_against:
        chosen = [Part(AGAINST, True)]
        part_of = np.zeros(len(manifest), int)
    else:
        chosen, part_of = parts_of(manifest, has_against)
    keys.parts += chosen
    keys.add_groups(manifest)
    groups = manifest.groups()
    for row in range(len(manifest)):
        record = _record(manifest, row, files, answers)
        record["part"] = chosen[part_of[row]].name
        record["group"] = f"{int(is_against)}-{groups[row]}"
        known = {name for name, _ in record["faults"]}
        record["faults"] += [
            (column, reason)
            for column, reason, has_it in files.problems
            if has_it[row] and column not in known
        ]
        keys.add(offset + int(part_of[row]), record)
        yield record


def _problems(manifest: Manifest) -> list[tuple[str, str, np.ndarray]]:
    """Column, reason and rows of what shows without decoding."""
    found = []
    for problem in manifest.problems():
        reason = problem.reason
        if problem.column in MEDIA and reason == f"no_{problem.column}":
            # The row has no file, which is not a file without audio.
            reason = "no_value"
        has_it = np.zeros(len(manifest), bool)
        has_it[problem.rows] = True
        found.append((problem.column, reason, has_it))
    return found


class _Files:
    """The files of all rows, each opened once.

    Attributes:
        problems: Column, reason and rows of what shows without decoding.
        places: Where each file is for which a call was made, `""` for one that
            cannot be opened, until its record takes it.
    """

    def __init__(
        self, manifest: Manifest, image_size: tuple[int, int] | None
    ) -> None:
        self._manifest = manifest
        self._image_size = image_size
        self.problems = _problems(manifest)
        self.places: deque[str] = deque()
        # A segment that ends before it starts is no reason to blame a file.
        self._without_time = np.zeros(len(manifest), bool)
        for _, reason, has_it in self.problems:
            if reason == "no_time":
                self._without_time |= has_it

    def calls(self) -> Iterator[Call | Answer]:
        """One call for each file, or an answer where none is needed."""
        for row in range(len(self._manifest)):
            for column in _media(self._manifest, row):
                yield self._call(row, column)

    def _call(self, row: int, column: str) -> Call | Answer:
        try:
            source = self._manifest.source(row, column)
        except BadFile as error:
            self.places.append("")
            return Answer({"reason": error.reason, "detail": error.detail})
        name = paths.shown(self._manifest.column(column)[row])
        if isinstance(source, bytes):
            # Shards may have members of one name.
            place = f"{self._manifest.where(row)}: {name}"
            key = hashlib.blake2b(source).hexdigest()
        else:
            place = key = str(source)
        self.places.append(paths.shown(place))
        arguments: dict[str, Any] = {"column": column, "name": name}
        if column != "image":
            if self._without_time[row]:
                return Answer(None)
            arguments.update(span_of(self._manifest, row))
        elif self._image_size is not None:
            arguments["image_size"] = self._image_size
        return Call(source, arguments, (key, *arguments.items()))


def _record(
    manifest: Manifest, row: int, files: _Files, answers: Iterator[Answer]
) -> dict[str, Any]:
    media = _media(manifest, row)
    record: dict[str, Any] = {
        "row": row,
        "where": paths.shown(str(manifest.where(row))),
        "kind": "+".join(media) or "text",
        "files": {},
        "places": {},
        "hashes": {},
        "sketches": {},
        "texts": [],
        "labels": [],
        "notes": [],
        "empty": [],
        "faults": [],
        "details": {},
        "audio_fault": "no_audio",
        "features": {},
    }
    for column in media:
        record["files"][column] = paths.shown(manifest.column(column)[row])
        answer = next(answers)
        place = files.places.popleft()
        if place:
            record["places"][column] = place
        _take(record, column, answer)
    span = span_of(manifest, row)
    record["is_segment"] = bool(span)
    record["numbers"] = list(span)
    _add_text(record, manifest, row)
    _add_labels(record, manifest, row)
    return record


def _take(record: dict[str, Any], column: str, answer: Answer) -> None:
    """Put what was found of a file into the record of its row."""
    if answer.fault:
        record["faults"].append((column, answer.fault))
        record["details"][column] = answer.detail
        return
    found = answer.value
    if found is None:
        return
    if "reason" in found:
        record["faults"].append((column, found["reason"]))
        record["details"][column] = found["detail"]
        return
    if column == "video":
        record["audio_fault"] = found["audio_fault"]
    # Audio of a video gives way to a file of its own.
    record["features"] = {**record["features"], **found["features"]}
    record["notes"] += found["notes"]
    if EMPTY[column] in found["notes"]:
        record["empty"].append(column)
    record["hashes"][column] = found["hash"]
    record["sketches"][column] = found.get("sketch", "")


def _add_text(record: dict[str, Any], manifest: Manifest, row: int) -> None:
    texts = _several(manifest, row, "text")
    if not texts:
        return
    features = record["features"]
    features.update(features_of_text(texts))
    record["texts"] = [hash_of_text(text) for text in texts]
    record["notes"] += dict.fromkeys(
        note for text in texts for note in notes_of_text(text)
    )
    if record["kind"] == "audio" and features.get("audio_seconds"):
        # Characters in a second: what is spoken takes time.
        seconds = features["audio_seconds"]
        features["text_rate"] = features["text_characters"] / seconds


def _add_labels(record: dict[str, Any], manifest: Manifest, row: int) -> None:
    record["labels"] = labels = list(_several(manifest, row, "label"))
    if labels:
        # TFDV reads UTF-8.
        record["features"]["label"] = [printable(label) for label in labels]
    if "weight" in manifest.columns:
        weight = manifest.column("weight")[row]
        if weight is not None and np.isfinite(weight):
            record["features"]["weight"] = float(weight)
            record["numbers"].append("weight")


def _several(manifest: Manifest, row: int, column: str) -> tuple[str, ...]:
    if column not in manifest.columns:
        return ()
    return manifest.texts_of(row, column)


def _media(manifest: Manifest, row: int) -> list[str]:
    return [
        name
        for name in MEDIA
        if name in manifest.columns and manifest.column(name)[row] is not None
    ]


def _write_with_flags(
    scanned: Path, path: Path, findings: Findings, numbers: bool
) -> None:
    """Add the flags to the records, and write the file as a whole.

    Whether labels are numbers shows only when all are known.
    """
    with unfinished(path).open("w", encoding="utf-8") as file:
        for row, record in enumerate(_lines(scanned)):
            record["flags"] = findings.of(row)
            features = record["features"]
            if numbers and "label" in features:
                number = as_number(features.pop("label")[0])
                if number is not None:
                    features["label_number"] = number
            file.write(json.dumps(record) + "\n")
    commit(unfinished(path), path)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
