"""A Python that has TensorFlow Data Validation (TFDV): found, or made.

Wheels of new releases need glibc 2.39; older ones need a TensorFlow that the
package does not run with. So TFDV may live in an environment of its own, and
is called as another process in any case.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from keras_imp._errors import message
from keras_imp.validation.programs import run_program

PACKAGE = "tensorflow_data_validation"
VARIABLE = "KERAS_IMP_TFDV_PYTHON"
# What runs with every glibc; it needs dill, which Apache Beam does not bring.
REQUIREMENTS = ("tensorflow-data-validation==1.16.1", "dill")
PYTHON = "3.11"
# Versions that go together: without them, pip tries others for hours.
CONSTRAINTS = Path(__file__).with_name("tfdv") / "tfdv_constraints.txt"
# Written last, so that half an environment is none.
_COMPLETE = "keras-imp-complete"
# Characters of the output of a command that failed.
_LONGEST = 2000


class Found(NamedTuple):
    """A Python that has TFDV, or why there is none.

    Attributes:
        python: The interpreter; None if there is none.
        reason: Where it was found, or what to do.

    Example:
        >>> from keras_imp.validation.environment import Found
        >>> Found(None, "It is not installed.").python is None
        True
    """

    python: str | None
    reason: str


def cache_folder() -> Path:
    """Where `install_tfdv` makes an environment.

    Returns:
        A folder in that of the user's caches.

    Example:
        >>> from keras_imp.validation.environment import cache_folder
        >>> cache_folder().name
        'tfdv'
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "keras-imp" / "tfdv"


def find_tfdv(python: str | os.PathLike | None = None) -> Found:
    """Find a Python that has TFDV. It is not imported.

    Looked for in this order: `python`; this interpreter; the environment
    variable `KERAS_IMP_TFDV_PYTHON`; the environment that `install_tfdv` made.

    Args:
        python: An interpreter that has it.

    Returns:
        The interpreter, or what to do.

    Raises:
        ValueError: If an interpreter that is named is none.

    Example:
        >>> import keras_imp
        >>> found = keras_imp.validation.find_tfdv()
        >>> found.python is None or bool(found.reason)
        True
    """
    if python is not None:
        return _named(os.fspath(python), "--tfdv-python")
    if importlib.util.find_spec(PACKAGE) is not None:
        return Found(sys.executable, "this environment")
    if os.environ.get(VARIABLE):
        return _named(os.environ[VARIABLE], VARIABLE)
    made = cache_folder()
    if (made / _COMPLETE).exists():
        return Found(str(_python_of(made)), str(made))
    return Found(
        None,
        "TensorFlow Data Validation is not installed. `keras-imp validate "
        "--install` puts it into an environment of its own (2.5 GB); where "
        "glibc is 2.39 or newer, pip install 'keras-imp[validation]' puts it "
        f"into this one. {VARIABLE} names an environment that has it.",
    )


def install_tfdv(
    folder: str | os.PathLike | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Path:
    """Make an environment that has TFDV, unless it is there.

    By uv, if that is installed, else by pip. Either way the versions are those
    of `tfdv_constraints.txt`.

    Args:
        folder: Where. Defaults to a folder in that of the user's caches.
        say: Is given each command before it runs.

    Returns:
        Its interpreter.

    Raises:
        RuntimeError: If there is no Python 3.11, or a command fails.

    Example:
        >>> from keras_imp.validation import environment
        >>> commands = environment.commands_to_install("uv", "python3.11", "a")
        >>> print(*commands[0])
        uv venv --quiet --clear --python python3.11 a
    """
    target = cache_folder() if folder is None else Path(folder)
    if (target / _COMPLETE).exists():
        return _python_of(target)
    uv = shutil.which("uv")
    python = PYTHON if uv else _base_python()
    target.parent.mkdir(parents=True, exist_ok=True)
    for command in commands_to_install(uv, python, str(target)):
        say(" ".join(command))
        # Warnings of an import that succeeds say nothing to act on.
        # Warnings of an import that succeeds say nothing to act on.
        code, output = run_program(command)
        if code:
            raise RuntimeError(
                message(
                    "The environment of TensorFlow Data Validation cannot be "
                    "made.",
                    output[-_LONGEST:],
                    command=" ".join(command),
                )
            )
    (target / _COMPLETE).write_text("\n".join(REQUIREMENTS) + "\n", "utf-8")
    return _python_of(target)


def commands_to_install(
    uv: str | None, python: str, folder: str
) -> list[list[str]]:
    """The commands that make an environment.

    Args:
        uv: The program uv; None to use pip.
        python: Python 3.11: its name or, for uv, its version.
        folder: The environment.

    Returns:
        The commands, in order.
    """
    made = str(_python_of(Path(folder)))
    wanted = ["--constraint", str(CONSTRAINTS), *REQUIREMENTS]
    check = [made, "-c", f"import {PACKAGE}"]
    if uv:
        return [
            [uv, "venv", "--quiet", "--clear", "--python", python, folder],
            [uv, "pip", "install", "--quiet", "--python", made, *wanted],
            check,
        ]
    return [
        [python, "-m", "venv", "--clear", folder],
        [made, "-m", "pip", "install", "--quiet", *wanted],
        check,
    ]


def _named(python: str, by: str) -> Found:
    found = shutil.which(python)
    if found is None:
        raise ValueError(
            message(
                "The Python that has TensorFlow Data Validation must be a "
                "program.",
                **{by.strip("-").replace("-", "_"): python},
            )
        )
    return Found(found, by)


def _base_python() -> str:
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    found = shutil.which(f"python{PYTHON}")
    if found is None:
        raise RuntimeError(
            message(
                f"TensorFlow Data Validation needs Python {PYTHON}.",
                "Install it, or the program uv, which brings it.",
                python=sys.version.split()[0],
            )
        )
    return found


def _python_of(folder: Path) -> Path:
    parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return folder.joinpath(*parts)
