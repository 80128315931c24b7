"""Make a folder of odd and damaged files, and what must happen with each.

    python -m tests.data.odd_files OUT [--fuzz N]

The same bytes each time: no clock, one seed. It writes OUT/data (the user's
folder), OUT/outside (must never be read), OUT/tables (tables in odd encodings)
and OUT/expected.json, a list of cases. `expect` of a case is

  use      decoded as `check` says, no word about it
  warn     decoded as `check` says, counted in the report as `reason`
  skip     left out of the run, listed with file, row and `reason`
  refuse   the run does not start: an error that names file and cause

With --fuzz, N mutants of the good files follow in OUT/fuzz. All that is asked
of them: no crash, no hang, no memory above the cap, the path in the report.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

from tests.data.odd.audio import make_audio
from tests.data.odd.cases import Case, Cases
from tests.data.odd.images import make_images
from tests.data.odd.mutants import make_mutants
from tests.data.odd.names import make_names
from tests.data.odd.tables import make_tables
from tests.data.odd.videos import make_videos

SEED = 20261125


def make_odd_files(out: Path, mutants: int = 0) -> list[Case]:
    """Write the files into a folder.

    Args:
        out: A folder that is empty, or is not there yet.
        mutants: How many mutants to add.

    Returns:
        The cases; tables are those whose `modality` is `"table"`.
    """
    rng, cases, data = np.random.default_rng(SEED), Cases(), out / "data"
    make_images(data / "image", cases)
    make_audio(data / "audio", cases)
    make_videos(data / "video", cases, rng)
    make_tables(out / "tables", cases)
    make_names(data, out / "outside", cases)
    if mutants:
        make_mutants(out, mutants, rng)
    text = json.dumps([c._asdict() for c in cases], indent=1)
    (out / "expected.json").write_text(text + "\n")
    return list(cases)


def data_path(case: Case) -> str:
    """The path of a case in OUT/data, as a table would have it."""
    # The one whose name is no UTF-8 is told by its escape.
    return case.file.replace("\\xe9", os.fsdecode(b"\xe9"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--fuzz", type=int, default=0)
    args = parser.parse_args()
    cases = make_odd_files(args.out, args.fuzz)
    print(f"{len(cases)} cases in {args.out}")  # noqa: T201


if __name__ == "__main__":
    main()
