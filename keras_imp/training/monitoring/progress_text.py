"""The text of the progress: pure functions of the logs and a width.

Logs are sorted into groups, one for each task; a value of a validation comes
into the group of its task.
"""

from collections.abc import Iterable, Mapping

# Width of the bar, and of a terminal from which on there is one.
BAR = 12
NARROW = 50
# Not shown: the figures of each routed layer.
HIDDEN = "routing"

Groups = dict[str, list[tuple[str, float]]]


class Clock:
    """Time spent and left. The first step counts apart: it compiles.

    Args:
        now: Seconds on any clock.
    """

    def __init__(self, now: float):
        self._started = self._now = self._first = now
        self._steps = self._first_steps = 0

    def step(self, steps: int, now: float) -> None:
        """Note that so many steps were taken.

        Args:
            steps: Steps since the start.
            now: Seconds on the same clock.
        """
        if not self._steps:
            self._first, self._first_steps = now, steps
        self._steps, self._now = steps, now

    def left(self, target: int | None) -> str:
        """Time that the other steps will take; the time spent without a target.

        Args:
            target: Steps to take, None if unknown.

        Returns:
            The time as text.
        """
        if target is None:
            return duration(self._now - self._started)
        return duration((target - self._steps) * self._per_step())

    def spent(self, now: float) -> list[str]:
        """Time since the start, and for a step.

        Args:
            now: Seconds on the same clock.

        Returns:
            Both as text.
        """
        seconds = self._per_step()
        if seconds >= 1:
            each = f"{seconds:.{0 if seconds >= 10 else 1}f}s"
        else:
            each = f"{seconds * 1000:.{0 if seconds >= 0.01 else 1}f}ms"
        return [duration(now - self._started), f"{each}/step"]

    def _per_step(self) -> float:
        later = self._steps - self._first_steps
        if later:
            return (self._now - self._first) / later
        return (self._now - self._started) / max(1, self._steps)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours.

    Args:
        seconds: Seconds.

    Returns:
        Such as `"42s"`, `"1:05"` or `"1:00:05"`.

    Example:
        >>> from keras_imp.training.monitoring.progress_text import duration
        >>> duration(42), duration(65), duration(3605)
        ('42s', '1:05', '1:00:05')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def count(steps: int, target: int | None) -> str:
    """Steps taken of those to take.

    Args:
        steps: Steps taken.
        target: Steps to take, None if unknown.

    Returns:
        Such as `" 7/20"`.
    """
    if target is None:
        return f"{steps} steps"
    return f"{steps:{len(str(target))}}/{target}"


def number(value: float) -> str:
    """A value in four digits, as Keras shows it."""
    return f"{value:.4e}" if 0 < abs(value) <= 1e-3 else f"{value:.4f}"


def losses(logs: Mapping[str, float]) -> dict[str, float]:
    """What the line shows while an epoch runs: one loss for each task.

    Args:
        logs: Values by name.

    Returns:
        `"loss"`, if it is known, then losses by name of the task.
    """
    parts = {name: name.split("/") for name in logs}
    found = {
        "loss" if len(parts[name]) == 1 else parts[name][0]: value
        for name, value in logs.items()
        if parts[name][-1] == "loss" and len(parts[name]) < 3
    }
    whole = {"loss": found["loss"]} if "loss" in found else {}
    return whole | found


def items(values: Mapping[str, float]) -> list[str]:
    """Values with their names.

    Args:
        values: Values by name.

    Returns:
        Such as `["loss 1.2345"]`.
    """
    return [f"{name} {number(value)}" for name, value in values.items()]


def groups(logs: Mapping[str, float], tasks: Iterable[str] = ()) -> Groups:
    """Logs by task: its loss, the other values, then those of a validation.

    Args:
        logs: Values by name.
        tasks: Names of the tasks in the order in which to show them.

    Returns:
        Names and values of each task; those of no task under `""`.

    Example:
        >>> from keras_imp.training.monitoring.progress_text import groups
        >>> groups({"a/loss": 1.0, "loss": 3.0, "val_a/loss": 2.0})
        {'': [('loss', 3.0)], 'a': [('loss', 1.0), ('val_loss', 2.0)]}
    """
    found: Groups = {"": [], **{task: [] for task in tasks}}
    for name, value in logs.items():
        prefix = "val_" if name.startswith("val_") else ""
        task, slash, rest = name.removeprefix("val_").partition("/")
        if not slash:
            task, rest = "", task
        if task != HIDDEN:
            found.setdefault(task, []).append((prefix + rest, value))
    return {
        task: sorted(values, key=_place)
        for task, values in found.items()
        if values
    }


