"""What a run is started or resumed with, told before Keras is imported."""

import contextlib
import dataclasses
import enum
import importlib.util
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console

from keras_imp._errors import message
from keras_imp._files import write_text
from keras_imp._run_length import whole_epochs
from keras_imp.cli.native_notes import load_tensorflow
from keras_imp.models.presets import PRESETS

if TYPE_CHECKING:
    from keras_imp.evaluation.own_data.run import OwnDataRun
    from keras_imp.evaluation.playground.run import PlaygroundRun

FILE = "config.json"
# NumPy takes no larger seed.
MAX_SEED = 2**32 - 1
# What a run needs by its end, by the name to import.
PACKAGES = ("matplotlib", "PIL", "soundfile", "tensorboard", "tokenizers")


class Backend(enum.StrEnum):
    """Backends of Keras 3 that keras-imp runs on."""

    JAX = "jax"
    TENSORFLOW = "tensorflow"
    TORCH = "torch"


class UsageError(ValueError):
    """Raised when the options that were given cannot be followed."""


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What decides what a run does; the content of its `config.json`.

    Attributes:
        steps: Training steps over all tasks, in whole epochs.
        seed: Seed of weights, order, augmentation and dropout.
        backend: Keras backend.
        encoder: Preset of the encoder.
        tensorboard: Whether conflict, recall and vectors are written too.

    Raises:
        UsageError: If a value is none that a run can have.
    """

    steps: int
    seed: int
    backend: str
    encoder: str
    # Runs that were started before there was one have none.
    tensorboard: bool = False

    def __post_init__(self):
        for name, most in (("steps", None), ("seed", MAX_SEED)):
            value, least = getattr(self, name), int(name == "steps")
            if type(value) is not int or value < least:
                self._refuse(name, f"an integer of at least {least}")
            if most is not None and value > most:
                self._refuse(name, f"at most {most}")
        for name, known in (("backend", Backend), ("encoder", PRESETS)):
            if getattr(self, name) not in tuple(known):
                self._refuse(name, f"one of {', '.join(known)}")
        if type(self.tensorboard) is not bool:
            self._refuse("tensorboard", "true or false")

    def _refuse(self, name: str, rule: str) -> None:
        raise UsageError(
            message(f"`{name}` must be {rule}.", **{name: getattr(self, name)})
        )

    def save(self, folder: Path) -> None:
        """Write them into the folder of their run."""
        values = json.dumps(dataclasses.asdict(self), indent=2)
        write_text(folder / FILE, values + "\n")


def of_new_run(given: dict[str, Any]) -> RunOptions:
    """The options of a new run.

    Args:
        given: Values by name, None for one that was not given.

    Returns:
        The options; of the steps, whole epochs.

    Raises:
        UsageError: If they cannot be followed.
    """
    values = {
        # Five minutes on two cores.
        "steps": 1800,
        "seed": 0,
        "backend": default_backend(),
        "encoder": "imp_tiny",
        "tensorboard": False,
    }
    options = RunOptions(**{**values, **_not_none(given)})
    return dataclasses.replace(options, steps=whole_epochs(options.steps))


def is_kept(name: str, asked: Any, saved: Any) -> bool:
    """Whether a run was started with what is asked for when it is resumed.

    Args:
        name: Name of the option.
        asked: Its value.
        saved: That of the run, whose steps are whole epochs.

    Returns:
        False if it has another one.

    Example:
        >>> from keras_imp.cli.run_options import is_kept
        >>> is_kept("steps", 15, 16), is_kept("seed", 15, 16)
        (True, False)
    """
    return asked == saved or (name == "steps" and whole_epochs(asked) == saved)


def of_resumed_run(folder: Path, given: dict[str, Any]) -> RunOptions:
    """The options that a run was started with.

    Args:
        folder: The folder of the run.
        given: Values by name, None for one that was not given.

    Returns:
        The options.

    Raises:
        UsageError: If there is no run, or it had other options.
    """
    try:
        saved = json.loads((folder / FILE).read_text("utf-8"))
        options = RunOptions(**saved)
    except (OSError, ValueError, TypeError) as error:
        raise no_run(folder, error) from error
    for name, value in _not_none(given).items():
        if not is_kept(name, value, getattr(options, name)):
            refuse_other(name, given, dataclasses.asdict(options))
    return options


def no_run(folder: Path, error: Exception) -> UsageError:
    """The error of a folder that holds no run to resume.

    Args:
        folder: The folder.
        error: What is wrong with its files.

    Returns:
        The error to raise.
    """
    return UsageError(
        message(
            "The folder must hold a run that was started before, with its "
            f"{FILE}.",
            "Start a new run without --resume.",
            resume=str(folder),
            error=str(error),
        )
    )


def stays(folder: Path, out: Path) -> UsageError:
    """The error of a run that is to be resumed in another folder.

    Args:
        folder: The folder of the run.
        out: The other one.

    Returns:
        The error to raise.
    """
    return UsageError(
        "A run that is resumed stays in its folder. Received: "
        f"--resume {folder} --out {out}. Leave --out out."
    )


def refuse_other(
    name: str, given: dict[str, Any], saved: dict[str, Any]
) -> NoReturn:
    """Raise since a run cannot be resumed with another value.

    Args:
        name: Name of the option.
        given: Values of the command, by name.
        saved: Those that the run was started with.

    Raises:
        UsageError: Always.
    """
    raise UsageError(
        message(
            f"A run keeps the --{name} that it was started with.",
            f"Leave --{name} out, or start a new run without --resume.",
            **{name: given[name], "started_with": saved[name]},
        )
    )


def default_backend() -> str:
    """The Keras backend of a run that names none."""
    return os.environ.get("KERAS_BACKEND") or _installed()


def check_backend(backend: str) -> None:
    """Raise unless a backend is one that keras-imp runs on.

    Args:
        backend: Its name.

    Raises:
        UsageError: If it is another one.
    """
    if backend not in tuple(Backend):
        raise UsageError(
            message(
                f"`backend` must be one of {', '.join(Backend)}.",
                backend=backend,
            )
        )


def check_installed(backend: str, more: tuple[str, ...] = ()) -> None:
    """Raise unless all is there that a run needs until its end.

    Args:
        backend: Keras backend.
        more: Packages to import beside those of every run.

    Raises:
        ImportError: If a package is missing.
    """
    for names, extra in (((backend,), backend), (PACKAGES + more, "data")):
        missing = [n for n in names if importlib.util.find_spec(n) is None]
        if missing:
            raise ImportError(
                message(
                    "A run needs packages that are not installed.",
                    f"Install them with: pip install 'keras-imp[{extra}]'",
                    missing=missing,
                )
            )


def load_backend(backend: str) -> None:
    """Choose the backend, and load it: Keras is imported from here on.

    Args:
        backend: Keras backend.
    """
    os.environ["KERAS_BACKEND"] = backend
    # Of TensorFlow's C++ code, warnings and errors.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    load_tensorflow(backend)


def new_folder(out: Path | None, name: str = "playground") -> Path:
    """Make the folder of a new run.

    Args:
        out: The folder; None for a new one in `runs/`.
        name: What a new one is named after.

    Returns:
        The folder.

    Raises:
        UsageError: If it is not empty, or cannot be made.
    """
    try:
        if out is None:
            return _next_folder(Path("runs"), name)
        out.mkdir(parents=True, exist_ok=True)
        in_use = any(out.iterdir())
    except OSError as error:
        raise UsageError(
            message(
                "The folder of a new run must be one that can be made.",
                "Choose another --out.",
                out=str(out or "runs"),
                error=str(error),
            )
        ) from error
    if in_use:
        raise UsageError(
            message(
                "The folder of a new run must be empty.",
                f"Choose another --out, or continue it: --resume {out}.",
                out=str(out),
            )
        )
    return out


def to_continue(folder: Path) -> str:
    """How to continue a run, as a sentence."""
    return f"To continue: keras-imp train --resume {shlex.quote(str(folder))}"


def complete(run: "PlaygroundRun | OwnDataRun", title: str) -> None:
    """Train, save and measure; show the results, and tell what is written.

    Args:
        run: The run.
        title: What the results are of.
    """
    # Keras is imported by then.
    from keras_imp.evaluation.run_report import table

    run.fit()
    run.save()
    Console().print(table(run.evaluate(), title))
    typer.echo(f"Trained for {run.seconds:.0f} s. In {run.folder}:")
    width = max(24, 2 + max(map(len, run.written)))
    for name, what in run.written.items():
        typer.echo(f"  {name:{width}}{what}")
    logs = shlex.quote(str(run.folder / "logs"))
    typer.echo(f"Curves: tensorboard --logdir {logs}")


def fail(text: str, code: int) -> NoReturn:
    """Tell why a command ends, and end it.

    Args:
        text: Why.
        code: Exit code.
    """
    # Neither wrapped nor read as markup: a command in it can be copied.
    typer.secho(text, fg="red", err=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def ends_of_run(folder: Path) -> Iterator[None]:
    """End the command as its run ends: wrong files, a signal, Ctrl-C.

    Args:
        folder: Folder of the run.

    Raises:
        typer.Exit: With the code of the end.
    """
    # Keras is imported by then.
    from keras_imp import NonFiniteLossError
    from keras_imp.callbacks import StoppedBySignal
    from keras_imp.evaluation.run_folder import RunError

    try:
        yield
    except (RunError, NonFiniteLossError) as error:
        fail(str(error), code=1)
    except StoppedBySignal as stop:
        fail(
            f"Stopped by {stop.signal} after step {stop.step}. "
            f"{to_continue(folder)}",
            code=stop.code,
        )
    except KeyboardInterrupt:
        fail(f"Stopped by SIGINT. {to_continue(folder)}", code=130)


def _next_folder(parent: Path, name: str) -> Path:
    """The first `<name>-<number>` that can be made: two may start."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / f"{name}-{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _installed() -> str:
    found = [b for b in Backend if importlib.util.find_spec(b) is not None]
    return found[0] if found else Backend.JAX


def _not_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in values.items() if v is not None}
