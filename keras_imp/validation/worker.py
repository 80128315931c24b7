"""Runs `tfdv_worker.py` in a Python that has TFDV, and reads its answer."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from keras_imp.validation.features import KINDS
from keras_imp.validation.programs import run_program
from keras_imp.validation.scan import Scan

PROGRAM = Path(__file__).with_name("tfdv") / "tfdv_worker.py"
# Lines of an error that are shown.
_SHOWN = 5
_OWN = ("PYTHONPATH", "PYTHONHOME")


class Beam(NamedTuple):
    """An Apache Beam pipeline for the statistics.

    Attributes:
        options: Options of the pipeline, as on its command line, such as
            `("--runner=FlinkRunner", "--flink_master=host:8081")`.
        folder: A folder that all its workers see, such as `"gs://bucket/run"`.
            Defaults to the folder of the results.

    Example:
        >>> from keras_imp.validation import Beam
        >>> Beam.local(workers=2).options[0]
        '--runner=DirectRunner'
    """

    options: tuple[str, ...]
    folder: str | None = None

    @classmethod
    def local(cls, workers: int) -> "Beam":
        """A pipeline on this machine.

        Args:
            workers: Number of processes.

        Returns:
            Options of the DirectRunner.
        """
        return cls(
            (
                "--runner=DirectRunner",
                "--direct_running_mode=multi_processing",
                f"--direct_num_workers={workers}",
            )
        )


class WorkerError(RuntimeError):
    """Raised when a Python that should have TFDV does not run it.

    Example:
        >>> from keras_imp.validation.worker import WorkerError
        >>> issubclass(WorkerError, RuntimeError)
        True
    """


def run_tfdv(
    python: str,
    scan: Scan,
    folder: Path,
    schema: Path | None = None,
    beam: Beam | None = None,
) -> dict[str, Any]:
    """Statistics, schema and anomalies of scanned rows.

    Args:
        python: An interpreter that has TFDV.
        scan: The rows.
        folder: Where to write `statistics.pbtxt` and `schema.pbtxt`; in a
            folder for each kind of row where there are several.
        schema: A schema, or the folder of an earlier run. Defaults to one that
            is inferred from the reference.
        beam: Make the statistics by a pipeline. Defaults to one process.

    Returns:
        `tfdv` (its version), `anomalies`, `notes` and `thresholds`.

    Raises:
        WorkerError: If it fails; the message has its last lines.
    """
    request = {
        "features": str(scan.path),
        "folder": str(folder),
        "parts": [list(part) for part in scan.parts],
        "row_kinds": scan.kinds,
        "kinds": KINDS,
        "skew": scan.parts[0].name == "against",
        "schema": None if schema is None else str(schema),
        "beam": beam
        and {
            "options": list(beam.options),
            "folder": beam.folder or str(folder / "beam"),
        },
    }
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "request.json"
        answer = Path(temporary) / "answer.json"
        path.write_text(json.dumps({**request, "answer": str(answer)}), "utf-8")
        code, output = run_program(
            [python, str(PROGRAM), str(path)], _environment(python)
        )
        if code:
            lines = output.splitlines()[-_SHOWN:]
            raise WorkerError(
                "TensorFlow Data Validation ended with code "
                f"{code}. Received: python={python!r}. Its last lines: "
                + "\n".join(lines)
            )
        return json.loads(answer.read_text("utf-8"))


def _environment(python: str) -> dict[str, str]:
    """That of this process, without what is for its own Python."""
    other = python != sys.executable
    own = {k: v for k, v in os.environ.items() if not (other and k in _OWN)}
    return {**own, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
