"""Start from a published backbone: its blocks stay, the rest learns.

Without `--preset`, a small Vision Transformer of keras-hub is trained here on
images of clothes, in place of a published one. An encoder starts from it and
learns the category of drawings. With `--preset`, keras-hub loads published
weights, for which it needs a network:

    python examples/warm_start.py
    python examples/warm_start.py --preset vit_base_patch16_224_imagenet
"""

import argparse

import keras
import numpy as np

import keras_imp
from keras_imp.data import Arrays, playground


def trained_backbone(steps, verbose):
    """A backbone that knows clothes, trained by plain Keras."""
    import keras_hub

    clothes = playground.load("train").fashion
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3),
        patch_size=8,
        num_layers=2,
        num_heads=2,
        hidden_dim=48,
        mlp_dim=96,
    )
    classes = len(playground.FASHION_CLASSES)
    head = keras.layers.Dense(classes)(backbone.output[:, 0])
    model = keras.Model(backbone.input, head)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    rows = slice(0, 32 * steps)
    pixels = clothes.images[rows] / 127.5 - 1
    model.fit(
        pixels.astype("float32"),
        clothes.labels[rows],
        batch_size=32,
        verbose=verbose,
    )
    return backbone


def drawings(split, encoder):
    """Drawings in the size that the encoder starts from, and their category."""
    emoji = playground.load(split).emoji
    names = sorted(set(playground.load("train").emoji.categories))
    times = encoder.position_buckets[1] * encoder.patch_size[1] // 32
    images = emoji.images.repeat(times, axis=1).repeat(times, axis=2)
    return images, np.array([names.index(c) for c in emoji.categories])


def main(preset=None, steps=200, epochs=3, seed=0, verbose="auto"):
    """Train; return the model and its accuracy on new drawings."""
    keras.utils.set_random_seed(seed)
    if preset:
        encoder = keras_imp.IMPEncoder.from_preset(preset)
    else:
        backbone = trained_backbone(steps, verbose)
        encoder = keras_imp.IMPEncoder.from_backbone(backbone)
    encoder.body.trainable = False
    x, y = drawings("train", encoder)
    task = keras_imp.tasks.Classification("category", "image", int(y.max()) + 1)
    model = keras_imp.AlternatingModel(encoder, [task])
    model.compile(optimizer=keras_imp.optimizers.AdamW(1e-3))
    source = Arrays({"image": x}, y, batch_size=32, seed=seed)
    model.fit(
        keras_imp.TaskMixture({"category": source}),
        steps_per_epoch=steps,
        epochs=epochs,
        verbose=verbose,
    )
    x, y = drawings("validation", encoder)
    scores = model.predict({"image": x}, task="category", verbose=0)
    return model, float((scores.argmax(axis=1) == y).mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", help="a preset of keras-hub, or its folder")
    _, accuracy = main(parser.parse_args().preset)
    print(f"accuracy on drawings that were not trained on: {accuracy:.3f}")
