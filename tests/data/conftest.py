"""Odd and damaged files, made once for all tests that read some."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.data.odd.cases import Case
from tests.data.odd_files import data_path, make_odd_files

NUM_MUTANTS = 2000


class OddFiles(NamedTuple):
    """`root` has `data`, `outside`, `tables` and `fuzz`."""

    root: Path
    cases: list[Case]

    def of(self, modality: str) -> list[Case]:
        """Cases of "image", "audio", "video" or "table"."""
        return [case for case in self.cases if case.modality == modality]

    def path(self, case: Case) -> Path:
        """The file of a case."""
        return self.root / "data" / data_path(case)


@pytest.fixture(scope="session")
def odd_files(tmp_path_factory):
    root = tmp_path_factory.mktemp("odd")
    return OddFiles(root, make_odd_files(root, NUM_MUTANTS))
