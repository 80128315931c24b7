"""The sides of `moe.py`: layers and models of one backend, timed in turns."""

import importlib
import os
import sys
from collections.abc import Callable

import keras
import numpy as np
from _timing import NotAvailableError, _timed

import keras_imp

# Seconds after which a side gets one step per turn instead of several, and
# only this many turns.
SLOW, SLOW_TURNS = 2.0, 3


def measure(job: dict) -> dict:
    """Time all sides of a job in this process, in turns.

    Args:
        job: What `moe.py` sends.

    Returns:
        By side its samples, or why it cannot run.
    """
    make = _layers if job["kind"] == "layers" else _models
    sides = make(job)
    results, steps = {}, {}
    for name, (prepare, differs) in sides.items():
        try:
            steps[name] = prepare()
        except NotAvailableError as error:
            results[name] = {"not_available": str(error)}
            continue
        first, taken = (_timed(steps[name])["wall"] for _ in range(2))
        note = f"ready: {name}, first {first:.1f} s, then {taken:.2f} s"
        print(note, file=sys.stderr, flush=True)
        results[name] = {
            "differs": differs,
            "samples": [],
            "per_turn": 1 if taken > SLOW else 2,
        }
    for turn in range(job["rounds"]):
        order = list(steps) if turn % 2 == 0 else list(steps)[::-1]
        for name in order:
            if results[name]["per_turn"] == 1 and turn >= SLOW_TURNS:
                continue
            for _ in range(results[name]["per_turn"]):
                results[name]["samples"].append(_timed(steps[name]))
    return results


def _layers(job: dict) -> dict:
    shape = job["shape"]
    hidden = shape["hidden"]
    goal = job["goal_experts"]
    layers = keras_imp.layers

    def keras_side(make: Callable, differs: str = "") -> tuple:
        return lambda: _gradient_step(make(), shape), differs

    sides = {"dense": keras_side(lambda: layers.FeedForward(hidden))}
    for count in job["experts"]:
        for form in ("gather", "one_hot"):
            if form == "one_hot" and count != goal:
                continue
            sides[f"ours, {form}, E={count}"] = keras_side(
                lambda n=count, f=form: layers.ExpertChoiceMoE(
                    n, hidden, dispatch=f
                )
            )
    for size in (4 * shape["tokens"], "batch"):
        sides[f"ours, gather, E={goal}, group {size}"] = keras_side(
            lambda s=size: layers.ExpertChoiceMoE(goal, hidden, group_size=s)
        )
    sides[f"ours, one_hot, E={goal}, group {4 * shape['tokens']}"] = keras_side(
        lambda: layers.ExpertChoiceMoE(
            goal, hidden, group_size=4 * shape["tokens"], dispatch="one_hot"
        )
    )
    sides[f"ours, token choice, E={goal}"] = keras_side(
        lambda: layers.TokenChoiceMoE(goal, hidden), "drops tokens"
    )
    slots = shape["tokens"] // goal
    sides[f"ours, gather, E={goal}, {slots} slots"] = keras_side(
        lambda: layers.ExpertChoiceMoE(
            goal, hidden, capacity_factor=slots * goal / shape["tokens"]
        )
    )
    sides[f"ours, soft, E={goal}"] = keras_side(
        lambda: layers.SoftMoE(goal, hidden, slots_per_expert=slots)
    )
    if keras.config.backend() == "torch":
        sides[f"st-moe-pytorch top-2, E={goal}"] = (
            lambda: _st_moe(goal, shape),
            "gated experts of 2/3 the width, 2 tokens per slot",
        )
        sides[f"Hugging Face Switch, E={goal}"] = (
            lambda: _switch(goal, shape),
            "drops tokens",
        )
    else:
        sides[f"keras-hub Mixtral top-1, E={goal}"] = (
            lambda: _mixtral(goal, shape),
            "gated experts of 2/3 the width; each computes every token",
        )
    return sides


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


def _two_thirds(hidden: int) -> int:
    """Width of a gated network (three matrices) with as many weights."""
    return hidden * 2 // 3


def _mixtral(num_experts: int, shape: dict) -> Callable:
    from keras_hub.src.models.mixtral.mixtral_decoder import (
        MixtralSparseMoeBlock,
    )

    layer = MixtralSparseMoeBlock(
        shape["width"],
        _two_thirds(shape["hidden"]),
        num_experts,
        top_k=1,
    )
    return _gradient_step(layer, shape)


def _import(name: str, package: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotAvailableError(
            f"Not available here ({error}). pip install {package}"
        ) from error


def _st_moe(num_experts: int, shape: dict) -> Callable:
    module = _import("st_moe_pytorch", "st-moe-pytorch")
    layer = module.MoE(
        dim=shape["width"],
        num_experts=num_experts,
        expert_hidden_mult=shape["hidden"] / shape["width"],
        gating_top_n=2,
        capacity_factor_train=1.0,
    )
    layer.train()
    return _torch_step(layer, _input(shape))


def _switch(num_experts: int, shape: dict) -> Callable:
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
    return _torch_step(layer, _input(shape))


# --- Whole models: P6 -------------------------------------------------------


def _models(job: dict) -> dict:
    preset = "imp_moe_tiny" if job["smoke"] else "imp_moe_small"
    size, batch = (16, 2) if job["smoke"] else (224, 32)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (batch, size, size, 3)).astype("float32")
    y = rng.integers(0, 1000, batch)

    def step_of(encoder) -> Callable:
        inputs = {"image": keras.Input((size, size, 3))}
        pooled = encoder(inputs)["image"]["pooled_output"]
        model = keras.Model(inputs, keras.layers.Dense(1000)(pooled))
        model.compile(
            optimizer=keras.optimizers.Adam(1e-4),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile="auto" if keras.config.backend() != "torch" else False,
        )
        return lambda: model.train_on_batch({"image": x}, y)

    sparse = keras_imp.IMPEncoder.from_preset(preset, modalities=("image",))
    return {
        "dense twin": (lambda: step_of(sparse.dense_twin()), ""),
        "sparse": (lambda: step_of(sparse), ""),
    }
