"""Commands and their options; each hands over to the module that does it."""

import enum
import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(
    help="One Transformer encoder on images, video, audio and text.",
    no_args_is_help=True,
    add_completion=False,
)


class Backend(enum.StrEnum):
    """Backends of Keras 3 that keras-imp runs on."""

    JAX = "jax"
    TENSORFLOW = "tensorflow"
    TORCH = "torch"


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
        int, typer.Option(min=1, help="Training steps over all tasks.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run. Default: a new one in runs/."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with the run in this folder."),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(
            help="Preset of the encoder, such as imp_moe_tiny with experts."
        ),
    ] = "imp_tiny",
) -> None:
    """Train one encoder on the bundled playground, five tasks in turn."""
    console = Console()
    _choose_backend(backend, console)
    from keras_imp.callbacks import StoppedBySignal
    from keras_imp.cli import train as command

    try:
        command.run(
            console,
            steps=steps,
            seed=seed,
            out=out,
            resume=resume,
            encoder=encoder,
        )
    except command.UsageError as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(code=1) from error
    except StoppedBySignal as stop:
        console.print(
            f"Stopped by {stop.signal} after step {stop.step}. To go on from "
            f"there: keras-imp train --resume {stop.folder.parent}",
            soft_wrap=True,  # A command that can be copied.
        )
        raise typer.Exit(code=stop.code) from stop


@app.command()
def presets() -> None:
    """List the sizes that `IMPEncoder.from_preset` knows."""
    from keras_imp.models.presets import PRESETS

    table = Table()
    columns = ("preset", "layers", "width", "heads", "experts")
    for column in (*columns, "encoder parameters"):
        table.add_column(
            column, justify="left" if column == "preset" else "right"
        )
    for name, preset in PRESETS.items():
        config = preset["config"]
        table.add_row(
            name,
            str(config["num_layers"]),
            str(config["hidden_dim"]),
            str(config["num_heads"]),
            str(config.get("num_experts", "-")),
            f"{preset['encoder_parameters']:,}",
        )
    Console().print(table)


def _choose_backend(backend: Backend | None, console: Console) -> None:
    """Set KERAS_BACKEND before Keras is imported."""
    name = backend or os.environ.get("KERAS_BACKEND") or _installed()
    if importlib.util.find_spec(name) is None:
        console.print(
            f"[red]The backend {str(name)!r} is not installed. Install it "
            f"with: pip install 'keras-imp[{name}]'[/red]"
        )
        raise typer.Exit(code=1)
    os.environ["KERAS_BACKEND"] = str(name)
    # TensorFlow's start-up notes about the CPU say nothing to act on.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _installed() -> str:
    found = [b for b in Backend if importlib.util.find_spec(b) is not None]
    return found[0] if found else Backend.JAX
