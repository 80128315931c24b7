"""Mask some tokens of a text and predict them, as BERT does.

Legend: batch, captions (if there are several), length; K the most tokens that
are chosen in one text.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp._errors import message
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers.dense import TokenDense, flatten_leading, restore_leading
from keras_imp.layers.drop_token import keep_tokens
from keras_imp.models.embedders import Embedder
from keras_imp.models.protocols import TokenEncoder
from keras_imp.tasks.contrastive.captions import captions_as_examples
from keras_imp.tasks.task import weighted_mean
from keras_imp.typing import Tensor

# What becomes of a chosen token: the mask id, a random id, or it stays.
MASKED_SHARE = 0.8
RANDOM_SHARE = 0.1


def chosen_counts(length: int, rate: float) -> np.ndarray:
    """How many of `n` tokens are chosen, for each n up to a length.

    Args:
        length: The most tokens that there can be.
        rate: Fraction to choose.

    Returns:
        int32, shape `(length + 1,)`: the rounded fraction, but at least one of
        any tokens.

    Example:
        >>> from keras_imp.tasks.masked.tokens import chosen_counts
        >>> chosen_counts(12, 0.15).tolist()
        [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2]
    """
    tokens = np.arange(length + 1)
    counts = np.maximum(np.round(rate * tokens), 1)
    return np.minimum(counts, tokens).astype("int32")


class MaskedTokens(Layer):
    """Chooses tokens, replaces them, and predicts what they were.

    Args:
        modality: Text, or another modality of token ids.
        mask_rate: Fraction of a text's tokens to choose.
        mask_id: Id that replaces most of the chosen tokens.
        special_ids: Ids that are neither chosen nor drawn as replacements.
        tied: Whether words are scored by the encoder's own table, or by a
            dense layer.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        text: Token ids, shape `(batch, length)` or `(batch, captions,
            length)`, 0 = padding.
        encoder: The shared encoder (keyword).
        seeds: Three seeds, each for one draw (keyword).
        training: Whether the encoder trains.

    Returns:
        A dict with `logits`, float32, shape `(batch, [captions,] K,
        vocabulary_size)`, and, with the same leading axes, `positions`, int32,
        and `chosen`, bool: False where a text had fewer than K to choose.
    """

    def __init__(
        self,
        modality: str,
        mask_rate: float,
        mask_id: int,
        special_ids: tuple[int, ...] = (),
        tied: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # What `prepare` took from the embedder, without the embedder.
        self.prepared: dict[str, Any] = {}
        self.modality = modality
        self.mask_rate = mask_rate
        self.mask_id = mask_id
        self.special_ids = tuple(special_ids)
        self.tied = tied

    def prepare(self, embedder: Embedder) -> None:
        """Take the vocabulary, and the table to score words by.

        Args:
            embedder: The encoder's embedder of text.

        Raises:
            ValueError: If the mask id is no word of it.
        """
        # Not tracked: its weights are the encoder's.
        self.__dict__["embedder"] = embedder
        size = embedder.tokens.vocabulary_size
        self.prepared = {"vocabulary_size": size}
        for name, token in [
            ("mask_id", self.mask_id),
            *(("special_ids", token) for token in self.special_ids),
        ]:
            if not 0 < token < size:
                raise ValueError(
                    message(
                        f"`{name}` must be in [1, {size}), the encoder's "
                        "vocabulary without padding.",
                        "Build the encoder with one id more than the "
                        "tokenizer has, and use that one as `mask_id`.",
                        **{name: token},
                    )
                )

    def build(self, pooled_shape):
        width = pooled_shape[-1]
        size = self.prepared["vocabulary_size"]
        special = [0, self.mask_id, *self.special_ids]
        words = np.setdiff1d(np.arange(size), special)
        self.replacements = words.astype("int32")
        common = {"dtype": self.dtype_policy}
        self.transform = TokenDense(
            width, kernel_initializer="lecun_normal", name="transform", **common
        )
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-6, name="norm", **common
        )
        for layer in (self.transform, self.norm):
            layer.build((None, None, width))
        if self.tied:
            self.bias = self.add_weight(
                name="bias",
                shape=(size,),
                initializer="zeros",
                dtype="float32",
                autocast=False,
            )
        else:
            # Loss in float32 whatever the encoder computes in.
            self.words = TokenDense(
                size,
                kernel_initializer="lecun_normal",
                dtype="float32",
                name="words",
            )
            self.words.build((None, None, width))

    def call(
        self,
        text: Tensor,
        encoder: TokenEncoder,
        seeds: list[Any],
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        ids = ops.cast(text, "int32")
        choose, role, word = seeds
        is_chosen, positions, chosen = self._choose(ids, choose)
        changed = self._replace(ids, is_chosen, role, word)
        inputs = captions_as_examples({self.modality: changed})
        features = encoder(inputs, training=training)[self.modality]
        logits = self._score(
            keep_tokens(
                features["sequence_output"],
                ops.reshape(positions, (-1, positions.shape[-1])),
            )
        )
        shape = (-1, *positions.shape[1:], logits.shape[-1])
        return {
            "logits": ops.reshape(logits, shape),
            "positions": positions,
            "chosen": chosen,
        }

    def compute_output_spec(self, text, **kwargs):
        size = self.embedder.tokens.vocabulary_size
        most = int(chosen_counts(text.shape[-1], self.mask_rate)[-1])
        shape = (*text.shape[:-1], most)
        return {
            "logits": keras.KerasTensor((*shape, size), dtype="float32"),
            "positions": keras.KerasTensor(shape, dtype="int32"),
            "chosen": keras.KerasTensor(shape, dtype="bool"),
        }

    def compute_loss(
        self,
        text: Tensor,
        y_pred: dict[str, Tensor],
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Cross-entropy of the chosen tokens, mean over all of a batch.

        Args:
            text: Token ids, as for `call`.
            y_pred: What `call` returned.
            sample_weight: Weight of each example, or None.

        Returns:
            A float32 scalar; 0 if nothing was chosen.
        """
        logits = y_pred["logits"]
        targets = _tokens_at(text, y_pred["positions"])
        right = ops.take_along_axis(logits, targets[..., None], axis=-1)
        losses = ops.logsumexp(logits, axis=-1) - right[..., 0]
        return weighted_mean(losses, _token_weights(y_pred, sample_weight))

    def update_accuracy(
        self,
        metric: keras.metrics.Metric,
        text: Tensor,
        y_pred: dict[str, Tensor],
        sample_weight: Tensor | None = None,
    ) -> None:
        """Count the chosen tokens that were found.

        Args:
            metric: A mean.
            text: Token ids, as for `call`.
            y_pred: What `call` returned.
            sample_weight: Weight of each example, or None.
        """
        best = ops.cast(ops.argmax(y_pred["logits"], axis=-1), "int32")
        hit = ops.equal(best, _tokens_at(text, y_pred["positions"]))
        weights = _token_weights(y_pred, sample_weight)
        # One axis: of more, Keras takes the mean of each example first, and a
        # token of a long batch would count less.
        metric.update_state(
            ops.reshape(ops.cast(hit, "float32"), (-1,)),
            sample_weight=ops.reshape(weights, (-1,)),
        )

    def check(self, text: np.ndarray) -> None:
        """Raise unless a text has one or several captions per example.

        Args:
            text: Token ids.

        Raises:
            ValueError: If it has another rank.
        """
        if text.ndim not in (2, 3):
            raise ValueError(
                message(
                    "`text` must have shape (batch, length) or (batch, "
                    "captions, length).",
                    shape=text.shape,
                )
            )

    def _choose(self, ids: Tensor, seed: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Whether each token is chosen; where the chosen ones are, K of them.

        A text with fewer than K to choose fills up with others, which the last
        result marks with False.
        """
        candidates = ops.not_equal(ids, 0)
        for special in (self.mask_id, *self.special_ids):
            candidates = ops.logical_and(candidates, ids != special)
        noise = keras.random.uniform(ops.shape(ids), dtype="float32", seed=seed)
        order = ops.argsort(ops.where(candidates, noise, 2.0), axis=-1)
        rank = ops.argsort(order, axis=-1)

        counts = chosen_counts(ids.shape[-1], self.mask_rate)
        most = int(counts[-1])
        tokens = ops.sum(ops.cast(candidates, "int32"), axis=-1)
        count = ops.take(ops.convert_to_tensor(counts), tokens)[..., None]
        positions = ops.cast(order[..., :most], "int32")
        is_chosen = ops.cast(rank, "int32") < count
        chosen = ops.arange(most, dtype="int32") < count
        return is_chosen, positions, chosen

    def _replace(
        self, ids: Tensor, is_chosen: Tensor, role: Any, word: Any
    ) -> Tensor:
        """The text as the encoder sees it."""
        shape = ops.shape(ids)
        share = keras.random.uniform(shape, dtype="float32", seed=role)
        index = keras.random.randint(
            shape, 0, len(self.replacements), dtype="int32", seed=word
        )
        words = ops.take(ops.convert_to_tensor(self.replacements), index)
        changed = ops.where(share < MASKED_SHARE + RANDOM_SHARE, words, ids)
        changed = ops.where(share < MASKED_SHARE, self.mask_id, changed)
        return ops.where(is_chosen, changed, ids)

    def _score(self, hidden: Tensor) -> Tensor:
        """A logit for each word of the vocabulary, float32."""
        x = ops.gelu(self.transform(hidden), approximate=True)
        x = ops.cast(self.norm(x), "float32")
        if not self.tied:
            return self.words(x)
        table = ops.convert_to_tensor(self.embedder.tokens.table)
        table = ops.transpose(ops.cast(table, "float32"))
        # Both have a standard deviation of about 1: without the root, the
        # loss would start far above chance.
        scale = 1.0 / math.sqrt(x.shape[-1])
        rows = ops.matmul(flatten_leading(x) * scale, table) + self.bias
        return restore_leading(rows, like=x)


def _tokens_at(text: Tensor, positions: Tensor) -> Tensor:
    ids = ops.cast(text, "int32")
    return ops.take_along_axis(ids, positions, axis=-1)


def _token_weights(
    y_pred: dict[str, Tensor], sample_weight: Tensor | None
) -> Tensor:
    """Weight of each position: 0 where none was chosen."""
    weights = ops.cast(y_pred["chosen"], "float32")
    if sample_weight is None:
        return weights
    shape = (-1, *[1] * (len(weights.shape) - 1))
    return weights * ops.reshape(ops.cast(sample_weight, "float32"), shape)
