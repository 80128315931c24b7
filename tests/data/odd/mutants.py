"""Mutants of good files: bits, ends, blocks and bytes of headers changed."""

from pathlib import Path

import numpy as np

SEEDS = {
    "image": "good.jpg good.png animated.gif animated.webp picture.tif "
    "picture.bmp",
    "audio": "mono16.wav tone.flac tone.ogg tone.mp3 tone.opus",
    "video": "good.mp4 odd_size.mkv",
}


def modality_of(mutant: Path) -> str:
    """What a mutant is decoded as, from its name."""
    seed = mutant.name.partition("_")[2]
    return next(
        modality for modality, names in SEEDS.items() if seed in names.split()
    )


def make_mutants(root: Path, number: int, rng: np.random.Generator):
    seeds = [
        root / "data" / modality / name
        for modality, names in SEEDS.items()
        for name in names.split()
    ]
    ways = (_flip_bits, _cut, _replace_block, _change_header)
    out = root / "fuzz"
    out.mkdir()
    for i in range(number):
        seed = seeds[i % len(seeds)]
        data = bytearray(seed.read_bytes())
        ways[i // len(seeds) % len(ways)](data, rng)
        (out / f"{i:05d}_{seed.stem}{seed.suffix}").write_bytes(data)


def _flip_bits(data, rng):
    for at in rng.integers(0, len(data), max(1, len(data) // 500)):
        data[int(at)] ^= 1 << int(rng.integers(8))


def _cut(data, rng):
    del data[int(rng.integers(1, len(data))) :]


def _replace_block(data, rng):
    at, length = int(rng.integers(0, len(data))), int(rng.integers(1, 200))
    data[at : at + length] = rng.bytes(length)


def _change_header(data, rng):
    at = int(rng.integers(0, min(len(data), 400)))
    data[at] = int(rng.choice([0, 1, 127, 128, 255]))
