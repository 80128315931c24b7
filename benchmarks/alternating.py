"""What alternating costs: goals P7 and P10 of benchmarks/README.md.

P7: seconds of a step of a mixture in `fit`, against the weighted mean of its
tasks trained alone in `fit`. P10: seconds that `fit` adds to each step above
the compiled step called in a bare loop on the same batches.

    KERAS_BACKEND=jax python benchmarks/alternating.py
    KERAS_BACKEND=jax python benchmarks/alternating.py --optimizer Muon
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from _timing import table, timed, write_json

import keras_imp
from keras_imp.training import schedules

# What is measured of a side: seconds, and page faults.
FIGURES = ("wall", "cpu", "system", "faults")
OPTIMIZERS = {
    "AdamW": keras.optimizers.AdamW,
    "Muon": keras_imp.optimizers.Muon,
}
SHAPES = {
    "objects": {"image": (64, 64, 64, 3)},
    "sounds": {"audio": (64, 64, 64)},
    "captions": {"image": (64, 32, 32, 3), "text": (64, 16)},
    "clips": {"video": (32, 8, 32, 32, 3), "text": (32, 16)},
}


class Only(schedules.Schedule):
    """One task at every step."""

    def __init__(self, name: str):
        self.name = name

    def draw(self, block: int) -> np.ndarray:
        return np.full(schedules.BLOCK, self.names.index(self.name))


def build(
    optimizer: str, width: int, layers: int
) -> keras_imp.AlternatingModel:
    keras.utils.set_random_seed(0)
    encoder = keras_imp.IMPEncoder.from_preset(
        "imp_tiny",
        hidden_dim=width,
        intermediate_dim=4 * width,
        num_layers=layers,
        patch_size=(4, 8, 8),
        vocabulary_size=1000,
    )
    tasks = [
        keras_imp.tasks.Classification("objects", "image", 10),
        keras_imp.tasks.Classification("sounds", "audio", 12),
        keras_imp.tasks.Contrastive("captions", projection_dim=width),
        keras_imp.tasks.Contrastive(
            "clips", ("video", "text"), projection_dim=width
        ),
    ]
    model = keras_imp.AlternatingModel(encoder, tasks)
    model.compile(optimizer=OPTIMIZERS[optimizer](1e-4))
    return model


def batches(scale: int) -> dict[str, list[tuple]]:
    """A few random batches of each task; `scale` divides the batch sizes."""
    rng = np.random.default_rng(0)

    def values(modality, shape):
        shape = (max(2, shape[0] // scale), *shape[1:])
        if modality == "text":
            return rng.integers(1, 1000, shape).astype("int32")
        return rng.standard_normal(shape, dtype="float32")

    def batch(name):
        x = {m: values(m, shape) for m, shape in SHAPES[name].items()}
        if name in ("captions", "clips"):
            return (x,)
        rows = len(next(iter(x.values())))
        return (x, rng.integers(0, 10, rows).astype("int32"))

    return {name: [batch(name) for _ in range(4)] for name in SHAPES}


def fit(model, data, schedule, steps: int) -> None:
    mixture = keras_imp.TaskMixture(data, schedule)
    model.fit(mixture, steps_per_epoch=steps, verbose=0)


def measure_alternation(optimizer: str, rounds: int, steps: int) -> dict:
    """P7: the tasks alone and their mixture, in turns."""
    model, data = build(optimizer, width=128, layers=4), batches(scale=1)
    sides = {name: Only(name) for name in SHAPES}
    sides["mixture"] = schedules.RoundRobin()
    for schedule in sides.values():
        fit(model, data, schedule, len(SHAPES))
    samples = {name: [] for name in sides}
    for turn in range(rounds):
        order = list(sides) if turn % 2 == 0 else list(sides)[::-1]
        for name in order:
            # All sides take equally many steps per call of fit.
            taken = timed(lambda s=sides[name]: fit(model, data, s, steps))
            samples[name].append({k: v / steps for k, v in taken.items()})
    medians = {
        name: {
            figure: statistics.median(s[figure] for s in taken)
            for figure in FIGURES
        }
        for name, taken in samples.items()
    }
    each = {
        clock: [
            samples["mixture"][i][clock]
            / statistics.mean(samples[name][i][clock] for name in SHAPES)
            for i in range(rounds)
        ]
        for clock in ("wall", "cpu")
    }
    return {
        "step": medians,
        "mixture_over_mean_of_tasks": {
            clock: statistics.median(ratios) for clock, ratios in each.items()
        },
        "ratio_of_each_round": each,
    }


def measure_overhead(optimizer: str, rounds: int, steps: int) -> dict:
    """P10: `fit` against the compiled step in a bare loop.

    Both for a short and a long run: the difference leaves out what starting
    and ending a `fit` costs, whose share depends on the length of an epoch.
    """
    model = build(optimizer, width=16, layers=1)
    data = batches(scale=32)
    order = schedules.RoundRobin()
    fit(model, data, order, len(SHAPES))
    prepared = [
        (name, model.prepare_batch(name, batch))
        for i in range(4)
        for name, batch in ((n, data[n][i]) for n in SHAPES)
    ]
    loop = bare_loop(model, [{name: batch} for name, batch in prepared])
    loop(len(prepared))
    sides = {"fit": lambda n: fit(model, data, order, n), "bare loop": loop}
    long = 4 * steps
    samples: dict = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            short = timed(lambda r=run: r(steps))["wall"]
            more = timed(lambda r=run: r(long))["wall"] - short
            samples[name].append(more / (long - steps))
    medians = {name: statistics.median(s) for name, s in samples.items()}
    overhead = statistics.median(
        a - b for a, b in zip(samples["fit"], samples["bare loop"])
    )
    return {"step_seconds": medians, "overhead_seconds": overhead}


def bare_loop(model, items: list[dict]) -> Callable[[int], None]:
    """The compiled step on ready batches, without anything around it."""
    backend = keras.config.backend()
    if backend == "jax":
        return _jax_loop(model, items)
    convert = keras.ops.convert_to_tensor
    items = [keras.tree.map_structure(convert, item) for item in items]
    step = model.train_step
    if backend == "tensorflow":
        import tensorflow as tf

        # As `fit` compiles it: Keras' "auto" is no XLA on a CPU.
        step = tf.function(step, jit_compile=model.jit_compile)

    def loop(steps: int) -> None:
        for i in range(steps):
            logs = step(items[i % len(items)])
        float(logs["loss"])

    return loop


def _jax_loop(model, items):
    import jax

    step = jax.jit(model.train_step, donate_argnums=0)
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = jax.tree.map(
        jax.numpy.copy, tuple([v.value for v in group] for group in groups)
    )

    def loop(steps: int) -> None:
        nonlocal state
        for i in range(steps):
            logs, state = step(state, items[i % len(items)])
        float(logs["loss"])

    return loop


def _span(ratios: dict[str, list[float]]) -> str:
    return ", ".join(
        f"{clock} {min(r):.3f} to {max(r):.3f}" for clock, r in ratios.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--optimizer", default="AdamW", choices=OPTIMIZERS)
    options = parser.parse_args()
    rounds, steps = (1, 4) if options.smoke else (options.rounds, options.steps)

    alternation = measure_alternation(options.optimizer, rounds, steps)
    overhead = measure_overhead(options.optimizer, rounds, 5 * steps)
    rows = [
        [
            name,
            *(f"{1e3 * t[clock]:.2f}" for clock in FIGURES[:3]),
            f"{t['faults']:,.0f}",
        ]
        for name, t in alternation["step"].items()
    ]
    backend = keras.config.backend()
    out = sys.stdout.write
    header = ["task", "wall ms", "cpu ms", "of it system", "page faults"]
    title = f"Steps in fit, {backend}, {options.optimizer}, medians"
    out(table(title, header, rows) + "\n")
    ratios = alternation["mixture_over_mean_of_tasks"]
    out(
        f"P7 mixture / mean of its tasks alone: wall {ratios['wall']:.3f}, "
        f"cpu {ratios['cpu']:.3f} (goal <= 1.01); rounds "
        f"{_span(alternation['ratio_of_each_round'])}\n"
    )
    seconds = overhead["step_seconds"]
    out(
        f"P10 fit {1e3 * seconds['fit']:.2f} ms, bare loop "
        f"{1e3 * seconds['bare loop']:.2f} ms: "
        f"{1e3 * overhead['overhead_seconds']:.2f} ms more (goal <= 0.5)\n"
    )
    if not options.smoke:
        content = {"P7": alternation, "P10": overhead, "backend": backend}
        name = f"alternating_{backend}"
        if options.optimizer != "AdamW":
            name += f"_{options.optimizer.lower()}"
        out(f"{write_json(name, content)}\n")


if __name__ == "__main__":
    main()
