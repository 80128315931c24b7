"""A small encoder to adapt by LoRA, and a few steps of training."""

import keras
import numpy as np

import keras_imp
from tests.helpers.encoders import small_encoder
from tests.helpers.weights import randomize, to_numpy

ALL_TARGETS = ("query", "key", "value", "output", "expand", "contract")
EXPERTS = {"num_experts": 3, "num_moe_layers": 1}
BALANCED = {
    **EXPERTS,
    "router": "token_choice",
    "router_options": {"balance_rate": 0.1, "shared_expert": True},
}
# All that decides how a product with a kernel is computed.
WAYS = {
    "loop": {"scan_layers": False},
    "scan": {"scan_layers": True},
    "loop, remat": {"scan_layers": False, "remat": True},
    "scan, remat": {"scan_layers": True, "remat": True},
    "experts, loop": {"scan_layers": False, **EXPERTS},
    "experts, scan, remat": {"scan_layers": True, "remat": True, **EXPERTS},
    "balanced experts": {"scan_layers": False, **BALANCED},
}
TEXTS = np.array([[1, 2, 3, 0], [4, 5, 0, 0], [6, 7, 8, 9]], "int32")
CLASSES = np.array([0, 1, 2])


def make_encoder(seed=0, rank=None, targets=ALL_TARGETS, **options):
    keras.utils.set_random_seed(seed)
    encoder = small_encoder(("text",), **options)
    if rank is not None:
        encoder.enable_lora(rank, targets)
    return encoder


def randomized(encoder, rng):
    """The same encoder, its LoRA weights at random, as if it was trained."""
    for updates in encoder.lora_updates().values():
        randomize(updates, rng)
    return encoder


def outputs(encoder):
    return to_numpy(encoder({"text": TEXTS}))["text"]["pooled_output"]


def base_weights(encoder):
    """All weights but those of LoRA, by path and place."""
    adapted = {
        id(v)
        for updates in encoder.lora_updates().values()
        for v in updates.variables
    }
    kept = [v for v in encoder.weights if id(v) not in adapted]
    return [to_numpy(v.value) for v in kept]


def make_model(encoder, optimizer=None):
    task = keras_imp.tasks.Classification("words", "text", num_classes=3)
    model = keras_imp.AlternatingModel(encoder, [task])
    model.compile(optimizer or keras_imp.optimizers.AdamW(0.05))
    return model


def mixture(steps=3):
    batch = ({"text": TEXTS}, CLASSES)
    return keras_imp.TaskMixture({"words": [batch]}, steps_per_epoch=steps)


def fit(model, steps=3, epochs=1, **options):
    return model.fit(mixture(steps), epochs=epochs, verbose=0, **options)
