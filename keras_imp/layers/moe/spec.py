"""A routed layer that is still to be made, once for each block."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_imp._repr import called
from keras_imp.layers._runtime.config import layer_from
from keras_imp.layers.moe.base import SparseFeedForward


@dataclass(frozen=True)
class MoESpec:
    """The description of a routed layer: what it is, not its weights.

    A block takes a layer as its argument, as Keras layers do, and keeps only
    this: it makes a layer of its own from it.

    Attributes:
        layer: Class of the routed layer.
        config: All arguments of its constructor, as `get_config` has them.
        serialized: What a config holds for it; `of` takes it.
        num_experts: Number of experts.
        router_z_loss: Weight of the router's z-loss.
        active_fraction: Fraction of the experts' weights that a token meets.
        uses_seeds: Whether training draws random numbers.

    Example:
        >>> import keras_imp
        >>> from keras_imp.layers.moe.spec import MoESpec
        >>> spec = MoESpec.of(keras_imp.layers.ExpertChoiceMoE(4, 16))
        >>> spec.make(name="feed_forward").num_experts
        4
    """

    layer: type[SparseFeedForward]
    config: dict[str, Any]
    serialized: dict[str, Any]
    num_experts: int
    router_z_loss: float
    active_fraction: float
    uses_seeds: bool

    @classmethod
    def of(cls, value: Any) -> "MoESpec | None":
        """Describe a routed layer.

        Args:
            value: A routed layer, its serialized form, a description, or None.

        Returns:
            The description, or None.
        """
        if value is None or isinstance(value, MoESpec):
            return value
        return cls.describe(layer_from(value))

    @classmethod
    def describe(cls, layer: SparseFeedForward) -> "MoESpec":
        """Describe a routed layer that there is.

        Args:
            layer: The layer.

        Returns:
            The description.
        """
        serialized = keras.saving.serialize_keras_object(layer)
        serialized.pop("build_config", None)  # A copy is built elsewhere.
        return cls(
            type(layer),
            layer.get_config(),
            serialized,
            layer.num_experts,
            layer.router_z_loss,
            layer.active_fraction,
            layer.uses_seeds,
        )

    def __repr__(self) -> str:
        common = ("name", "trainable", "dtype")
        given = {k: v for k, v in self.config.items() if k not in common}
        return f"MoESpec({called(self.layer.__name__, **given)})"

    def make(self, **arguments: Any) -> SparseFeedForward:
        """A new layer, not built.

        Args:
            **arguments: Arguments that replace the described ones.

        Returns:
            The layer.
        """
        return self.layer.from_config({**self.config, **arguments})
