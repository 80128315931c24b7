"""Rows of real files, for batches: images, recordings, texts and labels."""

import gc

import numpy as np
import soundfile
from PIL import Image

import keras_imp
from keras_imp.data import Manifest, Tokenizer
from keras_imp.data.records import store

ROWS = 24


def write_rows(folder):
    """Images of two classes, a recording of each, and damaged files."""
    generator = np.random.default_rng(0)
    for i in range(ROWS):
        pixels = generator.integers(0, 255, (40 + i, 60, 3), "uint8")
        pixels[..., i % 2] = 255
        Image.fromarray(pixels).save(folder / f"{i}.png")
        wave = np.sin(np.arange(8000 + 100 * i) * (0.01 + 0.001 * i)) / 2
        soundfile.write(folder / f"{i}.wav", wave, 8000)
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (folder / "empty.png").touch()


def make_manifest(folder, **columns):
    """The rows of `write_rows`, with other columns."""
    return Manifest(
        {
            "image": [f"{i}.png" for i in range(ROWS)],
            "audio": [f"{i}.wav" for i in range(ROWS)],
            "text": [[f"number {i}", "an image"] for i in range(ROWS)],
            "label": ["red" if i % 2 == 0 else "green" for i in range(ROWS)],
            **columns,
        },
        root=folder,
    )


def make_preprocessor(**arguments):
    """What makes their inputs, with other sizes."""
    tokenizer = Tokenizer.train(
        [*(f"number {i}" for i in range(ROWS)), "an image"], 100, length=6
    )
    sizes = {"image": (16, 24), "audio_seconds": 0.5, "sampling_rate": 8000}
    return keras_imp.IMPPreprocessor(
        tokenizer=tokenizer, **{**sizes, **arguments}
    )


def assert_equal(first, second):
    """Expect two batches to be equal, to the bit."""
    for a, b in zip(first, second, strict=True):
        if isinstance(a, dict):
            assert_equal(
                [a[name] for name in sorted(a)], [b[name] for name in sorted(b)]
            )
        else:
            np.testing.assert_array_equal(a, b)


def forget():
    """Read the folders of caches anew, as a new process does."""
    gc.collect()
    store._STORES.clear()
