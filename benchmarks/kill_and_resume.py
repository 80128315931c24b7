"""Kill a training run at random moments; it must end as if it had lived.

A small `IMPEncoder` with two tasks, dropout, a learning rate schedule and a
validation, saved every second step. It is started, killed with SIGKILL at a
moment drawn uniformly from the length of a whole run, started again, killed
again, until it gets through; then its variables and its table of epochs are
compared with those of a run that was never killed and saved nothing, bit for
bit. And from the start, until enough kills are done.

    python benchmarks/kill_and_resume.py --backend jax --kills 30

Each life is a process of its own, forked from one that has imported everything
and computed nothing: that saves the seconds of the imports.
"""

import argparse
import functools
import mmap
import pathlib
import random
import sys
import tempfile
from collections import Counter

import _lives
from _lives import choose_backend, save_variables, saved_variables
from _timing import table, write_json

# Where a life is, in one byte that it shares with its parent.
PHASES = ("start", "restore", "train", "save", "validate", "end")
BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=25, help="of an epoch")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--smoke", action="store_true", help="tiny, one task")
    parser.add_argument("--output", help="name of the JSON file")
    options = parser.parse_args()
    if options.smoke:
        options.epochs, options.steps = 2, 6
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(options.backend, folder / "cache")
        facts = measure(options, folder)
    show(facts)
    name = options.output or f"kill_and_resume_{options.backend}"
    if options.output or not options.smoke:
        print(f"Written: {write_json(name, facts)}")
    if not facts["equal"]:
        sys.exit("A run that was killed ended with other numbers.")


def prepare(backend: str, cache: pathlib.Path) -> None:
    """Import everything, compute nothing: a fork must find no threads' work."""
    choose_backend(backend, cache)
    import keras_imp

    for name in ("AlternatingModel", "IMPEncoder", "callbacks", "data"):
        getattr(keras_imp, name)  # Imported when it is first used.


# The parent -------------------------------------------------------------------


def measure(options, folder: pathlib.Path) -> dict:
    """Kill, compare, until enough kills are done."""
    random.seed(options.seed)
    phase = mmap.mmap(-1, 1)
    whole, saved = folder / "whole", folder / "saved"
    live(options, whole, phase, saves=False)
    expected = contents(whole)
    # The first one has filled JAX's cache; the others start as this one does.
    seconds, _ = live(options, saved, phase, saves=True)
    equal = [contents(saved) == expected]
    kills: list[str] = []
    unfinished = 0
    while len(kills) < options.kills:
        run = folder / f"run-{len(equal)}"
        while True:
            over = len(kills) >= options.kills
            moment = None if over else random.uniform(0, seconds)
            _, killed_in = live(options, run, phase, True, moment)
            if killed_in is None:
                break
            kills.append(killed_in)
            unfinished += any((run / "backup").glob("unfinished-*"))
            print(f"kill {len(kills)}: {moment:.2f} s, {killed_in}", flush=True)
        equal.append(contents(run) == expected)
        print(f"run {len(equal) - 1}: {'equal' if equal[-1] else 'DIFFERENT'}")
    return {
        "backend": options.backend,
        "steps": options.epochs * options.steps,
        "seconds_of_a_whole_run": round(seconds, 2),
        "kills": len(kills),
        "kills_by_phase": dict(Counter(kills)),
        "kills_that_left_a_temporary_file": unfinished,
        "runs_compared": len(equal),
        "variables_compared": len(expected) - 1,
        "equal": all(equal),
    }


