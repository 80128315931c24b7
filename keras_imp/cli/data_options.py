"""What the command line says about own data."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_imp._errors import message
from keras_imp.cli import run_options
from keras_imp.cli.run_options import UsageError

RECIPE = "recipe.toml"


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """What the command line says about own data.

    Attributes:
        data: Tables, folders and archives.
        recipe: A recipe to follow.
        columns: Columns as `NAME=NAME IN THE DATA`.
        dry_run: Whether to stop before files are opened.
        overfit: How many examples to learn by heart, if any.
        max_bad: Fraction of the rows whose files may be bad.
        strict: Whether the first bad file stops the run.
        scan_rows: Rows of a task to decode before training.
        cache: Folder for what files are decoded to.
    """

    data: tuple[Path, ...] = ()
    recipe: Path | None = None
    columns: tuple[str, ...] = ()
    dry_run: bool = False
    overfit: int | None = None
    max_bad: float | None = None
    strict: bool = False
    scan_rows: int | None = None
    cache: Path | None = None

    def given(self) -> list[str]:
        """The options that were given, as they are typed."""
        return [
            f"--{field.name.rstrip('s').replace('_', '-')}"
            if field.name == "columns"
            else f"--{field.name.replace('_', '-')}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) not in (None, False, ())
        ]

    def again(self, given: dict[str, Any]) -> list[str]:
        """What to type beside a recipe for a run with the same options.

        Args:
            given: Backend, steps and tensorboard, None where not given.

        Returns:
            Options and their values: those that a recipe does not hold, and
            the steps of `--overfit`, which are not those of its run.
        """
        values = {
            "--backend": given["backend"],
            "--overfit": self.overfit,
            "--steps": None if self.overfit is None else given["steps"],
            "--max-bad": self.max_bad,
            "--scan-rows": self.scan_rows,
            "--cache": self.cache,
        }
        words = [
            word
            for option, value in values.items()
            if value is not None
            for word in (option, str(value))
        ]
        switches = {
            "--strict": self.strict,
            "--tensorboard": given["tensorboard"],
        }
        return words + [option for option, is_on in switches.items() if is_on]


def is_own(options: DataOptions, resume: Path | None) -> bool:
    """Whether a command is about own data.

    Args:
        options: What was given.
        resume: Folder of a run to resume, if any.

    Returns:
        False for the playground.

    Raises:
        UsageError: If options of own data are given without data.
    """
    if resume is not None and (resume / RECIPE).exists():
        return True
    if options.data or options.recipe is not None:
        return True
    if options.given():
        raise UsageError(
            message(
                "These options are for data of your own.",
                "Name it: --data PATH, or --recipe FILE.",
                options=options.given(),
            )
        )
    return False


def named_columns(options: Iterable[str]) -> dict[str, str]:
    """What the data calls its columns.

    Args:
        options: Each as `COLUMN=NAME`.

    Returns:
        Names in the data by column.

    Raises:
        UsageError: If one is written otherwise.
    """
    pairs = {}
    for text in options:
        column, sign, name = text.partition("=")
        if not column or not sign:
            raise UsageError(
                message(
                    "A column is named as --column label=NAME.", column=text
                )
            )
        pairs[column] = name
    return pairs


def check(options: DataOptions, given: dict[str, Any]) -> None:
    """Raise unless options fit each other.

    Args:
        options: What was given about the data.
        given: Backend, steps, seed, encoder and tensorboard, None where not
            given.

    Raises:
        UsageError: If they do not.
    """
    named_columns(options.columns)
    for path in options.data:
        if path.suffix == ".toml":
            raise UsageError(
                message(
                    "A recipe is given by --recipe.",
                    f"Use --recipe {path}.",
                    data=str(path),
                )
            )
    if options.overfit is not None and options.cache is not None:
        raise UsageError(
            message(
                "--overfit reads a few examples once, so it has no cache.",
                "Leave --cache out.",
                cache=str(options.cache),
            )
        )
    if options.overfit is not None and given["tensorboard"]:
        raise UsageError(
            message(
                "--overfit writes nothing for TensorBoard.",
                "Leave --tensorboard out.",
                overfit=options.overfit,
            )
        )
    if options.columns and not options.data:
        raise UsageError(
            message(
                "--column is for --data.",
                "In a recipe, columns are named in [tasks.NAME.columns].",
                column=list(options.columns),
            )
        )
    if given["backend"] is None:
        run_options.check_backend(run_options.default_backend())


def check_resume(
    folder: Path,
    options: DataOptions,
    config: dict[str, Any],
    out: Path | None,
) -> None:
    """Raise unless a run can be resumed with some options.

    Args:
        folder: Its folder.
        options: What was given about the data.
        config: What the run was started with.
        out: Must not be given.

    Raises:
        UsageError: If it cannot.
    """
    if out is not None:
        raise run_options.stays(folder, out)
    kept = [
        name
        for name in options.given()
        if name not in ("--max-bad", "--strict", "--cache")
    ]
    if kept:
        raise UsageError(
            message(
                "A run keeps the data and the recipe that it was started with.",
                f"Leave {', '.join(kept)} out.",
                resume=str(folder),
            )
        )
    if config["overfit"] is not None:
        raise UsageError(
            message(
                "A run with --overfit is not resumed: it takes a minute.",
                "Start it anew.",
                resume=str(folder),
            )
        )


def check_cache(cache: Path | None) -> None:
    """Raise unless the folder of a cache can be written to.

    Args:
        cache: The folder, if any.

    Raises:
        UsageError: If it cannot.
    """
    # It imports Keras.
    from keras_imp.data.records.cache import check_folder

    if cache is not None:
        try:
            check_folder(cache)
        except ValueError as error:
            raise UsageError(str(error)) from error
