"""What Muon adds to a step, against AdamW.

The playground's tasks in real `fit`, with the dense and the sparse tiny
encoder: AdamW, Muon as it is by default, and with the five steps that it is
known for. All take the same batches in the same order, in turns.

    KERAS_BACKEND=jax python benchmarks/muon.py
"""

import argparse
import os
import statistics
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from _timing import table, timed, write_json

import keras_imp
from keras_imp.evaluation.playground import tasks
from keras_imp.evaluation.playground.captions import train_tokenizer
from keras_imp.evaluation.playground.recipe import OBJECTIVES, RECIPE
from keras_imp.evaluation.playground.splits import load_split
from keras_imp.training.optimizers.orthogonalize import KELLER_JORDAN

PRESETS = {"dense": "imp_tiny", "sparse": "imp_moe_tiny"}
OPTIMIZERS = {
    "AdamW": lambda: keras_imp.optimizers.AdamW(1e-3, 0.1),
    "Muon": lambda: keras_imp.optimizers.Muon(1e-3, 0.1),
    "Muon, five steps": lambda: keras_imp.optimizers.Muon(
        1e-3, 0.1, polynomials=KELLER_JORDAN
    ),
}
CLOCKS = ("wall", "cpu")


class Data:
    """The training batches of some objectives."""

    def __init__(self, objectives: tuple[str, ...]):
        self.objectives = objectives
        self.split = load_split("train")
        self.tokenizer = train_tokenizer(self.split.source, RECIPE)

    def mixture(self) -> keras_imp.TaskMixture:
        return tasks.training_mixture(
            self.split, self.tokenizer, 0, RECIPE, self.objectives
        )


def measure(preset: str, data: Data, rounds: int, steps: int) -> dict:
    """Seconds of a step of each optimizer, and its ratio to AdamW's."""
    models = {}
    for name, optimizer in OPTIMIZERS.items():
        keras.utils.set_random_seed(0)
        models[name] = tasks.build_model(
            data.tokenizer,
            steps,
            preset,
            objectives=data.objectives,
            make_optimizer=lambda rate, made=optimizer, **_: made(),
        )

    # Made before the clock starts: playing the recordings at other pitches
    # takes as long as many steps. Each model reads the same batches.
    mixtures = {name: data.mixture() for name in models}

    def fit(name):
        models[name].fit(mixtures[name], steps_per_epoch=steps, verbose=0)

    for name in models:  # Compiles each task.
        fit(name)
    samples: dict = {name: [] for name in models}
    for turn in range(rounds):
        order = list(models) if turn % 2 == 0 else list(models)[::-1]
        for name in order:
            taken = timed(lambda n=name: fit(n))
            samples[name].append({c: taken[c] / steps for c in CLOCKS})
    return {
        name: {
            "seconds": {c: median(taken, c) for c in CLOCKS},
            "ratio_to_adamw": {
                c: statistics.median(
                    one[c] / adamw[c]
                    for one, adamw in zip(taken, samples["AdamW"])
                )
                for c in CLOCKS
            },
        }
        for name, taken in samples.items()
    }


def median(samples: list[dict], clock: str) -> float:
    return statistics.median(sample[clock] for sample in samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    rounds, steps = (1, 2) if options.smoke else (options.rounds, options.steps)
    objectives = ("objects",) if options.smoke else OBJECTIVES

    data, out = Data(objectives), sys.stdout.write
    backend = keras.config.backend()
    content: dict = {
        "backend": backend,
        "rounds": rounds,
        "steps": steps,
        "load_at_start": os.getloadavg()[0],
    }
    for kind, preset in PRESETS.items():
        content[kind] = found = measure(preset, data, rounds, steps)
        rows = [
            [
                name,
                *(f"{1e3 * side['seconds'][c]:.1f}" for c in CLOCKS),
                *(f"{side['ratio_to_adamw'][c]:.3f}" for c in CLOCKS),
            ]
            for name, side in found.items()
        ]
        header = ["optimizer", "wall ms", "cpu ms", "wall ratio", "cpu ratio"]
        out(table(f"{preset}, {backend}, a step", header, rows) + "\n")
    content["load_at_end"] = os.getloadavg()[0]
    if not options.smoke:
        out(f"{write_json(f'muon_{backend}', content)}\n")


if __name__ == "__main__":
    main()
