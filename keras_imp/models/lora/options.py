"""What LoRA of an encoder may be told, and how its config keeps it."""

import difflib
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from keras_imp._errors import check_integer, message
from keras_imp.layers.low_rank_updates import TARGETS

DEFAULT_TARGETS = ("query", "value")
# Of an encoder with LoRA weights, in its config.
ARGUMENTS = ("lora_rank", "lora_targets", "lora_alpha")


class Options(NamedTuple):
    """What `enable_lora` was told.

    Attributes:
        rank: Columns of A and rows of B.
        targets: Kinds of kernels, in the order of `TARGETS`.
        alpha: Updates are scaled by alpha / rank.
    """

    rank: int
    targets: tuple[str, ...]
    alpha: float

    @property
    def call(self) -> str:
        """The call that enables the same."""
        return (
            f"encoder.enable_lora(rank={self.rank}, targets={self.targets}, "
            f"alpha={self.alpha:g})"
        )


def checked_options(
    rank: int, targets: Iterable[str], alpha: float | None
) -> Options:
    """The arguments of `enable_lora`, checked.

    Args:
        rank: As for `enable_lora`.
        targets: As for `enable_lora`.
        alpha: As for `enable_lora`.

    Returns:
        The options, without repeated targets.

    Raises:
        TypeError: If `targets` is a single string.
        ValueError: If the rank is no integer of at least 1, a target is
            unknown, there is none, or alpha is not positive and finite.

    Example:
        >>> from keras_imp.models.lora.options import checked_options
        >>> checked_options(4, ("value", "query"), None).call
        "encoder.enable_lora(rank=4, targets=('query', 'value'), alpha=4)"
    """
    check_integer(rank=rank)
    if isinstance(targets, str):
        raise TypeError(
            message(
                "`targets` must be a list or tuple of names.",
                f"Use targets=({targets!r},).",
                targets=targets,
            )
        )
    targets = tuple(targets)
    for target in targets or (None,):
        if target not in TARGETS:
            raise ValueError(_unknown(target, targets))
    alpha = float(rank if alpha is None else alpha)
    if not 0 < alpha < math.inf:
        raise ValueError(
            message("`alpha` must be positive and finite.", alpha=alpha)
        )
    chosen = tuple(name for name in TARGETS if name in targets)
    return Options(int(rank), chosen, alpha)


def with_lora(cls: Any, config: dict[str, Any]) -> Any:
    """An encoder from its config, with LoRA if the config says so.

    Args:
        cls: Class of the encoder.
        config: What `get_config` of an encoder returned; it is changed.

    Returns:
        The encoder.
    """
    rank, targets, alpha = (config.pop(name, None) for name in ARGUMENTS)
    encoder = cls(**config)
    if rank is not None:
        encoder.enable_lora(rank, targets or DEFAULT_TARGETS, alpha)
    return encoder


def _unknown(target: Any, targets: tuple) -> str:
    near = difflib.get_close_matches(str(target).lower(), TARGETS, 1)
    hint = f"Did you mean {near[0]!r}?" if near else ""
    return message(
        f"`targets` must be some of {TARGETS}.", hint, targets=targets
    )
