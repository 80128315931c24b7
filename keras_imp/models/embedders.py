"""From the input of one modality to the tokens of the shared encoder."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp.layers._runtime.config import arguments_of, layer_from
from keras_imp.layers._runtime.layer import Layer, WideInputs
from keras_imp.layers.dense import TokenDense
from keras_imp.layers.drop_token import keep_tokens
from keras_imp.layers.grid_position_embedding import GridPositionEmbedding
from keras_imp.layers.log_mel import LogMel
from keras_imp.layers.patch_embedding import PatchEmbedding
from keras_imp.layers.position_embedding import PositionEmbedding
from keras_imp.layers.token_embedding import TokenEmbedding
from keras_imp.models.modality import EmbedderOptions, Modality
from keras_imp.models.patching import PATCHES, POSITIONS, Patching
from keras_imp.models.token_ids import check_token_ids
from keras_imp.models.waveforms import check_waveform_shape
from keras_imp.typing import Tensor

# Standard deviations of a token's and a position's vector at the start. The
# original implementation has 1 / sqrt(hidden_dim) and 1: positions then drown
# tokens, and a contrastive loss stays at chance for hundreds of steps.
TOKEN_STDDEV = 0.5
POSITION_SCALE = 0.1


class Embedded(NamedTuple):
    """Tokens of one modality, ready for the encoder blocks.

    Attributes:
        modality: What they are of.
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`, or
            None if all are.
        pooled_at: Index of the token that stands for each example, int32,
            shape `(batch,)`; None where the encoder's pooling makes a vector.
    """

    modality: str
    tokens: Tensor
    padding_mask: Tensor | None
    pooled_at: Tensor | None = None


@keras.saving.register_keras_serializable(package="keras_imp")
class Embedder(WideInputs, Layer):
    """Embedding, positions and the two projections around the encoder.

    tokens = Dense(embedding + positions) before the encoder; after it, another
    Dense of the same width.

    Args:
        tokens: `PatchEmbedding` or `TokenEmbedding`.
        positions: `PositionEmbedding` with one table per axis, or
            `GridPositionEmbedding`.
        log_mel: `data.LogMel` that makes the spectrograms of waveforms.
            Defaults to none: waveforms are then no input.
        mask_padding: Whether token id 0 is padding. False takes every token
            of a text as real.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        inputs: Input of the modality, or a dict of `patches` and `positions`
            that were patchified on the host (`data.drop_tokens`). With
            `log_mel`, shape `(batch, samples)` too.
        kept: Which tokens to embed: indices, int, shape `(batch, kept)`.
            Defaults to all.

    Returns:
        A dict with `tokens`, shape `(batch, tokens, hidden_dim)`, and
        `padding_mask`, shape `(batch, tokens)`, or None if all tokens are real.

    Example:
        >>> import keras
        >>> from keras_imp.layers import PositionEmbedding, TokenEmbedding
        >>> from keras_imp.models import Embedder
        >>> embedder = Embedder(
        ...     TokenEmbedding(10, hidden_dim=4),
        ...     PositionEmbedding((16,), dilated=False))
        >>> embedder.build()
        >>> embedded = embedder(keras.ops.array([[5, 7, 0]]))
        >>> tuple(embedded["tokens"].shape)
        (1, 3, 4)

    Reference:
        docs/method.md, Modalities and tokenization.
    """

    def __init__(
        self,
        tokens: PatchEmbedding | TokenEmbedding,
        positions: PositionEmbedding | GridPositionEmbedding,
        log_mel: LogMel | None = None,
        mask_padding: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # Not tracked: it has no weights, and computes in float32 whatever the
        # policy of what it is in.
        self.__dict__["log_mel"] = layer_from(log_mel)
        self.tokens = layer_from(tokens)
        self.positions = layer_from(positions)
        self.mask_padding = mask_padding
        # Most batches have a shape that one before them had.
        self._fitting_shapes: frozenset[tuple[Any, ...]] = frozenset()
        width = self.tokens.hidden_dim
        self.before, self.after = (
            TokenDense(
                width,
                kernel_initializer="lecun_normal",
                dtype=self.dtype_policy,
                name=name,
            )
            for name in ("before", "after")
        )

    def build(self, input_shape=None):
        width = self.tokens.hidden_dim
        self.tokens.build()
        for layer in (self.positions, self.before, self.after):
            layer.build((None, None, width))

    def call(
        self, inputs: Any, kept: Tensor | None = None
    ) -> dict[str, Tensor | None]:
        if isinstance(inputs, dict):
            x = self._embed_cut(inputs, kept)
            return {"tokens": self.before(x), "padding_mask": None}
        inputs = self.on_grid(inputs)
        mask = self.padding_mask(inputs)
        if mask is not None and kept is not None:
            mask = keep_tokens(mask, kept)
        tokens = self.tokens(inputs, kept=kept)
        x = self.positions(tokens, grid=self.grid(inputs.shape), kept=kept)
        return {"tokens": self.before(x), "padding_mask": mask}

    def compute_output_spec(self, inputs, kept=None):
        if isinstance(inputs, dict):
            shape = (kept if kept is not None else inputs[PATCHES]).shape[:2]
        else:
            self.positions.check_grid(self.grid(inputs.shape), None)
            if self._is_raw(inputs.shape):
                inputs = self.log_mel.compute_output_spec(inputs)
            shape = self.tokens.compute_output_spec(inputs, kept).shape[:2]
        tokens = keras.KerasTensor(
            (*shape, self.tokens.hidden_dim), dtype=self.compute_dtype
        )
        mask = keras.KerasTensor(shape, dtype="bool") if self.masks else None
        return {"tokens": tokens, "padding_mask": mask}

    @property
    def has_ids(self) -> bool:
        """Whether the input is token ids, and not a grid of values."""
        return isinstance(self.tokens, TokenEmbedding)

    @property
    def masks(self) -> bool:
        """Whether some tokens may be padding."""
        return self.has_ids and self.mask_padding

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the axes, one per position table."""
        return ("length",) if self.has_ids else self.tokens.axis_names

    def padding_mask(self, inputs: Tensor) -> Tensor | None:
        """True where a token is real.

        Args:
            inputs: Input of the modality, an array.

        Returns:
            Booleans, shape `(batch, tokens)`, or None if all tokens are real.
        """
        return self.tokens.padding_mask(inputs) if self.masks else None

    def patching(self, modality: Modality) -> Patching:
        """How a modality of this embedder is cut into patches.

        Args:
            modality: Modality of patches.

        Returns:
            The patching, as plain data.
        """
        axes = len(modality.size_axes)
        return Patching(
            modality=modality.name,
            patch_size=self.tokens.patch_size[-axes:],
            num_channels=self.tokens.num_channels,
            buckets=self.positions.buckets,
            coordinates=self.positions.coordinates,
        )

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **arguments_of(self, Embedder)}
        for name in ("tokens", "positions"):
            config[name].pop("build_config", None)  # `build` builds them.
        return config

    def _embed_cut(self, inputs: dict, kept: Tensor | None) -> Tensor:
        patches, positions = inputs[PATCHES], inputs[POSITIONS]
        if kept is not None:
            patches = keep_tokens(patches, kept)
            positions = keep_tokens(positions, kept)
        return self.positions(
            self.tokens.embed_patches(patches), position_ids=positions
        )

    def grid(self, shape: tuple[Any, ...]) -> tuple[int | None, ...]:
        """Tokens per axis for an input shape, checked.

        Args:
            shape: Shape of the input, batch axis included.

        Returns:
            Tokens per axis; None for a length of token ids that is not known.

        Raises:
            ValueError: If the shape does not fit the patch size.
        """
        if isinstance(self.tokens, PatchEmbedding):
            if self._is_raw(shape):
                check_waveform_shape(self.log_mel, self.tokens, shape)
            return self.tokens.grid(self._on_grid(tuple(shape)))
        # Unknown is None, and a symbol of JAX or torch while they export.
        is_known = isinstance(shape[1], (int, np.integer))
        return (int(shape[1]) if is_known else None,)

    def on_grid(self, inputs: Tensor) -> Tensor:
        """An input as it is cut into patches: of waveforms, spectrograms.

        Args:
            inputs: Input of the modality, an array.

        Returns:
            Spectrograms, float32; any other input as it is.
        """
        return self.log_mel(inputs) if self._is_raw(inputs.shape) else inputs

    def _is_raw(self, shape: tuple[int | None, ...]) -> bool:
        return self.log_mel is not None and len(shape) == 2

    def _on_grid(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self._is_raw(shape):
            return shape
        return self.log_mel.compute_output_shape(shape)

    def check_shape(self, shape: tuple[int | None, ...]) -> None:
        """Raise unless an input has a shape that fits.

        Args:
            shape: Its shape, batch axis included.

        Raises:
            ValueError: If a patch does not divide it, or text is too long.
        """
        # Whatever the number of examples.
        of_example = shape[1:]
        if of_example in self._fitting_shapes:
            return
        grid = self.grid(shape)
        if self.has_ids:
            if 0 in grid:
                raise ValueError(
                    message(
                        "Text must have at least one token.",
                        "Pad empty text with 0 to the length of the others.",
                        shape=tuple(shape),
                    )
                )
            self.positions.check_grid(grid, None)
        self._fitting_shapes |= {of_example}

    def check_ids(self, name: str, ids: Any) -> None:
        """Raise unless token ids are in the vocabulary.

        Args:
            name: Modality, for the message.
            ids: Token ids, an array or a tensor. Of one that has no values
                yet, only the form is checked.

        Raises:
            ValueError: If an id is outside the vocabulary, or is none.
        """
        check_token_ids(name, ids, self.tokens)


def patch_embedder(
    options: EmbedderOptions,
    patch_size: tuple[int, ...],
    buckets: tuple[int, ...],
    axis_names: tuple[str, ...],
    num_channels: int = 1,
    log_mel: LogMel | None = None,
) -> Embedder:
    """The embedder of a modality whose inputs are cut into patches.

    Args:
        options: What the encoder gives to `make_embedder` of a `Modality`.
        patch_size: Length of a patch along each axis.
        buckets: Rows of the position table of each axis.
        axis_names: Names of the axes, for errors.
        num_channels: Values per grid point; inputs of a modality with one
            channel have no axis for it.
        log_mel: Makes the spectrograms of waveforms, for a modality with `raw`.

    Returns:
        The embedder, not built.

    Example:
        >>> from keras_imp.models import EmbedderOptions, patch_embedder
        >>> embedder = patch_embedder(
        ...     EmbedderOptions(name="depth", hidden_dim=8), patch_size=(8, 8),
        ...     buckets=(32, 32), axis_names=("height", "width"))
        >>> embedder.grid((2, 64, 48))
        (8, 6)
    """
    tokens = PatchEmbedding(
        options.hidden_dim,
        patch_size,
        num_channels=num_channels,
        axis_names=axis_names,
        padding=options.padding,
        dtype=options.dtype,
        name="tokens",
    )
    return _embedder(options, tokens, buckets, dilated=True, log_mel=log_mel)


def token_embedder(
    options: EmbedderOptions, vocabulary_size: int, max_length: int
) -> Embedder:
    """The embedder of a modality whose inputs are token ids, 0 = padding.

    Args:
        options: What the encoder gives to `make_embedder` of a `Modality`.
        vocabulary_size: Number of ids, padding included.
        max_length: Rows of the position table; longer inputs are refused.

    Returns:
        The embedder, not built.

    Example:
        >>> from keras_imp.models import EmbedderOptions, token_embedder
        >>> embedder = token_embedder(
        ...     EmbedderOptions(name="dna", hidden_dim=8),
        ...     vocabulary_size=5, max_length=512)
        >>> embedder.grid((2, 100))
        (100,)
    """
    tokens = TokenEmbedding(
        vocabulary_size,
        options.hidden_dim,
        stddev=TOKEN_STDDEV if options.variant == "fixed" else None,
        dtype=options.dtype,
        name="tokens",
    )
    return _embedder(options, tokens, (max_length,), dilated=False)


def _embedder(
    options: EmbedderOptions,
    tokens: PatchEmbedding | TokenEmbedding,
    buckets: tuple[int, ...],
    dilated: bool,
    log_mel: LogMel | None = None,
) -> Embedder:
    common = {"dtype": options.dtype, "name": "positions"}
    positions: PositionEmbedding | GridPositionEmbedding
    if options.positions == "grid":
        positions = GridPositionEmbedding(
            buckets, resample=dilated, scale=POSITION_SCALE, **common
        )
    else:
        positions = PositionEmbedding(
            buckets,
            dilated=dilated,
            interpolate=options.interpolate_positions,
            coordinates="bfloat16" if options.variant == "imp" else "integer",
            scale=POSITION_SCALE if options.variant == "fixed" else 1.0,
            **common,
        )
    return Embedder(
        tokens,
        positions,
        log_mel,
        mask_padding=options.mask_padding,
        dtype=options.dtype,
        name=options.name,
    )
