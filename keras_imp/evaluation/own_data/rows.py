"""The rows of each task, fixed before training: scanned, split, checked."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp.data.manifest import Manifest, groups
from keras_imp.data.manifest.origins import Where
from keras_imp.data.records import Quarantine, TooManyBadFilesError
from keras_imp.data.records.targets import class_names, targets_of
from keras_imp.evaluation.own_data import scan as scanning
from keras_imp.evaluation.own_data.across import (
    ContentKeys,
    content_keys,
    joined_groups,
    trained_on_elsewhere,
)
from keras_imp.evaluation.own_data.look import SCANNED, Look, look_at
from keras_imp.evaluation.own_data.recipe import DataRecipe, TaskRecipe
from keras_imp.evaluation.own_data.scan import Scan
from keras_imp.evaluation.own_data.splits import (
    pairs_of,
    roots_of,
    split_rows,
)
from keras_imp.evaluation.run_folder import RunError

# What `Records` takes for the targets of each kind.
TARGETS = {
    "classification": "label",
    "multi-label": "labels",
    "regression": "number",
}


class Limits(NamedTuple):
    """What a scan may find, and how much of the data it decodes.

    Attributes:
        max_bad: Fraction of the rows of a task whose files may be bad.
        strict: Whether the first bad file stops the run.
        scanned: Rows of a task to decode.
    """

    max_bad: float = 0.01
    strict: bool = False
    scanned: int = SCANNED


class Part(NamedTuple):
    """Some rows of a task.

    Attributes:
        manifest: The rows.
        numbers: Number of each in all rows of the data.
    """

    manifest: Manifest
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def where(self, number: int) -> Where:
        """Where a row comes from, for messages.

        Args:
            number: Its number in all rows of the data.
        """
        place = int(np.flatnonzero(self.numbers == number)[0])
        return self.manifest.where(place)


@dataclasses.dataclass(frozen=True)
class TaskRows:
    """The rows of one task.

    Attributes:
        name: Name of the task.
        recipe: How it is trained.
        scan: What was found in its files.
        train: Rows to train on.
        validation: Rows that are held out.
        split: Where the split is from, as a sentence.
        quarantine: Rows that cannot be used.
        classes: Names of the classes; empty for other kinds.
        mean: Mean of the numbers to predict, in training.
        std: Their standard deviation.
        cache: Folder for what files are decoded to, or None.
    """

    name: str
    recipe: TaskRecipe
    scan: Scan
    train: Part
    validation: Part
    split: str
    quarantine: Quarantine
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    cache: Path | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Modalities of a batch."""
        return self.recipe.inputs or ()

    @property
    def kind(self) -> str:
        """What is learned."""
        return self.recipe.kind or ""

    @property
    def is_cut_at_random(self) -> bool:
        """Whether a random part of each image is trained on: not cached."""
        cut = {"image", "video"} & {*self.inputs}
        return bool(cut) and self.recipe.crop != "center"

    @property
    def target(self) -> str:
        """What `Records` is told to take as targets."""
        return TARGETS.get(self.kind, self.recipe.match)

    @property
    def batch_size(self) -> int:
        """Rows of a batch: not more than there are."""
        return min(self.recipe.batch_size, len(self.train))

    @property
    def validation_batch_size(self) -> int:
        """Rows of a batch of the validation: not more than there are."""
        return min(self.batch_size, len(self.validation))


