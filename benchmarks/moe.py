"""The routed layers against a dense one, the one-hot form and peers.

    python benchmarks/moe.py            # 32 x 196 tokens; twenty minutes
    python benchmarks/moe.py --smoke    # tiny shape: does it run?

See README.md beside this file for what is measured and how to read it.
"""

import argparse
import functools
import json
import pathlib
import statistics
import sys

import _timing
from _moe_work import work_table
from _timing import Side

MODES = {
    "JAX": {"KERAS_BACKEND": "jax"},
    "TensorFlow jit": {"KERAS_BACKEND": "tensorflow", "MOE_JIT": "1"},
    "TensorFlow no jit": {"KERAS_BACKEND": "tensorflow", "MOE_JIT": "0"},
    "torch eager": {"KERAS_BACKEND": "torch"},
}
# A layer of ViT-S/16 on 32 images of 224 pixels.
SHAPE = {"batch": 32, "tokens": 196, "width": 384, "hidden": 1536}
SMOKE = {"batch": 2, "tokens": 12, "width": 16, "hidden": 32}
EXPERTS = (2, 4, 8, 16, 32, 64)
GOALS = {"JAX": 1.10, "TensorFlow jit": 1.12, "TensorFlow no jit": 1.05}
GOAL_EXPERTS, GOAL_MODEL = 16, 1.08
MODEL_MODES = ("JAX", "TensorFlow jit")
# Seconds of a step after which a side gets one per turn instead of two.
SLOW = 2.0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--smoke", action="store_true", help="a tiny shape, one short round")
    add("--rounds", type=int, default=5, help="turns of each side")
    add("--processes", type=int, default=4, help="of the dense and goal rows")
    add("--modes", default="", help="modes whose name has one of a|b|c")
    add("--no-model", action="store_true", help="skip the whole models")
    add("--output", help="name of the JSON file; default: moe")
    add("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def layer_rows(shape: dict, experts: tuple, goal: int, torch: bool) -> dict:
    """Row of the table: function of _moe_sides.py, its options."""

    def ours(count=goal, layer="ExpertChoiceMoE", **options) -> tuple:
        return "ours", {"layer": layer, "num_experts": count, **options}

    group = 4 * shape["tokens"]
    # The goals were measured with the capacity rounded down.
    fewer = shape["tokens"] // goal
    factor = fewer * goal / shape["tokens"]
    rows = {f"ours, gather, E={count}": ours(count) for count in experts}
    rows |= {
        f"ours, gather, E={goal}, {fewer} slots": ours(capacity_factor=factor),
        f"ours, gather, E={goal}, group {group}": ours(group_size=group),
        f"ours, gather, E={goal}, group batch": ours(group_size="batch"),
        f"ours, one_hot, E={goal}": ours(dispatch="one_hot"),
        f"ours, one_hot, E={goal}, group {group}": ours(
            dispatch="one_hot", group_size=group
        ),
        f"ours, token choice, E={goal}": ours(layer="TokenChoiceMoE"),
        f"ours, soft, E={goal}": ours(layer="SoftMoE", slots_per_expert=fewer),
    }
    peers = {
        f"st-moe-pytorch top-2, E={goal}": "st_moe",
        f"Hugging Face Switch, E={goal}": "switch",
    }
    if not torch:
        peers = {f"keras-hub Mixtral top-1, E={goal}": "mixtral"}
    for name, function in peers.items():
        rows[name] = function, {"num_experts": goal}
    return rows


def make_side(name: str, function: str, options: dict, mode: str) -> Side:
    job = json.dumps({"function": function, "options": options})
    environment = {**MODES[mode], "TF_CPP_MIN_LOG_LEVEL": "3"}
    return Side(name, [sys.executable, __file__, "--worker", job], environment)


def work(job: dict) -> None:
    """Be one side: what the driver starts."""
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    import _moe_sides

    prepare = getattr(_moe_sides, job["function"])
    _timing.serve(functools.partial(prepare, **job["options"]))


def compare(references: list[Side], sides: list[Side], rounds: int) -> dict:
    """Times of a row's processes, and their ratio to the dense ones' in turns.

    The same layer takes up to a tenth longer in one process than in another:
    the medians are over the processes of a row.
    """
    if not _timing.start_all(sides, print):
        return sides[0].facts
    for reference in references:
        reference.samples.clear()
    steps = 1 if sides[0].facts["second_s"] > SLOW else 2
    _timing.take_turns([*references, *sides], rounds, warm=1, steps=steps)
    for side in sides:
        side.stop()
    cpu, wall = median(sides, "cpu"), median(sides, "wall")
    return {
        "cpu_ms": round(cpu * 1e3, 1),
        "wall_ms": round(wall * 1e3, 1),
        "ratio": round(cpu / median(references, "cpu"), 3),
        "processes": len(sides),
        "differs": sides[0].facts.get("differs", ""),
    }


def median(sides: list[Side], figure: str) -> float:
    return statistics.median(side.median(figure) for side in sides)


def measure_layers(
    mode: str, shape: dict, rows: dict, goal_rows: list[str], arguments
) -> dict:
    """Print one mode's layers against the dense one; return the records."""
    dense = {"layer": "FeedForward", "shape": shape}
    references = [
        make_side("dense", "ours", dense, mode)
        for _ in range(arguments.processes)
    ]
    _timing.start_all(references, print)
    records = {}
    for name, (function, options) in rows.items():
        options = {"shape": shape, **options}
        count = arguments.processes if name in goal_rows else 1
        sides = [make_side(name, function, options, mode) for _ in range(count)]
        records[name] = compare(references, sides, arguments.rounds)
    for reference in references:
        reference.stop()
    header = [mode, f"cpu/{_timing.CORES} ms", "wall ms", "ratio"]
    header += ["processes", "differs in"]
    cells = [
        [name, *map(str, record.values())]
        if "ratio" in record
        else [name, "-", "-", "-", "-", record["not_available"]]
        for name, record in records.items()
    ]
    print(_timing.table("", header, cells), flush=True)
    return records


def measure_models(mode: str, arguments) -> dict:
    """Print and return a sparse model's step against its dense twin's."""
    preset, size, batch = ("imp_moe_small", 224, 32)
    if arguments.smoke:
        preset, size, batch = ("imp_moe_tiny", 16, 2)
    options = {"preset": preset, "size": size, "batch": batch}
    twins, sparse = (
        [make_side(name, "model", {**options, "dense": dense}, mode)]
        for name, dense in (("dense twin", True), ("sparse", False))
    )
    _timing.start_all(twins, print)
    record = compare(twins, sparse, arguments.rounds)
    twins[0].stop()
    record["dense_twin_cpu_ms"] = round(median(twins, "cpu") * 1e3, 1)
    print(f"\n{mode}: {preset}, train step: {record} (P6 <= {GOAL_MODEL})")
    return record


def goal_rows(shape: dict, goal: int) -> list[str]:
    """The rows of P5: the layer's own capacity, and rounded down."""
    row = f"ours, gather, E={goal}"
    return [row, f"{row}, {shape['tokens'] // goal} slots"]


def goals_of(mode: str, records: dict, rows: list[str]) -> dict:
    return {
        f"P5 {mode}, {row} (goal <= {GOALS[mode]})": records[row]["ratio"]
        for row in rows
        if mode in GOALS
    }


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        work(json.loads(arguments.worker))
        return
    shape, experts, goal = SHAPE, EXPERTS, GOAL_EXPERTS
    if arguments.smoke:
        shape, experts, goal = SMOKE, EXPERTS[:2], EXPERTS[1]
        arguments.rounds, arguments.processes = 1, 2
    wanted = [part for part in arguments.modes.split("|") if part]
    modes = [
        mode
        for mode in MODES
        if not wanted or any(part in mode for part in wanted)
    ]
    content: dict = {"shape": shape, "layers": {}, "models": {}, "goals": {}}
    print(f"One feed-forward layer, forward and backward, {shape}")
    for mode in modes:
        rows = layer_rows(shape, experts, goal, "torch" in mode)
        told = goal_rows(shape, goal)
        records = measure_layers(mode, shape, rows, told, arguments)
        content["layers"][mode] = records
        content["goals"] |= goals_of(mode, records, told)
    for mode in modes:
        if mode in MODEL_MODES and not arguments.no_model:
            content["models"][mode] = measure_models(mode, arguments)
    content["work"] = work_table()
    for name, value in content["goals"].items():
        print(f"{name}: {value}")
    default = "tmp/moe_smoke" if arguments.smoke else "moe"
    path = _timing.write_json(arguments.output or default, content)
    print(f"\nWritten: {path}")


if __name__ == "__main__":
    main()
