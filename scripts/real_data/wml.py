"""A reader of the game's data files, as far as animations need it.

`[tag]` and `[/tag]` hold lines `key=value`; `{MACRO arguments}` stands for text
that is defined elsewhere. Macros are kept as they are: what an animation needs
of them are names of sounds.
See https://wiki.wesnoth.org/SyntaxWML.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_OPEN = re.compile(r"^\s*\[\+?([a-z_]+)\]")
_CLOSE = re.compile(r"^\s*\[/[a-z_]+\]")
_VALUE = re.compile(r"^\s*([a-z_,]+)\s*=\s*(.*)$")
_DEFINE = re.compile(r"#define (SOUND_LIST:\S+)\s+([^#]+)#enddef")
# Ranges and repetitions in names: "[1~3,2]", "[100*3,200]".
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


class Node(NamedTuple):
    """A tag with its values, macros and inner tags, in order.

    Attributes:
        tag: Its name; `""` for the file.
        values: By key, as they are written.
        macros: Lines that are macros.
        children: Inner tags.
    """

    tag: str
    values: dict[str, str]
    macros: list[str]
    children: list["Node"]

    def all(self, *tags: str) -> Iterator["Node"]:
        """All inner tags of these names, at any depth."""
        for child in self.children:
            if child.tag in tags:
                yield child
            yield from child.all(*tags)


def read(path: Path) -> Node:
    """Read one file."""
    root = Node("", {}, [], [])
    stack = [root]
    for line in path.read_text("utf-8").splitlines():
        opened = _OPEN.match(line)
        value = _VALUE.match(line)
        if opened:
            node = Node(opened[1], {}, [], [])
            stack[-1].children.append(node)
            stack.append(node)
        elif _CLOSE.match(line):
            if len(stack) > 1:
                stack.pop()
        elif value:
            stack[-1].values.setdefault(value[1], plain(value[2]))
        elif line.strip().startswith("{"):
            stack[-1].macros.append(line.strip())
    return root


def plain(value: str) -> str:
    """A value without its quotes, its mark of translation, its comment."""
    quoted = re.match(r'_?\s*"([^"]*)"', value)
    return quoted[1] if quoted else value.split("#")[0].strip()


def sound_lists(folder: Path) -> dict[str, str]:
    """Names of sounds by the macro that stands for them."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.cfg")):
        for name, value in _DEFINE.findall(path.read_text("utf-8")):
            found[name] = " ".join(value.split())
    return found


def expand(pattern: str) -> list[str]:
    """All that a pattern stands for: `"a[1~3].png"` is three names.

    Several patterns in one are run through together, the shorter ones end
    with their last part.
    """
    parts = [_several(inside) for inside in _BRACKETS.findall(pattern)]
    count = max((len(part) for part in parts), default=1)
    names = []
    for i in range(count):
        chosen = iter(part[min(i, len(part) - 1)] for part in parts)
        names.append(_BRACKETS.sub(lambda _: next(chosen), pattern))  # noqa: B023
    return names


def _several(inside: str) -> list[str]:
    """`"1~3,5,a*2"` is 1, 2, 3, 5, a, a."""
    found: list[str] = []
    for part in inside.split(","):
        first, star, times = part.partition("*")
        if star and times.strip().isdecimal():
            found += [first] * int(times)
            continue
        start, wave, stop = part.partition("~")
        if not (
            wave and start.strip().isdecimal() and stop.strip().isdecimal()
        ):
            found.append(part)
            continue
        low, high = int(start), int(stop)
        step = 1 if high >= low else -1
        width = len(start) if start.startswith("0") else 0
        found += [f"{n:0{width}}" for n in range(low, high + step, step)]
    return found
