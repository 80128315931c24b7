"""The encoder: any subset of modalities in, tokens and one vector each out."""

import math
from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops

from keras_imp._errors import check_choice, check_rate, message
from keras_imp.layers._runtime.config import arguments_of
from keras_imp.layers.moe.base import (
    RoutingReport,
    SparseFeedForward,
)
from keras_imp.layers.patch_embedding import PatchEmbedding
from keras_imp.layers.pooling import (
    AttentionPooling,
    FirstTokenPooling,
    MaskedMeanPooling,
)
from keras_imp.layers.position_embedding import PositionEmbedding
from keras_imp.layers.token_embedding import TokenEmbedding
from keras_imp.models.body import EncoderBody
from keras_imp.models.embedders import Embedded, Embedder
from keras_imp.models.modalities import MODALITIES, check_modality, check_rank
from keras_imp.models.patching import Patching, check_patches
from keras_imp.models.presets import PRESETS
from keras_imp.models.sparse.metric import RoutingMetric
from keras_imp.models.sparse.placement import check_sparse, routed_layer, runs
from keras_imp.models.weight_places import place_weights
from keras_imp.typing import Tensor

# Deviations of a word's and a position's vector at the start. The first
# implementation has 1 / sqrt(hidden_dim) and 1: positions then drown words,
# and a contrastive loss stays at chance for the first hundreds of steps.
TOKEN_STDDEV = 0.5
POSITION_SCALE = 0.1


