"""`keras-imp presets`: what `IMPEncoder.from_preset` knows by name."""

import warnings
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from keras_imp.cli import run_options
from keras_imp.models.presets.finding import unknown_name
from keras_imp.models.presets.table import (
    PresetInfo,
    PresetTable,
    cells,
    list_presets,
)

# A name is there to be copied, so it stays whole: two modalities in a line make
# room for it in 80 columns.
_MODALITIES_WIDTH, _OTHERS_WIDTH = 11, 57


def presets(
    name: Annotated[
        str | None,
        typer.Argument(help="Show the card of this preset."),
    ] = None,
) -> None:
    """List the presets, of this package and of other installed packages."""
    known = _listed()
    if name is None:
        console = Console()
        longest = max(map(len, known), default=0)
        # Wider than the terminal, where a name needs it.
        console.width = max(console.width, longest + _OTHERS_WIDTH)
        console.print(_table(known))
        typer.echo("The card of a preset: keras-imp presets NAME")
    elif name in known:
        _show(known[name])
    else:
        run_options.fail(unknown_name(name), code=2)


def _listed() -> PresetTable:
    """All presets; what is wrong with others is told on standard error."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            known = list_presets()
        except ValueError as error:
            run_options.fail(str(error), code=1)
    for warning in told:
        typer.echo(str(warning.message), err=True)
    return known


def _table(known: PresetTable) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("preset", no_wrap=True)
    for heading in ("parameters", "active"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("modalities", width=_MODALITIES_WIDTH)
    table.add_column("weights")
    table.add_column("license", overflow="fold")
    for preset in known.values():
        shown, _, *numbers, modalities, weights, terms = cells(preset)
        row = [shown, *numbers, modalities.replace(",", ""), weights, terms]
        # As `Text`, nothing in it is markup.
        table.add_row(*map(Text, row))
    return table


def _show(preset: PresetInfo) -> None:
    console = Console()
    facts = {
        "package": preset.package,
        "parameters": preset.parameters and f"{preset.parameters:,}",
        "active": preset.active_parameters and f"{preset.active_parameters:,}",
        "modalities": ", ".join(preset.modalities),
        "weights": "yes" if preset.has_weights else "no",
        "license": preset.license or "not stated",
    }
    table = Table(box=None, show_header=False, title=Text(preset.name))
    for fact, value in facts.items():
        table.add_row(fact, Text(str(value or "?")))
    console.print(table)
    console.print(Markdown(_readable(preset.card)))


def _readable(card: str) -> str:
    """The text of a card, by strangers: nothing that steers a terminal.

    What is between two lines of dashes at its top is for machines.
    """
    text = "".join(c for c in card if c.isprintable() or c == "\n")
    rest = text.removeprefix("---\n")
    if rest == text or "\n---\n" not in rest:
        return text
    return rest.partition("\n---\n")[2]