def fix_rows(
    recipe: DataRecipe,
    manifests: Mapping[str, Manifest],
    folder: Path,
    limits: Limits,
    cache: Path | None = None,
) -> dict[str, TaskRows]:
    """Scan the files of all tasks, unless it was done; split what is left.

    Args:
        recipe: Its tasks have kind and inputs.
        manifests: Rows by task.
        folder: Folder of the run, for the scan and the quarantine.
        limits: What the scan may find.
        cache: Folder for what files are decoded to.

    Returns:
        The rows by task.

    Raises:
        RunError: If there are too many bad files, what is left cannot be
            trained on, or the rows are not those that were scanned.
    """
    scans = scanning.read_scan(folder)
    if scans is None:
        # What a scan that failed has noted: the files may be mended by now.
        (folder / scanning.QUARANTINE).unlink(missing_ok=True)
    else:
        _check_rows(manifests, scans)
    quarantines = {
        name: Quarantine(
            len(manifest),
            folder / scanning.QUARANTINE,
            limits.max_bad,
            limits.strict,
            task=name,
        )
        for name, manifest in manifests.items()
    }
    keys: dict[str, ContentKeys] = {}
    if scans is None:
        scans, keys = _scans(recipe, manifests, limits, quarantines)
        scanning.save_scan(folder, scans)
    tasks = {
        name: _rows(
            name, recipe, manifests[name], scans[name], quarantines[name]
        )
        for name in recipe.tasks
    }
    for name, told in trained_on_elsewhere(tasks, keys).items():
        scan = scans[name]._replace(elsewhere=told)
        tasks[name] = dataclasses.replace(tasks[name], scan=scan)
    if keys:
        # Saved too, so that a resumed run says it again.
        scans = {name: rows.scan for name, rows in tasks.items()}
        scanning.save_scan(folder, scans)
    return {
        name: dataclasses.replace(rows, cache=cache)
        for name, rows in tasks.items()
    }


def _scans(
    recipe: DataRecipe,
    manifests: Mapping[str, Manifest],
    limits: Limits,
    quarantines: Mapping[str, Quarantine],
) -> tuple[dict[str, Scan], dict[str, ContentKeys]]:
    """What is in the files of all tasks.

    Where there are several, also what tells that their rows show the same, and
    of several data sets which groups do.
    """
    # Tasks of one data set share its rows, and what was seen of them.
    data = {id(manifest): manifest for manifest in manifests.values()}
    looks = {key: look_at(m, limits.scanned) for key, m in data.items()}
    scans = {
        name: scan_rows(
            name,
            recipe.tasks[name],
            manifest,
            looks[id(manifest)],
            quarantines[name],
        )
        for name, manifest in manifests.items()
    }
    if len(manifests) < 2:
        return scans, {}
    keys = {key: content_keys(m, looks[key]) for key, m in data.items()}
    if len(data) > 1:
        scans = _with_roots(recipe.seed, manifests, data, keys, scans)
    return scans, {name: keys[id(m)] for name, m in manifests.items()}


def _with_roots(
    seed: int,
    manifests: Mapping[str, Manifest],
    data: Mapping[int, Manifest],
    keys: Mapping[int, ContentKeys],
    scans: Mapping[str, Scan],
) -> dict[str, Scan]:
    """The same scans with the groups that stay together in all tasks."""
    hashes = {key: groups.hashes(m, salt=str(seed)) for key, m in data.items()}
    of_tasks = {name: hashes[id(m)] for name, m in manifests.items()}
    pairs = dict.fromkeys(
        pair
        for name, scan in scans.items()
        for pair in pairs_of(of_tasks[name], scan.copies)
    )
    across = joined_groups([(hashes[k], each) for k, each in keys.items()])
    roots = roots_of([*pairs, *across])
    return {
        name: scan._replace(roots=_roots_among(of_tasks[name], roots))
        for name, scan in scans.items()
    }


def _roots_among(
    hashes: np.ndarray, roots: Mapping[int, int]
) -> list[tuple[int, int]]:
    """The roots of some groups."""
    moved = np.isin(hashes, np.fromiter(roots, "uint64", len(roots)))
    return [(h, roots[h]) for h in np.unique(hashes[moved]).tolist()]


def _check_rows(
    manifests: Mapping[str, Manifest], scans: Mapping[str, Scan]
) -> None:
    """Raise if the data has other rows than those that were scanned."""
    if {*manifests} != {*scans}:
        raise RunError(
            message(
                "The tasks of a run must be those that it was started with.",
                "Put its recipe back as it was, or start a new run.",
                tasks=sorted(manifests),
                tasks_of_the_run=sorted(scans),
            )
        )
    for name, manifest in manifests.items():
        if len(manifest) != scans[name].rows:
            raise RunError(
                message(
                    f"The rows of task {name!r} must be those of the run.",
                    "Put the data back as it was, or start a new run; "
                    "`keras-imp evaluate --data` measures on other rows.",
                    rows=len(manifest),
                    rows_of_the_run=scans[name].rows,
                )
            )


