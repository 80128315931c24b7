"""Look at every file before the first step, by processes that may be lost."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from keras_imp.data.decoding.errors import NOTES, BadFile
from keras_imp.data.decoding.source import kind_of, opened
from keras_imp.data.decoding.threads import default_threads
from keras_imp.data.manifest import Manifest
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.evaluation.own_data.choices import spread
from keras_imp.evaluation.own_data.recipe import TaskRecipe
from keras_imp.validation.findings import Finding
from keras_imp.validation.scan import TARGET, Scan, scan_and_flag

# Rows that are decoded; of the others, the first bytes are read.
SCANNED = 2000
# Images are decoded to this size: an eighth of a large JPEG file is quick.
IMAGE_SIZE = (256, 256)
# Rows whose first bytes are read at a time.
CHUNK = 256
# Rows that are named for each flag.
NAMED = 3
# Flags of what decoded files show, and of what a table says.
COPIES = ("leak_image", "leak_video", "leak_audio", "duplicate")
OF_FILES = (*COPIES, "label_conflict")
OF_ROWS = ("leak_text", "leak_group")
EMPTY = ("blank", "silent")


class Look(NamedTuple):
    """What was seen of the rows of a data set.

    Attributes:
        decoded: Numbers of the rows that were to be decoded, int64, in order.
        faults: By row and column: why a file cannot be used.
        soundless: By row: why the audio of its video cannot be used.
        notes: By row: warnings of the decoders.
        findings: Rows that repeat others.
        contents: By row: numbers that are equal for files that show the same.
            What is blank or silent has none.
    """

    decoded: np.ndarray
    faults: dict[int, dict[str, BadFile]]
    soundless: dict[int, BadFile]
    notes: dict[int, list[str]]
    findings: list[Finding]
    contents: dict[int, list[int]]

    @property
    def odd_rows(self) -> list[int]:
        """Numbers of the rows that some task cannot use, in order."""
        return sorted({*self.faults, *self.soundless})

    def fault_of(
        self, manifest: Manifest, row: int, files: Iterable[str]
    ) -> BadFile | None:
        """Why a task cannot use a row.

        Args:
            manifest: The rows.
            row: Number of the row.
            files: Modalities that the task reads from files.

        Returns:
            The first fault, None if there is none.
        """
        found = self.faults.get(row, {})
        for name in files:
            if name in manifest.columns and manifest.column(name)[row]:
                fault = found.get(name)
            else:
                fault = found.get("video") or self.soundless.get(row)
            if fault is not None:
                return fault
        return None

    def notes_of(self, rows: np.ndarray) -> dict[str, int]:
        """How many of some rows have each warning.

        Args:
            rows: Numbers of the rows.

        Returns:
            Numbers by word.
        """
        own = np.intersect1d(list(self.notes), rows).tolist()
        return dict(Counter(word for row in own for word in self.notes[row]))

    def findings_of(self, task: TaskRecipe, rows: np.ndarray) -> list[Finding]:
        """The findings that concern a task.

        Args:
            task: The task, with its inputs.
            rows: Numbers of the rows that it can use.

        Returns:
            Those of its columns and of these rows.
        """
        columns = {*(task.inputs or ()), "group", ""}
        if "audio" in columns:
            columns.add("video")
        usable = set(rows.tolist())
        return [
            f
            for f in self.findings
            if f.column in columns
            and f.row in usable
            and (f.flag != "label_conflict" or task.kind != "contrastive")
        ]


def look_at(manifest: Manifest, most: int = SCANNED) -> Look:
    """Decode some rows of a data set, and read the first bytes of the others.

    Args:
        manifest: The rows.
        most: How many rows to decode, evenly over all. What the first bytes of
            another one do not tell is decoded, too.

    Returns:
        What was seen.
    """
    decoded = spread(len(manifest), most)
    faults: dict[int, dict[str, BadFile]] = {}
    unknown = []
    others = np.setdiff1d(np.arange(len(manifest)), decoded)
    for row, column, found in _glances(manifest, others):
        if found is None:
            unknown.append(row)
        else:
            faults.setdefault(row, {})[column] = found
    chosen = np.union1d(decoded, np.array(unknown, "int64"))
    with tempfile.TemporaryDirectory() as folder:
        scan = scan_and_flag(
            manifest.select(chosen),
            folder,
            image_size=IMAGE_SIZE,
            target=TARGET,
        )
        return _look_of(scan, chosen, faults)._replace(decoded=decoded)


def alike_rows(
    findings: Iterable[Finding], manifest: Manifest
) -> dict[str, tuple[int, list[str]]]:
    """The rows that repeat others, in words.

    Args:
        findings: What was found.
        manifest: The rows.

    Returns:
        By flag: how many rows have it, and sentences on the first ones.
    """
    own: dict[str, list[Finding]] = {}
    for finding in findings:
        own.setdefault(finding.flag, []).append(finding)
    return {
        flag: (len(found), [_line(f, manifest) for f in found[:NAMED]])
        for flag, found in own.items()
    }


def copies_in(findings: Iterable[Finding]) -> list[tuple[int, int]]:
    """Rows whose files show the same.

    Args:
        findings: What was found.

    Returns:
        Each copy with the first row that it repeats.
    """
    return [
        (f.row, f.other)
        for f in findings
        if f.flag in COPIES and f.other is not None
    ]


def _line(finding: Finding, manifest: Manifest) -> str:
    text = f"{manifest.where(finding.row)}: {finding.flag}"
    if finding.other is None:
        return text
    return f"{text}, as {manifest.where(finding.other)}"


def _look_of(
    scan: Scan, chosen: np.ndarray, faults: dict[int, dict[str, BadFile]]
) -> Look:
    """What a scan of some rows found, with their numbers in all rows."""
    soundless, notes, contents = {}, {}, {}
    for record in scan.records():
        row = int(chosen[record["row"]])
        # Of a whole row, or of a text, is nothing that decoding shows.
        own = [fault for fault in record["faults"] if fault[0] in MEDIA]
        for column, reason in own:
            if reason == "no_value":
                continue
            name = record["files"][column]
            detail = record["details"].get(column, "")
            faults.setdefault(row, {})[column] = BadFile(reason, name, detail)
        if "video" in record["files"] and record["audio_fault"]:
            soundless[row] = BadFile(
                record["audio_fault"], record["files"]["video"]
            )
        words = {word.removeprefix("audio_") for word in record["notes"]}
        if words & {*NOTES}:
            notes[row] = sorted(words & {*NOTES})
        contents[row] = [
            int(digest[:16], 16)
            for column, digest in record["hashes"].items()
            if digest and column not in record["empty"]
        ]
    # All that is blank or silent is alike, which tells nothing of its rows.
    empty = {f.row for f in scan.findings if f.flag in EMPTY}
    findings = [
        _numbered(f, chosen)
        for f in scan.findings
        if f.flag in OF_ROWS or (f.flag in OF_FILES and f.row not in empty)
    ]
    return Look(chosen, faults, soundless, notes, findings, contents)


def _numbered(finding: Finding, chosen: np.ndarray) -> Finding:
    other = finding.other
    return finding._replace(
        row=int(chosen[finding.row]),
        other=None if other is None else int(chosen[other]),
    )


def _glances(
    manifest: Manifest, rows: np.ndarray
) -> Iterator[tuple[int, str, BadFile | None]]:
    """Rows whose first bytes show a fault, or nothing that is known."""
    columns = [name for name in MEDIA if name in manifest.columns]

    def glance(row: int) -> list[tuple[str, BadFile | None]]:
        found = ((name, _kind(manifest, row, name)) for name in columns)
        return [
            (name, kind or None)
            for name, kind in found
            if isinstance(kind, BadFile) or kind == ""
        ]

    if not columns:
        return
    with ThreadPoolExecutor(default_threads(), "keras_imp.look") as pool:
        # Some at a time: millions must not wait in memory.
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK].tolist()
            for row, found in zip(some, pool.map(glance, some)):
                for name, fault in found:
                    yield row, name, fault


def _kind(manifest: Manifest, row: int, column: str) -> Any:
    """The format of a file as its first bytes tell it, or a `BadFile`."""
    try:
        source = manifest.source(row, column)
        if source is None:
            return None
        with opened(source, None) as file:
            return kind_of(file)
    except BadFile as error:
        return error
