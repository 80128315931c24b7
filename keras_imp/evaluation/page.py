"""A run as one HTML file, to look at and to send to somebody."""

import base64
import html
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from keras_imp._errors import message
from keras_imp._files import write_text
from keras_imp.evaluation.page_style import STYLE

PNG = b"\x89PNG\r\n\x1a\n"


class Figure(NamedTuple):
    """A PNG and what is to be seen on it.

    Attributes:
        png: The file, or its content.
        caption: A sentence below it; who cannot see it is told it too.

    Example:
        >>> from keras_imp.evaluation import Figure
        >>> Figure("curves.png", "The losses by step.").caption
        'The losses by step.'
    """

    png: str | Path | bytes
    caption: str


class Score(NamedTuple):
    """One row of a `ScoreTable`.

    Attributes:
        labels: What is measured: a text for each of the table's columns.
        value: The score, in [0, 1].
        chance: The score of guessing, if known.
        baseline: The score to compare with, if there is one.

    Example:
        >>> from keras_imp.evaluation import Score
        >>> Score(("objects", "accuracy"), 0.8, chance=0.1).baseline is None
        True
    """

    labels: tuple[str, ...]
    value: float
    chance: float | None = None
    baseline: float | None = None


class ScoreTable(NamedTuple):
    """Scores in [0, 1] as numbers and bars, beside chance and a baseline.

    A bar is green where the score is above the baseline, or above chance where
    there is no baseline, else orange.

    Attributes:
        columns: Headings of the labels.
        rows: The scores.
        score: Heading of the scores.
        baseline: Heading of the baselines.

    Example:
        >>> from keras_imp.evaluation import Score, ScoreTable
        >>> ScoreTable(("task",), [Score(("objects",), 0.8)]).score
        'score'
    """

    columns: tuple[str, ...]
    rows: list[Score]
    score: str = "score"
    baseline: str = "baseline"


Part = str | Figure | ScoreTable | Mapping[str, Any]