def scan_rows(
    name: str,
    task: TaskRecipe,
    manifest: Manifest,
    look: Look,
    quarantine: Quarantine,
) -> Scan:
    """Find the files of a task that cannot be used.

    Args:
        name: Name of the task.
        task: The task, with its inputs.
        manifest: Its rows.
        look: What was seen of them.
        quarantine: Gets the rows whose files are bad.

    Returns:
        What was found.

    Raises:
        RunError: If there are more bad files than is allowed.
    """
    try:
        return scanning.scan_task(task, manifest, look, quarantine)
    except TooManyBadFilesError as error:
        raise RunError(f"Task {name!r}: {error}") from error


def usable_rows(
    name: str,
    task: TaskRecipe,
    manifest: Manifest,
    scan: Scan,
    hint: str = "",
) -> np.ndarray:
    """The rows of a task that have all it needs, in files that can be used.

    Args:
        name: Name of the task.
        task: The task, with its inputs.
        manifest: Its rows.
        scan: What was found in their files.
        hint: What to do where there is none.

    Returns:
        Numbers of the rows.

    Raises:
        RunError: If there is none.
    """
    complete, _, _ = scanning.complete_rows(task, manifest)
    usable = np.setdiff1d(complete, scan.unusable)
    if not len(usable):
        raise RunError(
            message(
                f"Task {name!r} has no row that can be used. The first ones: "
                f"{'; '.join(scan.first)}.",
                hint,
                rows=scan.rows,
                **scan.incomplete,
                **scan.reasons,
            )
        )
    return usable


def _rows(
    name: str,
    recipe: DataRecipe,
    manifest: Manifest,
    scan: Scan,
    quarantine: Quarantine,
) -> TaskRows:
    task = recipe.tasks[name]
    usable = usable_rows(
        name,
        task,
        manifest,
        scan,
        "Mend the data, or name other columns in a recipe.",
    )
    split = split_rows(
        name,
        manifest,
        usable,
        recipe.validation_fraction,
        recipe.seed,
        labeled=task.kind in ("classification", "multi-label"),
        copies=scan.copies,
        roots=None if scan.roots is None else dict(scan.roots),
    )
    train, validation = (
        Part(manifest.select(numbers), numbers)
        for numbers in (split.train, split.validation)
    )
    rows = TaskRows(name, task, scan, train, validation, split.told, quarantine)
    return _with_targets(rows)


def _with_targets(rows: TaskRows) -> TaskRows:
    """The same with what the targets are, checked."""
    manifest = rows.train.manifest
    if rows.kind == "contrastive":
        _check_pairs(rows)
        return rows
    if rows.kind == "regression":
        try:
            numbers = targets_of(manifest, "number")
            targets_of(rows.validation.manifest, "number")
        except ValueError as error:
            raise RunError(f"Task {rows.name!r}: {error}") from error
        mean, std = float(numbers.mean()), float(numbers.std())
        if std == 0:
            raise RunError(
                message(
                    f"Task {rows.name!r} needs different numbers to predict.",
                    all_are=mean,
                )
            )
        return dataclasses.replace(rows, mean=mean, std=std)
    classes = tuple(class_names(manifest))
    if len(classes) < 2:
        raise RunError(
            message(
                f"Task {rows.name!r} needs two classes or more in its training "
                "rows.",
                "Name another column: [tasks.NAME.columns] label = NAME.",
                classes=list(classes),
                rows=len(rows.train),
            )
        )
    try:
        for part in (rows.train, rows.validation):
            targets_of(part.manifest, rows.target, classes)
    except ValueError as error:
        raise RunError(f"Task {rows.name!r}: {error}") from error
    return dataclasses.replace(rows, classes=classes)


def _check_pairs(rows: TaskRows) -> None:
    if "text" in rows.inputs:
        texts = set(rows.train.manifest.values("text"))
        if len(texts) < 2:
            raise RunError(
                message(
                    f"Task {rows.name!r} needs different texts to tell apart.",
                    all_are=next(iter(texts)),
                )
            )
    for part, what in (
        (rows.train, "training rows"),
        (rows.validation, "validation rows"),
    ):
        targets = targets_of(part.manifest, rows.target)
        if len(np.unique(targets)) < 2 or rows.batch_size < 2:
            raise RunError(
                message(
                    f"Task {rows.name!r} contrasts rows of a batch, so its "
                    f"{what} must be two or more, of different files.",
                    "Add rows, or use a larger batch_size.",
                    rows=len(part),
                    batch_size=rows.batch_size,
                )
            )
