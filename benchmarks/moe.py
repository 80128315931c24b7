"""The routed layers against a dense one, the one-hot form and peers.

    python benchmarks/moe.py            # 32 x 196 tokens; about ten minutes
    python benchmarks/moe.py --smoke    # tiny shape: does it run?

See README.md beside this file for what is measured and how to read it.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

import _timing
from _moe_work import work_table

MODES = {
    "JAX": {"KERAS_BACKEND": "jax"},
    "TensorFlow jit": {"KERAS_BACKEND": "tensorflow", "MOE_JIT": "1"},
    "TensorFlow no jit": {"KERAS_BACKEND": "tensorflow", "MOE_JIT": "0"},
    "torch eager": {"KERAS_BACKEND": "torch"},
}
# Batch, tokens, width, hidden: performance.md section 3.
SHAPE = {"batch": 32, "tokens": 196, "width": 384, "hidden": 1536}
SMOKE = {"batch": 2, "tokens": 12, "width": 16, "hidden": 32}
EXPERTS = (2, 4, 8, 16, 32, 64)
GOALS = {"JAX": 1.10, "TensorFlow jit": 1.12, "TensorFlow no jit": 1.05}
GOAL_EXPERTS, GOAL_MODEL = 16, 1.08


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--smoke", action="store_true", help="a tiny shape, one short round")
    add("--rounds", type=int, default=5, help="turns of each side")
    add("--modes", default="", help="modes whose name has one of a|b|c")
    add("--no-model", action="store_true", help="skip the whole models")
    add("--output", help="name of the JSON file; default: moe")
    add("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def run_mode(job: dict, environment: dict) -> dict:
    """One process: all sides of a mode in turns."""
    result = subprocess.run(
        [sys.executable, __file__, "--worker", json.dumps(job)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(result.stdout.splitlines()[-1])


def work(job: dict) -> None:
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    import _moe_sides

    print(json.dumps(_moe_sides.measure(job)))


def layer_table(mode: str, sides: dict) -> dict:
    """Print one mode's layers; return medians and ratios."""
    dense = statistics.median(s["cpu"] for s in sides["dense"]["samples"])
    rows, records = [], {}
    for name, side in sides.items():
        if "not_available" in side:
            rows.append([name, "-", "-", "-", side["not_available"]])
            records[name] = side
            continue
        cpu, wall = (
            statistics.median(s[clock] for s in side["samples"])
            for clock in ("cpu", "wall")
        )
        record = {
            "cpu_ms": round(cpu / _timing.CORES * 1e3, 1),
            "wall_ms": round(wall * 1e3, 1),
            "ratio": round(cpu / dense, 3),
            "differs": side.get("differs", ""),
        }
        records[name] = record
        rows.append([name, *map(str, record.values())])
    header = [mode, f"cpu/{_timing.CORES} ms", "wall ms", "ratio", "differs in"]
    print(_timing.table("", header, rows), flush=True)
    return records


def model_table(mode: str, sides: dict) -> dict:
    medians = {
        name: statistics.median(s["cpu"] for s in side["samples"])
        for name, side in sides.items()
    }
    ratio = medians["sparse"] / medians["dense twin"]
    milliseconds = {
        name: round(value / _timing.CORES * 1e3)
        for name, value in medians.items()
    }
    print(
        f"\n{mode}: imp_moe_small, train step: {milliseconds}, ratio "
        f"{ratio:.3f} (P6 <= {GOAL_MODEL})",
        flush=True,
    )
    return {"cpu_ms": milliseconds, "ratio": round(ratio, 3)}


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        work(json.loads(arguments.worker))
        return
    shape = SMOKE if arguments.smoke else SHAPE
    wanted = [part for part in arguments.modes.split("|") if part]
    modes = {
        name: environment
        for name, environment in MODES.items()
        if not wanted or any(part in name for part in wanted)
    }
    content: dict = {"shape": shape, "layers": {}, "models": {}, "goals": {}}
    print(f"One feed-forward layer, forward and backward, {shape}")
    for mode, environment in modes.items():
        job = {
            "kind": "layers",
            "shape": shape,
            "experts": EXPERTS[:2] if arguments.smoke else EXPERTS,
            "goal_experts": 4 if arguments.smoke else GOAL_EXPERTS,
            "rounds": 1 if arguments.smoke else arguments.rounds,
        }
        records = layer_table(mode, run_mode(job, environment))
        content["layers"][mode] = records
        name = f"ours, gather, E={job['goal_experts']}"
        if mode in GOALS:
            goal = f"P5 {mode}, E={GOAL_EXPERTS} (goal <= {GOALS[mode]})"
            content["goals"][goal] = records[name]["ratio"]
            slots = shape["tokens"] // job["goal_experts"]
            # performance.md counted with the capacity rounded down.
            content["goals"][f"{goal}, {slots} slots"] = records[
                f"{name}, {slots} slots"
            ]["ratio"]
    for mode in modes:
        if arguments.no_model or mode not in ("JAX", "TensorFlow jit"):
            continue
        job = {
            "kind": "models",
            "smoke": arguments.smoke,
            "rounds": 1 if arguments.smoke else arguments.rounds,
        }
        content["models"][mode] = model_table(mode, run_mode(job, MODES[mode]))
    content["work"] = work_table()
    for name, value in content["goals"].items():
        print(f"{name}: {value}")
    default = "tmp/moe_smoke" if arguments.smoke else "moe"
    path = _timing.write_json(arguments.output or default, content)
    print(f"\nWritten: {path}")


if __name__ == "__main__":
    main()
