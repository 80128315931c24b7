"""Log-mel spectrograms in the compiled step against the host, all in one run.

    python benchmarks/log_mel.py            # 32 recordings of 8.192 s; minutes
    python benchmarks/log_mel.py --smoke    # two short ones: does it run?

See README.md beside this file for what is measured and how to read it.
"""

import argparse
import dataclasses
import functools
import json

import _timing
from _log_mel_sides import RATE, SIDES, Work
from _timing import Side

# The paper's frames, and the short ones that are common for speech.
WORKS = {
    "frames of 128 ms, 128 bins": Work(),
    "frames of 25 ms, 80 bins": Work(length=400, step=160, bins=80),
}
# Row of the table: backend, function of _log_mel_sides.py, its options.
ROWS = {
    "LogMel, JAX": ("jax", "ours", {}),
    "LogMel, TensorFlow jit": ("tensorflow", "ours", {"jit": True}),
    "LogMel, TensorFlow": ("tensorflow", "ours", {"jit": False}),
    "tf.signal, one function": ("tensorflow", "tf_signal", {"where": "graph"}),
    "tf.signal in tf.data": ("tensorflow", "tf_signal", {"where": "tf.data"}),
    "NumPy rfft": ("numpy", "numpy_rfft", {}),
    "transforms alone, SciPy": ("numpy", "transforms_alone", {}),
}
GOAL = 3.0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--smoke", action="store_true", help="two short ones, one round")
    add("--rounds", type=int, default=5, help="turns of each side")
    add("--steps", type=int, default=4, help="measured steps of a turn")
    add("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_side(name: str, backend: str, function: str, options, work) -> Side:
    job = {
        "function": function,
        "options": options,
        "work": dataclasses.asdict(work),
    }
    return _timing.make_side(name, __file__, backend, job)


def serve(job: dict) -> None:
    """Be one side: what the driver starts."""
    _timing.find_package()
    side = SIDES[job["function"]]
    work = Work(**job["work"])
    _timing.serve(functools.partial(side, work, **job["options"]))


def measure(arguments: argparse.Namespace, work: Work) -> dict:
    sides = [make_side(name, *row, work) for name, row in ROWS.items()]
    ready = _timing.start_all(sides, print)
    steps = 1 if arguments.smoke else arguments.steps
    foreign = _timing.take_turns(ready, arguments.rounds, 1, steps)
    for side in ready:
        side.stop()
    records = {
        side.name: {
            "cpu_ms_per_recording": round(
                1e3 * _timing.CORES * side.median("cpu") / work.batch, 3
            ),
            "wall_ms_per_recording": round(
                1e3 * side.median("wall") / work.batch, 3
            ),
            "largest_difference": side.facts["largest_difference"],
        }
        for side in ready
    }
    return {"foreign_share": round(foreign, 3), "sides": records}


def ratios(records: dict[str, dict]) -> dict[str, float]:
    """How many times the processor time of our fastest side others take."""
    times = {name: one["cpu_ms_per_recording"] for name, one in records.items()}
    mine = times["LogMel, JAX"]
    return {
        f"{name} / LogMel, JAX": round(time / mine, 2)
        for name, time in times.items()
        if name != "LogMel, JAX"
    }


def report(title: str, arguments: argparse.Namespace, work: Work) -> dict:
    content = {"work": dataclasses.asdict(work), **measure(arguments, work)}
    content["ratios"] = ratios(content["sides"])
    seconds = work.samples / RATE
    title = f"\n{title}: {work.batch} recordings of {seconds:g} s, int16"
    header = ["log-mel", "cpu ms each", "wall ms each", "difference"]
    rows = [
        [name, *map(str, one.values())]
        for name, one in content["sides"].items()
    ]
    print(_timing.table(title, header, rows))
    print(f"Other programs took {content['foreign_share']:.0%} of the machine.")
    for name, value in content["ratios"].items():
        print(f"{name}: {value}")
    return content


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        serve(json.loads(arguments.worker))
        return
    content: dict[str, dict] = {}
    for title, work in WORKS.items():
        if arguments.smoke:
            arguments.rounds = 1
            work = dataclasses.replace(work, batch=2, samples=16_384)
        content[title] = report(title, arguments, work)
    print(f"P12: tf.signal in tf.data / LogMel, JAX, goal >= {GOAL:g}")
    name = "tmp/log_mel_smoke" if arguments.smoke else "log_mel"
    print(_timing.write_json(name, content))


if __name__ == "__main__":
    main()