def _place(value: tuple[str, float]) -> tuple[bool, bool]:
    name = value[0]
    return name.startswith("val_"), name.removeprefix("val_") != "loss"


def live_line(
    title: str,
    steps: int,
    target: int | None,
    left: str,
    shown: list[str],
    columns: int,
    unicode: bool = True,
) -> str:
    """The line while an epoch runs, with the items that have room in it.

    Args:
        title: Which epoch.
        steps: Steps taken.
        target: Steps to take, None if unknown.
        left: Time that is left.
        shown: What to show behind it, the most important first.
        columns: Room.
        unicode: Whether the output takes more than ASCII.

    Returns:
        At most `columns` characters.

    Example:
        >>> from keras_imp.training.monitoring.progress_text import live_line
        >>> live_line("Epoch 1/9", 5, 20, "3s", ["loss 1.0"], 60, False)
        'Epoch 1/9   5/20 ###.........  3s  loss 1.0'
    """
    parts = [title] if title else []
    steps_taken = count(steps, target)
    if target is not None and columns >= NARROW:
        done, rest = ("━", "─") if unicode else ("#", ".")
        full = min(BAR, BAR * steps // target)
        steps_taken += f" {done * full}{rest * (BAR - full)}"
    line = "  ".join([*parts, steps_taken, left])
    for item in shown:
        if len(line) + 2 + len(item) > columns:
            break
        line += f"  {item}"
    return line[:columns]


def table(head: list[str], groups: Groups, columns: int) -> list[str]:
    """An epoch that is over, in lines for a terminal.

    Args:
        head: Epoch, steps and times.
        groups: Values by task.
        columns: Room.

    Returns:
        Lines of at most `columns` characters: one for the whole, then one for
        each task, which continues in the next if it has no room.
    """
    lines = _flow("  ".join(head), _pairs(groups.get("", [])), columns, "  ")
    names = [name for name in groups if name]
    width = min(max(map(len, names), default=0), columns // 3)
    for name in names:
        indent = " " * (width + 2)
        lines += _flow(
            f"  {name:{width}}", _pairs(groups[name]), columns, indent
        )
    return lines


def log_line(head: list[str], groups: Groups) -> str:
    """An epoch that is over, in one line for a file.

    Args:
        head: Epoch, steps and times.
        groups: Values by task.

    Returns:
        The line.
    """
    parts = [part.strip() for part in head] + _pairs(groups.get("", []))
    for name, values in groups.items():
        if name:
            parts.append(f"{name}: {', '.join(_pairs(values))}")
    return " - ".join(parts)


def _pairs(values: list[tuple[str, float]]) -> list[str]:
    return [f"{name} {number(value)}" for name, value in values]


def _flow(start: str, pairs: list[str], columns: int, indent: str) -> list[str]:
    """Names with their values behind a start, in as many lines as needed.

    Where one is not enough, those of the validation begin a line if they can.
    """
    lines = _fill(start, pairs, columns, indent)
    if len(lines) > 1:
        later = [pair for pair in pairs if pair.startswith("val_")]
        first = [pair for pair in pairs if pair not in later]
        apart = _fill(start, first, columns, indent)
        apart += _fill(indent, later, columns, indent)
        if first and later and len(apart) <= len(lines):
            lines = apart
    return [line[:columns] for line in lines]


def _fill(start: str, pairs: list[str], columns: int, indent: str) -> list[str]:
    lines = [start]
    for pair in pairs:
        longer = f"{lines[-1]}  {pair}"
        if len(longer) > columns:
            longer = f"{indent}  {pair}"
            lines.append("")
        lines[-1] = longer
    return lines
