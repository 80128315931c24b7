"""What the training tests share."""

import keras
import pytest

import keras_imp
from tests.helpers import models


@pytest.fixture(scope="session")
def trained():
    """A model after four epochs, and its history. Tests must not change it."""
    model = models.make_model()
    history = model.fit(
        models.in_turn(), steps_per_epoch=9, epochs=4, verbose=0
    ).history
    return model, history


@pytest.fixture(scope="session")
def refusing():
    """A model for bad input. Tests must not change it."""
    keras.utils.set_random_seed(0)
    encoder = keras_imp.IMPEncoder(
        hidden_dim=8,
        intermediate_dim=16,
        num_layers=1,
        num_heads=2,
        modalities=("image", "video", "text"),
        vocabulary_size=11,
        patch_size=(2, 4, 4),
        max_sequence_length=7,
    )
    model = keras_imp.AlternatingModel(
        encoder,
        [
            keras_imp.tasks.Classification("objects", "image", 3),
            keras_imp.tasks.Contrastive(
                "captions", ("image", "text"), projection_dim=8
            ),
            keras_imp.tasks.Contrastive(
                "clips", ("video", "text"), projection_dim=8
            ),
        ],
    )
    model.compile(optimizer="sgd")
    return model
