"""Encoders and tasks that the tests of masked modeling share."""

import functools

import keras
import numpy as np
from keras import ops

from keras_imp.tasks import MaskedModeling
from tests.helpers.encoders import SMALL, small_encoder
from tests.helpers.weights import randomize, to_numpy

WIDTH = SMALL["hidden_dim"]
WORDS = SMALL["vocabulary_size"]
MASK, UNKNOWN = WORDS - 1, 1
DECODER = {"decoder_dim": 6, "decoder_layers": 1, "decoder_heads": 2}


@functools.cache
def shared_encoder(modality):
    """An encoder with random weights. Tests must not change it."""
    encoder = small_encoder((modality,), num_layers=1)
    return randomize(encoder, np.random.default_rng(0))


def built(modality, encoder=None, **options):
    """A task with weights, and its encoder."""
    encoder = encoder or shared_encoder(modality)
    if modality == "text":
        options = {"mask_id": MASK, "special_ids": (UNKNOWN,), **options}
    else:
        options = {**DECODER, **options}
    task = MaskedModeling("hidden", modality, **options)
    task.prepare(encoder)
    task.build({modality: (None, WIDTH)})
    return task, encoder


def call(task, encoder, values, training=True):
    """What a task returns, and what its encoder got, as NumPy arrays.

    Args:
        task: The task, of one modality.
        encoder: The encoder, or None for one that returns zeros.
        values: Input of the modality.
        training: Whether to draw at random.

    Returns:
        The result, then the inputs and the kept tokens of the encoder.
    """
    (modality,) = task.modalities

    def run(values):
        spy = Spy(encoder)
        out = task({modality: values}, encoder=spy, training=training)
        return out, spy.inputs[modality], spy.kept.get(modality)

    return to_numpy(_as_one_program(run, values, task.seed_generator.state))


def loss_of(task, values, out, sample_weight=None):
    """The loss of what `call` returned, as a tensor."""
    (modality,) = task.modalities
    out = {name: ops.array(part) for name, part in out.items()}
    return task.compute_loss({modality: values}, None, out, sample_weight)


class Spy:
    """Remembers what an encoder was called with.

    Args:
        encoder: The encoder, or None for one that returns zeros.
    """

    def __init__(self, encoder):
        self.encoder = encoder

    def __call__(self, inputs, training=None, **options):
        self.inputs, self.kept = inputs, options.get("kept", {})
        if self.encoder is not None:
            return self.encoder(inputs, training=training, **options)
        return {
            name: {
                "sequence_output": ops.zeros(
                    (*self.kept.get(name, values).shape, WIDTH)
                )
            }
            for name, values in inputs.items()
        }


def is_float32(x):
    return keras.backend.standardize_dtype(x.dtype) == "float32"


def _as_one_program(function, argument, state):
    """Call a function. JAX would else compile each operation by itself."""
    if keras.config.backend() != "jax":
        return function(ops.array(argument))
    import jax

    def stateless(argument, value):
        with keras.StatelessScope([(state, value)]) as scope:
            result = function(argument)
        return result, scope.get_current_value(state)

    result, value = jax.jit(stateless)(argument, state.value)
    state.assign(value)
    return result
