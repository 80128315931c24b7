"""Export every input in every format, from every backend; print differences.

    python benchmarks/export.py

Each file is run by the runtime of its format, in a process without Keras, and
compared with the model on the backend that it comes from.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _timing import table, write_json

BACKENDS = ("torch", "jax", "tensorflow")
FORMATS = ("tf_saved_model", "onnx", "litert", "stablehlo")
QUANTIZED = ("onnx", "litert")
PRESETS = {"dense": "imp_tiny", "sparse": "imp_moe_tiny"}
LAYERS = 2
# Modality and shape of an example, by what the table calls the input.
INPUTS = {
    "image": ("image", (32, 32, 3)),
    "video": ("video", (8, 32, 32, 3)),
    "audio, samples": ("audio", (16384,)),
    "audio, spectrogram": ("audio", (64, 64)),
    "waveform": ("waveform", (4096,)),
    "text": ("text", (16,)),
}
# Conversion does not depend on where a model comes from: all inputs once.
INPUTS_OF = {
    "torch": tuple(INPUTS),
    "jax": ("image", "text"),
    "tensorflow": ("image", "text"),
}


def work(job: dict) -> None:
    """Print the rows of one backend as JSON."""
    import keras

    import keras_imp
    from keras_imp.exporting.export_files import Request, export_all

    keras.utils.set_random_seed(0)
    encoders = {
        kind: keras_imp.IMPEncoder.from_preset(
            preset,
            modalities=("image", "video", "audio", "waveform", "text"),
            vocabulary_size=1000,
            num_layers=LAYERS,
            **({"num_moe_layers": 1} if kind == "sparse" else {}),
        )
        for kind, preset in PRESETS.items()
    }
    rows, requests = [], []
    with tempfile.TemporaryDirectory() as folder:
        for kind, name, form, quantize in job["files"]:
            modality, shape = INPUTS[name]
            free = (kind, name) == ("dense", "text")
            row = {"kind": kind, "input": name, "format": form}
            row |= {"quantize": quantize, "backend": keras.config.backend()}
            rows.append(row)
            requests.append(
                Request(
                    encoders[kind],
                    Path(folder, str(len(requests))),
                    modality,
                    format=form,
                    quantize=quantize,
                    input_shape=None if free else shape,
                )
            )
        for row, outcome in zip(rows, export_all(requests)):
            if isinstance(outcome, Exception):
                row["error"] = str(outcome)
                continue
            row |= {
                "shape": outcome.input_shape,
                "max_difference": outcome.max_difference,
                "bytes": outcome.bytes,
                "least_cosine": outcome.least_cosine,
            }
    print(json.dumps(rows))


def files_of(backend: str, smoke: bool) -> list[tuple]:
    """Kind, input, format and quantization of each file."""
    inputs = ("image",) if smoke else INPUTS_OF[backend]
    forms = ("stablehlo",) if smoke else FORMATS
    files = [
        (kind, name, form, None)
        for form in forms
        for name in inputs
        for kind in PRESETS
    ]
    if backend == BACKENDS[0] and not smoke:
        files += [
            (k, "image", form, "int8") for form in QUANTIZED for k in PRESETS
        ]
    return files


def rows_of(backend: str, files: list[tuple]) -> list[dict]:
    """What one backend gives, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, __file__, "--worker", json.dumps({"files": files})],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout.splitlines()[-1])


def show(rows: list[dict]) -> None:
    """Print one line for each format, input and kind."""
    cells: dict[tuple, dict] = {}
    for row in rows:
        form = row["format"] + (
            f", {row['quantize']}" if row["quantize"] else ""
        )
        line = cells.setdefault((form, row["input"], row["kind"]), {})
        line[row["backend"]] = row
    lines = []
    for key, by_backend in cells.items():
        found = []
        for backend in BACKENDS:
            row = by_backend.get(backend, {})
            text = "-"
            if "max_difference" in row:
                text = f"{row['max_difference']:.1e}"
                if row["least_cosine"] is not None:
                    text += f" ({row['least_cosine']:.5f})"
            elif "error" in row:
                text = "refused"
            found.append(text)
        sizes = {row.get("bytes") for row in by_backend.values()} - {None}
        size = f"{max(sizes):,}" if sizes else "-"
        lines.append([*key, *found, size])
    header = ["format", "input", "encoder", *BACKENDS, "bytes"]
    print(table("Largest difference (least cosine)", header, lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--worker")
    options = parser.parse_args()
    if options.worker:
        work(json.loads(options.worker))
        return
    rows = []
    for backend in BACKENDS:
        rows += rows_of(backend, files_of(backend, options.smoke))
        print(f"ready: {backend}", flush=True)
        if not options.smoke:
            presets = {"presets": PRESETS, "layers": LAYERS}
            write_json("export", {**presets, "rows": rows})
    show(rows)


if __name__ == "__main__":
    main()
