"""Alternating against a summed loss and against one padded mixed batch.

    python benchmarks/alternatives.py            # JAX and TensorFlow; long
    python benchmarks/alternatives.py --smoke    # tiny shape: does it run?

Five tasks of one encoder in real `fit`; see README.md beside this file. Each
turn of an arm is a process of its own, one at a time, so that its peak memory
is its own and all of the machine's memory is free for it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import _timing

# Arms: how the steps are taken, and whether the video drops half its tokens.
ARMS = {
    "alternating": ("alternating", True),
    "sum of losses": ("sum", True),
    "padded batch": ("padded", True),
    "padded batch, no DropToken": ("padded", False),
}
# One example of each task, with patches of 4 x 4 pixels (of 2 frames in a
# video), 8 x 8 of a spectrogram: 64, 196, 256, 64 and 16 tokens.
SHAPES = {
    "small_images": {"image": (32, 32, 3)},
    "large_images": {"image": (56, 56, 3)},
    "clips": {"video": (8, 32, 32, 3)},
    "sounds": {"audio": (64, 64)},
    "texts": {"text": (16,)},
}
TOKENS = {
    "small_images": 64,
    "large_images": 196,
    "clips": 256,
    "sounds": 64,
    "texts": 16,
}
DROPPED = {"clips": 0.5}
CLASSES, VOCABULARY = 10, 1000
FULL = {"width": 192, "layers": 4, "batch": 32, "passes": 6}
SMOKE = {"width": 16, "layers": 1, "batch": 2, "passes": 1}
WARM_PASSES = 2


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--smoke", action="store_true", help="a tiny shape, one round")
    add("--rounds", type=int, default=5, help="turns of each arm")
    add("--passes", type=int, help="measured passes over all tasks of a turn")
    add("--backends", default="jax,tensorflow", help="Keras backends")
    add("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


# --- In the process of one turn ---------------------------------------------


def work(job: dict) -> dict:
    """Be one turn of an arm: compile, then measure some passes."""
    way, drops = ARMS[job["arm"]]
    data = make_data(job["batch"])
    model = build(way, drops, job)
    start = _timing.peak_resident_bytes()
    fit(model, data, way, WARM_PASSES)
    wall, cpu = time.perf_counter(), time.process_time()
    logs = fit(model, data, way, job["passes"])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    examples = job["passes"] * job["batch"] * len(SHAPES)
    return {
        "examples_per_s": examples / wall,
        "examples_per_cpu_s": examples / (cpu / _timing.CORES),
        "peak_rss_gb": _timing.peak_resident_bytes() / 1e9,
        "rss_before_training_gb": start / 1e9,
        "wasted_tokens": logs.get("padding/wasted_tokens", 0.0),
        "updates_per_pass": len(SHAPES) if way == "alternating" else 1,
    }


def build(way: str, drops: bool, size: dict):
    import keras

    import keras_imp

    keras.utils.set_random_seed(0)
    encoder = keras_imp.IMPEncoder.from_preset(
        "imp_tiny",
        hidden_dim=size["width"],
        intermediate_dim=4 * size["width"],
        num_layers=size["layers"],
        patch_size=(2, 4, 4),
        audio_patch_size=(8, 8),
        vocabulary_size=VOCABULARY,
    )
    tasks = [make_task(name, drops) for name in SHAPES]
    if way == "alternating":
        model = keras_imp.AlternatingModel(encoder, tasks)
    else:
        model = keras_imp.CombinedModel(encoder, tasks, strategy=way)
    model.compile(optimizer=keras.optimizers.AdamW(1e-4))
    return model


def make_task(name: str, drops: bool):
    import keras_imp

    (modality,) = SHAPES[name]
    rate = DROPPED.get(name, 0.0) if drops else 0.0
    options = {"drop_tokens": {modality: rate}} if rate else {}
    return keras_imp.tasks.Classification(name, modality, CLASSES, **options)


def make_data(batch: int) -> dict[str, list[tuple]]:
    """A few random batches of each task."""
    import numpy as np

    rng = np.random.default_rng(0)

    def values(modality, shape):
        shape = (batch, *shape)
        if modality == "text":
            return rng.integers(1, VOCABULARY, shape).astype("int32")
        if modality == "audio":
            return rng.standard_normal(shape, dtype="float32")
        return rng.integers(0, 256, shape).astype("uint8")

    def one(name):
        x = {m: values(m, shape) for m, shape in SHAPES[name].items()}
        return (x, rng.integers(0, CLASSES, batch).astype("int32"))

    return {name: [one(name) for _ in range(4)] for name in SHAPES}


def fit(model, data, way: str, passes: int) -> dict[str, float]:
    """The logs of some passes over all tasks."""
    import keras_imp

    mixture = keras_imp.TaskMixture.together(data)
    if way == "alternating":
        mixture = keras_imp.TaskMixture(data, keras_imp.schedules.RoundRobin())
        passes *= len(data)
    history = model.fit(mixture, steps_per_epoch=passes, verbose=0).history
    return {name: values[-1] for name, values in history.items()}


# --- In the driver ----------------------------------------------------------


def measure(backend: str, rounds: int, size: dict) -> dict[str, list[dict]]:
    """All arms in turns; the order reverses each round."""
    turns: dict[str, list[dict]] = {arm: [] for arm in ARMS}
    for number in range(rounds):
        for arm in list(ARMS) if number % 2 == 0 else list(ARMS)[::-1]:
            found = run(backend, {"arm": arm, **size})
            turns[arm].append(found)
            print(
                f"{backend}, round {number + 1}, {arm}: "
                f"{found['examples_per_s']:.1f} examples/s",
                flush=True,
            )
    return turns


def run(backend: str, job: dict) -> dict:
    """One turn of one arm in its own process."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    result = subprocess.run(
        [sys.executable, __file__, "--worker", json.dumps(job)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        # A negative status is a signal: -9 if the memory did not suffice.
        tail = "\n".join(result.stderr.splitlines()[-15:])
        raise RuntimeError(
            f"{job['arm']} on {backend} ended with status "
            f"{result.returncode}.\n{tail}"
        )
    return json.loads(result.stdout.splitlines()[-1])


def block_gflops(arm: str, size: dict) -> float:
    """Matrix products of the blocks in a pass over all tasks."""
    way, drops = ARMS[arm]
    lengths = [
        round(tokens * (1 - DROPPED.get(name, 0.0) * drops))
        for name, tokens in TOKENS.items()
    ]
    if way == "padded":
        lengths = [max(lengths)] * len(lengths)
    width = size["width"]
    # Forward, and twice that backward: q, k, v, output and both of the
    # feed-forward layer; scores and their sums of values.
    products = 3 * sum(
        12 * width**2 * length + 2 * width * length**2 for length in lengths
    )
    return 2 * products * size["layers"] * size["batch"] / 1e9


def summarize(turns: dict[str, list[dict]], size: dict) -> dict:
    """Medians of each arm, and the medians of each round's ratios."""
    medians = {
        arm: {
            figure: statistics.median(turn[figure] for turn in taken)
            for figure in taken[0]
        }
        for arm, taken in turns.items()
    }
    for arm, figures in medians.items():
        figures["block_gflops_per_pass"] = block_gflops(arm, size)

    def ratio(figure: str, arm: str) -> float:
        pairs = zip(turns["alternating"], turns[arm])
        return statistics.median(a[figure] / b[figure] for a, b in pairs)

    def above_start(arm: str) -> float:
        figures = medians[arm]
        return figures["peak_rss_gb"] - figures["rss_before_training_gb"]

    def ratios(arm: str) -> dict[str, float]:
        figures = ("examples_per_s", "examples_per_cpu_s", "peak_rss_gb")
        found = {figure: ratio(figure, arm) for figure in figures}
        found["work"] = block_gflops(arm, size) / block_gflops(
            "alternating", size
        )
        found["memory_above_start"] = above_start("alternating") / above_start(
            arm
        )
        return {name: round(value, 3) for name, value in found.items()}

    over = {arm: ratios(arm) for arm in turns if arm != "alternating"}
    return {"medians": medians, "alternating_over": over, "turns": turns}


def report(backend: str, summary: dict) -> None:
    """A table of the arms and goal P8."""
    header = [
        "arm",
        "examples/s",
        f"by cpu/{_timing.CORES}",
        "peak GB",
        "at start GB",
        "wasted tokens",
        "GF/pass",
        "updates/pass",
    ]
    rows = [
        [
            arm,
            f"{m['examples_per_s']:.1f}",
            f"{m['examples_per_cpu_s']:.1f}",
            f"{m['peak_rss_gb']:.2f}",
            f"{m['rss_before_training_gb']:.2f}",
            f"{m['wasted_tokens']:.1%}",
            f"{m['block_gflops_per_pass']:.0f}",
            str(m["updates_per_pass"]),
        ]
        for arm, m in summary["medians"].items()
    ]
    print(
        _timing.table(f"\nFive tasks in fit, {backend}, medians", header, rows)
    )
    for arm, ratios in summary["alternating_over"].items():
        print(
            f"alternating / {arm}: examples/s "
            f"{ratios['examples_per_s']:.2f}, by processor time "
            f"{ratios['examples_per_cpu_s']:.2f}, by what has to be computed "
            f"{ratios['work']:.2f}, memory {ratios['peak_rss_gb']:.2f}, above "
            f"the start {ratios['memory_above_start']:.2f}"
        )
    print("P8: examples/s >= 2.5, memory <= 0.35 against the padded batch")


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        print(json.dumps(work(json.loads(arguments.worker))))
        return
    size = SMOKE if arguments.smoke else FULL
    if arguments.passes:
        size = {**size, "passes": arguments.passes}
    rounds = 1 if arguments.smoke else arguments.rounds
    for backend in arguments.backends.split(","):
        summary = summarize(measure(backend, rounds, size), size)
        report(backend, summary)
        content = {"size": size, "tokens": TOKENS, "dropped": DROPPED}
        name = f"alternatives_{backend}"
        if arguments.smoke:
            name = f"tmp/{name}_smoke"
        path = _timing.write_json(name, {**content, **summary})
        print(f"\nWritten: {path}")


if __name__ == "__main__":
    main()
