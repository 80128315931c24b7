"""Which layers of an encoder have experts, and what those layers are."""

from itertools import groupby
from typing import Any, NamedTuple

from keras_imp._errors import check_choice, check_positive, message
from keras_imp.layers.moe.base import SparseFeedForward
from keras_imp.layers.moe.layers import (
    ExpertChoiceMoE,
    SoftMoE,
    TokenChoiceMoE,
)
from keras_imp.layers.moe.spec import MoESpec

ROUTERS: dict[str, type[SparseFeedForward]] = {
    "expert_choice": ExpertChoiceMoE,
    "token_choice": TokenChoiceMoE,
    "soft": SoftMoE,
}
PLACEMENTS = ("last", "uniform")


class Run(NamedTuple):
    """Consecutive layers of one kind.

    Attributes:
        is_routed: Whether they have experts.
        layers: Their indices in the encoder.
    """

    is_routed: bool
    layers: tuple[int, ...]


def check_sparse(
    num_layers: int,
    num_experts: int,
    num_moe_layers: int,
    moe_placement: str,
    router: str,
) -> None:
    """Raise unless the arguments describe a dense or a sparse encoder.

    Args:
        num_layers: Layers of the encoder.
        num_experts: Experts of each routed layer; 0 is dense.
        num_moe_layers: How many layers are routed; 0 is dense.
        moe_placement: `"last"` or `"uniform"`.
        router: `"expert_choice"`, `"token_choice"` or `"soft"`.

    Raises:
        ValueError: If not.
    """
    check_positive(num_layers=num_layers)
    check_choice(PLACEMENTS, moe_placement=moe_placement)
    check_choice(tuple(ROUTERS), router=router)
    if num_experts < 0 or num_moe_layers < 0:
        raise ValueError(
            message(
                "`num_experts` and `num_moe_layers` must not be negative.",
                num_experts=num_experts,
                num_moe_layers=num_moe_layers,
            )
        )
    if bool(num_experts) != bool(num_moe_layers):
        raise ValueError(
            message(
                "`num_experts` and `num_moe_layers` must both be greater than "
                "0, or both 0 for a dense encoder.",
                num_experts=num_experts,
                num_moe_layers=num_moe_layers,
            )
        )
    if num_moe_layers > num_layers:
        raise ValueError(
            message(
                "`num_moe_layers` must be at most `num_layers`.",
                num_moe_layers=num_moe_layers,
                num_layers=num_layers,
            )
        )


def runs(num_layers: int, num_moe_layers: int, moe_placement: str) -> list[Run]:
    """Cut the layers into runs of one kind.

    Args:
        num_layers: Layers of the encoder.
        num_moe_layers: How many are routed.
        moe_placement: `"last"`: the last ones; `"uniform"`: at a constant
            stride counted from the top, so that the last layer is routed.

    Returns:
        The runs, from the first layer to the last.

    Example:
        >>> from keras_imp.models.sparse.placement import runs
        >>> [run.layers for run in runs(6, 3, "last")]
        [(0, 1, 2), (3, 4, 5)]
        >>> [run.layers for run in runs(4, 2, "uniform") if run.is_routed]
        [(1,), (3,)]

    Reference:
        docs/method.md, Mixture of experts.
    """
    stride = 1
    if moe_placement == "uniform" and num_moe_layers:
        stride = num_layers // num_moe_layers
    from_top = [num_layers - 1 - layer for layer in range(num_layers)]
    routed = [
        top % stride == 0 and top // stride < num_moe_layers for top in from_top
    ]
    return [
        Run(kind, tuple(layers))
        for kind, layers in groupby(range(num_layers), key=routed.__getitem__)
    ]


def describe_routed_layer(
    *,
    router: str,
    num_experts: int,
    intermediate_dim: int,
    capacity_factor: float,
    router_z_loss: float | None,
    variant: str,
    dropout: float,
    use_bias: bool,
    activation: str,
    options: dict[str, Any],
    dtype: Any,
) -> MoESpec:
    """The feed-forward layer of a routed block, as a description.

    Args:
        router: Key of `ROUTERS`.
        num_experts: Number of experts.
        intermediate_dim: Width inside each.
        capacity_factor: Slots of all experts together, per token.
        router_z_loss: Weight of the z-loss; None for the layer's own default,
            1 under `variant="imp"`.
        variant: `"fixed"` or `"imp"`.
        dropout: Rate inside the experts.
        use_bias: Whether they have biases.
        activation: As for `FeedForward`.
        options: Further arguments of the layer.
        dtype: Dtype policy.

    Returns:
        The description.
    """
    cls = ROUTERS[router]
    arguments: dict[str, Any] = {
        "variant": variant,
        "dropout": dropout,
        "use_bias": use_bias,
        "activation": activation,
    }
    if not cls.mixes_tokens:
        arguments["capacity_factor"] = capacity_factor
    if router_z_loss is None and variant == "imp":
        router_z_loss = 1.0
    if router_z_loss is not None:
        arguments["router_z_loss"] = router_z_loss
    # Made once, so that a bad argument is refused here.
    return MoESpec.describe(
        cls(
            num_experts,
            intermediate_dim,
            **{**arguments, **options},
            dtype=dtype,
        )
    )
