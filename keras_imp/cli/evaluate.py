"""`keras-imp evaluate`: a finished run on its rows held out, or on other data.

Or a preset with weights on the playground: `evaluate_preset.py`.

It ends with 0; with 2 where its options cannot be followed; with 1 where the
data cannot be evaluated.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from keras_imp._errors import message
from keras_imp._files import write_text
from keras_imp.cli import run_options
from keras_imp.cli.data_options import named_columns
from keras_imp.cli.evaluate_preset import evaluate_preset, names_preset
from keras_imp.cli.run_options import Backend, UsageError, fail

if TYPE_CHECKING:
    from keras_imp.evaluation.report import Report

REPORT = "report.json"
# Most rows of a task that are measured, if the user does not say.
ROWS = 2000


def evaluate(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a finished run on own data, or a preset with "
            "weights, such as imp_tiny_playground."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Another table, folder or archive. Default: the rows of the "
            "run that were held out."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=NAME",
            help="What the data calls a column: --column label=species.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help=f"Folder for {REPORT} and an image of each task.",
        ),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Most rows of a task to measure with, evenly over all. "
            f"Default: {ROWS}.",
        ),
    ] = None,
    max_bad: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=0.999,
            help="Fraction of the rows whose files may be bad. Default: that "
            "of the run.",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Stop at the first bad file."),
    ] = False,
    backend: Annotated[
        Backend | None,
        typer.Option(help="Keras backend. Default: that of the run."),
    ] = None,
    shuffled: Annotated[
        bool,
        typer.Option(
            "--shuffled",
            help="Of a preset: give each example the answer of another one. "
            "All figures must fall to chance.",
        ),
    ] = False,
) -> None:
    """Measure a finished run, with 95 % intervals, on any data of its kind."""
    told: list[str] = []
    try:
        if names_preset(run):
            reports = evaluate_preset(
                str(run),
                shuffled,
                backend.value if backend else None,
                {
                    "--data": data is not None,
                    "--column": bool(column),
                    "--rows": rows is not None,
                    "--max-bad": max_bad is not None,
                    "--strict": strict,
                },
            )
        else:
            if shuffled:
                raise UsageError(
                    message("--shuffled is for a preset.", run=str(run))
                )
            columns = _columns(column or [], data)
            config = _loaded(run, backend)
            limits = {
                "max_bad": config["max_bad"] if max_bad is None else max_bad,
                "strict": strict,
            }
            reports, told = _evaluated(run, data, columns, limits, rows or ROWS)
    except UsageError as error:
        fail(str(error), code=2)
    except ImportError as error:
        fail(str(error), code=1)
    console = Console()
    for report in reports.values():
        console.print(report.table())
    for sentence in told:
        # Not wrapped: a path in it can be copied.
        typer.echo(sentence)
    if out is not None:
        _write(out, run, data, reports)


def _loaded(run: Path, backend: Backend | None) -> dict[str, Any]:
    """The config of a run, whose backend is then loaded."""
    config = _config(run)
    chosen = backend.value if backend else config["backend"]
    run_options.check_backend(chosen)
    run_options.check_installed(chosen, ("tomli_w",))
    run_options.load_backend(chosen)
    return config


def _evaluated(
    folder: Path,
    data: Path | None,
    columns: dict[str, str],
    limits: dict[str, Any],
    most: int,
) -> tuple[dict[str, "Report"], list[str]]:
    from keras_imp.data.reading.errors import ReadError
    from keras_imp.evaluation.own_data import evaluation, finished_run
    from keras_imp.evaluation.own_data.other_data import rows_of_other_data
    from keras_imp.evaluation.own_data.recipe import RecipeError
    from keras_imp.evaluation.own_data.rows import Limits
    from keras_imp.evaluation.run_folder import RunError

    try:
        finished_run.check_finished(folder)
    except RunError as error:
        raise UsageError(str(error)) from error
    try:
        run = finished_run.load_run(folder)
        told: list[str] = []
        if data is None:
            rows = evaluation.rows_held_out(run, Limits(**limits))
        else:
            rows, told = rows_of_other_data(
                run, data, columns, Limits(**limits)
            )
        reports = {}
        for name, of_task in rows.items():
            reports[name], more = evaluation.evaluate_rows(
                run.model, of_task, run.preprocessor, most
            )
            told += more
    except (RecipeError, ReadError) as error:
        raise UsageError(str(error)) from error
    except RunError as error:
        fail(str(error), code=1)
    return reports, told


def _columns(given: list[str], data: Path | None) -> dict[str, str]:
    columns = named_columns(given)
    if given and data is None:
        raise UsageError(message("--column is for --data.", column=given))
    return columns


def _config(folder: Path) -> dict[str, Any]:
    """Backend and limits of a run."""
    try:
        config = json.loads((folder / run_options.FILE).read_text("utf-8"))
        return {
            "backend": str(config["backend"]),
            "max_bad": float(config.get("max_bad", 0.01)),
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            message(
                "The folder must be that of a run, with its "
                f"{run_options.FILE}.",
                "Give the --out of `keras-imp train`.",
                run=str(folder),
                error=str(error),
            )
        ) from error


def _write(
    out: Path, run: Path, data: Path | None, reports: dict[str, "Report"]
) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        content = {
            "run": str(run),
            "data": None if data is None else str(data),
            "tasks": {n: json.loads(r.to_json()) for n, r in reports.items()},
        }
        text = json.dumps(content, indent=2, ensure_ascii=False)
        write_text(out / REPORT, text + "\n")
        names = [REPORT]
        for name, report in reports.items():
            names.append(f"{re.sub(r'[^A-Za-z0-9_-]+', '_', name)}.png")
            report.plot(out / names[-1])
    except OSError as error:
        fail(
            message(
                "The folder must be one that can be written to.",
                "Choose another --out.",
                out=str(out),
                error=str(error),
            ),
            code=1,
        )
    typer.echo(f"In {out}: {', '.join(names)}")
