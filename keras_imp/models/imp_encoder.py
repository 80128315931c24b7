"""The encoder: any subset of modalities in, tokens and one vector each out."""

from typing import Any

import keras

from keras_imp._errors import check_rate
from keras_imp.layers._runtime.config import arguments_of
from keras_imp.layers.log_mel import LogMel
from keras_imp.layers.moe.spec import MoESpec
from keras_imp.layers.pooling import make_pooling
from keras_imp.models.body import EncoderBody
from keras_imp.models.encoder_options import check_options
from keras_imp.models.modality import Modality
from keras_imp.models.multimodal import MultimodalEncoder
from keras_imp.models.sparse import analysis
from keras_imp.models.sparse.placement import (
    check_sparse,
    describe_routed_layer,
    runs,
)
from keras_imp.models.warm_start.from_backbone import StartsFromBackbone
from keras_imp.models.waveforms import log_mel_arguments
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class IMPEncoder(StartsFromBackbone, MultimodalEncoder):
    """One Transformer encoder for images, video, audio, waveforms and text.

    Each modality is its own pass: its embedder makes tokens, the shared stack
    of pre-norm blocks encodes them, a pooling makes one vector. Only the
    embedders of `modalities` get weights. Image and video share theirs.

    Args:
        hidden_dim: Width of the tokens.
        intermediate_dim: Width inside the feed-forward networks.
        num_layers: Number of encoder blocks.
        num_heads: Number of attention heads; must divide `hidden_dim`.
        modalities: Names of the modalities that get embedders; a modality of
            your own (`models.register_modality`) by its name or its record.
        vocabulary_size: Number of token ids, padding (0) included.
        patch_size: Patch of video and image: (frames, height, width). An image
            is one frame.
        audio_patch_size: Patch of a spectrogram: (frames, mel bins).
        waveform_patch_size: Samples per waveform patch.
        position_buckets: Rows of the position tables for (frames, height,
            width) patches of video and image.
        audio_position_buckets: Rows for (frames, bins) patches.
        waveform_position_buckets: Rows for waveform patches.
        log_mel: How waveforms that are given as `audio` become spectrograms:
            arguments of `data.LogMel`, such as `{"sampling_rate": 16000,
            "frame_step": 1024}`, or such a layer. Defaults to those of the
            paper, with `mean=-5` and `std=9`, which bring them to about
            [-1, 1]; under `variant="imp"` to the first implementation's.
        max_sequence_length: Rows for text; longer text is refused.
        positions: `"factorized"` (`layers.PositionEmbedding`), or `"grid"`
            (`layers.GridPositionEmbedding`): a vector for each place of a grid
            of `position_buckets`, resampled for every other size.
        interpolate_positions: Whether to mix neighboring rows of factorized
            positions, so that sizes unseen in training meet no untrained row.
        padding: What to do with a size that is no multiple of its patch:
            `"valid"` refuses it, `"same"` pads with zeros.
        mask_padding: Whether token id 0 is padding, which is not attended;
            False takes every token of a text as real.
        pooling: `"mean"` of the real tokens, `"token"` (learned tokens are
            prepended, and the first is returned), or `"attention"` (a learned
            probe).
        text_pooling: How texts are pooled, if in another way: `"eos"`, the
            first token with the largest id, or `"last"`, the last real one.
        num_first_tokens: How many tokens `pooling="token"` prepends.
        use_bias: Whether the blocks and the attention pooling have biases.
        activation: `"gelu_tanh"`, `"gelu"` (exact) or `"quick_gelu"`.
        layer_norm_epsilon: Epsilon of the norms.
        final_norm_epsilon: Epsilon of the norm after the blocks. Defaults to
            `layer_norm_epsilon`.
        use_entry_norm: Whether a norm stands before the blocks.
        causal_text: Whether no token of a text attends to one after it.
        dropout: Dropout rate in the blocks.
        num_experts: Experts of each routed layer; 0 is a dense encoder.
        num_moe_layers: How many layers have experts instead of one
            feed-forward network.
        moe_placement: Which ones: `"last"`, or `"uniform"` at a constant
            stride that ends with the last layer.
        capacity_factor: Expert capacity factor: each expert has
            ceil(capacity_factor * tokens / num_experts) slots. 1 matches the
            FLOPs of a dense layer.
        router: `"expert_choice"` (`layers.ExpertChoiceMoE`), `"token_choice"`
            (`layers.TokenChoiceMoE`) or `"soft"` (`layers.SoftMoE`).
        router_z_loss: Weight of the router's z-loss. Defaults to 1e-3; 1 under
            `variant="imp"`; 0 for the soft router.
        router_options: Further arguments of the routed layer, such as
            `{"num_selected": 2}` or `{"group_size": 1024}`.
        qk_layer_norm: Whether queries and keys are normalized per head.
            Defaults to True in a sparse encoder and False in a dense one.
        variant: `"fixed"`, or `"imp"` for the initialization of the original
            implementation (of queries, keys and values, tokens, positions),
            its dropout of whole heads and channels, its bfloat16 position
            coordinates, and its groups and capacity of the routed layers.
        scan_layers: Whether to compile one block and loop over it. Defaults to
            True on JAX and False elsewhere; see `layers.EncoderStack`.
        remat: Whether to recompute blocks in the backward pass to save memory.
        dtype: Dtype or policy of the computations.
        **kwargs: Arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: A dict with any non-empty subset of `modalities`: `image`
            (batch, height, width, 3) and `video` (batch, frames, height,
            width, 3), uint8 or float in [-1, 1]; `audio` (batch, samples),
            int16 or float in [-1, 1], at the sampling rate of `log_mel`, or
            (batch, frames, mel bins), log-mel; `waveform` (batch, samples) in
            [-1, 1]; `text` (batch, length), token ids, 0 = padding. All but
            text and `audio` of rank 2 may also be a dict of `patches` and
            `positions` (`data.drop_tokens`). In a
            functional model the batch and the length of text may be unknown
            (None); all other sizes are fixed.
        training: Whether to apply dropout.
        kept: Which tokens to encode, by modality: indices, int, shape
            `(batch, kept)`. The others are dropped before they are embedded,
            and are not in the output. Defaults to all.

    Returns:
        A dict from modality to a dict with `sequence_output`, shape `(batch,
        tokens, hidden_dim)`, `padding_mask`, shape `(batch, tokens)`, True
        where a token is real, and `pooled_output`, shape `(batch,
        hidden_dim)`.

    Raises:
        ValueError: If a modality is unknown or an input does not fit.

    Example:
        >>> import keras, keras_imp
        >>> encoder = keras_imp.IMPEncoder(
        ...     hidden_dim=8, intermediate_dim=16, num_layers=2, num_heads=2,
        ...     modalities=("image", "text"), vocabulary_size=10)
        >>> features = encoder({
        ...     "image": keras.ops.zeros((2, 16, 48, 3)),
        ...     "text": keras.ops.array([[1, 2, 0], [3, 0, 0]])})
        >>> tuple(features["image"]["sequence_output"].shape)
        (2, 3, 8)
        >>> tuple(features["text"]["pooled_output"].shape)
        (2, 8)

    Reference:
        [IMP](https://arxiv.org/abs/2305.06324), sections 3.1 and 3.2;
        docs/method.md, Modalities and tokenization, Encoder.
    """

    def __init__(
        self,
        hidden_dim: int,
        intermediate_dim: int,
        num_layers: int,
        num_heads: int,
        modalities: tuple[str | Modality, ...] = (
            "image",
            "video",
            "audio",
            "text",
        ),
        vocabulary_size: int = 32100,
        patch_size: tuple[int, int, int] = (4, 16, 16),
        audio_patch_size: tuple[int, int] = (16, 16),
        waveform_patch_size: int = 256,
        position_buckets: tuple[int, int, int] = (16, 32, 32),
        audio_position_buckets: tuple[int, int] = (64, 8),
        waveform_position_buckets: int = 512,
        log_mel: LogMel | dict[str, Any] | None = None,
        max_sequence_length: int = 4096,
        positions: str = "factorized",
        interpolate_positions: bool = False,
        padding: str = "valid",
        mask_padding: bool = True,
        pooling: str = "mean",
        text_pooling: str | None = None,
        num_first_tokens: int = 1,
        use_bias: bool = False,
        activation: str = "gelu_tanh",
        layer_norm_epsilon: float = 1e-6,
        final_norm_epsilon: float | None = None,
        use_entry_norm: bool = False,
        causal_text: bool = False,
        dropout: float = 0.0,
        num_experts: int = 0,
        num_moe_layers: int = 0,
        moe_placement: str = "last",
        capacity_factor: float = 1.0,
        router: str = "expert_choice",
        router_z_loss: float | None = None,
        router_options: dict[str, Any] | None = None,
        qk_layer_norm: bool | None = None,
        variant: str = "fixed",
        scan_layers: bool | None = None,
        remat: bool = False,
        dtype: Any = None,
        **kwargs,
    ):
        check_sparse(
            num_layers=num_layers,
            num_experts=num_experts,
            num_moe_layers=num_moe_layers,
            moe_placement=moe_placement,
            router=router,
        )
        check_options(
            variant=variant,
            activation=activation,
            positions=positions,
            interpolate_positions=interpolate_positions,
            pooling=pooling,
            text_pooling=text_pooling,
            num_first_tokens=num_first_tokens,
        )
        check_rate(dropout=dropout)
        super().__init__(dtype=dtype, **kwargs)

        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.num_layers = num_layers
        self.num_heads = num_heads
        self._use_modalities(modalities)
        self.vocabulary_size = vocabulary_size
        self.patch_size = tuple(patch_size)
        self.audio_patch_size = tuple(audio_patch_size)
        self.waveform_patch_size = waveform_patch_size
        self.position_buckets = tuple(position_buckets)
        self.audio_position_buckets = tuple(audio_position_buckets)
        self.waveform_position_buckets = waveform_position_buckets
        self.log_mel = log_mel_arguments(log_mel, variant)
        self.max_sequence_length = max_sequence_length
        self.positions = positions
        self.interpolate_positions = interpolate_positions
        self.padding = padding
        self.mask_padding = mask_padding
        self.pooling = pooling
        self.text_pooling = text_pooling
        self.num_first_tokens = num_first_tokens
        self.use_bias = use_bias
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.final_norm_epsilon = final_norm_epsilon
        self.use_entry_norm = use_entry_norm
        self.causal_text = causal_text
        self.dropout = dropout
        self.num_experts = num_experts
        self.num_moe_layers = num_moe_layers
        self.moe_placement = moe_placement
        self.capacity_factor = capacity_factor
        self.router = router
        self.router_z_loss = router_z_loss
        self.router_options = dict(router_options or {})
        self.qk_layer_norm = qk_layer_norm
        self.variant = variant
        self.scan_layers = scan_layers
        self.remat = remat

        self.embedders = self._make_embedders()
        self.body = EncoderBody(
            runs=runs(num_layers, num_moe_layers, moe_placement),
            num_heads=num_heads,
            intermediate_dim=intermediate_dim,
            feed_forward=self._describe_routed_layer() if num_experts else None,
            modalities=self.modalities,
            qk_layer_norm=self.uses_qk_layer_norm,
            dropout=dropout,
            dropout_broadcast=variant == "imp",
            use_bias=use_bias,
            activation=activation,
            layer_norm_epsilon=layer_norm_epsilon,
            causal=self._causal_modalities(),
            qkv_init="imp" if variant == "imp" else "conventional",
            scan_layers=scan_layers,
            remat=remat,
            dtype=self.dtype_policy,
            name="body",
        )
        self.entry_norm = self._norm("entry_norm") if use_entry_norm else None
        self.final_norm = self._norm("final_norm", final_norm_epsilon)
        self.pool = make_pooling(
            pooling,
            num_heads=num_heads,
            intermediate_dim=intermediate_dim,
            use_bias=use_bias,
            activation=activation,
            layer_norm_epsilon=layer_norm_epsilon,
            dtype=self.dtype_policy,
            name="pool",
        )
        self._build_parts()

    @property
    def uses_qk_layer_norm(self) -> bool:
        """Whether queries and keys are normalized: by default, if sparse."""
        if self.qk_layer_norm is None:
            return self.num_experts > 0
        return self.qk_layer_norm

    def count_active_params(self) -> int:
        """Parameters that a token meets, on average.

        Returns:
            All parameters, but of the experts' only the fraction of a token.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2,
            ...     modalities=("text",), vocabulary_size=10,
            ...     num_experts=4, num_moe_layers=1)
            >>> encoder.count_active_params() < encoder.count_params()
            True
        """
        return analysis.count_active_params(self)

    def dense_twin(self) -> "IMPEncoder":
        """The dense counterpart: the same encoder but for the experts.

        It has equal active parameters up to the routers' at
        `capacity_factor=1`, and the same normalization of queries and keys.

        Returns:
            The encoder, with random weights.

        Example:
            >>> import keras_imp
            >>> sparse = keras_imp.IMPEncoder(8, 16, 2, 2,
            ...     modalities=("text",), vocabulary_size=10,
            ...     num_experts=4, num_moe_layers=1)
            >>> sparse.dense_twin().num_experts
            0
        """
        return analysis.dense_counterpart(self)

    def routing_gates(
        self, inputs: dict[str, Tensor]
    ) -> dict[str, dict[str, Any]]:
        """Which expert took which token; see `keras_imp.inspect_routing`.

        Args:
            inputs: As for `call`.

        Returns:
            By modality a dict with `gates`, 0 where token and expert do not
            meet, shape `(batch, layers, tokens, experts)`, and `padding_mask`,
            shape `(batch, tokens)`.

        Raises:
            ValueError: If the encoder is dense.

        Example:
            >>> import numpy as np, keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2,
            ...     modalities=("text",), vocabulary_size=10,
            ...     num_experts=4, num_moe_layers=1)
            >>> gates = encoder.routing_gates({"text": np.array([[4, 5, 0]])})
            >>> tuple(gates["text"]["gates"].shape)
            (1, 1, 3, 4)
        """
        return analysis.routing_gates(self, inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **arguments_of(self, IMPEncoder)}

    def _causal_modalities(self) -> tuple[str, ...]:
        records = self._records.values() if self.causal_text else ()
        return tuple(record.name for record in records if record.token_ids)

    def _norm(
        self, name: str, epsilon: float | None = None
    ) -> keras.layers.Layer:
        if epsilon is None:
            epsilon = self.layer_norm_epsilon
        return keras.layers.LayerNormalization(
            epsilon=epsilon, dtype=self.dtype_policy, name=name
        )

    def _describe_routed_layer(self) -> MoESpec:
        return describe_routed_layer(
            router=self.router,
            num_experts=self.num_experts,
            intermediate_dim=self.intermediate_dim,
            capacity_factor=self.capacity_factor,
            router_z_loss=self.router_z_loss,
            variant=self.variant,
            dropout=self.dropout,
            use_bias=self.use_bias,
            activation=self.activation,
            options=self.router_options,
            dtype=self.dtype_policy,
        )
