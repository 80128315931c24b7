"""What a sparse encoder costs, what it routes, and its dense counterpart.

`IMPEncoder` has a method for each of these.
"""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from keras_imp._errors import message
from keras_imp.layers.encoder_stack import EncoderStack
from keras_imp.models.lora.options import ARGUMENTS
from keras_imp.typing import Tensor

if TYPE_CHECKING:
    from keras_imp.models.imp_encoder import IMPEncoder

# Names of the weights of experts, and of their low-rank updates.
_EXPERTS = re.compile(r"(lora_[ab]_)?experts_")


def count_active_params(encoder: "IMPEncoder") -> int:
    """Parameters that a token meets, on average.

    Args:
        encoder: Dense or sparse.

    Returns:
        All parameters, but of the experts' only the fraction of a token:
        `capacity_factor / num_experts` for expert choice, `num_selected /
        num_experts` for token choice, and 1 for a soft router.
    """
    experts = sum(
        int(np.prod(v.shape))
        for stack in encoder.body.stacks
        for v in _weights_of(stack)
        if _EXPERTS.match(v.name)
    )
    routed = encoder.body.feed_forward
    fraction = 1.0 if routed is None else routed.active_fraction
    return encoder.count_params() - round(experts * (1.0 - fraction))


def _weights_of(stack: EncoderStack) -> list[Any]:
    factors = [] if stack.lora is None else stack.lora.variables
    return [*stack.stacked, *factors]


def dense_counterpart(encoder: "IMPEncoder") -> "IMPEncoder":
    """The same encoder without experts, to compare with.

    Args:
        encoder: Dense or sparse.

    Returns:
        A new encoder, with random weights.
    """
    return type(encoder).from_config(
        {
            **encoder.get_config(),
            "qk_layer_norm": encoder.uses_qk_layer_norm,
            "num_experts": 0,
            "num_moe_layers": 0,
            "router_options": None,
            **dict.fromkeys(ARGUMENTS),
        }
    )


def routing_gates(
    encoder: "IMPEncoder", inputs: dict[str, Tensor]
) -> dict[str, dict[str, Any]]:
    """Which expert took which token.

    Args:
        encoder: A sparse encoder.
        inputs: Inputs by modality.

    Returns:
        By modality a dict with `gates`, 0 where token and expert do not meet,
        shape `(batch, layers, tokens, experts)`, and `padding_mask`, shape
        `(batch, tokens)`.

    Raises:
        ValueError: If the encoder is dense.
    """
    encoder.check_names(inputs)
    gates = {}
    for name, values in inputs.items():
        features, report = encoder.encode(name, values)
        if report is None:
            raise ValueError(
                message(
                    "The encoder must have experts.",
                    num_experts=encoder.num_experts,
                )
            )
        weights = ops.transpose(report.weights, (1, 0, 2, 3))
        weights = weights[:, :, encoder.num_first_tokens_of(name) :]
        mask = features["padding_mask"]
        gates[name] = {"gates": weights, "padding_mask": mask}
    return gates
