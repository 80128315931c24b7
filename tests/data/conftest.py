"""Odd and damaged files, made once for all tests that read some."""

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.data.odd.cases import Case
from tests.data.odd_files import make_odd_files

NUM_MUTANTS = 2000


class OddFiles(NamedTuple):
    """`root` has `data`, `outside`, `tables` and `fuzz`."""

    root: Path
    cases: list[Case]

    def of(self, modality: str) -> list[Case]:
        """Cases of "image", "audio", "video" or "table"."""
        return [case for case in self.cases if case.modality == modality]

    def name(self, case: Case) -> str:
        """The path of a case in `data`, as a table would have it."""
        # The one whose name is no UTF-8 is told by its escape.
        return case.file.replace("\\xe9", os.fsdecode(b"\xe9"))


@pytest.fixture(scope="session")
def odd_files(tmp_path_factory):
    root = tmp_path_factory.mktemp("odd")
    return OddFiles(root, make_odd_files(root, NUM_MUTANTS))
