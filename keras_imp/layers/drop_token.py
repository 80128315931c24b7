"""Drop a random fraction of the tokens during training."""

import keras
from keras import ops

from keras_imp._errors import check_rate, message
from keras_imp.layers._runtime.layer import Layer
from keras_imp.typing import Tensor


def num_kept(num_tokens: int | None, rate: float) -> int:
    """How many tokens are left when a fraction of them is dropped.

    Args:
        num_tokens: Number of all tokens of an example.
        rate: Fraction to drop, in [0, 1).

    Returns:
        `int((1 - rate) * num_tokens)` (docs/method.md, Multi-resolution and
        DropToken), but at least 1.

    Raises:
        ValueError: If the number of tokens is not known.

    Example:
        >>> from keras_imp.layers.drop_token import num_kept
        >>> num_kept(1024, 0.75), num_kept(7, 0.9)
        (256, 1)
    """
    if num_tokens is None:
        raise ValueError(
            message(
                "To drop a fraction of the tokens, their number must be known.",
                "Give all axes of the input but the batch a fixed size, or "
                "set the rate to 0.",
                num_tokens=num_tokens,
                rate=rate,
            )
        )
    return max(1, int((1 - rate) * num_tokens))


def draw_kept(
    generator: keras.random.SeedGenerator,
    batch: Tensor,
    num_tokens: int | None,
    rate: float,
    padding_mask: Tensor | None = None,
) -> Tensor:
    """Draw which tokens each example keeps.

    Padding goes first: an example has a real token less only where its real
    ones are more than it keeps.

    Args:
        generator: Where the randomness comes from.
        batch: Number of examples.
        num_tokens: Number of all tokens of an example.
        rate: Fraction to drop, in [0, 1).
        padding_mask: True where a token is real, shape `(batch, tokens)`, or
            None if all are.

    Returns:
        Ascending indices, int32, shape `(batch, kept)`: of each example its
        own, all sets of real tokens equally likely.

    Example:
        >>> import keras
        >>> from keras_imp.layers.drop_token import draw_kept
        >>> seeds = keras.random.SeedGenerator(0)
        >>> tuple(draw_kept(seeds, 2, 16, rate=0.75).shape)
        (2, 4)
    """
    kept = num_kept(num_tokens, rate)
    noise = keras.random.uniform(
        (batch, num_tokens), dtype="float32", seed=generator
    )
    if padding_mask is not None:
        # Behind all real tokens, or a short text might keep none of them.
        noise += ops.cast(ops.logical_not(padding_mask), "float32")
    chosen = ops.argsort(noise, axis=-1)[:, :kept]
    return ops.sort(ops.cast(chosen, "int32"), axis=-1)


def keep_tokens(tokens: Tensor, kept: Tensor) -> Tensor:
    """The tokens at some indices, of each example its own.

    Args:
        tokens: Shape `(batch, tokens, ...)`; a padding mask too.
        kept: Indices, int, shape `(batch, kept)`.

    Returns:
        Shape `(batch, kept, ...)`, same dtype.

    Example:
        >>> import keras
        >>> from keras_imp.layers.drop_token import keep_tokens
        >>> mask = keras.ops.array([[True, True, False]])
        >>> keras.ops.convert_to_numpy(
        ...     keep_tokens(mask, keras.ops.array([[0, 2]]))).tolist()
        [[True, False]]
    """
    shape = (-1, kept.shape[1], *[1] * (len(tokens.shape) - 2))
    return ops.take_along_axis(tokens, ops.reshape(kept, shape), axis=1)


@keras.saving.register_keras_serializable(package="keras_imp")
class DropToken(Layer):
    """Keep a random subset of each example's tokens while training.

    Each example keeps its own `int((1 - rate) * tokens)` tokens, in their
    original order, so put it after the position embedding. All examples keep
    equally many: nothing is padded, and padding is dropped before real tokens.
    Without training it passes tokens through.

    Args:
        rate: Fraction of the tokens to drop, in [0, 1).
        seed: Seed of the draws. Defaults to a random one.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        mask: Keras' own mask, which Keras hands in; used where there is no
            `padding_mask`.
        training: Whether to drop.

    Returns:
        A dict with `tokens`, shape `(batch, kept, hidden_dim)`, and
        `padding_mask`, shape `(batch, kept)` or None. The tokens have no mask
        of Keras' own any more: hand `padding_mask` to the next layer.

    Raises:
        ValueError: If `rate` is outside [0, 1), or, while training, the number
            of tokens is not known.

    Example:
        >>> import keras, keras_imp
        >>> drop = keras_imp.layers.DropToken(0.75, seed=0)
        >>> kept = drop(keras.ops.ones((2, 16, 8)), training=True)
        >>> tuple(kept["tokens"].shape)
        (2, 4, 8)

    Reference:
        [IMP](https://arxiv.org/abs/2305.06324); docs/method.md,
        Multi-resolution and DropToken.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        check_rate(rate=rate)
        self.supports_masking = True
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(
        self,
        tokens: Tensor,
        padding_mask: Tensor | None = None,
        mask: Tensor | None = None,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        if padding_mask is None:
            padding_mask = mask
        num_tokens = tokens.shape[1]
        if not training or self._keeps_all(num_tokens):
            return {"tokens": tokens, "padding_mask": padding_mask}
        index = draw_kept(
            self.seed_generator,
            ops.shape(tokens)[0],
            num_tokens,
            self.rate,
            padding_mask,
        )
        if padding_mask is not None:
            padding_mask = keep_tokens(padding_mask, index)
        tokens = keep_tokens(tokens, index)
        return {"tokens": tokens, "padding_mask": padding_mask}

    def compute_mask(self, inputs, previous_mask=None):
        # Only the call knows which tokens are left.
        return None

    def compute_output_spec(
        self, tokens, padding_mask=None, mask=None, training=None
    ):
        batch, num_tokens, hidden_dim = tokens.shape
        if training and not self._keeps_all(num_tokens):
            num_tokens = num_kept(num_tokens, self.rate)
        kept = None
        if padding_mask is not None or mask is not None:
            kept = keras.KerasTensor((batch, num_tokens), dtype="bool")
        return {
            "tokens": keras.KerasTensor(
                (batch, num_tokens, hidden_dim), dtype=tokens.dtype
            ),
            "padding_mask": kept,
        }

    def _keeps_all(self, num_tokens: int | None) -> bool:
        return self.rate == 0 or num_kept(num_tokens, self.rate) == num_tokens
