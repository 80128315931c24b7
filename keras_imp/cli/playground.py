"""The bundled data: written as files, or trained on as it is."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

import keras_imp
from keras_imp.cli import run_options
from keras_imp.cli.run_options import RunOptions, fail


def write(
    out: Annotated[
        Path,
        typer.Option(
            file_okay=False, help="The folder to make: a new or an empty one."
        ),
    ],
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most examples of each label in each split, of each table. "
            "Default: all.",
        ),
    ] = None,
) -> None:
    """Write the bundled data as files with tables and a recipe, to train on."""
    from keras_imp.data.playground import write_files

    try:
        with Progress(transient=True, disable=not Console().is_terminal) as bar:
            task = bar.add_task("Writing files", total=None)
            count = write_files(
                out,
                limit,
                lambda done, total: bar.update(
                    task, completed=done, total=total
                ),
            )
    except FileExistsError as error:
        fail(str(error), code=2)
    except (OSError, ImportError) as error:
        fail(str(error), code=1)
    recipe = shlex.quote(str(out / "recipe.toml"))
    typer.echo(f"{count:,} images, audio files and videos are in {out}.")
    typer.echo(f"To train: keras-imp train --recipe {recipe}")


def train(given: dict[str, Any], out: Path | None, resume: Path | None) -> None:
    """Train on the playground, whose batches are drawn anew, without files.

    Args:
        given: Backend, steps, seed, encoder and tensorboard, None where not
            given.
        out: Folder of the run; None for a new one.
        resume: Folder of a run to continue, if any.

    Raises:
        UsageError: If the options cannot be followed.
        ImportError: If a package is missing.
    """
    options, folder = _options_and_folder(given, out, resume)
    try:
        run_options.load_backend(options.backend)
        _run(options, folder)
    except KeyboardInterrupt:
        fail(f"Stopped by SIGINT. {run_options.to_continue(folder)}", code=130)


def _options_and_folder(
    given: dict[str, Any], out: Path | None, resume: Path | None
) -> tuple[RunOptions, Path]:
    """Look at all that can be wrong, then make the folder of a new run."""
    if resume is not None and out is not None:
        raise run_options.stays(resume, out)
    if resume is not None:
        options = run_options.of_resumed_run(resume, given)
    else:
        options = run_options.of_new_run(given)
    run_options.check_installed(options.backend)
    if resume is not None:
        return options, resume
    folder = run_options.new_folder(out)
    options.save(folder)
    return options, folder


def _run(options: RunOptions, folder: Path) -> None:
    from keras_imp.evaluation.playground.run import PlaygroundRun

    typer.echo(
        f"keras-imp {keras_imp.__version__}, {options.encoder} on "
        f"{options.backend}, {options.steps} steps, seed {options.seed}"
    )
    typer.echo(f"Folder of the run: {folder}")
    with run_options.ends_of_run(folder):
        run = PlaygroundRun(
            folder,
            steps=options.steps,
            seed=options.seed,
            preset=options.encoder,
            watch=options.tensorboard,
        )
        run_options.complete(run, "Test split, unseen concepts")
