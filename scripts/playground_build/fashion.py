"""Fashion-MNIST: balanced subsets as one grey atlas per split."""

import gzip
from pathlib import Path

import numpy as np

from playground_build.files import atlas, write_json, write_png
from playground_build.folds import FOLDS

FOLDER = "debian/usr/share/datasets/fashion-mnist"
TILES_PER_ROW = 100

# (split, file prefix, first and one past the last picture of each class).
# The files are shuffled already, so the first pictures of a class are as
# good a sample as drawn ones, and need no random numbers.
PARTS = (
    ("train", "train", 0, 800),
    ("validation", "train", 800, 900),
    ("test", "t10k", 0, 200),
)


def read_idx(path: Path) -> np.ndarray:
    """Read one gzipped IDX file of unsigned bytes."""
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", count=rank, offset=4).astype(int)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def balanced(labels: np.ndarray, first: int, last: int) -> np.ndarray:
    """Return positions of the first-th to last-th picture of each class."""
    chosen = [
        np.flatnonzero(labels == label)[first:last]
        for label in range(int(labels.max()) + 1)
    ]
    return np.sort(np.concatenate(chosen))


def build(root: Path, out: Path) -> None:
    """Write `fashion_<split>.png` and `fashion_<split>.json`."""
    for split, prefix, first, last in PARTS:
        images = read_idx(root / FOLDER / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(root / FOLDER / f"{prefix}-labels-idx1-ubyte.gz")
        rows = balanced(labels, first, last)
        write_png(
            out / f"fashion_{split}.png", atlas(images[rows], TILES_PER_ROW)
        )
        columns = {"labels": digits(labels[rows])}
        if split != "test":
            columns["folds"] = digits(folds(labels, rows))
        write_json(out / f"fashion_{split}.json", columns)


def folds(labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the fold of each row: the pictures of a class take turns."""
    place = np.zeros(len(labels), int)
    for label in range(int(labels.max()) + 1):
        own = np.flatnonzero(labels == label)
        place[own] = np.arange(len(own))
    return place[rows] % FOLDS


def digits(values: np.ndarray) -> str:
    """Write numbers below ten as one string."""
    return "".join(str(value) for value in values)
