"""Other programs, run to their end with all that they say in one text."""

import subprocess
from collections.abc import Mapping, Sequence


def run_program(
    command: Sequence[str], env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a program and wait for its end.

    Args:
        command: The program and its arguments.
        env: Its environment. Defaults to that of this process.

    Returns:
        Its exit code, and its output with its errors.

    Example:
        >>> import sys
        >>> from keras_imp.validation.programs import run_program
        >>> run_program([sys.executable, "-c", "print(1)"])
        (0, '1')
    """
    ended = subprocess.run(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return ended.returncode, ended.stdout.strip()
