"""A model with every kind of layer that a file of weights holds by name."""

import keras
import numpy as np

import keras_imp
from tests.helpers.weights import to_numpy

tasks = keras_imp.tasks
PAIRS = [("image", "audio", 1.0), ("audio", "text", 1.0)]
MODALITIES = ("image", "audio", "text")


def make_encoder(modalities=MODALITIES, hidden_dim=8, **options):
    options.setdefault("pooling", "token")
    return keras_imp.IMPEncoder(
        hidden_dim,
        16,
        1,
        2,
        modalities=modalities,
        vocabulary_size=9,
        patch_size=(1, 4, 4),
        audio_patch_size=(4, 4),
        position_buckets=(4, 4, 4),
        audio_position_buckets=(4, 4),
        max_sequence_length=7,
        **options,
    )


def make_tasks(pairs=PAIRS, parts=("kind", "color"), **options):
    """Two heads of one shape, two parts of one shape, two pairs."""
    return [
        tasks.Classification("objects", "image", 3, **options),
        tasks.Classification("sounds", "audio", 3, **options),
        tasks.Contrastive(
            "clips",
            MODALITIES,
            pairs=pairs,
            projection_dim=8,
            loss="sigmoid",
            **options,
        ),
        tasks.Combined(
            "clothes",
            [tasks.Classification(part, "image", 2) for part in parts],
            **options,
        ),
    ]


def make_model(seed, encoder=None, of=None, compiled=True):
    keras.utils.set_random_seed(seed)
    model = keras_imp.AlternatingModel(
        encoder or make_encoder(), of or make_tasks()
    )
    # Scalars and biases start equal in all models; here they tell.
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.standard_normal(variable.shape))
    if compiled:
        model.compile(keras_imp.optimizers.AdamW(1e-3))
        model.optimizer.build(model.trainable_variables)
    return model


def weights(layer, skip=()):
    """Values of a layer's weights, without names."""
    return [to_numpy(v) for v in layer.weights]


def assert_same(first, second):
    """Two layers have equal weights, in equal order."""
    for a, b in zip(weights(first), weights(second), strict=True):
        np.testing.assert_array_equal(a, b)
