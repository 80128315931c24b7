"""Train the presets with weights that ship with the package.

    python scripts/train_presets.py --backend jax            # both, some hours
    python scripts/train_presets.py --only imp_tiny_playground

Each is a run of `keras-imp train` on the bundled playground, in
runs/presets/NAME; one that was stopped goes on, one that has ended is not
trained again. Its encoder and its tasks become a folder of
keras_imp/models/presets, with float16 weights and a card. The figures of the
card are those of `keras-imp evaluate NAME` on the test split; they are written
to benchmarks/results/presets.json too, beside those of shuffled answers. The
recipe must be committed: nothing may be chosen by these figures.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
TARGET = ROOT / "keras_imp" / "models" / "presets"
OUTPUTS = ROOT / "tests" / "files" / "presets"
RESULTS = ROOT / "benchmarks" / "results" / "presets.json"
SEED = 0
# Size of the encoder and steps of the training. A step with experts takes
# nearly twice as long.
PRESETS = {
    "imp_tiny_playground": ("imp_tiny", 6000),
    "imp_moe_tiny_playground": ("imp_moe_tiny", 4000),
}
# The wheel must stay small.
MOST_BYTES = 8_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--only", choices=sorted(PRESETS))
    parser.add_argument("--runs", type=pathlib.Path, default="runs/presets")
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = options.backend
    for name in [options.only] if options.only else PRESETS:
        folder = options.runs / name
        folder.mkdir(parents=True, exist_ok=True)
        save(name, folder, train(name, folder))


def committed() -> str:
    """The commit of the recipe, without changes in the package."""
    git = ["git", "-C", str(ROOT)]
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", "keras_imp", ":!" + str(TARGET)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if changed:
        sys.exit(f"Commit the package first. It has changes:\n{changed}")
    head = [*git, "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        head, check=True, capture_output=True, text=True
    ).stdout.strip()


def train(name: str, folder: pathlib.Path) -> dict[str, Any]:
    """Train, or go on, or do nothing if that is done."""
    from keras_imp.evaluation.playground.run import PlaygroundRun

    size, steps = PRESETS[name]
    commit = folder / "commit.txt"
    if not (folder / "model.keras").exists():
        if not commit.exists():
            commit.write_text(committed())
        run = PlaygroundRun(folder, steps, SEED, size)
        run.fit()
        run.save()
    seconds = json.loads((folder / "time.json").read_text())
    return {
        "size": size,
        "steps": steps,
        "seed": SEED,
        "commit": commit.read_text(),
        **seconds,
    }


def save(name: str, folder: pathlib.Path, facts: dict[str, Any]) -> None:
    """Write the preset, evaluate it as its users would, and write its card."""
    import keras

    import keras_imp
    from keras_imp.evaluation.playground.preset_reports import PresetReports

    trained = keras.models.load_model(folder / "model.keras")
    preprocessor = keras_imp.IMPPreprocessor.from_preset(folder / "encoder")
    target = TARGET / name
    options: dict[str, Any] = {
        "preprocessor": preprocessor, "weights_dtype": "float16"
    }  # fmt: skip
    # A card that somebody edited would stay: this one is made anew.
    (target / "README.md").unlink(missing_ok=True)
    trained.save_to_preset(target, **options)
    size = sum(path.stat().st_size for path in target.iterdir())
    if size > MOST_BYTES:
        sys.exit(f"{target} has {size:,} bytes, more than {MOST_BYTES:,}.")
    model = keras_imp.AlternatingModel.from_preset(target)
    reports = {
        kind: PresetReports(
            model, preprocessor.tokenizer, shuffled=kind == "shuffled"
        ).all()
        for kind in ("test", "shuffled")
    }
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes")
    facts |= {"evaluated": when, "bytes": size}
    write_results(name, facts, reports)
    card = card_of(name, model, facts, reports["test"])
    trained.save_to_preset(target, card=card, **options)
    OUTPUTS.mkdir(parents=True, exist_ok=True)
    np.savez(OUTPUTS / f"{name}.npz", **outputs_of(model))
    sys.stdout.write(f"{target}: {size:,} bytes\n")


def outputs_of(model: Any) -> dict[str, np.ndarray]:
    """Vectors of fixed inputs, which every backend must find again."""
    rng = np.random.default_rng(0)
    inputs = {
        "image": rng.integers(0, 256, (2, 32, 32, 3), "uint8"),
        "video": rng.integers(0, 256, (2, 8, 32, 32, 3), "uint8"),
        "audio": rng.uniform(-0.5, 0.5, (2, 16_384)).astype("float32"),
        "text": rng.integers(1, 500, (2, 12)),
    }
    features = {
        name: model.encoder.predict({name: values}, verbose=0)[name]
        for name, values in inputs.items()
    }
    found = {k: v["pooled_output"] for k, v in features.items()}
    classes = model.predict(
        {"image": inputs["image"]}, task="objects", verbose=0
    )
    return {**found, "objects": classes}


def write_results(name: str, facts: dict[str, Any], reports: dict) -> None:
    """Put the figures of one preset beside those of the other."""
    content = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    content[name] = facts | {
        kind: [json.loads(report.to_json()) for report in found]
        for kind, found in reports.items()
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")


def card_of(name: str, model: Any, facts: dict, reports: list) -> str:
    """What its users should know."""
    encoder = model.encoder
    rows = [
        f"| {report.title} | {report.examples} | {what} | "
        f"{report.chance.get(what, float('nan')):.3f} | {value.value:.3f} | "
        f"{value.low:.3f} to {value.high:.3f} |"
        for report in reports
        for what, value in report.values.items()
        if what in report.chance and "among 5" not in what
    ]
    table = "\n".join(rows)
    about = {
        "size": f"`{facts['size']}`, {encoder.count_params():,} parameters, "
        f"{encoder.count_active_params():,} active",
        "training": f"{facts['steps']} steps, one task in each, "
        f"seed {facts['seed']}, commit {facts['commit']}",
        "data": "the playground of keras-imp: Fashion-MNIST (MIT), Noto and "
        "other emoji (Apache-2.0, MIT), recordings made with the FluidR3Mono "
        "sound font (MIT); notices in `keras_imp/data/playground/files`",
        "inputs": "images of 32 x 32, videos of 8 x 32 x 32, audio of 1.024 s "
        "at 16 kHz, texts of 12 tokens: "
        f'`IMPPreprocessor.from_preset("{name}")`',
    }
    facts_table = "\n".join(f"| {k} | {v} |" for k, v in about.items())
    return f"""---
license: apache-2.0
library_name: keras-hub
language: en
tags:
- keras-imp
---
# {name}

An encoder of images, videos, audio and English text, with the tasks that it was
trained on, for tests, examples and first steps: it has seen icons, clothes and
single notes of instruments, and knows nothing else of the world.

| | |
|---|---|
{facts_table}

```python
from pathlib import Path

import keras_imp
from keras_imp.data.decoding import decode_image

model = keras_imp.AlternatingModel.from_preset("{name}")
inputs = keras_imp.IMPPreprocessor.from_preset("{name}")
classify = keras_imp.ZeroShotClassifier(
    model,
    "captions/texts",
    ["animals and nature", "food and drink", "flags"],
    tokenizer=inputs.tokenizer,
)
image = decode_image(Path("heart.png")).values
scores = classify.predict(inputs({{"image": [image]}}))
```

Test split: other emoji and instruments than those of the training data. By
`keras-imp evaluate {name}`; intervals of 95 %.

| what | examples | figure | chance | value | interval |
|---|---|---|---|---|---|
{table}

Not for: photographs, speech, other languages, or any decision about people.
"""


if __name__ == "__main__":
    main()
