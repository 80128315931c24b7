"""Train step of the dense encoder against its peers, all in one run.

    python benchmarks/encoder.py            # ViT-S/16, batch 8; minutes
    python benchmarks/encoder.py --smoke    # tiny shape: does it run?

See README.md beside this file for what is measured and how to read it.
"""

import argparse
import dataclasses
import functools
import json
import sys

import _timing
from _encoder_sides import SIDES, Shape
from _timing import Side

SMOKE = Shape(
    layers=2, width=64, heads=2, hidden=128, image=64, batch=4, classes=10
)
SCAN_REMAT = {"scan_layers": True, "remat": True}
SCAN = {"scan_layers": True}
LOOP = {"scan_layers": False}
JIT = {"jit": True}
# Row of the table: backend, function of _encoder_sides.py, its options.
ROWS = {
    "ours, JAX, scan + remat": ("jax", "ours", SCAN_REMAT),
    "ours, JAX, scan": ("jax", "ours", SCAN),
    "ours, JAX, loop": ("jax", "ours", LOOP),
    "IMPEncoder, JAX, scan + remat": ("jax", "imp_encoder", SCAN_REMAT),
    "keras-hub ViT, JAX": ("jax", "keras_hub_vit", {}),
    "ours, TensorFlow jit, loop": ("tensorflow", "ours", LOOP | JIT),
    "ours, TensorFlow jit, scan": ("tensorflow", "ours", SCAN | JIT),
    "IMPEncoder, TensorFlow jit, loop": (
        "tensorflow",
        "imp_encoder",
        LOOP | JIT,
    ),
    "keras-hub ViT, TensorFlow jit": ("tensorflow", "keras_hub_vit", JIT),
    "ours, torch eager": ("torch", "ours", LOOP),
    "timm ViT, torch eager": ("torch", "timm_vit", {}),
    "nn.TransformerEncoder, torch eager": ("torch", "torch_encoder", {}),
    "Hugging Face ViT, torch eager": ("torch", "hugging_face_vit", {}),
    "GEMM ceiling, torch": ("torch", "torch_gemm", {}),
    "GEMM ceiling, TensorFlow": ("tensorflow", "tensorflow_gemm", {}),
}
COMPILES = {
    "JAX, scan + remat": ("jax", SCAN_REMAT),
    "JAX, scan": ("jax", SCAN),
    "TensorFlow jit, scan": ("tensorflow", SCAN | JIT),
    "TensorFlow jit, scan + remat": ("tensorflow", SCAN_REMAT | JIT),
    "TensorFlow jit, loop": ("tensorflow", LOOP | JIT),
}
COMPILE_LAYERS = 24
# Torch's threads spin while one of them waits for a core, so on a busy machine
# its figures grow several times and say nothing about the program.
MOST_FOREIGN = 0.05


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--smoke", action="store_true", help="a tiny shape, one short round")
    add("--layers", type=int, help="other depth than 12")
    add("--rounds", type=int, default=6, help="turns of each side")
    add("--steps", type=int, default=2, help="measured steps of a turn")
    add("--only", default="", help="rows whose name has one of a|b|c")
    add(
        "--allocator",
        action="store_true",
        help="every side keeps freed memory (mallopt); see README.md",
    )
    add("--no-compile", action="store_true", help="skip the compile times")
    add("--timm-python", help="Python of the environment that has timm")
    add("--output", help="name of the JSON file; default: encoder")
    add("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_side(name, backend, function, options, shape, arguments) -> Side:
    job = {
        "function": function,
        "options": options,
        "shape": dataclasses.asdict(shape),
        "allocator": arguments.allocator,
    }
    python = sys.executable
    if function == "timm_vit" and arguments.timm_python:
        python = arguments.timm_python
    return _timing.make_side(name, __file__, backend, job, python)


def work(job: dict) -> None:
    """Be one side: what the driver starts."""
    if job["allocator"]:
        _timing.set_allocator()
    shape = Shape(**job["shape"])
    prepare = functools.partial(SIDES[job["function"]], shape, **job["options"])
    _timing.find_package()
    _timing.serve(prepare)


def speed(side: Side, shape: Shape) -> float:
    """GF/s of the matrix products, by processor time."""
    flops = side.facts.get("flops", shape.train_flops())
    return flops / side.median("cpu") / 1e9


def goals(sides: dict[str, Side], shape: Shape, busy: bool) -> dict:
    """The ratios that the project sets itself, as far as they can be told."""

    def fastest(*names: str) -> float | None:
        times = [sides[name].median() for name in names if name in sides]
        return min(times, default=None)

    def ratio(mine: float | None, theirs: float | None) -> float | None:
        return round(mine / theirs, 3) if mine and theirs else None

    jax = fastest(*(name for name in ROWS if name.startswith("ours, JAX")))
    jit = fastest(*(n for n in ROWS if n.startswith("ours, TensorFlow")))
    torch = None if busy else fastest("ours, torch eager")
    mine = min(filter(None, (jax, jit, torch)), default=None)
    peers = fastest(
        "timm ViT, torch eager", "nn.TransformerEncoder, torch eager"
    )
    ceilings = [
        speed(sides[name], shape) for name in sides if name.startswith("GEMM")
    ]
    share = None
    if mine and ceilings:
        share = round(shape.train_flops() / mine / 1e9 / max(ceilings), 3)
    return {
        "P1 TensorFlow jit / keras-hub (goal <= 0.93)": ratio(
            jit, fastest("keras-hub ViT, TensorFlow jit")
        ),
        "P2 JAX / keras-hub (goal <= 0.60)": ratio(
            jax, fastest("keras-hub ViT, JAX")
        ),
        "P3 best / faster of timm, nn.TransformerEncoder (goal <= 1.00)": (
            None if busy else ratio(mine, peers)
        ),
        "P4 share of the GEMM ceiling (goal >= 0.80)": share,
    }


def measure_steps(arguments, shape: Shape) -> dict:
    wanted = [part for part in arguments.only.split("|") if part]
    sides = [
        make_side(name, *row, shape, arguments)
        for name, row in ROWS.items()
        if not wanted or any(part in name for part in wanted)
    ]
    ready = _timing.start_all(sides, print)
    foreign = _timing.take_turns(ready, arguments.rounds, 1, arguments.steps)
    for side in ready:
        side.stop()
    rows, records = [], {}
    for side in ready:
        record = {
            "cpu_ms": side.median("cpu") * 1e3,
            "wall_ms": side.median("wall") * 1e3,
            "best_wall_ms": side.best() * 1e3,
            "gflops_per_s": speed(side, shape),
            "first_call_s": side.facts["first_call_s"],
            "differs": side.facts.get("differs", ""),
        }
        records[side.name] = {k: _rounded(v) for k, v in record.items()}
        numbers = list(record.values())[:4]
        rows.append(
            [
                side.name,
                *(f"{number:.0f}" for number in numbers),
                f"{record['first_call_s']:.1f}",
                record["differs"],
            ]
        )
    header = [
        "train step",
        f"cpu/{_timing.CORES} ms",
        "wall ms",
        "best ms",
        "GF/s",
        "first call s",
        "differs in",
    ]
    title = f"\n{shape}\n{shape.train_flops() / 1e9:.1f} GF a step"
    print(_timing.table(title, header, rows))
    left_out = {
        side.name: side.facts["not_available"]
        for side in sides
        if side not in ready
    }
    busy = foreign > MOST_FOREIGN
    print(f"Other programs took {foreign:.0%} of the machine.")
    if busy:
        print("That is too much for the torch rows: P3 is not told.")
    ratios = goals({side.name: side for side in ready}, shape, busy)
    for name, value in ratios.items():
        print(f"{name}: {'not told' if value is None else value}")
    return {
        "foreign_share": round(foreign, 3),
        "steps": records,
        "left_out": left_out,
        "goals": ratios,
    }


def measure_compiles(arguments, shape: Shape) -> dict:
    shape = dataclasses.replace(
        shape, layers=3 if arguments.smoke else COMPILE_LAYERS
    )
    records = {}
    rows = dict(list(COMPILES.items())[::2]) if arguments.smoke else COMPILES
    for name, (backend, options) in rows.items():
        side = make_side(
            name, backend, "compile_time", options, shape, arguments
        )
        _timing.start_all([side], lambda _: None)
        side.stop()
        records[name] = {
            key: _rounded(side.facts[key])
            for key in ("compile_s", "compile_cpu_s")
        }
    title = f"\nOne more (task, shape), {shape.layers} layers (goal P9 <= 4 s)"
    cells = [[k, *map(str, v.values())] for k, v in records.items()]
    print(_timing.table(title, ["compile", "wall s", "cpu s"], cells))
    return records


def _rounded(value):
    return round(value, 2) if isinstance(value, float) else value


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        work(json.loads(arguments.worker))
        return
    shape = SMOKE if arguments.smoke else Shape()
    if arguments.layers:
        shape = dataclasses.replace(shape, layers=arguments.layers)
    if arguments.smoke:
        arguments.rounds = 1
    content = {
        "shape": dataclasses.asdict(shape),
        "allocator": arguments.allocator,
        **measure_steps(arguments, shape),
    }
    if not arguments.no_compile:
        content["compile"] = measure_compiles(arguments, shape)
    default = "tmp/encoder_smoke" if arguments.smoke else "encoder"
    name = arguments.output or default
    print(f"\nWritten: {_timing.write_json(name, content)}")


if __name__ == "__main__":
    main()