def write_page(
    path: str | Path, title: str, sections: Mapping[str, Iterable[Part]]
) -> None:
    """Write one HTML file that holds all it shows.

    Images are in the file; it has no script, and asks no network for
    anything. All text is escaped.

    Args:
        path: HTML file to write.
        title: Title of the page.
        sections: The parts of each section, by its heading: a text is a
            paragraph, a mapping a table of two columns, and there are
            `Figure` and `ScoreTable`.

    Raises:
        ValueError: If a figure is no PNG, a row has not a label for each
            column, or a score is outside [0, 1].
        TypeError: If a part is none of these.
        FileNotFoundError: If the file of a figure is not there.

    Example:
        >>> import pathlib
        >>> from keras_imp.evaluation import Score, ScoreTable, write_page
        >>> table = ScoreTable(
        ...     ("class",), [Score(("<script>",), 0.8, chance=0.1)])
        >>> write_page("run.html", "A run", {
        ...     "Settings": [{"steps": 2000, "seed": 0}],
        ...     "Results": ["On the test split.", table]})
        >>> text = pathlib.Path("run.html").read_text("utf-8")
        >>> "&lt;script&gt;" in text, "<script>" in text
        (True, False)
    """
    ids = {heading: f"section-{n}" for n, heading in enumerate(sections, 1)}
    links = "\n".join(
        f'<a href="#{name}">{_escaped(heading)}</a>'
        for heading, name in ids.items()
    )
    body = "\n".join(
        _section(ids[heading], heading, parts)
        for heading, parts in sections.items()
    )
    write_text(
        Path(path),
        f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_escaped(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{_escaped(title)}</h1>
<nav>
{links}
</nav>
{body}
</body>
</html>
""",
    )


def _section(name: str, heading: str, parts: Iterable[Part]) -> str:
    if isinstance(parts, str | Mapping | tuple):
        raise TypeError(
            message(
                "A section must be a list of parts.",
                "Put a single part into a list.",
                section=heading,
                type=type(parts).__name__,
            )
        )
    drawn = "\n".join(_part(part) for part in parts)
    return (
        f'<section id="{name}">\n<h2>{_escaped(heading)}</h2>\n'
        f"{drawn}\n</section>"
    )


def _part(part: Part) -> str:
    if isinstance(part, str):
        return f"<p>{_escaped(part)}</p>"
    if isinstance(part, Figure):
        return _figure(part)
    if isinstance(part, ScoreTable):
        return _score_table(part)
    if isinstance(part, Mapping):
        return _facts(part)
    raise TypeError(
        message(
            "A part must be a text, a mapping, a Figure or a ScoreTable.",
            type=type(part).__name__,
        )
    )


def _escaped(value: Any) -> str:
    return html.escape(str(value))


def _facts(facts: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{_escaped(name)}</th>'
        f"<td>{_escaped(value)}</td></tr>"
        for name, value in facts.items()
    )
    return f'<div class="wide"><table class="facts">\n{rows}\n</table></div>'


def _figure(figure: Figure) -> str:
    png = figure.png
    content = png if isinstance(png, bytes) else Path(png).read_bytes()
    if not content.startswith(PNG):
        raise ValueError(
            message(
                "A figure must be a PNG.",
                png="bytes" if isinstance(png, bytes) else str(png),
            )
        )
    data = base64.b64encode(content).decode("ascii")
    caption = _escaped(figure.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">\n'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _score_table(table: ScoreTable) -> str:
    for row in table.rows:
        _check_score(table, row)
    texts = "".join(
        f'<th scope="col">{_escaped(name)}</th>' for name in table.columns
    )
    numbers = "".join(
        f'<th scope="col" class="number">{_escaped(name)}</th>'
        for name in ("chance", table.baseline, table.score)
    )
    rows = "\n".join(_score(row) for row in table.rows)
    return f"""<div class="wide"><table>
<thead><tr>{texts}{numbers}<th scope="col">from 0 to 1</th></tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
{_key(table)}"""


def _score(row: Score) -> str:
    texts = "".join(f"<td>{_escaped(label)}</td>" for label in row.labels)
    numbers = "".join(
        f'<td class="number">{_number(value)}</td>'
        for value in (row.chance, row.baseline, row.value)
    )
    return f'<tr>{texts}{numbers}<td class="bar">{_bar(row)}</td></tr>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _bar(row: Score) -> str:
    compared = row.chance if row.baseline is None else row.baseline
    kind = "above" if compared is None or row.value > compared else "below"
    marks = "".join(
        f'<i class="{name}" style="left:{100 * value:.2f}%"></i>'
        for name, value in (("chance", row.chance), ("baseline", row.baseline))
        if value is not None
    )
    # The numbers stand beside it.
    return (
        f'<div class="track" aria-hidden="true"><i class="{kind}" '
        f'style="width:{100 * row.value:.2f}%"></i>{marks}</div>'
    )


def _key(table: ScoreTable) -> str:
    baseline = _escaped(table.baseline)
    meanings = {
        '<i class="above" style="width:100%"></i>': (
            f"{_escaped(table.score)}, above {baseline}, or above chance "
            "where there is none"
        ),
        '<i class="below" style="width:100%"></i>': "not above it",
        '<i class="chance" style="left:50%"></i>': "chance",
        '<i class="baseline" style="left:50%"></i>': baseline,
    }
    entries = "".join(
        f'<span><span class="track">{mark}</span>{meaning}</span>'
        for mark, meaning in meanings.items()
    )
    return f'<p class="key">{entries}</p>'


def _check_score(table: ScoreTable, row: Score) -> None:
    if len(row.labels) != len(table.columns):
        raise ValueError(
            message(
                "A row must have a label for each column.",
                columns=table.columns,
                labels=row.labels,
            )
        )
    for name in ("value", "chance", "baseline"):
        value = getattr(row, name)
        if value is not None and not 0.0 <= value <= 1.0:
            raise ValueError(
                message(
                    "A score must be in [0, 1].",
                    labels=row.labels,
                    **{name: value},
                )
            )
