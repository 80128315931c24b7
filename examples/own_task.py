"""A task of your own: by how many quarter turns was a picture turned?

It needs no labels: the task turns the pictures itself. It trains beside a
classifier of the same pictures, one task in each step.

    python examples/own_task.py
"""

import keras
import numpy as np
from keras import ops

import keras_imp
from keras_imp.data import Arrays, playground
from keras_imp.tasks.task import weighted_mean

TURNS = 4


@keras.saving.register_keras_serializable(package="own_task")
class Turns(keras_imp.tasks.Task):
    """Tell the four turns of each picture apart."""

    def __init__(self, name, **kwargs):
        super().__init__(name=name, **kwargs)
        # Loss in float32 whatever the encoder computes in.
        self.head = keras.layers.Dense(TURNS, dtype="float32")
        self.accuracy = self.track(keras.metrics.Mean(name="accuracy"))

    @property
    def modalities(self):
        return ("image",)

    def build(self, pooled_shape):  # Weights exist before training starts.
        self.head.build(pooled_shape["image"])

    def call(self, inputs, encoder=None, training=None):
        image = inputs["image"]  # Square, or a quarter turn would not fit.
        turned = [ops.rot90(image, k, axes=(1, 2)) for k in range(TURNS)]
        images = ops.reshape(ops.stack(turned, axis=1), (-1, *image.shape[1:]))
        features = self.encode(encoder, {"image": images}, training)["image"]
        logits = self.head(features["pooled_output"])
        # Examples come first: `predict` joins its batches there.
        return ops.reshape(logits, (-1, TURNS, TURNS))

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        # Row i is the picture after i turns, so that column i is right.
        right = ops.diagonal(ops.log_softmax(y_pred), axis1=1, axis2=2)
        return weighted_mean(-ops.mean(right, axis=1), sample_weight)

    def update_metrics(self, x, y, y_pred, sample_weight=None):
        hit = ops.equal(ops.argmax(y_pred, axis=-1), np.arange(TURNS))
        shares = ops.mean(ops.cast(hit, "float32"), axis=1)
        self.accuracy.update_state(shares, sample_weight=sample_weight)


def main(epochs=4, steps_per_epoch=50, seed=0, verbose="auto"):
    """Train on the bundled pictures of clothes; return Keras' history."""
    keras.utils.set_random_seed(seed)
    clothes = playground.load("train").fashion
    x = {"image": clothes.images}
    encoder = keras_imp.IMPEncoder(
        hidden_dim=64,
        intermediate_dim=256,
        num_layers=2,
        num_heads=2,
        modalities=("image",),
        patch_size=(1, 8, 8),
    )
    model = keras_imp.AlternatingModel(
        encoder,
        [
            Turns("turns"),
            keras_imp.tasks.Classification(
                "clothes", "image", len(playground.FASHION_CLASSES)
            ),
        ],
    )
    model.compile(optimizer=keras.optimizers.AdamW(3e-3))
    mixture = keras_imp.TaskMixture(
        {
            "turns": Arrays(x, batch_size=32, seed=seed),
            "clothes": Arrays(x, clothes.labels, batch_size=64, seed=seed),
        },
        seed=seed,
    )
    return model.fit(
        mixture,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        verbose=verbose,
    )


if __name__ == "__main__":
    main()
