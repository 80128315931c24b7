"""Plain Keras baselines on the playground: what one would write without us.

    KERAS_BACKEND=jax python scripts/keras_baselines.py

For each classification of the playground a model of its own, a small
convolutional network and a small Vision Transformer, trained on the same data
with the same augmentation, for `--seconds` of training on this machine: by
default the time that `keras-imp train` spends on this task (its fraction of
the steps). The epoch is chosen on the validation split; the test split is read
once, at the end. Writes the mean of `--seeds` runs and each run to
`baselines.json` beside the data, as "keras".
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from keras_imp.data import Arrays, playground
from keras_imp.evaluation.playground.recipe import RECIPE
from keras_imp.evaluation.playground.sources import training_sources
from keras_imp.evaluation.playground.splits import Split, load_split

TRAINING_SECONDS = 280
# Task of the playground, input, shape, classes, row of the table.
PROBLEMS = {
    "objects": ("image", (32, 32, 3), 10, "fashion class"),
    "sounds": ("audio", (64, 64, 1), 12, "instrument family"),
}
WARM_STEPS, TIMED_STEPS, EPOCHS = 5, 20, 10


def convolutional(shape: tuple, classes: int) -> keras.Model:
    """Three stages of convolutions; 0.3 million parameters."""
    x = inputs = keras.Input(shape)
    for width in (32, 64, 128):
        for strides in (2 if width > 32 else 1, 1):
            x = layers.Conv2D(
                width, 3, strides=strides, padding="same", use_bias=False
            )(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def transformer(shape: tuple, classes: int) -> keras.Model:
    """A Vision Transformer of the size of `imp_tiny`, with 16 patches."""
    width, patch = 128, shape[0] // 4
    inputs = keras.Input(shape)
    x = layers.Conv2D(width, patch, strides=patch)(inputs)
    x = layers.Reshape((16, width))(x)
    positions = layers.Embedding(16, width)(keras.ops.arange(16))
    x = x + positions
    for _ in range(4):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(4, width // 4)(y, y)
        y = layers.LayerNormalization()(x)
        y = layers.Dense(4 * width, activation="gelu")(y)
        x = x + layers.Dense(width)(y)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(classes)(x))


MODELS = {"convolutional": convolutional, "transformer": transformer}


def run(
    make: Callable[[tuple, int], keras.Model],
    task: str,
    splits: dict[str, Split],
    seconds: float,
    seed: int,
) -> float:
    """Train one model for some seconds; its accuracy on the test split."""
    modality, shape, classes, _ = PROBLEMS[task]
    keras.utils.set_random_seed(seed)
    source = _source(splits["train"], task, seed)

    def batches(first: int, count: int):
        for index in range(first, first + count):
            x, y = source.batch_at(index)[:2]
            yield _inputs(x[modality]), y["families"] if task == "sounds" else y

    model = make(shape, classes)
    _compile(model, 1e-3)
    start = model.get_weights()
    model.fit(batches(0, WARM_STEPS), steps_per_epoch=WARM_STEPS, verbose=0)
    begun = time.perf_counter()
    model.fit(batches(0, TIMED_STEPS), steps_per_epoch=TIMED_STEPS, verbose=0)
    step = (time.perf_counter() - begun) / TIMED_STEPS
    per_epoch = max(1, round(seconds / step / EPOCHS))
    model.set_weights(start)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        per_epoch * EPOCHS,
        warmup_target=1e-3,
        warmup_steps=per_epoch * EPOCHS // 20,
    )
    _compile(model, rate)
    best = keras.callbacks.EarlyStopping(
        "val_accuracy", patience=EPOCHS, restore_best_weights=True
    )
    model.fit(
        batches(0, per_epoch * EPOCHS),
        steps_per_epoch=per_epoch,
        epochs=EPOCHS,
        validation_data=_whole(splits["validation"], task),
        callbacks=[best],
        verbose=0,
    )
    return float(model.evaluate(*_whole(splits["test"], task), verbose=0)[1])


def _compile(model: keras.Model, rate: object) -> None:
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def _source(split: Split, task: str, seed: int) -> Arrays:
    """The batches that keras-imp trains on; captions are not needed."""
    objective = {"objects": "objects", "sounds": "sounds/families"}[task]
    sources = training_sources(
        split,
        lambda texts: np.zeros((len(texts), 1), "int32"),
        RECIPE,
        seed,
        (objective,),
    )
    return sources[task]


def _whole(split: Split, task: str) -> tuple[np.ndarray, np.ndarray]:
    if task == "objects":
        fashion = split.source.fashion
        return _inputs(fashion.images), fashion.labels
    return _inputs(split.audio), split.source.sounds.family_labels


def _inputs(values: np.ndarray) -> np.ndarray:
    """Float values in about [-1, 1], with a channel axis."""
    if values.ndim == 3:
        values = values[..., None]
    if values.dtype == np.uint8:
        return values.astype("float32") / 127.5 - 1.0
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, help="for each model")
    options = parser.parse_args()
    splits = {name: load_split(name) for name in playground.SPLITS}
    path = playground.FILES / "baselines.json"
    known = json.loads(path.read_text("utf-8"))
    for task, (*_, row) in PROBLEMS.items():
        share = RECIPE.weights[task] / sum(RECIPE.weights.values())
        seconds = options.seconds or TRAINING_SECONDS * share
        known[row]["keras"] = {}
        for name, make in MODELS.items():
            runs = [
                round(run(make, task, splits, seconds, seed), 4)
                for seed in range(options.seeds)
            ]
            mean = round(statistics.mean(runs), 3)
            known[row]["keras"][name] = {"mean": mean, "seeds": runs}
            print(f"{row}, {name}: {mean:.3f} {runs}", flush=True)
    path.write_text(json.dumps(known, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
