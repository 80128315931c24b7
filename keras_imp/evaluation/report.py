"""What an evaluation found: figures with intervals, to print, keep and see."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_imp._files import write_text
from keras_imp._optional import require
from keras_imp.evaluation.figures import (
    AS_IT_IS,
    CHANCE_COLOR,
    TRAIN_COLOR,
    new_figure,
    save_figure,
)
from keras_imp.evaluation.intervals import Estimate

if TYPE_CHECKING:
    from rich.table import Table

# Classes of a plot, and inches of one bar.
MOST_CLASSES, BAR = 40, 0.28


@dataclasses.dataclass(frozen=True)
class Report:
    """Figures of a model on some data, with 95 % intervals.

    Attributes:
        title: What was evaluated.
        values: The figures by name.
        examples: How many examples they are of.
        chance: What guessing gives, for some of the names.
        per_class: The recall of each class, where there are classes.
        settings: What the figures depend on: prompts, strengths.

    Example:
        >>> from keras_imp.evaluation import Report
        >>> from keras_imp.evaluation.intervals import wilson
        >>> report = Report("birds, zero-shot", {"accuracy": wilson(9, 10)}, 10)
        >>> print(report)
        birds, zero-shot (10 examples)
        accuracy  0.900  (0.596 to 0.982)
        >>> report["accuracy"]
        0.9
    """

    title: str
    values: Mapping[str, Estimate]
    examples: int
    chance: Mapping[str, float] = dataclasses.field(default_factory=dict)
    per_class: Mapping[str, Estimate] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        """A figure, without its interval."""
        return self.values[name].value

    def __str__(self) -> str:
        width = max(map(len, self.values))
        lines = [
            f"{name:{width}}  {_number(value)}  "
            f"({_number(low)} to {_number(high)}){self._beside(name)}"
            for name, (value, low, high) in self.values.items()
        ]
        return "\n".join([f"{self.title} ({self.examples} examples)", *lines])

    def to_json(self, path: str | Path | None = None) -> str:
        """All of it as JSON.

        Args:
            path: A file to write it to as well.

        Returns:
            The text.
        """
        content = dataclasses.asdict(self) | {
            name: {key: each._asdict() for key, each in values.items()}
            for name, values in (
                ("values", self.values),
                ("per_class", self.per_class),
            )
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        if path is not None:
            write_text(Path(path), text)
        return text

    def table(self) -> "Table":
        """The figures as a table for the terminal.

        Returns:
            A table of `rich`.

        Raises:
            ImportError: If `rich` is not installed.
        """
        require("rich", extra="data")
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(f"{self.title} ({self.examples} examples)"))
        table.add_column("what")
        for name in ("chance", "value", "95 % interval"):
            table.add_column(name, justify="right")
        for name, (value, low, high) in self.values.items():
            chance = self.chance.get(name)
            table.add_row(
                Text(name),
                "" if chance is None else _number(chance),
                _number(value),
                f"{_number(low)} to {_number(high)}",
            )
        return table

    def plot(self, path: str | Path) -> None:
        """Draw the figures, and the classes below them, as a PNG.

        Args:
            path: The file. Figures above 1, as ranks are, are left to the
                table. Of many classes, those with the lowest recall are shown.

        Raises:
            ImportError: If `matplotlib` is not installed.
        """
        fractions = {k: v for k, v in self.values.items() if v.high <= 1}
        classes = sorted(self.per_class.items(), key=lambda item: item[1].value)
        panels = [(self.title, fractions)]
        if classes:
            shown = dict(classes[:MOST_CLASSES])
            what = "recall of each class"
            if len(shown) < len(classes):
                what = f"the {len(shown)} lowest of {len(classes)} recalls"
            panels.append((what, shown))
        heights = [1.0 + BAR * len(bars) for _, bars in panels]
        figure, axes = new_figure(len(panels), 1, (8.0, sum(heights)))
        axes[0].get_gridspec().set_height_ratios(heights)
        for axis, (title, bars) in zip(axes, panels):
            self._draw(axis, title, bars)
        save_figure(figure, path)

    def _draw(self, axis: Any, title: str, bars: dict[str, Estimate]) -> None:
        places = range(len(bars))
        values = [each.value for each in bars.values()]
        errors = [
            [each.value - each.low for each in bars.values()],
            [each.high - each.value for each in bars.values()],
        ]
        axis.barh(places, values, height=0.6, color=TRAIN_COLOR, alpha=0.55)
        axis.errorbar(
            values, places, xerr=errors, fmt="none", color="black", capsize=3
        )
        known = [(k, self.chance[k]) for k in bars if k in self.chance]
        for at, (name, chance) in enumerate(known):
            place = list(bars).index(name)
            axis.plot(
                [chance, chance],
                [place - 0.4, place + 0.4],
                color=CHANCE_COLOR,
                linestyle="--",
                label=None if at else "chance",
            )
        if known:
            axis.legend(loc="lower right")
        axis.set_yticks(list(places), list(bars), **AS_IT_IS)
        axis.invert_yaxis()
        axis.set_xlim(0, 1)
        axis.set_title(title, **AS_IT_IS)

    def _beside(self, name: str) -> str:
        if name not in self.chance:
            return ""
        return f", chance {_number(self.chance[name])}"


def _number(value: float) -> str:
    return f"{value:.3f}" if value <= 1 else f"{value:,.1f}"
