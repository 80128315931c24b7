"""`keras-imp train` on own data, called in this process."""

import json
from pathlib import Path

import keras
from typer.testing import CliRunner

from keras_imp.cli.commands import app

BACKEND = keras.config.backend()


def invoke(*arguments):
    """Call `keras-imp train`."""
    return CliRunner().invoke(app, ["train", *(str(a) for a in arguments)])


def trained(*arguments, code=0):
    """Call it on this backend, and expect its exit code."""
    result = invoke(*arguments, "--backend", BACKEND)
    assert result.exit_code == code, result.output
    return result


def refused(code, *arguments):
    """Call it, expect it to refuse with a code, and return the sentence."""
    result = invoke(*arguments)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join(result.stderr.replace("│", " ").split())


def results_of(folder: Path):
    """The results that a run wrote."""
    return json.loads((folder / "results.json").read_text())
