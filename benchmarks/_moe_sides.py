"""The sides of `moe.py`: each function makes one step of a layer or a model.

Layers compute forward and backward on the same tokens; models a train step.
What differs from ours is in the facts ("differs"), which the table prints.
"""

import importlib
import os
from collections.abc import Callable

import keras
import numpy as np
from _timing import NotAvailableError

import keras_imp

Prepared = tuple[Callable[[], None], dict]


def ours(shape: dict, layer: str, **options) -> Prepared:
    """One of the feed-forward layers of keras_imp."""
    made = getattr(keras_imp.layers, layer)(
        intermediate_dim=shape["hidden"], **options
    )
    return _gradient_step(made, shape), {}


def _input(shape: dict) -> np.ndarray:
    sizes = (shape["batch"], shape["tokens"], shape["width"])
    rng = np.random.default_rng(0)
    return rng.standard_normal(sizes, dtype="float32")


def _gradient_step(layer: keras.layers.Layer, shape: dict) -> Callable:
    """Forward and backward: the gradients of the input and of all weights."""
    x = _input(shape)
    layer.build(x.shape)
    backend = keras.config.backend()
    return globals()[f"_{backend}_step"](layer, x)


def _first(outputs):
    return outputs[0] if isinstance(outputs, tuple | list) else outputs


def _jax_step(layer, x) -> Callable:
    import jax

    weights = [v.value for v in layer.trainable_variables]
    constants = [v.value for v in layer.non_trainable_variables]
    # A fixed random direction: the gradient of a plain sum is the same for
    # every token, which compilers may use.
    g = jax.numpy.asarray(_direction(x))

    @jax.jit
    def gradients(weights, x):
        def loss(weights, x):
            outputs, _ = layer.stateless_call(weights, constants, x)
            return (_first(outputs) * g).sum()

        # With the loss: a compiler drops the forward products that only it
        # needs, and the dense layer has one of those where ours has none.
        return jax.value_and_grad(loss, argnums=(0, 1))(weights, x)

    x = jax.numpy.asarray(x)
    return lambda: jax.block_until_ready(gradients(weights, x))


def _tensorflow_step(layer, x) -> Callable:
    import tensorflow as tf

    x, g = tf.constant(x), tf.constant(_direction(x))
    weights = [v.value for v in layer.trainable_variables]

    @tf.function(jit_compile=os.environ["MOE_JIT"] == "1")
    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(_first(layer(x)) * g)
        return loss, tape.gradient(loss, [x, *weights])

    return lambda: float(gradients(x)[0])


def _torch_step(layer, x) -> Callable:
    import torch

    inputs = torch.from_numpy(x).requires_grad_(True)
    g = torch.from_numpy(_direction(x))
    is_keras = isinstance(layer, keras.layers.Layer)
    weights = (
        [v.value for v in layer.trainable_variables]
        if is_keras
        else [p for p in layer.parameters() if p.requires_grad]
    )

    def step():
        loss = (_first(layer(inputs)) * g).sum()
        torch.autograd.grad(loss, [inputs, *weights], allow_unused=True)

    return step


def _direction(x) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.standard_normal(np.shape(x), dtype="float32")


# --- Peers ------------------------------------------------------------------


def mixtral(shape: dict, num_experts: int) -> Prepared:
    """The block of keras-hub's Mixtral."""
    from keras_hub.src.models.mixtral.mixtral_decoder import (
        MixtralSparseMoeBlock,
    )

    layer = MixtralSparseMoeBlock(
        shape["width"],
        # A gated network has three matrices: with 2/3 the width, as many
        # weights.
        shape["hidden"] * 2 // 3,
        num_experts,
        top_k=1,
    )
    differs = "gated experts of 2/3 the width; each computes every token"
    return _gradient_step(layer, shape), {"differs": differs}


def st_moe(shape: dict, num_experts: int) -> Prepared:
    """The layer of st-moe-pytorch."""
    module = _import("st_moe_pytorch", "st-moe-pytorch")
    layer = module.MoE(
        dim=shape["width"],
        num_experts=num_experts,
        expert_hidden_mult=shape["hidden"] / shape["width"],
        gating_top_n=2,
        capacity_factor_train=1.0,
    )
    layer.train()
    differs = "gated experts of 2/3 the width, 2 tokens per slot"
    return _torch_step(layer, _input(shape)), {"differs": differs}


def switch(shape: dict, num_experts: int) -> Prepared:
    """The layer of Hugging Face's Switch Transformers."""
    module = _import(
        "transformers.models.switch_transformers.modeling_switch_transformers",
        "transformers",
    )
    config = module.SwitchTransformersConfig(
        d_model=shape["width"],
        d_ff=shape["hidden"],
        num_experts=num_experts,
        expert_capacity=-(-shape["tokens"] // num_experts),
        router_jitter_noise=0.0,
        dropout_rate=0.0,
    )
    layer = module.SwitchTransformersSparseMLP(config)
    layer.train()
    return _torch_step(layer, _input(shape)), {"differs": "drops tokens"}


def _import(name: str, package: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotAvailableError(
            f"Not available here ({error}). pip install {package}"
        ) from error


# --- Whole models: P6 -------------------------------------------------------


def model(preset: str, size: int, batch: int, dense: bool) -> Prepared:
    """A train step of a sparse encoder, or of its dense twin, on pictures."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (batch, size, size, 3)).astype("float32")
    y = rng.integers(0, 1000, batch)
    encoder = keras_imp.IMPEncoder.from_preset(preset, modalities=("image",))
    if dense:
        encoder = encoder.dense_twin()
    inputs = {"image": keras.Input((size, size, 3))}
    pooled = encoder(inputs)["image"]["pooled_output"]
    whole = keras.Model(inputs, keras.layers.Dense(1000)(pooled))
    whole.compile(
        optimizer=keras.optimizers.Adam(1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return lambda: whole.train_on_batch({"image": x}, y), {}
