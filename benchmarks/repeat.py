"""Train on the playground several times: do all runs end bit for bit alike?

Each run is `keras-imp train` in a process of its own, from the same seed, with
validations and a test at its end. What is compared is all that the saved model
holds (weights, optimizer state, random states, metrics) and the table of
epochs.

    python benchmarks/repeat.py --backend jax --runs 3 --steps 200
"""

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
from _timing import table, write_json

TRAIN = "from keras_imp.cli import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--smoke", action="store_true", help="2 steps, twice")
    parser.add_argument("--output", help="name of the JSON file")
    options = parser.parse_args()
    if options.smoke:
        options.runs, options.steps = 2, 2
    runs = []
    for number in range(options.runs):
        runs.append(train(options.backend, options.steps))
        print(f"run {number + 1}: {runs[-1]}", flush=True)
    equal = all(run == runs[0] for run in runs)
    header = ["run", *runs[0]]
    rows = [
        [str(i + 1), *(digest[:16] for digest in run.values())]
        for i, run in enumerate(runs)
    ]
    print(table(f"{options.steps} steps on {options.backend}", header, rows))
    print("All runs are equal." if equal else "The runs differ.")
    name = options.output or f"repeat_{options.backend}"
    if options.output or not options.smoke:
        facts = {"steps": options.steps, "runs": runs, "equal": equal}
        print(f"Written: {write_json(name, facts)}")
    if not equal:
        sys.exit("The runs ended with other numbers.")


def train(backend: str, steps: int) -> dict[str, str]:
    """Train in a process of its own.

    Args:
        backend: Backend of Keras.
        steps: Training steps.

    Returns:
        Digests of the saved model and of the table of epochs.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [
                *(sys.executable, "-c", TRAIN, "train"),
                *("--steps", str(steps), "--out", str(folder)),
            ],
            env={**os.environ, "KERAS_BACKEND": backend},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        history = (folder / "history.csv").read_bytes()
        return {
            "model": digest(folder / "model.keras"),
            "epochs": hashlib.sha256(history).hexdigest(),
        }


def digest(path: Path) -> str:
    """Hash of all arrays in a saved model, by name.

    Args:
        path: A `.keras` file; its own bytes tell the time it was written.

    Returns:
        Hexadecimal digits.
    """
    found = hashlib.sha256()

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found.update(name.encode())
            found.update(np.asarray(item[()]).tobytes())

    with zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        file.visititems(add)
    return found.hexdigest()


if __name__ == "__main__":
    main()
