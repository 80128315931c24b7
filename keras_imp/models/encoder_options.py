"""Which constructor options of an encoder go together."""

from keras_imp._errors import check_choice, check_integer, message
from keras_imp.layers._runtime.activations import ACTIVATIONS
from keras_imp.layers.pooling import POOLINGS
from keras_imp.models.text_pooling import TEXT_POOLINGS

POSITIONS = ("factorized", "grid")


def check_options(
    *,
    variant: str,
    activation: str,
    positions: str,
    interpolate_positions: bool,
    pooling: str,
    text_pooling: str | None,
    num_first_tokens: int,
) -> None:
    """Raise unless options of an encoder are known and fit each other.

    Args:
        variant: `"fixed"` or `"imp"`.
        activation: One of `ACTIVATIONS`.
        positions: One of `POSITIONS`.
        interpolate_positions: Whether factorized positions mix rows.
        pooling: One of `POOLINGS`.
        text_pooling: One of `TEXT_POOLINGS`, or None.
        num_first_tokens: Learned tokens before those of an input.

    Raises:
        ValueError: If not.

    Example:
        >>> from keras_imp.models.encoder_options import check_options
        >>> check_options(variant="fixed", activation="gelu",
        ...     positions="grid", interpolate_positions=False,
        ...     pooling="token", text_pooling="eos", num_first_tokens=5)
    """
    check_choice(("fixed", "imp"), variant=variant)
    check_choice(ACTIVATIONS, activation=activation)
    check_choice(POSITIONS, positions=positions)
    check_choice(POOLINGS, pooling=pooling)
    check_choice((None, *TEXT_POOLINGS), text_pooling=text_pooling)
    check_integer(num_first_tokens=num_first_tokens)
    if positions == "grid" and (interpolate_positions or variant == "imp"):
        raise ValueError(
            message(
                'positions="grid" must be without `interpolate_positions` and '
                'variant="imp", which are about factorized positions: the '
                "table of a grid is always resampled.",
                "Omit them.",
                interpolate_positions=interpolate_positions,
                variant=variant,
            )
        )
    if num_first_tokens > 1 and pooling != "token":
        raise ValueError(
            message(
                '`num_first_tokens` must be 1 unless pooling="token", which '
                "is what prepends them.",
                num_first_tokens=num_first_tokens,
                pooling=pooling,
            )
        )
