"""Small real files of a person's own, that a model can learn something of."""

import csv
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, ImageDraw

COLORS = {
    "red": (220, 30, 30),
    "green": (30, 180, 60),
    "blue": (40, 60, 220),
    "yellow": (230, 220, 40),
}
SHAPES = ("circle", "square")


def draw(path: Path, color: str, shape: str, generator) -> None:
    """A shape somewhere on gray."""
    image = Image.new("RGB", (60, 48), (128, 128, 128))
    left, top = generator.integers(2, 30), generator.integers(2, 20)
    box = (left, top, left + 24, top + 24)
    pen = ImageDraw.Draw(image)
    (pen.ellipse if shape == "circle" else pen.rectangle)(box, COLORS[color])
    image.save(path)


def class_folders(folder: Path, rows: int = 24) -> Path:
    """A folder of images for each of two classes."""
    generator = np.random.default_rng(0)
    for color in ("red", "blue"):
        (folder / color).mkdir(parents=True)
        for number in range(rows // 2):
            draw(folder / color / f"{number}.png", color, "circle", generator)
    return folder


def captions(folder: Path, rows: int = 32) -> Path:
    """A table of images with captions; some images have two rows."""
    generator = np.random.default_rng(1)
    (folder / "images").mkdir(parents=True)
    lines = []
    for number in range(rows):
        color = list(COLORS)[number % 4]
        shape = SHAPES[number // 4 % 2]
        name = f"images/{number}.jpg"
        draw(folder / name, color, shape, generator)
        lines.append((name, f"a {color} {shape}"))
        if number % 8 == 0:
            lines.append((name, f"one {shape} that is {color}"))
    table = folder / "photos.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("filepath", "caption"), *lines])
    return table


def esc_50(folder: Path, rows: int = 24) -> Path:
    """A folder with the layout of ESC-50."""
    generator = np.random.default_rng(2)
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    lines = []
    for number in range(rows):
        target = number % 2
        name = f"1-{number:04}-A-{target}.wav"
        pitch = (440, 1760)[target] * generator.uniform(0.9, 1.1)
        wave = np.sin(np.arange(8000) / 8000 * 2 * np.pi * pitch) * 0.5
        soundfile.write(folder / "audio" / name, wave, 8000)
        kind = ("low", "high")[target]
        lines.append((name, number % 5 + 1, target, kind, False, number, "A"))
    header = ("filename", "fold", "target", "category")
    header += ("esc10", "src_file", "take")
    with (folder / "meta" / "esc50.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *lines])
    return folder
