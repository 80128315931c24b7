"""Do encoders that start from a backbone of keras-hub have its outputs?

    KERAS_BACKEND=jax python benchmarks/warm_start.py

For each family, with random weights, biases and norms included: the largest
difference between the outputs of the backbone and those of the encoder, and of
the same encoder with experts (`upcycle`). Then time and memory of mapping a
ViT-B/16 of 86 million parameters, in a process of its own.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

from _timing import table, write_json

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import keras
import numpy as np

import keras_imp
from tests.helpers import backbones

LIMIT = 1e-4
SMALL = {"image_shape": (48, 64, 3)}
BASE = {
    "image_shape": (224, 224, 3),
    "hidden_dim": 768,
    "num_layers": 12,
    "num_heads": 12,
    "intermediate_dim": 3072,
}


def differences(case: backbones.Backbone) -> dict[str, float]:
    """Of an encoder and of its sparse counterpart, with random weights."""
    rng = np.random.default_rng(5)
    backbone = backbones.random_backbone(case, rng)
    x, theirs = backbones.inputs_of(case, rng)
    expected = backbones.outputs_of(case, backbone, theirs)
    dense = keras_imp.IMPEncoder.from_backbone(backbone)
    sparse = keras_imp.upcycle(dense, num_experts=3, num_moe_layers=2)
    found = {}
    for name, encoder in (("encoder", dense), ("upcycled", sparse)):
        features = encoder({case.modality: x})[case.modality]
        found[name] = backbones.largest_difference(features, expected)
    return found


def megabytes() -> float:
    """What the process holds now."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak() -> float:
    """The most that the process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def map_large(sizes: dict) -> dict:
    """Map one ViT, and check its outputs."""
    backbone = backbones.vit(**sizes)
    held, cpu, wall = megabytes(), time.process_time(), time.perf_counter()
    encoder = keras_imp.IMPEncoder.from_backbone(backbone)
    found = {
        "parameters": backbone.count_params(),
        "encoder_parameters": encoder.count_params(),
        "cpu_s": round(time.process_time() - cpu, 1),
        "wall_s": round(time.perf_counter() - wall, 1),
        "weights_mb": round(4e-6 * encoder.count_params()),
        "held_before_mb": round(held),
        "held_after_mb": round(megabytes()),
        "peak_mb": round(peak()),
    }
    rng = np.random.default_rng(0)
    shape = (1, *sizes["image_shape"])
    pixels = rng.integers(0, 256, shape, dtype="uint8")
    theirs = backbone((pixels / 127.5 - 1).astype("float32"))
    features = encoder({"image": pixels})["image"]
    expected = {
        "pooled_output": keras.ops.convert_to_numpy(theirs)[:, 0],
        "sequence_output": keras.ops.convert_to_numpy(theirs)[:, 1:],
    }
    difference = backbones.largest_difference(features, expected)
    return {**found, "largest_difference": difference}


def in_own_process(smoke: bool) -> dict:
    """What `map_large` returns, of a process that does nothing else."""
    command = [sys.executable, __file__, "--large"]
    command += ["--smoke"] if smoke else []
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="a small ViT")
    parser.add_argument("--large", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.large:
        print(json.dumps(map_large(SMALL if arguments.smoke else BASE)))
        return
    backend = keras.config.backend()
    maps = {name: differences(case) for name, case in backbones.CASES.items()}
    rows = [
        [name, *(f"{value:.1e}" for value in found.values())]
        for name, found in maps.items()
    ]
    title = f"Largest difference to the backbone, {backend}, goal {LIMIT:g}"
    print(table(title, ["backbone", "encoder", "upcycled"], rows))
    large = in_own_process(arguments.smoke)
    print(f"\nViT of {large['parameters'] / 1e6:.0f} M parameters")
    for name, value in large.items():
        print(f"{name:20} {value}")
    content = {"backend": backend, "maps": maps, "large": large}
    name = "tmp/warm_start_smoke" if arguments.smoke else "warm_start"
    print(write_json(f"{name}_{backend}", content))


if __name__ == "__main__":
    main()