@keras.saving.register_keras_serializable(package="keras_imp")
class IMPEncoder(keras_hub.models.Backbone):
    """One Transformer encoder for images, video, audio, waveforms and text.

    Each modality is its own pass: its embedder makes tokens, the shared stack
    of pre-norm blocks encodes them, a pooling makes one vector. Only the
    embedders of `modalities` get weights. Image and video share theirs.

    Args:
        hidden_dim: Width of the tokens.
        intermediate_dim: Width inside the feed-forward networks.
        num_layers: Number of encoder blocks.
        num_heads: Number of attention heads; must divide `hidden_dim`.
        modalities: Names of the modalities that get embedders.
        vocabulary_size: Number of token ids, padding (0) included.
        patch_size: Patch of video and image: (frames, height, width). An image
            is one frame.
        audio_patch_size: Patch of a spectrogram: (frames, mel bins).
        waveform_patch_size: Samples per waveform patch.
        position_buckets: Rows of the position tables for (frames, height,
            width) patches of video and image.
        audio_position_buckets: Rows for (frames, bins) patches.
        waveform_position_buckets: Rows for waveform patches.
        max_sequence_length: Rows for text; longer text is refused.
        interpolate_positions: Whether to mix neighboring position rows, so
            that sizes unseen in training meet no untrained row.
        padding: What to do with a size that is no multiple of its patch:
            `"valid"` refuses it, `"same"` pads with zeros.
        pooling: `"mean"` of the real tokens, `"token"` (a learned token is
            prepended and returned), or `"attention"` (a learned probe).
        dropout: Dropout rate in the blocks.
        num_experts: Experts of each routed layer; 0 is a dense encoder.
        num_moe_layers: How many layers have experts instead of one
            feed-forward network.
        moe_placement: Which ones: `"last"`, or `"uniform"` at a constant
            stride that ends with the last layer.
        capacity_factor: Slots of all experts together, per real token; 1 does
            as much work as a dense layer.
        router: `"expert_choice"` (`layers.ExpertChoiceMoE`), `"token_choice"`
            (`layers.TokenChoiceMoE`) or `"soft"` (`layers.SoftMoE`).
        router_z_loss: Weight of the router's z-loss. Defaults to 1e-3; 1 under
            `variant="imp"`; 0 for the soft router.
        router_options: Further arguments of the routed layer, such as
            `{"num_selected": 2}` or `{"group_size": 1024}`.
        qk_layer_norm: Whether queries and keys are normalised per head.
            Defaults to True in a sparse encoder and False in a dense one.
        variant: `"fixed"`, or `"imp"` for the first implementation's
            initialisation (of queries, keys and values, words, positions), its
            dropout of whole heads and channels, its bfloat16 position
            coordinates, and its groups and capacity of the routed layers.
        scan_layers: Whether to compile one block and loop over it. Defaults to
            True on JAX and False elsewhere; see `layers.EncoderStack`.
        remat: Whether to recompute blocks in the backward pass to save memory.
        dtype: Dtype or policy of the computations.
        **kwargs: Arguments of `keras_hub.models.Backbone`, such as `name`.

    Call arguments:
        inputs: A dict with any non-empty subset of `modalities`: `image`
            (batch, height, width, 3) and `video` (batch, frames, height,
            width, 3), uint8 or float in [-1, 1]; `audio` (batch, frames, mel
            bins), log-mel; `waveform` (batch, samples) in [-1, 1]; `text`
            (batch, length), token ids, 0 = padding. All but text may also be
            a dict of `patches` and `positions` (`data.drop_tokens`).
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
        [IMP](https://arxiv.org/abs/2305.06324); imp.md sections 2 to 4.
    """

    def __init__(
        self,
        hidden_dim: int,
        intermediate_dim: int,
        num_layers: int,
        num_heads: int,
        modalities: tuple[str, ...] = ("image", "video", "audio", "text"),
        vocabulary_size: int = 32100,
        patch_size: tuple[int, int, int] = (4, 16, 16),
        audio_patch_size: tuple[int, int] = (16, 16),
        waveform_patch_size: int = 256,
        position_buckets: tuple[int, int, int] = (16, 32, 32),
        audio_position_buckets: tuple[int, int] = (64, 8),
        waveform_position_buckets: int = 512,
        max_sequence_length: int = 4096,
        interpolate_positions: bool = False,
        padding: str = "valid",
        pooling: str = "mean",
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
            num_layers, num_experts, num_moe_layers, moe_placement, router
        )
        check_choice(("fixed", "imp"), variant=variant)
        check_choice(("mean", "token", "attention"), pooling=pooling)
        check_rate(dropout=dropout)
        for name in modalities:
            check_modality(name)
        super().__init__(dtype=dtype, **kwargs)

        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.modalities = tuple(modalities)
        self.vocabulary_size = vocabulary_size
        self.patch_size = tuple(patch_size)
        self.audio_patch_size = tuple(audio_patch_size)
        self.waveform_patch_size = waveform_patch_size
        self.position_buckets = tuple(position_buckets)
        self.audio_position_buckets = tuple(audio_position_buckets)
        self.waveform_position_buckets = waveform_position_buckets
        self.max_sequence_length = max_sequence_length
        self.interpolate_positions = interpolate_positions
        self.padding = padding
        self.pooling = pooling
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

        used = dict.fromkeys(MODALITIES[name].embedder for name in modalities)
        self.embedders = {name: self._make_embedder(name) for name in used}
        self.body = EncoderBody(
            runs(num_layers, num_moe_layers, moe_placement),
            num_heads,
            intermediate_dim,
            self._make_routed_layer() if num_experts else None,
            self.modalities,
            {
                "qk_layer_norm": self.uses_qk_layer_norm,
                "dropout": dropout,
                "dropout_broadcast": variant == "imp",
                "qkv_init": "imp" if variant == "imp" else "conventional",
                "scan_layers": scan_layers,
                "remat": remat,
            },
            dtype=self.dtype_policy,
            name="body",
        )
        self.final_norm = keras.layers.LayerNormalization(
            epsilon=1e-6, dtype=self.dtype_policy, name="final_norm"
        )
        self.pool = self._make_pooling()
        self._build_all()

    def call(
        self,
        inputs: dict[str, Tensor],
        training: bool | None = None,
        kept: dict[str, Tensor] | None = None,
    ) -> dict[str, dict[str, Tensor]]:
        self._check_names(inputs)
        kept = kept or {}
        return {
            name: self._encode(name, inputs[name], training, kept.get(name))[0]
            for name in self.modalities
            if name in inputs
        }

    def routing_gates(self, inputs: dict[str, Tensor]) -> dict[str, Any]:
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
        self._check_names(inputs)
        gates = {}
        for name, values in inputs.items():
            features, report = self._encode(name, values, training=None)
            if report is None:
                raise ValueError(
                    message(
                        "The encoder must have experts.",
                        num_experts=self.num_experts,
                    )
                )
            weights = ops.transpose(report.weights, (1, 0, 2, 3))
            if self.pooling == "token":
                weights = weights[:, :, 1:]
            mask = features["padding_mask"]
            gates[name] = {"gates": weights, "padding_mask": mask}
        return gates

    @property
    def routed_layers(self) -> tuple[int, ...]:
        """Indices of the layers with experts."""
        return self.body.routed_layers

    @property
    def routing_metrics(self) -> dict[str, RoutingMetric]:
        """What the routed layers did since the metrics were reset."""
        return self.body.routing_metrics

    @property
    def uses_qk_layer_norm(self) -> bool:
        """Whether queries and keys are normalised: by default, if sparse."""
        if self.qk_layer_norm is None:
            return self.num_experts > 0
        return self.qk_layer_norm

    def count_active_params(self) -> int:
        """Parameters that a token meets, on average.

        Returns:
            All parameters, but of the experts' only the share of a token:
            `capacity_factor / num_experts`, or `num_selected / num_experts`
            where tokens choose. A soft router's experts all count.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2,
            ...     modalities=("text",), vocabulary_size=10,
            ...     num_experts=4, num_moe_layers=1)
            >>> encoder.count_active_params() < encoder.count_params()
            True
        """
        experts = sum(
            int(np.prod(v.shape))
            for stack in self.body.stacks
            for v in stack.stacked
            if v.name.startswith("experts_")
        )
        share = 1.0
        if self.router == "expert_choice":
            share = self.capacity_factor / max(1, self.num_experts)
        elif self.router == "token_choice":
            chosen = self.router_options.get("num_selected", 1)
            share = chosen / max(1, self.num_experts)
        idle = round(experts * (1.0 - min(share, 1.0)))
        return self.count_params() - idle

    def dense_twin(self) -> "IMPEncoder":
        """A dense encoder to compare with: the same but for the experts.

        Equal active parameters up to the routers' at `capacity_factor=1`, and
        the same normalisation of queries and keys. Its weights are random.

        Returns:
            The encoder.

        Example:
            >>> import keras_imp
            >>> sparse = keras_imp.IMPEncoder(8, 16, 2, 2,
            ...     modalities=("text",), vocabulary_size=10,
            ...     num_experts=4, num_moe_layers=1)
            >>> sparse.dense_twin().num_experts
            0
        """
        return type(self).from_config(
            {
                **self.get_config(),
                "qk_layer_norm": self.uses_qk_layer_norm,
                "num_experts": 0,
                "num_moe_layers": 0,
                "router_options": None,
            }
        )

    def embedder_of(self, modality: str) -> Embedder:
        """The embedder of a modality, for tasks that predict tokens.

        Args:
            modality: One of `modalities`.

        Returns:
            The layer that makes its tokens; image and video share one.

        Raises:
            ValueError: If the encoder does not have the modality.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("text",), vocabulary_size=10)
            >>> encoder.embedder_of("text").tokens.vocabulary_size
            10
        """
        check_modality(modality, self.modalities)
        return self.embedders[MODALITIES[modality].embedder]

    def check_inputs(self, inputs: dict[str, np.ndarray]) -> None:
        """Check one batch on the host: names, ranks, sizes and token ids.

        `AlternatingModel` calls it for every batch, since a compiled step
        cannot raise.

        Args:
            inputs: Arrays by modality.

        Raises:
            ValueError: If a modality is unknown, or an input does not fit.

        Example:
            >>> import numpy as np, keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("text",), vocabulary_size=10)
            >>> encoder.check_inputs({"text": np.array([[1, 9]])})
        """
        self._check_names(inputs)
        for name, values in inputs.items():
            self._check_form(name, values)
            if not isinstance(values, dict):
                self.embedder_of(name).check_values(name, values)

    @property
    def patchings(self) -> dict[str, Patching]:
        """How each modality of patches is cut; for `data.drop_tokens`."""
        embedders = {name: self.embedder_of(name) for name in self.modalities}
        return {
            name: embedder.patching(name)
            for name, embedder in embedders.items()
            if not embedder.is_text
        }

    def num_tokens(
        self, name: str, shape: tuple[int | None, ...]
    ) -> int | None:
        """Tokens of one example of an input.

        Args:
            name: Modality.
            shape: Shape of its input, batch axis included.

        Returns:
            Number of tokens; None if the length of a text is not known.

        Raises:
            ValueError: If the shape does not fit.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("video",))
            >>> encoder.num_tokens("video", (2, 8, 32, 48, 3))
            12
        """
        check_modality(name, self.modalities)
        check_rank(name, shape)
        grid = self.embedder_of(name).grid(shape)
        return None if None in grid else math.prod(grid)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **arguments_of(self, IMPEncoder)}

    @classmethod
    def from_preset(
        cls, preset: str, load_weights: bool = True, **kwargs
    ) -> "IMPEncoder":
        """Build an encoder from a preset.

        Args:
            preset: Name of a built-in size, such as `"imp_base"` (architecture
                only: the weights are random), or anything that
                `keras_hub.models.Backbone.from_preset` takes, such as a folder
                that `save_to_preset` wrote.
            load_weights: Whether to load weights, where the preset has them.
            **kwargs: Constructor arguments that replace the preset's.

        Returns:
            The encoder.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder.from_preset(
            ...     "imp_tiny", modalities=("image",))
            >>> encoder.num_layers
            4
        """
        if preset in PRESETS:
            return cls(**{**PRESETS[preset]["config"], **kwargs})
        return super().from_preset(preset, load_weights=load_weights, **kwargs)

    def embed(
        self, name: str, inputs: Tensor, kept: Tensor | None = None
    ) -> Embedded:
        """The tokens of one modality, as they enter the encoder blocks.

        `embed`, then the blocks, then `finish` is what a call does with each
        modality.

        Args:
            name: Modality.
            inputs: Its values, as for `call`.
            kept: Which tokens to encode, int, shape `(batch, kept)`. Defaults
                to all.

        Returns:
            The tokens and their padding mask.

        Raises:
            ValueError: If the input does not have the form of its modality.

        Example:
            >>> import numpy as np, keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("text",), vocabulary_size=10)
            >>> tuple(encoder.embed("text", np.array([[1, 9, 0]])).tokens.shape)
            (1, 3, 8)
        """
        self._check_form(name, inputs)
        embedded = self.embedder_of(name)(inputs, kept=kept)
        tokens, mask = embedded["tokens"], embedded["padding_mask"]
        if self.pooling == "token":
            tokens, mask = self._prepend_token(name, tokens, mask)
        return Embedded(name, tokens, mask)

    def finish(self, embedded: Embedded, tokens: Tensor) -> dict[str, Tensor]:
        """What a call returns for one modality, from the blocks' output.

        Args:
            embedded: What `embed` returned.
            tokens: The same tokens after the blocks.

        Returns:
            A dict with `sequence_output`, `padding_mask` and `pooled_output`.

        Example:
            >>> import numpy as np, keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("text",), vocabulary_size=10)
            >>> embedded = encoder.embed("text", np.array([[1, 9, 0]]))
            >>> tokens, _ = encoder.body(
            ...     embedded.tokens, modality="text")
            >>> features = encoder.finish(embedded, tokens)
            >>> tuple(features["pooled_output"].shape)
            (1, 8)
        """
        name, _, mask = embedded
        x = self.embedder_of(name).after(self.final_norm(tokens))
        pooled = self.pool(x, padding_mask=mask)
        if self.pooling == "token":
            x, mask = x[:, 1:], None if mask is None else mask[:, 1:]
        if mask is None:
            mask = ops.ones(ops.shape(x)[:2], dtype="bool")
        return {
            "sequence_output": x,
            "padding_mask": mask,
            "pooled_output": pooled,
        }

    def _encode(
        self, name: str, inputs: Tensor, training, kept: Tensor | None = None
    ) -> tuple[dict[str, Tensor], RoutingReport | None]:
        embedded = self.embed(name, inputs, kept)
        tokens, report = self.body(
            embedded.tokens,
            modality=name,
            padding_mask=embedded.padding_mask,
            training=training,
        )
        return self.finish(embedded, tokens), report

    def _prepend_token(self, name: str, tokens: Tensor, mask: Tensor | None):
        first = self.first_tokens[MODALITIES[name].embedder]
        batch = ops.shape(tokens)[0]
        first = ops.cast(first, tokens.dtype)
        first = ops.broadcast_to(first, (batch, 1, self.hidden_dim))
        tokens = ops.concatenate([first, tokens], axis=1)
        if mask is not None:
            real = ops.ones((batch, 1), dtype="bool")
            mask = ops.concatenate([real, mask], axis=1)
        return tokens, mask

    def _make_routed_layer(self) -> SparseFeedForward:
        return routed_layer(
            self.router,
            self.num_experts,
            self.intermediate_dim,
            self.capacity_factor,
            self.router_z_loss,
            self.variant,
            self.dropout,
            self.router_options,
            self.dtype_policy,
        )

    def _make_embedder(self, name: str) -> Embedder:
        if name == "text":
            tokens = TokenEmbedding(
                self.vocabulary_size,
                self.hidden_dim,
                stddev=TOKEN_STDDEV if self.variant == "fixed" else None,
                dtype=self.dtype_policy,
                name="tokens",
            )
            buckets = (self.max_sequence_length,)
        else:
            patch, channels, axes, buckets = self._patch_arguments(name)
            tokens = PatchEmbedding(
                self.hidden_dim,
                patch,
                num_channels=channels,
                axis_names=axes,
                padding=self.padding,
                dtype=self.dtype_policy,
                name="tokens",
            )
        positions = PositionEmbedding(
            buckets,
            dilated=name != "text",
            interpolate=self.interpolate_positions,
            coordinates="bfloat16" if self.variant == "imp" else "integer",
            scale=POSITION_SCALE if self.variant == "fixed" else 1.0,
            dtype=self.dtype_policy,
            name="positions",
        )
        return Embedder(tokens, positions, dtype=self.dtype_policy, name=name)

    def _patch_arguments(self, name: str) -> tuple:
        """Patch, channels, axis names and position rows of one embedder."""
        if name == "vision":
            names = ("frames", "height", "width")
            return self.patch_size, 3, names, self.position_buckets
        if name == "audio":
            patch = self.audio_patch_size
            return patch, 1, ("frames", "bins"), self.audio_position_buckets
        patch = (self.waveform_patch_size,)
        return patch, 1, ("samples",), (self.waveform_position_buckets,)

    def _make_pooling(self) -> keras.layers.Layer:
        common = {"dtype": self.dtype_policy, "name": "pool"}
        if self.pooling == "mean":
            return MaskedMeanPooling(**common)
        if self.pooling == "token":
            return FirstTokenPooling(**common)
        return AttentionPooling(self.num_heads, self.intermediate_dim, **common)

    def _build_all(self) -> None:
        """Create every weight now: training starts with all of them known."""
        shape = (None, None, self.hidden_dim)
        for embedder in self.embedders.values():
            embedder.build()
        if self.pooling == "token":
            self.first_tokens = {
                name: self.add_weight(
                    name=f"first_token_{name}",
                    shape=(1, 1, self.hidden_dim),
                    initializer="glorot_normal",
                )
                for name in self.embedders
            }
        for layer in (self.body, self.final_norm, self.pool):
            layer.build(shape)
        place_weights(self)
        self.built = True

    def _check_form(self, name: str, values: Any) -> None:
        if isinstance(values, dict):
            check_patches(name, values, self.patchings)
            self.embedders[MODALITIES[name].embedder].positions.check_given()
        else:
            check_rank(name, values.shape)

    def _check_names(self, inputs: dict[str, Any]) -> None:
        if not isinstance(inputs, dict):
            raise TypeError(
                message(
                    "`inputs` must be a dict from modality to its values.",
                    'Use {"image": images}, for example.',
                    type=type(inputs).__name__,
                )
            )
        if not inputs:
            raise ValueError("`inputs` must have at least one modality.")
        for name in inputs:
            check_modality(name, self.modalities)
