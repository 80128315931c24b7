"""`keras-imp validate`: options, what is printed, and the exit code.

It ends with 0 without errors; with 1 with errors in the data, or if it failed;
with 2 where its options cannot be followed; with 3 where TensorFlow Data
Validation is not there, and all else found no error.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keras_imp._printable import printable
from keras_imp.cli.data_options import named_columns
from keras_imp.cli.run_options import fail

if TYPE_CHECKING:
    from keras_imp.validation import Beam, Validation

FOLDER = Path("runs")
_MOST_SHOWN = 10


def validate(
    data: Annotated[
        Path | None,
        typer.Argument(help="A table, a folder or an archive."),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            help="Schema that the data must follow, or the folder of an "
            "earlier validation. Default: the training split's."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="The data that is trained on, to compare with. Default: the "
            "training split."
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
            help="Folder of the report. Default: a new one in runs/.",
        ),
    ] = None,
    max_bad: Annotated[
        float,
        typer.Option(
            min=0, max=0.999, help="Fraction of the rows that may be bad."
        ),
    ] = 0.0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that decode. Default: one per core."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Time for one file.")
    ] = 30.0,
    install: Annotated[
        bool,
        typer.Option(
            "--install",
            help="Install TensorFlow Data Validation first, in an environment "
            "of its own (2.5 GB).",
        ),
    ] = False,
    tfdv_python: Annotated[
        str | None,
        typer.Option(
            help="A Python that has TensorFlow Data Validation. Default: this "
            "one, KERAS_IMP_TFDV_PYTHON, or that of --install."
        ),
    ] = None,
    runner: Annotated[
        str | None,
        typer.Option(
            help="Make the statistics by Apache Beam, on this runner, such as "
            "DirectRunner."
        ),
    ] = None,
    beam_option: Annotated[
        list[str] | None,
        typer.Option(
            help="An option of the runner, as name=value; may be repeated."
        ),
    ] = None,
    beam_folder: Annotated[
        str | None,
        typer.Option(
            help="A folder that all workers of the runner see. Default: in "
            "that of the report."
        ),
    ] = None,
) -> None:
    """Check a data set: files, copies and leaks between splits, statistics."""
    if install:
        _install()
    if data is None:
        if install:
            return
        fail("Name the DATA to validate, or give --install.", code=2)
    beam = beam_of(runner, workers, beam_option, beam_folder)
    from keras_imp.data.reading.errors import ReadError
    from keras_imp.validation import validate as run

    try:
        folder = _new_folder(out)
        named = named_columns(column or [])
        found = run(
            data,
            folder,
            against=against,
            schema=schema,
            # A column without a name is left out.
            columns={k: v or None for k, v in named.items()} or None,
            workers=workers,
            seconds=seconds,
            max_bad=max_bad,
            tfdv_python=tfdv_python,
            beam=beam,
        )
    except ReadError as error:
        fail(str(error), code=1)
    except ValueError as error:
        fail(str(error), code=2)
    except (OSError, ImportError) as error:
        fail(str(error), code=1)
    _print(found)
    raise typer.Exit(found.code)


def _install() -> None:
    from keras_imp.validation.environment import install_tfdv

    try:
        python = install_tfdv(say=typer.echo)
    except (RuntimeError, OSError) as error:
        fail(str(error), code=1)
    typer.echo(f"TensorFlow Data Validation is there for {python}")


def beam_of(
    runner: str | None,
    workers: int | None,
    options: list[str] | None,
    folder: str | None,
) -> "Beam | None":
    """The pipeline that the options ask for."""
    from keras_imp.validation.worker import Beam

    if runner is None:
        if options or folder:
            fail("--beam-option and --beam-folder need --runner.", code=2)
        return None
    own = tuple(f"--{option}" for option in options or ())
    if runner == "DirectRunner" and not own:
        return Beam.local(workers or 1)._replace(folder=folder)
    return Beam((f"--runner={runner}", *own), folder)


def _new_folder(out: Path | None) -> Path:
    if out is not None:
        return out
    number = 1
    while True:
        folder = FOLDER / f"validation-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def _print(found: "Validation") -> None:
    from keras_imp.validation.flags import FLAGS
    from keras_imp.validation.tfdv.tfdv_rows import MOST_NAMED

    console = Console(soft_wrap=False)
    rows = ", ".join(f"{part} {n}" for part, n in found.scan.rows.items())
    console.print(Text(printable(f"Rows: {rows}")))
    table = Table()
    for name in ("found", "", "rows", "meaning, first row"):
        table.add_column(name, justify="right" if name == "rows" else "left")
    severities = {f.flag: f.severity for f in found.scan.findings}
    for flag, count in found.scan.counts().items():
        # As plain text: a name or a label may hold what looks like markup.
        meaning = Text(f"{FLAGS[flag][1]}\n{printable(found.first[flag])}")
        table.add_row(flag, severities[flag], str(count), meaning)
    for anomaly in found.anomalies[:_MOST_SHOWN]:
        where = f"{anomaly['kind']}, {anomaly['part']}: {anomaly['feature']}"
        named = len(anomaly["rows"])
        # TFDV counts no rows, and so many are looked up.
        number = f"≥{named}" if named == MOST_NAMED else str(named or "")
        words = "\n".join([anomaly["long"].strip(), *anomaly["where"][:1]])
        cells = (where, anomaly["severity"], number, words)
        table.add_row(*map(Text, map(printable, cells)))
    if table.row_count:
        console.print(table)
    more = len(found.anomalies) - _MOST_SHOWN
    if more > 0:
        typer.echo(f"{more} more anomalies are in the report.")
    for note in found.notes:
        typer.echo(printable(note))
    typer.echo(
        f"{_number(found.errors, 'error')}, "
        f"{_number(found.warnings, 'warning')}"
    )
    if found.missing:
        typer.secho(f"Not checked: {found.missing}", fg="red", err=True)
    typer.echo(f"Report: {found.report}")


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
