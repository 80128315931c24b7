"""A contrastive batch of 1,024 in the memory of one of 64.

Three arms, each in a process of its own, all with the same encoder, seed and
examples: the batch of 64; 1,024 examples in 16 exact parts
(`Contrastive(microbatches=16)`); 1,024 at once. Reported: the peak of the
resident memory above what the process had before the first step, the seconds
of a step, and how far apart the gradients of the last two are,
read off one step of plain gradient descent.

    python benchmarks/large_batches.py --backend jax
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from _timing import (
    peak_resident_bytes,
    resident_bytes,
    table,
    write_json,
)

# Arm: examples of a batch, parts.
ARMS = {
    "64": (64, 1),
    "1024 in 16 parts": (1024, 16),
    "1024 at once": (1024, 1),
}
SMOKE = {"8": (8, 1), "32 in 4 parts": (32, 4), "32 at once": (32, 1)}


def build(parts: int, width: int):
    import keras

    import keras_imp

    keras.utils.set_random_seed(0)
    encoder = keras_imp.IMPEncoder.from_preset(
        "imp_tiny",
        modalities=("image", "text"),
        vocabulary_size=1000,
        hidden_dim=width,
        intermediate_dim=4 * width,
        patch_size=(4, 8, 8),
    )
    task = keras_imp.tasks.Contrastive(
        "captions", projection_dim=width, microbatches=parts
    )
    model = keras_imp.AlternatingModel(encoder, [task])
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    return model


def examples(count: int, size: int) -> tuple:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (count, size, size, 3), dtype="uint8")
    return ({"image": image, "text": rng.integers(1, 1000, (count, 16))},)


def run_arm(count: int, parts: int, width: int, size: int, weights: str):
    """One arm, in this process: facts as JSON on the last line."""
    import keras

    import keras_imp

    model = build(parts, width)
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    mixture = keras_imp.TaskMixture({"captions": [examples(count, size)]})
    start = resident_bytes()
    history = model.fit(mixture, steps_per_epoch=1, verbose=0).history
    after = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    np.savez(weights, *[a - b for a, b in zip(after, before)])
    began = time.perf_counter()
    model.fit(mixture, steps_per_epoch=2, verbose=0)
    seconds = (time.perf_counter() - began) / 2
    peak = peak_resident_bytes()
    facts = {
        "loss": history["loss"][0],
        "start_mb": start / 1e6,
        "peak_mb": peak / 1e6,
        "more_mb": (peak - start) / 1e6,
        "step_s": seconds,
    }
    sys.stdout.write("\n" + json.dumps(facts) + "\n")


def in_a_process(options, name: str, weights: pathlib.Path) -> dict:
    count, parts = (SMOKE if options.smoke else ARMS)[name]
    values = [count, parts, options.width, options.size, weights]
    done = subprocess.run(
        [sys.executable, __file__, "--arm", *map(str, values)],
        env={**os.environ, "KERAS_BACKEND": options.backend},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def difference(first: pathlib.Path, second: pathlib.Path) -> float:
    """Norm of the difference of two gradients, over the norm of one."""
    with np.load(first) as a, np.load(second) as b:
        apart = sum(float(((a[k] - b[k]) ** 2).sum()) for k in a.files)
        whole = sum(float((b[k] ** 2).sum()) for k in b.files)
    return (apart / whole) ** 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--arm", nargs=5)
    options = parser.parse_args()
    if options.arm:
        run_arm(*map(int, options.arm[:4]), options.arm[4])
        return
    names = list(SMOKE if options.smoke else ARMS)
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder) / f"{i}.npz" for i in range(len(names))]
        arms = {
            name: in_a_process(options, name, file)
            for name, file in zip(names, files)
        }
        apart = difference(files[1], files[2])
    rows = [
        [
            name,
            f"{arm['more_mb']:.0f}",
            f"{arm['peak_mb']:.0f}",
            f"{arm['step_s']:.2f}",
            f"{arm['loss']:.5f}",
        ]
        for name, arm in arms.items()
    ]
    header = ["batch", "MB more", "peak MB", "s / step", "loss"]
    title = f"Memory of a contrastive step, {options.backend}"
    sys.stdout.write(table(title, header, rows) + "\n")
    sys.stdout.write(
        f"|difference of the last two gradients| / |gradient|: {apart:.1e}\n"
    )
    write_json(
        f"{'tmp/' * options.smoke}large_batches_{options.backend}",
        {"arms": arms, "gradient_difference": apart, "width": options.width},
    )


if __name__ == "__main__":
    main()
