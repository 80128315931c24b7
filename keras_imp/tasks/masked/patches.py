"""Mask most patches of an input and rebuild them, as MAE does.

Legend: batch, tokens (all patches), visible and hidden ones, values of a
patch, D the encoder's and W the decoder's width.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp._errors import message
from keras_imp.layers._runtime.layer import Layer, WideInputs
from keras_imp.layers.dense import TokenDense
from keras_imp.layers.drop_token import keep_tokens, num_kept
from keras_imp.layers.encoder_stack import EncoderStack
from keras_imp.layers.position_embedding import PositionEmbedding
from keras_imp.models.embedders import Embedder
from keras_imp.models.modalities import modality_of
from keras_imp.models.protocols import TokenEncoder
from keras_imp.tasks.task import weighted_mean
from keras_imp.typing import Tensor


class MaskedPatches(WideInputs, Layer):
    """Encodes the visible patches, decodes the hidden ones.

    The decoder sees what the encoder made of the visible patches, and one
    learned vector in place of each hidden one; to all of them it adds
    positions of its own.

    Args:
        modality: Which input.
        mask_rate: Fraction of the patches to mask.
        decoder_dim: Width of the decoder.
        decoder_layers: Number of its blocks.
        decoder_heads: Number of its attention heads.
        normalize_targets: Whether each patch to rebuild is z-scored.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        values: Input of the modality.
        encoder: The shared encoder (keyword).
        seeds: Seeds, of which the first is used (keyword).
        training: Whether the encoder trains.

    Returns:
        A dict with `patches`, float32, shape `(batch, hidden, values)`, and
        `positions` of the hidden patches, int32, shape `(batch, hidden)`.
    """

    def __init__(
        self,
        modality: str,
        mask_rate: float,
        decoder_dim: int,
        decoder_layers: int,
        decoder_heads: int,
        normalize_targets: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # What `prepare` took from the embedder, without the embedder.
        self.prepared: dict[str, Any] = {}
        self.modality = modality
        self.mask_rate = mask_rate
        self.decoder_dim = decoder_dim
        self.normalize_targets = normalize_targets
        common = {"dtype": self.dtype_policy}
        self.enter = TokenDense(
            decoder_dim,
            kernel_initializer="lecun_normal",
            name="enter",
            **common,
        )
        self.stack = EncoderStack(
            decoder_layers,
            decoder_heads,
            4 * decoder_dim,
            name="stack",
            **common,
        )
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-6, name="norm", **common
        )

    def prepare(self, embedder: Embedder) -> None:
        """Take the patches and the kind of positions.

        Args:
            embedder: The encoder's embedder of the modality.
        """
        # Not tracked: its weights are the encoder's.
        self.__dict__["embedder"] = embedder
        positions = embedder.positions
        self.prepared = {
            "values": embedder.patching(modality_of(self.modality)).values,
            "buckets": tuple(positions.buckets),
            "dilated": positions.dilated,
            "interpolate": positions.interpolate,
            "coordinates": positions.coordinates,
        }

    def build(self, pooled_shape):
        positions = dict(self.prepared)
        values = positions.pop("values")
        self.positions = PositionEmbedding(
            **positions, dtype=self.dtype_policy, name="positions"
        )
        # Loss in float32 whatever the encoder computes in.
        self.leave = TokenDense(
            values,
            kernel_initializer="lecun_normal",
            dtype="float32",
            name="leave",
        )
        self.mask_token = self.add_weight(
            name="mask_token",
            shape=(1, 1, self.decoder_dim),
            initializer=keras.initializers.RandomNormal(stddev=0.01),
        )
        self.enter.build((None, None, pooled_shape[-1]))
        for layer in (self.positions, self.stack, self.norm, self.leave):
            layer.build((None, None, self.decoder_dim))

    def call(
        self,
        values: Tensor,
        encoder: TokenEncoder,
        seeds: list[Any],
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        grid = self.embedder.grid(values.shape)
        visible, hidden = self._split(values, int(np.prod(grid)), seeds[0])
        features = encoder(
            {self.modality: values},
            training=training,
            kept={self.modality: visible},
        )[self.modality]["sequence_output"]
        x = self._with_mask_tokens(self.enter(features), visible, hidden)
        x = self.positions(x, grid=grid)
        x = self.norm(self.stack(x, training=training))
        x = ops.cast(keep_tokens(x, hidden), "float32")
        return {"patches": self.leave(x), "positions": hidden}

    def compute_output_spec(self, values, **kwargs):
        tokens = int(np.prod(self.embedder.grid(values.shape)))
        shape = (values.shape[0], tokens - self.num_visible(tokens))
        return {
            "patches": keras.KerasTensor(
                (*shape, self.leave.units), dtype="float32"
            ),
            "positions": keras.KerasTensor(shape, dtype="int32"),
        }

    def compute_loss(
        self,
        values: Tensor,
        y_pred: dict[str, Tensor],
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Mean squared error of the hidden patches.

        Args:
            values: Input of the modality.
            y_pred: What `call` returned.
            sample_weight: Weight of each example, or None.

        Returns:
            A float32 scalar.
        """
        targets = self.embedder.tokens.patches(
            self.embedder.on_grid(values), dtype="float32"
        )
        targets = keep_tokens(targets, y_pred["positions"])
        if self.normalize_targets:
            targets = z_score(targets)
        errors = ops.square(y_pred["patches"] - targets)
        return weighted_mean(ops.mean(errors, axis=(1, 2)), sample_weight)

    def check(self, values: Any) -> None:
        """Raise unless some patches can be hidden and some be seen.

        Args:
            values: Input of the modality.

        Raises:
            ValueError: If there is only one patch, or patches were dropped on
                the host.
        """
        if isinstance(values, dict):
            raise ValueError(
                message(
                    "Masked modeling must get all patches of an input: it "
                    "masks some itself.",
                    "Do not drop tokens on the host for this task.",
                    keys=sorted(values),
                )
            )
        grid = self.embedder.grid(values.shape)
        if np.prod(grid) < 2:
            raise ValueError(
                message(
                    "An example must have at least 2 patches: one to see and "
                    "one to rebuild.",
                    "Use larger inputs or smaller patches.",
                    grid=grid,
                )
            )

    def num_visible(self, num_tokens: int) -> int:
        """How many patches the encoder sees; the same for all examples.

        Args:
            num_tokens: All patches, at least 2.

        Returns:
            At least 1, and at least one fewer than all.
        """
        return min(num_kept(num_tokens, self.mask_rate), num_tokens - 1)

    def _split(
        self, values: Tensor, num_tokens: int, seed: Any
    ) -> tuple[Tensor, Tensor]:
        """Positions of the visible and of the hidden patches, in order."""
        noise = keras.random.uniform(
            (ops.shape(values)[0], num_tokens), dtype="float32", seed=seed
        )
        order = ops.cast(ops.argsort(noise, axis=-1), "int32")
        visible = self.num_visible(num_tokens)
        return (
            ops.sort(order[:, :visible], axis=-1),
            ops.sort(order[:, visible:], axis=-1),
        )

    def _with_mask_tokens(
        self, x: Tensor, visible: Tensor, hidden: Tensor
    ) -> Tensor:
        """All tokens in the order of the grid, (batch, tokens, W)."""
        mask_tokens = ops.broadcast_to(
            ops.cast(self.mask_token, x.dtype),
            (ops.shape(x)[0], hidden.shape[1], self.decoder_dim),
        )
        x = ops.concatenate([x, mask_tokens], axis=1)
        # Where in this row the token of each place of the grid is.
        back = ops.argsort(ops.concatenate([visible, hidden], axis=1), axis=1)
        return keep_tokens(x, back)


def z_score(patches: Tensor) -> Tensor:
    """Give the values of each patch mean 0 and standard deviation 1.

    Args:
        patches: float32, shape `(..., values)`.

    Returns:
        The same shape; 0 for a patch of one value throughout.

    Example:
        >>> import keras
        >>> from keras_imp.tasks.masked.patches import z_score
        >>> patch = z_score(keras.ops.array([[1.0, 3.0]]))
        >>> [round(float(value), 3) for value in patch[0]]
        [-1.0, 1.0]

    Reference:
        [MAE](https://arxiv.org/abs/2111.06377), section 3 and table 1d.
    """
    mean = ops.mean(patches, axis=-1, keepdims=True)
    variance = ops.var(patches, axis=-1, keepdims=True)
    # Inside of the root: divided by 1e-6, the rounding errors of a patch of
    # one color would become a target.
    return (patches - mean) / ops.sqrt(variance + 1e-6)
