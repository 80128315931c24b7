"""1,000 queries over 1,000,000 items: time, memory, and and brute force beside.

    python benchmarks/retrieval.py            # 10 minutes, 3 GB, 2 GB of disk
    python benchmarks/retrieval.py --smoke    # few items: does it run?

See README.md beside this file for what is measured and how to read it.
"""

import argparse
import dataclasses
import functools
import json
import tempfile
from pathlib import Path

import _timing
from _retrieval_sides import Work, brute_force, prepare, write_vectors

# Row of the table: key of `SIDES`.
ROWS = {
    "ranks, as evaluate_retrieval": "ranks",
    "nearest 10, float32": "nearest",
    "nearest 10, float16 mapped, as an index": "index",
    "nearest 10, faiss flat": "faiss",
}
PEER = "nearest 10, faiss flat"
COLUMNS = ("cpu_s", "wall_s", "vectors_mb", "more_mb")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--smoke", action="store_true", help="few items, one round")
    add("--rounds", type=int, default=3, help="turns of each side")
    add("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def serve(job: dict) -> None:
    """Be one side: what the driver starts."""
    work, folder = Work(**job["work"]), Path(job["folder"])
    _timing.serve(functools.partial(prepare, job["side"], folder, work))


def measure(folder: Path, work: Work, rounds: int) -> dict:
    """Time and memory of each side, in turns."""
    sides = []
    for name, key in ROWS.items():
        job = {
            "side": key,
            "folder": str(folder),
            "work": dataclasses.asdict(work),
        }
        sides.append(_timing.make_side(name, __file__, "numpy", job))
    ready = _timing.start_all(sides, print)
    foreign = _timing.take_turns(ready, rounds, 0, 1)
    for side in ready:
        side.stop()
    records = {
        side.name: {
            "cpu_s": round(_timing.CORES * side.median("cpu"), 2),
            "wall_s": round(side.median("wall"), 2),
            **{
                name: value
                for name, value in side.facts.items()
                if name not in ("first_call_s", "second_s")
            },
        }
        for side in ready
    }
    return {"foreign_share": round(foreign, 3), "sides": records}


def differing(sides: dict[str, dict], truth: dict) -> list[str]:
    """Figures of a side that brute force does not give.

    Items of equal products have an order of our own: not faiss's.
    """
    return [
        f"{side}: {name}"
        for side, record in sides.items()
        for name, value in record.items()
        if name in truth
        and value != truth[name]
        and (side, name) != (PEER, "positions_sha256")
    ]


def report(content: dict, work: Work) -> None:
    """Print the table, the ratios and what differs."""
    sides = content["sides"]
    title = (
        f"\n{work.queries:,} queries, {work.items:,} items, width "
        f"{work.width}, {_timing.CORES} core(s)"
    )
    header = ["search", "cpu s", "wall s", "vectors MB", "more MB at most"]
    rows = [
        [name, *(str(one[key]) for key in COLUMNS)]
        for name, one in sides.items()
    ]
    print(_timing.table(title, header, rows))
    for name, ratio in content["ratios"].items():
        print(f"{name}: {ratio}")
    figures = {
        k: v for k, v in content["brute_force"].items() if "sha" not in k
    }
    print("figures:", figures)
    print("other than brute force gives:", content["differing"] or "nothing")
    print(f"Other programs took {content['foreign_share']:.0%} of the machine.")


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        serve(json.loads(arguments.worker))
        return
    small = Work(queries=20, items=3000, width=16)
    work = small if arguments.smoke else Work()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_vectors(folder, work)
        rounds = 1 if arguments.smoke else arguments.rounds
        content: dict = {
            "work": dataclasses.asdict(work),
            **measure(folder, work, rounds),
            "brute_force": brute_force(folder, work),
        }
    sides = content["sides"]
    peer = sides.get(PEER)
    content["ratios"] = {
        f"{name} / faiss flat": round(one["cpu_s"] / peer["cpu_s"], 2)
        for name, one in sides.items()
        if peer and peer["cpu_s"] and name != PEER
    }
    content["differing"] = differing(sides, content["brute_force"])
    report(content, work)
    path = "tmp/retrieval_smoke" if arguments.smoke else "retrieval"
    print(_timing.write_json(path, content))


if __name__ == "__main__":
    main()
