"""Do decoders survive what files may hold?

10,000 mutants of good images, audio and videos, and the odd files of the
tests, each decoded in a process of its own with a limit of time. No timing:
counts, the most memory and the longest time of a file.

    python benchmarks/odd_files.py
"""

import argparse
import collections
import pathlib
import sys
import tempfile

from _timing import table, write_json

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import av
import PIL
import soundfile

from tests.data.odd.mutants import modality_of
from tests.data.odd_files import data_path, make_odd_files
from tests.helpers.isolated_decoding import (
    LIMIT_SECONDS,
    Outcome,
    decode_all,
)

KINDS = ("use", "warn", "skip", "hang", "crash")


def measure(num_mutants: int) -> dict[str, list[Outcome]]:
    """Make the files, decode them, and forget them."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        cases = [
            (root / "data" / data_path(case), case.modality)
            for case in make_odd_files(root, num_mutants)
            if case.modality != "table"
        ]
        mutants = [
            (path, modality_of(path))
            for path in sorted((root / "fuzz").iterdir())
        ]
        return {"cases": decode_all(cases), "mutants": decode_all(mutants)}


def summary(outcomes: list[Outcome]) -> dict:
    """Counts of outcomes and words, and the worst files."""
    kinds = collections.Counter(one.kind for one in outcomes)
    words = collections.Counter(
        f"{one.kind} {word}" for one in outcomes for word in one.words
    )
    slowest = max(outcomes, key=lambda one: one.seconds)
    largest = max(outcomes, key=lambda one: one.megabytes)
    return {
        "files": len(outcomes),
        **{kind: kinds[kind] for kind in KINDS},
        "words": dict(words.most_common()),
        "cpu_seconds": round(sum(one.seconds for one in outcomes), 2),
        "slowest": {"name": _name(slowest), "cpu_seconds": slowest.seconds},
        "largest": {"name": _name(largest), "megabytes": largest.megabytes},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--output", default="odd_files")
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    mutants = 26 if args.smoke else args.mutants
    found = {name: summary(all_) for name, all_ in measure(mutants).items()}
    rows = [
        [
            name,
            *(str(one[key]) for key in ("files", *KINDS)),
            f"{one['largest']['megabytes']:.0f}",
            f"{one['slowest']['cpu_seconds']:.2f}",
        ]
        for name, one in found.items()
    ]
    header = ["files of", "all", *KINDS, "most MB", "longest s"]
    print(table("Outcomes, each file in its own process", header, rows))
    if args.smoke:
        return
    versions = {
        "pillow": PIL.__version__,
        "soundfile": soundfile.__version__,
        "libsndfile": soundfile.__libsndfile_version__,
        "av": av.__version__,
    }
    write_json(
        args.output,
        {"limit_seconds": LIMIT_SECONDS, "versions": versions, **found},
    )
    if any(one["hang"] + one["crash"] for one in found.values()):
        sys.exit("A decoder crashed or did not end.")


def _name(outcome: Outcome) -> str:
    return pathlib.Path(outcome.path).name


if __name__ == "__main__":
    main()
