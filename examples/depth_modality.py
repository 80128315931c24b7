"""A modality of your own: depth maps, in meters from the camera.

Domes, posts and cones stand on a table below a camera. Their outline is the
same circle: only the depth tells what they are. One encoder learns to name them
by their depth maps, and to find them in images.

    python examples/depth_modality.py --out DIR
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import keras_imp
from keras_imp.data import Arrays
from keras_imp.models import Modality, patch_embedder, register_modality

SOLIDS = ("dome", "post", "cone")


# The modality: what it takes to add one. ------------------------------------


def depth_embedder(options):
    """Patches of 4 x 4 pixels; `options` has what all embedders share."""
    return patch_embedder(
        options,
        patch_size=(4, 4),
        buckets=(16, 16),
        axis_names=("height", "width"),
    )


def resize_depth(values, size, generator):
    """Take the nearest pixel: a mean of two surfaces lies on neither."""
    rows, columns = (
        np.arange(length) * stored // length
        for length, stored in zip(size, values.shape[1:])
    )
    return values[:, rows[:, None], columns]


def check_depth(values):
    """Refuse holes and millimeters before they are trained on."""
    if not (np.isfinite(values) & (values > 0) & (values < 100)).all():
        raise ValueError("Depth must be between 0 and 100 meters, no holes.")


DEPTH = register_modality(
    Modality(
        name="depth",
        axes=("height", "width"),
        make_embedder=depth_embedder,
        resize=resize_depth,
        check_values=check_depth,
    )
)

# Its use. -------------------------------------------------------------------


def scenes(count, rng, size=32):
    """Depth maps and images of scenes: what they show, and where."""
    kinds = rng.integers(0, len(SOLIDS), count)
    center = rng.uniform(0.35, 0.65, (2, count, 1, 1))
    radius = rng.uniform(0.15, 0.3, (count, 1, 1))
    y, x = np.indices((size, size)) / size
    # Distance from the axis of the solid, in its radii.
    r = np.hypot(y - center[0], x - center[1]) / radius
    heights = np.stack([np.sqrt(np.maximum(0, 1 - r**2)), r < 1, 1 - r])
    height = np.maximum(0, heights[kinds, np.arange(count)])
    depth = 1.0 - 3 * radius * height + rng.normal(0, 0.01, height.shape)
    # All are painted alike, from the middle to the edge.
    color = rng.uniform(0, 255, (count, 1, 1, 3)) * (1 - 0.5 * r[..., None])
    images = np.where(r[..., None] < 1, color, 255 * 0.5)
    places = center[..., 0, 0].T.astype("float32")
    return depth.astype("float32"), images.astype("uint8"), kinds, places


def make_model():
    """One encoder for images and depth, and two tasks."""
    encoder = keras_imp.IMPEncoder(
        hidden_dim=64,
        intermediate_dim=128,
        num_layers=2,
        num_heads=2,
        modalities=("image", "depth"),
        patch_size=(1, 4, 4),
    )
    model = keras_imp.AlternatingModel(
        encoder,
        [
            keras_imp.tasks.Classification("solids", "depth", len(SOLIDS)),
            keras_imp.tasks.Regression("places", "image", 2),
        ],
    )
    model.compile(optimizer=keras_imp.optimizers.AdamW(2e-3))
    return model


def main(out, steps=100, epochs=3, seed=0, verbose="auto"):
    """Train, save, and return Keras' history."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    depth, images, kinds, places = scenes(1000, rng)
    model = make_model()
    history = model.fit(
        keras_imp.TaskMixture(
            {
                "solids": Arrays({"depth": depth}, kinds, batch_size=32),
                "places": Arrays({"image": images}, places, batch_size=32),
            },
            seed=seed,
        ),
        steps_per_epoch=steps,
        epochs=epochs,
        verbose=verbose,
    )
    Path(out).mkdir(parents=True, exist_ok=True)
    # A process that loads it imports this module first.
    model.save(Path(out) / "model.keras")
    return history


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="where to save the model")
    main(parser.parse_args().out)
