"""What was seen of the files of each task; then the rows are fixed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp.data import paths
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.manifest import Manifest
from keras_imp.data.manifest.problems import Problem, bad_files
from keras_imp.data.records import Quarantine
from keras_imp.evaluation.own_data.look import Look, alike_rows, copies_in
from keras_imp.evaluation.own_data.recipe import TaskRecipe
from keras_imp.evaluation.run_folder import RunError, write_json

FILE = "scan.json"
QUARANTINE = "quarantine.jsonl"
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
        soundless: Numbers of the rows whose videos have no audio, where the
            task needs it.
        alike: By flag: how many of the decoded rows repeat others, and a
            sentence for the first of them.
        copies: Numbers of two rows each that show the same.
        roots: Where there are several data sets: hashes of groups that show
            what groups of other ones show, and of one that stands for them.
        elsewhere: Sentences on rows held out that another task trains on.
    """

    rows: int
    decoded: int
    incomplete: dict[str, int]
    bad: list[int]
    reasons: dict[str, int]
    notes: dict[str, int]
    first: list[str]
    # A run of an earlier version has none of these.
    soundless: list[int] = []
    alike: dict[str, tuple[int, list[str]]] = {}
    copies: list[tuple[int, int]] = []
    roots: list[tuple[int, int]] | None = None
    elsewhere: list[str] = []

    @property
    def unusable(self) -> list[int]:
        """Numbers of the rows that cannot be used, whatever the reason."""
        return self.bad + self.soundless


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
    task: TaskRecipe, manifest: Manifest, look: Look, quarantine: Quarantine
) -> Scan:
    """Find the files of a task that cannot be used, and rows that are alike.

    Args:
        task: The task, with its inputs.
        manifest: Its rows.
        look: What was seen of them.
        quarantine: Gets the rows whose files are bad.

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
    soundless = []
    for row in np.intersect1d(look.odd_rows, rows).tolist():
        fault = look.fault_of(manifest, row, files)
        if fault is None or row in quarantine:
            continue
        if fault.reason == "no_audio":
            soundless.append(row)
        else:
            quarantine.add(row, str(manifest.where(row)), fault)
    if soundless:
        incomplete["no_audio"] = len(soundless)
        lacking = Problem("no_audio", "skip", "", np.array(soundless))
        first += lacking.lines(manifest, NAMED)
    left = np.setdiff1d(rows, quarantine.bad_rows + soundless)
    findings = look.findings_of(task, left)
    return Scan(
        rows=len(manifest),
        decoded=len(np.intersect1d(look.decoded, rows)),
        incomplete=incomplete,
        bad=quarantine.bad_rows,
        reasons=quarantine.reasons,
        notes=look.notes_of(left) if files else {},
        first=first + quarantine.first(NAMED),
        soundless=soundless,
        alike=alike_rows(findings, manifest),
        copies=copies_in(findings),
    )


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