def live(
    options, folder: pathlib.Path, phase: mmap.mmap, saves: bool, moment=None
) -> tuple[float, str | None]:
    """One process: its seconds, and the phase it was killed in, if it was."""
    phase[0] = 0
    work = functools.partial(train, options, folder, phase, saves)
    seconds, killed = _lives.live(work, moment)
    return seconds, PHASES[phase[0]] if killed else None


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Every variable at the end of a run, and its table of epochs."""
    found = saved_variables(folder / "result.npz")
    return {**found, "history": (folder / "history.csv").read_bytes()}


def show(facts: dict) -> None:
    rows = [[key.replace("_", " "), str(facts[key])] for key in facts]
    print(table("Kill and resume", ["", ""], rows))


# The child --------------------------------------------------------------------


def train(options, folder: pathlib.Path, phase: mmap.mmap, saves: bool) -> None:
    """Train to the end, from wherever the life before came to."""
    from keras_imp.callbacks import ResumableCSVLogger

    model = build(options)
    callbacks = [ResumableCSVLogger(folder / "history.csv"), phases(phase)]
    if saves:
        callbacks.append(reporting_backup(folder / "backup", phase))
    model.fit(
        mixture(model.tasks, options.steps),
        epochs=options.epochs,
        verbose=0,
        validation_data=mixture(model.tasks),
        callbacks=callbacks,
    )
    phase[0] = PHASES.index("end")
    save_variables(model, folder / "result.npz")


def phases(phase: mmap.mmap):
    """A callback that tells the parent what is going on."""
    import keras

    def enter(name: str):
        def note(*_, **__):
            phase[0] = PHASES.index(name)

        return note

    return keras.callbacks.LambdaCallback(
        on_train_batch_begin=enter("train"),
        on_test_begin=enter("validate"),
        on_epoch_end=enter("train"),
    )


def reporting_backup(folder: pathlib.Path, phase: mmap.mmap):
    """A backup every second step that tells the parent when it saves."""
    from keras_imp.callbacks import Backup

    class ReportingBackup(Backup):
        def on_train_begin(self, logs=None):
            phase[0] = PHASES.index("restore")
            super().on_train_begin(logs)

        def _save(self, finished=False):
            before = phase[0]
            phase[0] = PHASES.index("save")
            super()._save(finished)
            phase[0] = before

    return ReportingBackup(folder, every=2)


def build(options):
    import keras

    import keras_imp

    keras.utils.set_random_seed(0)
    encoder = keras_imp.IMPEncoder(
        hidden_dim=16,
        intermediate_dim=32,
        num_layers=1 if options.smoke else 2,
        num_heads=2,
        modalities=("image", "text"),
        vocabulary_size=50,
        patch_size=(2, 4, 4),
        max_sequence_length=6,
        dropout=0.1,
    )
    tasks = [keras_imp.tasks.Classification("objects", "image", 5)]
    if not options.smoke:
        tasks.append(keras_imp.tasks.Contrastive("captions", projection_dim=8))
    model = keras_imp.AlternatingModel(encoder, tasks)
    rate = keras_imp.optimizers.CosineWithWarmup(
        3e-3, total_steps=options.epochs * options.steps, warmup_steps=3
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(rate),
        # XLA compiles slowly on TensorFlow.
        jit_compile=options.backend == "jax",
    )
    return model


def mixture(names, steps: int | None = None):
    """Shuffled training data, or the validation data without `steps`."""
    import numpy as np

    import keras_imp

    rng = np.random.default_rng(1 if steps else 2)
    labels = rng.integers(0, 5, 12 * BATCH if steps else BATCH)
    images = rng.normal(labels[:, None, None, None], 1, (len(labels), 8, 8, 3))
    images = images.astype("float32") / 5
    text = rng.integers(1, 50, (len(labels), 6)).astype("int32")
    sources = {
        "objects": keras_imp.data.Arrays(
            {"image": images}, labels, batch_size=BATCH
        ),
        "captions": keras_imp.data.Arrays(
            {"image": images, "text": text}, batch_size=BATCH
        ),
    }
    sources = {name: sources[name] for name in names}
    if steps is None:
        return keras_imp.TaskMixture.sequential(sources)
    return keras_imp.TaskMixture(sources, steps_per_epoch=steps, seed=3)


if __name__ == "__main__":
    main()
