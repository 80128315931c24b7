"""What is wrong with rows, as far as it shows before decoding."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_imp.data import paths
from keras_imp.data.manifest.media import MISSING, REASONS, THERE, Files
from keras_imp.data.reading.aliases import CONTENT

if TYPE_CHECKING:
    from keras_imp.data.manifest.manifest import Manifest

# Bytes of a text that are more than any caption or transcript has.
LONG_TEXT = 20_000


class Problem(NamedTuple):
    """One kind of problem, and the rows that have it.

    Attributes:
        reason: A stable word: `"missing"`, `"not_file"`, `"unreadable"`,
            `"no_label"`, `"no_text"`, `"no_image"`, `"no_video"`,
            `"no_audio"`, `"no_time"`, `"duplicate"` or `"long_text"`.
        outcome: `"skip"` if such a row cannot be used, else `"warn"`.
        column: The column, `""` for the whole row.
        rows: int64, shape `(rows with it,)`: their numbers.

    Example:
        >>> import keras_imp
        >>> manifest = keras_imp.data.Manifest({"text": ["one", "one"]})
        >>> problem, = manifest.problems()
        >>> problem.reason, problem.outcome, problem.rows.tolist()
        ('duplicate', 'warn', [1])
    """

    reason: str
    outcome: str
    column: str
    rows: np.ndarray

    def lines(self, manifest: "Manifest", most: int = 5) -> list[str]:
        """A line for each of the first rows, with file, line and cause.

        Args:
            manifest: The rows.
            most: How many rows to tell of.

        Returns:
            The lines.
        """
        return [
            f"{manifest.where(row)}: {self.reason}"
            + _detail(self, manifest, int(row))
            for row in self.rows[:most]
        ]


def find_problems(manifest: "Manifest") -> list[Problem]:
    """All problems of some rows.

    Args:
        manifest: The rows.

    Returns:
        Those that make a row unusable first.
    """
    found = [
        *bad_files(manifest),
        *_too_little(manifest),
        *_no_time(manifest),
        *_long_texts(manifest),
        *_duplicates(manifest),
    ]
    return [problem for problem in found if len(problem.rows)]


def skipped(problems: list[Problem], rows: int) -> np.ndarray:
    """Which rows cannot be used, bool, shape `(rows,)`.

    Args:
        problems: What `find_problems` found.
        rows: Number of rows.

    Returns:
        True for a row that must be left out.
    """
    bad = np.zeros(rows, bool)
    for problem in problems:
        if problem.outcome == "skip":
            bad[problem.rows] = True
    return bad


def bad_files(manifest: "Manifest") -> list[Problem]:
    """The rows whose files are not there, or are none.

    Args:
        manifest: The rows.

    Returns:
        The problems, by column and reason.
    """
    return [
        Problem(REASONS[state], "skip", name, np.flatnonzero(states == state))
        for name, states in _states(manifest).items()
        for state in np.unique(states)
        if state != THERE
    ]


def _states(manifest: "Manifest") -> dict[str, np.ndarray]:
    columns = {name: manifest.column(name) for name in manifest.columns}
    return {
        name: column.states
        for name, column in columns.items()
        if isinstance(column, Files)
    }


def _too_little(manifest: "Manifest") -> list[Problem]:
    """Rows with fewer than two contents, in data that has at least two.

    One content alone is no pair and no example with a label.
    """
    names = [name for name in CONTENT if name in manifest.columns]
    filled = np.stack([manifest.column(name).is_filled() for name in names])
    few = filled.sum(0) < min(2, len(names))
    problems = []
    # The label first: of an image without one, it is what lacks.
    for name in reversed(names):
        rows = few & ~filled[names.index(name)]
        problems.append(
            Problem(f"no_{name}", "skip", name, np.flatnonzero(rows))
        )
        few &= ~rows
    return problems


def _no_time(manifest: "Manifest") -> list[Problem]:
    """Rows whose part of a file ends where it starts, or before."""
    if not {"start", "end"} <= set(manifest.columns):
        return []
    start, end = (manifest.column(name).array for name in ("start", "end"))
    # Missing numbers are NaN, which no comparison holds for.
    return [Problem("no_time", "skip", "end", np.flatnonzero(end <= start))]


def _long_texts(manifest: "Manifest") -> list[Problem]:
    if "text" not in manifest.columns:
        return []
    rows = np.flatnonzero(manifest.column("text").sizes() > LONG_TEXT)
    return [Problem("long_text", "warn", "text", rows)]


def _duplicates(manifest: "Manifest") -> list[Problem]:
    """Rows that repeat an earlier one in all columns."""
    columns = [manifest.column(name) for name in manifest.columns]
    # Two unlike rows of three million have equal hashes once in two million
    # such tables, and this is a warning only.
    hashes = np.fromiter(map(hash, zip(*columns)), "int64", len(manifest))
    first = np.unique(hashes, return_index=True)[1]
    again = np.ones(len(manifest), bool)
    again[first] = False
    return [Problem("duplicate", "warn", "", np.flatnonzero(again))]


def _detail(problem: Problem, manifest: "Manifest", row: int) -> str:
    if not problem.column:
        return ""
    column = manifest.column(problem.column)
    if not isinstance(column, Files) or column[row] is None:
        return ""
    text = f", {problem.column} {paths.shown(column[row] or '')!r}"
    if problem.reason != REASONS[MISSING]:
        return text
    like = paths.nearest(column.root.root, column.path_of(row))
    return f"{text}; did you mean {paths.shown(like)!r}?" if like else text
