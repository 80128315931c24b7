"""Deterministic writers shared by the builders."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def atlas(tiles: np.ndarray, per_row: int) -> np.ndarray:
    """Lay tiles out row by row; the last row is filled with zeros."""
    count, height, width = tiles.shape[:3]
    rows = -(-count // per_row)
    missing = rows * per_row - count
    pad = [(0, missing)] + [(0, 0)] * (tiles.ndim - 1)
    grid = np.pad(tiles, pad).reshape(
        rows, per_row, height, width, *tiles.shape[3:]
    )
    return grid.swapaxes(1, 2).reshape(
        rows * height, per_row * width, *tiles.shape[3:]
    )


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write a PNG without any metadata chunk."""
    Image.fromarray(pixels).save(path, optimize=True, compress_level=9)


def write_webp(path: Path, pixels: np.ndarray) -> None:
    """Write a lossless WebP: about half of a PNG for small drawings."""
    Image.fromarray(pixels).save(
        path, lossless=True, quality=100, method=6, exact=True
    )


def write_json(path: Path, columns: dict[str, Any]) -> None:
    """Write a dict, one record of each list per line, keys as given.

    One record per line keeps the difference readable when a source moves.
    """
    parts = []
    for key, value in columns.items():
        head = json.dumps(key) + ": "
        if isinstance(value, list):
            lines = [json.dumps(item, ensure_ascii=False) for item in value]
            parts.append(head + "[\n" + ",\n".join(lines) + "\n]")
        else:
            parts.append(head + json.dumps(value, ensure_ascii=False))
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
