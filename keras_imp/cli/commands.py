"""Commands and their options; each hands over to the library.

A command ends with 0; with 2 where its options cannot be followed; with 1 where
it failed; with 130 or 143 where it was stopped by Ctrl-C or SIGTERM.
"""

from pathlib import Path
from typing import Annotated

import typer

import keras_imp
from keras_imp.cli import own_data, playground, run_options
from keras_imp.cli.data_options import DataOptions, is_own
from keras_imp.cli.evaluate import evaluate
from keras_imp.cli.export import export
from keras_imp.cli.presets import presets
from keras_imp.cli.run_options import MAX_SEED, Backend, UsageError
from keras_imp.cli.search import app as search_app
from keras_imp.cli.search import embed, search
from keras_imp.cli.validate import validate
from keras_imp.models.presets import BUILT_IN_FOLDERS, PRESETS

# Heading of the options of own data in the help.
OWN_DATA = "Your own data"

app = typer.Typer(
    help="One Transformer encoder on images, video, audio and text.",
    no_args_is_help=True,
)
app.command()(validate)
app.command()(embed)
app.command()(search)
app.command("app")(search_app)
app.command("playground")(playground.write)
app.command()(evaluate)
app.command()(export)
app.command()(presets)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"keras-imp {keras_imp.__version__}")
        raise typer.Exit


@app.callback()
def options_of_all(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    del version  # Its callback has done it.


def _presets_like(incomplete: str) -> list[str]:
    names = (*PRESETS, *BUILT_IN_FOLDERS)
    return [name for name in names if name.startswith(incomplete)]


@app.command()
def train(
    backend: Annotated[
        Backend | None,
        typer.Option(
            help="Keras backend. Default: KERAS_BACKEND, or the first of "
            "jax, tensorflow, torch that is installed."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Training steps over all tasks, up to nine more for whole "
            "epochs. Default: 1800 on the playground, 2000 on your own data.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=MAX_SEED, help="Seed of everything. Default: 0."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Folder of the run. Default: a new one in runs/.",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Continue the run in this folder, with its options.",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            autocompletion=_presets_like,
            help="Size of the encoder, such as imp_moe_tiny with experts. On "
            "your own data also trained weights to start from: a preset such "
            "as imp_tiny_playground, or the folder of a preset or of a run. "
            "Default: imp_tiny.",
        ),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="At each epoch, also compare the gradients of the tasks, "
            "measure the recall of searches, and write the projector: a few "
            "percent more time.",
        ),
    ] = False,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Your own data: a table, a folder or an archive. Repeat it "
            "for several tasks of one encoder.",
            rich_help_panel=OWN_DATA,
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A recipe to follow, such as the recipe.toml of a run.",
            rich_help_panel=OWN_DATA,
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=NAME",
            help="What the data calls a column: --column label=species.",
            rich_help_panel=OWN_DATA,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what was understood, write recipe.toml, and stop.",
            rich_help_panel=OWN_DATA,
        ),
    ] = False,
    overfit: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="EXAMPLES",
            help="Only learn this many examples of each task by heart, such "
            "as 64, and say what is wrong if that fails.",
            rich_help_panel=OWN_DATA,
        ),
    ] = None,
    max_bad: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=0.999,
            help="Fraction of the rows whose files may be bad. Default: 0.01.",
            rich_help_panel=OWN_DATA,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop at the first file that cannot be used.",
            rich_help_panel=OWN_DATA,
        ),
    ] = False,
    scan_rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Rows of each task that are decoded before training; of the "
            "others, the first bytes are read. Default: 2000.",
            rich_help_panel=OWN_DATA,
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Keep what files are decoded to in this folder, so that each "
            "is decoded once. Other runs may use it too.",
            rich_help_panel=OWN_DATA,
        ),
    ] = None,
) -> None:
    """Train one encoder on your own data, or on the bundled playground."""
    own = DataOptions(
        tuple(data or ()),
        recipe,
        tuple(column or ()),
        dry_run,
        overfit,
        max_bad,
        strict,
        scan_rows,
        cache,
    )
    given = {
        "backend": backend and backend.value,
        "steps": steps,
        "seed": seed,
        "encoder": encoder,
        "tensorboard": tensorboard or None,
    }
    try:
        if is_own(own, resume):
            if resume is not None:
                own_data.resume(resume, own, given, out)
            else:
                own_data.start(own, given, out)
            return
        playground.train(given, out, resume)
    except UsageError as error:
        run_options.fail(str(error), code=2)
    except ImportError as error:
        run_options.fail(str(error), code=1)
