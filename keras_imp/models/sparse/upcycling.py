"""From a trained dense encoder to a sparse one that starts where it stopped."""

from typing import Any

import keras
import numpy as np

from keras_imp._errors import check_choice, message
from keras_imp._values import value_of
from keras_imp.layers.encoder_stack import EncoderStack
from keras_imp.models.imp_encoder import IMPEncoder
from keras_imp.models.sparse.placement import ROUTERS


def upcycle(
    encoder: IMPEncoder, num_experts: int, num_moe_layers: int, **kwargs
) -> IMPEncoder:
    """Turn a dense encoder into a sparse one with the same output.

    Each expert of a routed layer starts as a copy of the dense feed-forward
    network, and so does a shared expert, which takes every token with the
    fraction that the gates leave. All copies agree, so their mixture is the
    dense output whatever the router does; training then drives them apart.

    Args:
        encoder: A dense encoder, trained.
        num_experts: Experts of each routed layer.
        num_moe_layers: How many layers are routed.
        **kwargs: Constructor arguments of `IMPEncoder` for the sparse part,
            such as `moe_placement`, `router` (not `"soft"`, whose experts work
            on mixtures of tokens) and `capacity_factor`. With
            `router_options={"shared_expert": False}` the layers are cheaper,
            but tokens that no expert takes lose their feed-forward output.

    Returns:
        A new encoder.

    Raises:
        ValueError: If the encoder has experts already or LoRA weights, or the
            experts of the router work on mixtures of tokens.

    Example:
        >>> import keras, numpy as np, keras_imp
        >>> dense = keras_imp.IMPEncoder(8, 16, 2, 2,
        ...     modalities=("text",), vocabulary_size=10)
        >>> sparse = keras_imp.upcycle(dense, num_experts=4, num_moe_layers=1)
        >>> x = {"text": np.array([[5, 6, 0]])}
        >>> before, after = (
        ...     e(x)["text"]["pooled_output"] for e in (dense, sparse))
        >>> float(keras.ops.max(keras.ops.abs(before - after))) < 1e-5
        True

    Reference:
        [Sparse Upcycling](https://arxiv.org/abs/2212.05055), with a shared
        expert so that the start is exact.
    """
    if encoder.num_experts:
        raise ValueError(
            message("`encoder` must be dense.", num_experts=encoder.num_experts)
        )
    if encoder.lora_rank is not None:
        raise ValueError(
            message(
                "`encoder` must have no LoRA weights, which its experts would "
                "not be copies with.",
                "Call encoder.merge_lora() first.",
                lora_rank=encoder.lora_rank,
            )
        )
    router = kwargs.get("router", encoder.router)
    check_choice(tuple(ROUTERS), router=router)
    if ROUTERS[router].mixes_tokens:
        raise ValueError(
            message(
                "The router of a sparse encoder that starts from a dense one "
                "must give its experts tokens, not mixtures of tokens.",
                'Use "expert_choice" or "token_choice".',
                router=router,
            )
        )
    options = {"shared_expert": True, **kwargs.pop("router_options", {})}
    sparse = IMPEncoder.from_config(
        {
            **encoder.get_config(),
            # The normalization of queries and keys stays as it was trained.
            "qk_layer_norm": encoder.uses_qk_layer_norm,
            "num_experts": num_experts,
            "num_moe_layers": num_moe_layers,
            "router_options": options,
            **kwargs,
        }
    )
    _copy_outside(encoder, sparse)
    rows = _rows(encoder)
    first = 0
    for stack in sparse.body.stacks:
        _fill(stack, rows[first : first + stack.num_layers])
        first += stack.num_layers
    return sparse


def _copy_outside(encoder: IMPEncoder, sparse: IMPEncoder) -> None:
    """Everything but the layers: embedders, last norm, pooling."""
    for old, new in zip(_outside(encoder), _outside(sparse), strict=True):
        new.assign(old.value)


def _outside(encoder: IMPEncoder) -> list[Any]:
    """All weights but those of the layers, frozen ones too; no random state."""
    inside = {id(v) for stack in encoder.body.stacks for v in stack.weights}
    return [
        v
        for v in encoder.weights
        if id(v) not in inside and keras.backend.is_float_dtype(v.dtype)
    ]


def _rows(encoder: IMPEncoder) -> list[dict[str, np.ndarray]]:
    """Weights by name of each layer."""
    rows = []
    for stack in encoder.body.stacks:
        values = {v.name: value_of(v) for v in stack.stacked}
        rows += [
            {name: value[i] for name, value in values.items()}
            for i in range(stack.num_layers)
        ]
    return rows


def _fill(stack: EncoderStack, rows: list[dict[str, np.ndarray]]) -> None:
    for variable in stack.stacked:
        name = variable.name
        if name in rows[0]:
            values = np.stack([row[name] for row in rows])
        elif name.startswith("experts_"):
            dense = name.removeprefix("experts_")
            values = np.stack([row[dense] for row in rows])
            # A bias has one axis less than a kernel: its rows are one.
            layers, _, count, columns = variable.shape
            values = values.reshape(layers, 1, count, columns)
            values = np.broadcast_to(values, variable.shape)
        else:
            continue  # The router, which starts at random.
        variable.assign(values)
