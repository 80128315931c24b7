"""What must happen with each file."""

from typing import Any, NamedTuple


class Case(NamedTuple):
    """A file and the outcome that is right for it."""

    file: str
    modality: str
    kind: str
    expect: str
    reason: str
    check: dict[str, Any]


class Cases(list):
    """The cases, in the order in which their files are made."""

    def add(self, file, modality, kind, expect, reason="", **check):
        self.append(Case(file, modality, kind, expect, reason, check))
