"""Look at every file before the first step; then the rows are fixed."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp.data import paths
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.decoding.source import kind_of, opened
from keras_imp.data.decoding.threads import default_threads
from keras_imp.data.manifest import Manifest
from keras_imp.data.manifest.problems import Problem, bad_files
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.records import Quarantine, RowReader
from keras_imp.evaluation.own_data.choices import spread
from keras_imp.evaluation.own_data.recipe import Sizes, TaskRecipe
from keras_imp.evaluation.run_folder import RunError, write_json

FILE = "scan.json"
QUARANTINE = "quarantine.jsonl"
# Rows that are decoded; of the others, the first bytes are read.
SCANNED = 2000
# Rows that are named for each reason.
NAMED = 3


class Scan(NamedTuple):
    """What a scan of the rows of one task found.

    Attributes:
        rows: How many rows the data has.
        decoded: How many of them were decoded.
        incomplete: Rows without a value that the task needs, by reason.
        bad: Numbers of the rows whose files cannot be used.
        reasons: How many of them have each reason.
        notes: How many of the decoded rows have each warning.
        first: A sentence for the first rows of each reason.
    """

    rows: int
    decoded: int
    incomplete: dict[str, int]
    bad: list[int]
    reasons: dict[str, int]
    notes: dict[str, int]
    first: list[str]


def read_scan(folder: Path) -> dict[str, Scan] | None:
    """What a scan found that was finished before, if there is one.

    Args:
        folder: Folder of the run.

    Returns:
        By task; None if there was none.

    Raises:
        RunError: If the file cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
        return {name: Scan(**each) for name, each in found.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(
            message(
                "The scan of a run must be the one that it wrote.",
                "Start a new run.",
                file=str(path),
                error=str(error),
            )
        ) from error


def save_scan(folder: Path, scans: Mapping[str, Scan]) -> None:
    """Write what a scan found: from then on, the rows are fixed.

    Args:
        folder: Folder of the run.
        scans: By task.
    """
    found = {name: scan._asdict() for name, scan in scans.items()}
    write_json(folder / FILE, found)


def complete_rows(
    task: TaskRecipe, manifest: Manifest
) -> tuple[np.ndarray, dict[str, int], list[str]]:
    """The rows that have all that a task needs.

    Args:
        task: The task, with its inputs.
        manifest: The rows.

    Returns:
        Numbers of the rows; how many lack what; sentences on the first.
    """
    needed = [*(task.inputs or ())]
    if task.kind != "contrastive":
        needed.append("label")
    left = np.ones(len(manifest), bool)
    problems = []
    for name in needed:
        lacking = left & ~_is_filled(manifest, name)
        problems.append(
            Problem(f"no_{name}", "skip", name, np.flatnonzero(lacking))
        )
        left &= ~lacking
    if {"start", "end"} <= {*manifest.columns}:
        start, end = (manifest.column(n).array for n in ("start", "end"))
        lacking = left & (end <= start)
        problems.append(Problem("no_time", "skip", "", np.flatnonzero(lacking)))
        left &= ~lacking
    problems = [problem for problem in problems if len(problem.rows)]
    return (
        np.flatnonzero(left),
        {problem.reason: len(problem.rows) for problem in problems},
        [line for p in problems for line in p.lines(manifest, NAMED)],
    )


def scan_task(
    task: TaskRecipe,
    manifest: Manifest,
    sizes: Sizes,
    quarantine: Quarantine,
    most: int = SCANNED,
) -> Scan:
    """Find the files of a task that cannot be used.

    Args:
        task: The task, with its inputs.
        manifest: Its rows.
        sizes: To what files are decoded.
        quarantine: Gets the rows whose files are bad.
        most: How many rows to decode.

    Returns:
        What was found.

    Raises:
        TooManyBadFilesError: If there are more bad files than is allowed.
    """
    rows, incomplete, first = complete_rows(task, manifest)
    files = [name for name in task.inputs or () if name != "text"]
    for problem in _missing_files(manifest, files):
        for row in np.intersect1d(problem.rows, rows).tolist():
            name = str(manifest.row(row)[problem.column])
            quarantine.add(
                row,
                str(manifest.where(row)),
                BadFile(problem.reason, paths.shown(name)),
            )
    reached = [row for row in rows.tolist() if row not in quarantine]
    notes: Counter[str] = Counter()
    decoded = 0
    if files and reached:
        look = _Look(manifest, _reader(manifest, files, sizes))
        chosen = {reached[i] for i in spread(len(reached), most)}
        for row, found in look.at(reached, chosen):
            decoded += row in chosen
            if isinstance(found, BadFile):
                quarantine.add(row, str(manifest.where(row)), found)
            else:
                notes.update(found)
    return Scan(
        rows=len(manifest),
        decoded=decoded,
        incomplete=incomplete,
        bad=quarantine.bad_rows,
        reasons=quarantine.reasons,
        notes=dict(notes),
        first=first + quarantine.first(NAMED),
    )


class _Look:
    """Reads rows in threads; their order stays."""

    def __init__(self, manifest: Manifest, reader: RowReader):
        self._manifest = manifest
        self._reader = reader

    def at(
        self, rows: list[int], decoded: set[int]
    ) -> Iterator[tuple[int, BadFile | list[str]]]:
        with ThreadPoolExecutor(default_threads(), "keras_imp.scan") as pool:
            # Some at a time: an error must not wait for all of millions.
            for start in range(0, len(rows), 256):
                some = rows[start : start + 256]
                looks = [
                    self._decode if row in decoded else self._glance
                    for row in some
                ]
                yield from zip(
                    some, pool.map(lambda look, row: look(row), looks, some)
                )

    def _decode(self, row: int) -> BadFile | list[str]:
        try:
            _, notes = self._reader.read(row)
        except BadFile as error:
            return error
        return sorted({word for words in notes.values() for word in words})

    def _glance(self, row: int) -> BadFile | list[str]:
        """Read the first bytes; decode what they do not tell."""
        for name in self._reader.inputs:
            try:
                column = self._reader.column_of(name, row)
                source = self._manifest.source(row, column)
                if source is None:
                    continue
                with opened(source, None) as file:
                    kind = kind_of(file)
            except BadFile as error:
                return error
            if not kind:
                return self._decode(row)
        return []


def _reader(manifest: Manifest, files: list[str], sizes: Sizes) -> RowReader:
    preprocessor = IMPPreprocessor(
        image=sizes.image if "image" in files else None,
        video=sizes.video if "video" in files else None,
        video_stride=sizes.video_stride or 1,
        audio_seconds=sizes.audio_seconds if "audio" in files else None,
    )
    return RowReader(manifest, preprocessor, tuple(files))


def _is_filled(manifest: Manifest, name: str) -> np.ndarray:
    """Which rows have a value; audio may be that of the video."""
    filled = np.zeros(len(manifest), bool)
    for column in (name, "video") if name == "audio" else (name,):
        if column in manifest.columns:
            filled |= manifest.column(column).is_filled()
    return filled


def _missing_files(manifest: Manifest, files: list[str]) -> list[Problem]:
    columns = {"video" if f not in manifest.columns else f for f in files}
    return [p for p in bad_files(manifest) if p.column in columns]
