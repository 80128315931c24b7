"""Draw docs/images/augmented_emoji.png: emoji, and what is made of them.

    python scripts/draw_augmented.py

The first row has originals of the validation split; each row below has all of
them in another batch.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from keras_imp.data import augment, playground

EXAMPLES = 8
BATCHES = 3
PIXEL = 2  # Width of a pixel of an emoji.
GAP = 1
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"


def functions() -> augment.Compose:
    """Those of docs/guides/small_data.md."""
    return augment.Compose(
        image=[
            partial(
                augment.images.affine,
                rotation=12,
                scale=(0.8, 1.15),
                shift=0.1,
                fill=255,
            ),
            augment.images.flip,
            partial(augment.images.mix_colors, strength=0.1),
            partial(augment.images.contrast, strength=0.15, keep="white"),
        ]
    )


def draw() -> Image.Image:
    """The originals, and a row of all of them for each batch."""
    emoji = playground.load("validation").emoji.images
    # Spread over the split, without the flags at its end.
    rows = np.linspace(0, len(emoji) * 0.75, EXAMPLES).astype(int)
    compose = functions()
    lines = [emoji[rows]]
    for index in range(BATCHES):
        batch = ({"image": emoji[rows]},)
        augmented = compose.augment_rows(batch, augment.Draws(0, index, rows))
        lines.append(augmented[0]["image"])
    gaps = ((0, 0), (0, 0), (GAP, GAP), (GAP, GAP), (0, 0))
    tiles = np.pad(np.stack(lines), gaps, constant_values=128)
    count, width, height, _, channels = tiles.shape
    sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(
        count * height, width * height, channels
    )
    return Image.fromarray(sheet.repeat(PIXEL, 0).repeat(PIXEL, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=FOLDER / "augmented_emoji.png"
    )
    draw().save(parser.parse_args().out, optimize=True)


if __name__ == "__main__":
    main()
