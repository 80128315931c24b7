"""What of a file fitted a model, in words."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from keras_imp._saving.names import SEPARATOR

# What a layer with a name is called; a task's own heads are in it.
WORDS = {
    "adapter": "adapter",
    "head": "task",
    "part": "part",
    "embedder": "embedder",
}


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What of a file fitted a model.

    Attributes:
        filepath: The file.
        loaded: Number of weights that got their value from the file.
        total: Number of weights of the model. Both are 0 where Keras loaded a
            file that cannot be looked into, such as one on another machine.
        new: Parts of the model that the file does not have, such as
            `"task 'objects'"`. They keep the values that they had.
        unused: Parts of the file that the model does not have.
        different: Parts with other shapes in the file. They keep the values
            that they had.
        state: Why optimizer and counters were not loaded as they are in the
            file; empty if they were.

    Example:
        >>> from keras_imp._saving.report import LoadReport
        >>> report = LoadReport("a.weights.h5", 2, 4, new=("task 'objects'",))
        >>> print(report)
        2 of 4 weights were loaded. Not in the file: task 'objects'. What was \
not loaded keeps the values that it had.
        >>> report.is_complete
        False
    """

    filepath: str
    loaded: int = 0
    total: int = 0
    new: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    state: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether model and file have the same weights."""
        return not (self.new or self.unused or self.different)

    @property
    def misfits(self) -> str:
        """What does not fit, in words; empty if all does."""
        lines = []
        for intro, parts in (
            ("Not in the file", self.new),
            ("Only in the file", self.unused),
            ("Of another shape", self.different),
        ):
            if parts:
                lines.append(f"{intro}: {_listed(parts)}.")
        return " ".join(lines)

    def __str__(self) -> str:
        counts = f"{self.loaded} of {self.total} weights were loaded."
        kept = ""
        if self.new or self.different:
            kept = "What was not loaded keeps the values that it had."
        return " ".join(filter(None, [counts, self.misfits, kept, self.state]))


def describe(path: str, modalities: Mapping[str, Iterable[str]]) -> str:
    """Say in words what a group of a file is.

    Args:
        path: Path of the group.
        modalities: The modalities of each embedder.

    Returns:
        Words.

    Example:
        >>> from keras_imp._saving.report import describe
        >>> describe("head.captions/common_space/head.image_to_text", {})
        "task 'captions', head 'image_to_text'"
        >>> describe("encoder/embedder.vision", {"vision": ["image", "video"]})
        "embedder 'vision' (image, video)"
    """
    words: list[str] = []
    rest: list[str] = []
    for step in path.split("/"):
        kind, dot, name = step.partition(SEPARATOR)
        if not dot:
            rest.append(step)
            continue
        word = kind if words else WORDS[kind]
        of = ", ".join(modalities.get(name, ())) if kind == "embedder" else ""
        words.append(f"{word} {name!r}" + (f" ({of})" if of else ""))
        rest = []
    return ", ".join([*words, *filter(None, ["/".join(rest)])])


def _listed(parts: tuple[Any, ...], most: int = 8) -> str:
    more = len(parts) - most
    shown = "; ".join(parts[:most])
    return f"{shown}; and {more} more" if more > 0 else shown
