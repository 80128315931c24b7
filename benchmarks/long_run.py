"""Does memory grow, or a graph compile, in a run of 10,000 steps?

Eight tasks of all modalities, each with two shapes that change from step to
step, on a small encoder; in `fit`, with a validation and logs in every epoch.
Memory is that of the process (resident set), read every 50 steps. A compilation
is a trace of the step, training or validation.

    python benchmarks/long_run.py --backend jax
    python benchmarks/long_run.py --backend tensorflow

Writes results/long_run_<backend>.json and .png.
"""

import argparse
import os
import pathlib
import sys
import time

import numpy as np
from _timing import RESULTS, resident_bytes, write_json

WORDS, EXAMPLES, CLASSES, EVERY = 50, 512, 4, 50
# What each task reads; two names are a contrastive pair.
TASKS = {
    "pictures": ("image",),
    "clips": ("video",),
    "sounds": ("audio",),
    "texts": ("text",),
    "picture_texts": ("image", "text"),
    "clip_texts": ("video", "text"),
    "sound_texts": ("audio", "text"),
    "masked_texts": ("text",),
}
SIZES = {
    "image": [(16, 16), (24, 24)],
    "video": [(4, 16, 16), (4, 24, 24)],
    "audio": [(16, 16), (32, 16)],
    "text": [8, 12],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # torch compiles nothing.
    parser.add_argument(
        "--backend", default="jax", choices=("jax", "tensorflow")
    )
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--smoke", action="store_true", help="200 steps")
    options = parser.parse_args()
    if options.smoke:
        options.steps, options.epochs = 200, 2
    os.environ["KERAS_BACKEND"] = options.backend
    facts = measure(options)
    show(facts)
    if not options.smoke:
        name = f"long_run_{options.backend}"
        draw(facts, RESULTS / f"{name}.png")
        sys.stdout.write(f"{write_json(name, facts)}\n")
    if max(facts["traces_by_epoch"]) > facts["graphs"]:
        sys.exit("A graph was compiled more than once.")


def measure(options: argparse.Namespace) -> dict:
    """Train, and read memory and traces on the way."""
    import keras

    model, traced = make_model()
    train, validation = make_mixtures(model.encoder)
    memory: list[tuple[int, float]] = []
    epochs: list[int] = []

    def read(batch, logs=None):
        step = len(epochs) * (options.steps // options.epochs) + batch + 1
        if step % EVERY == 0:
            memory.append((step, resident_bytes() / 2**20))

    started = time.perf_counter()
    model.fit(
        train,
        epochs=options.epochs,
        steps_per_epoch=options.steps // options.epochs,
        validation_data=validation,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=read,
                on_epoch_end=lambda epoch, logs: epochs.append(len(traced)),
            )
        ],
    )
    values = [megabytes for _, megabytes in memory]
    half = len(values) // 2
    return {
        "backend": options.backend,
        "steps": int(model.step_counter),
        "seconds": round(time.perf_counter() - started, 1),
        "tasks": len(TASKS),
        "graphs": 2 * 2 * len(TASKS),  # Shapes; training and validation.
        "traces_by_epoch": epochs,
        "memory_mb": memory,
        "second_half": {
            "least_mb": min(values[half:]),
            "most_mb": max(values[half:]),
            "growth_mb_per_1000_steps": slope(memory[half:]),
        },
    }


def make_model():
    """A small encoder under eight tasks, and the list of what it traces."""
    import keras

    import keras_imp
    from keras_imp.tasks import Classification, Contrastive, MaskedModeling

    traced: list[str] = []

    def task(name, modalities):
        if name == "masked_texts":
            return MaskedModeling(name, "text", mask_id=WORDS - 1)
        if len(modalities) == 2:
            return Contrastive(name, modalities, projection_dim=16)
        return Classification(name, modalities[0], CLASSES)

    keras.utils.set_random_seed(0)
    encoder = keras_imp.IMPEncoder(
        16, 32, 1, 2,
        modalities=tuple(SIZES), vocabulary_size=WORDS, patch_size=(2, 8, 8),
        audio_patch_size=(8, 8), scan_layers=False,
    )  # fmt: skip
    model = keras_imp.AlternatingModel(
        encoder, [task(*item) for item in TASKS.items()]
    )
    run = model.program.run

    def noting(batch, training):
        traced.append(batch.task.name)
        return run(batch, training)

    model.program.run = noting
    model.compile(keras.optimizers.AdamW(1e-4))
    return model, traced


def make_mixtures(encoder):
    """Training by weight with changing shapes, and one pass to validate."""
    import keras_imp
    from keras_imp.data import ResizedArrays, Shape

    rng = np.random.default_rng(0)
    stored = {
        "image": rng.integers(0, 256, (EXAMPLES, 24, 24, 3), "uint8"),
        "video": rng.integers(0, 256, (EXAMPLES, 4, 24, 24, 3), "uint8"),
        "audio": rng.standard_normal((EXAMPLES, 32, 16), "float32"),
        "text": rng.integers(1, WORDS - 1, (EXAMPLES, 12)),
    }
    labels = rng.integers(0, CLASSES, EXAMPLES)
    plan = keras_imp.TokenBudget(tokens_per_batch=96).plan(
        encoder,
        {
            task: [
                Shape(**{name: SIZES[name][i] for name in names})
                for i in (0, 1)
            ]
            for task, names in TASKS.items()
        },
    )

    def sources(rows):
        return {
            task: ResizedArrays(
                {name: stored[name][:rows] for name in names},
                labels[:rows]
                if len(names) == 1 and task != "masked_texts"
                else None,
                shapes=plan[task],
            )
            for task, names in TASKS.items()
        }

    return (
        keras_imp.TaskMixture(sources(EXAMPLES), seed=0),
        keras_imp.TaskMixture.sequential(sources(64)),
    )


def slope(memory: list[tuple[int, float]]) -> float:
    """Growth of a straight line through the readings."""
    steps, values = np.array(memory, "float64").T
    return round(1000 * float(np.polyfit(steps, values, 1)[0]), 3)


def show(facts: dict) -> None:
    half = facts["second_half"]
    sys.stdout.write(
        f"{facts['steps']} steps over {facts['tasks']} tasks in "
        f"{facts['seconds']} s on {facts['backend']}\n"
        f"graphs {facts['graphs']}, traces at the end of each epoch "
        f"{facts['traces_by_epoch']}\n"
        f"memory in the second half {half['least_mb']:.0f} to "
        f"{half['most_mb']:.0f} MB, "
        f"{half['growth_mb_per_1000_steps']:+.2f} MB per 1,000 steps\n"
    )


def draw(facts: dict, path: pathlib.Path) -> None:
    from keras_imp.evaluation.figures import new_figure, save_figure

    figure, (axis,) = new_figure(1, 1, (7, 3.5))
    axis.plot(*zip(*facts["memory_mb"]))
    axis.set_ylim(
        0, 1.15 * max(megabytes for _, megabytes in facts["memory_mb"])
    )
    axis.set_xlabel("step")
    axis.set_ylabel("resident memory, MB")
    axis.set_title(
        f"{facts['tasks']} tasks, two shapes each, {facts['backend']}"
    )
    save_figure(figure, path)


if __name__ == "__main__":
    main()
