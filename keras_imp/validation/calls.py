"""The process that `isolated` starts: calls a function until its input ends.

    python -m keras_imp.validation.calls package.module:name

It imports no backend. Each call is a line of JSON, and bytes after it where the
source is no path; each answer is a line of JSON.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO


def serve(target: str, calls: BinaryIO, answers: BinaryIO) -> None:
    r"""Answer calls until there are no more.

    Args:
        target: The function's module and name.
        calls: Where calls come from.
        answers: Where answers go.

    Example:
        >>> import io
        >>> from keras_imp.validation.calls import serve
        >>> calls = io.BytesIO(b'{"path": "a/b.png", "arguments": {}}\n')
        >>> answers = io.BytesIO()
        >>> serve("posixpath:basename", calls, answers)
        >>> answers.getvalue()
        b'ready\n{"value": "b.png"}\n'
    """
    module, name = target.split(":")
    function = getattr(importlib.import_module(module), name)
    _write(answers, b"ready")
    for line in iter(calls.readline, b""):
        call = json.loads(line)
        source = _source(call, calls)
        try:
            reply: dict[str, Any] = {
                "value": function(source, **call["arguments"])
            }
        except Exception as error:
            # A fault of the function on this file, told as a lost process is.
            detail = f"{type(error).__name__}: {error}"[:200]
            reply = {"fault": ["crash", detail]}
        _write(answers, json.dumps(reply).encode())


def _source(call: dict[str, Any], calls: BinaryIO) -> Path | bytes:
    if "path" in call:
        return Path(call["path"])
    return calls.read(call["bytes"])


def _write(answers: BinaryIO, line: bytes) -> None:
    answers.write(line + b"\n")
    answers.flush()


def main() -> None:
    """Serve on standard input and output."""
    # A library that prints must not print between the answers.
    with os.fdopen(os.dup(1), "wb") as answers:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 1)
        serve(sys.argv[1], sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
