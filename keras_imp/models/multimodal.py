"""Modality by modality through shared blocks: what an encoder does.

`IMPEncoder` says what it is made of.
"""

import math
from typing import Any

import keras
from keras import ops

from keras_imp._errors import message
from keras_imp._saving.names import save_by_name
from keras_imp.layers.moe.report import RoutingReport
from keras_imp.layers.moe.totals import RoutingTotals
from keras_imp.layers.position_grid import known_grid
from keras_imp.models.body import EncoderBody
from keras_imp.models.checked_encoder import CheckedEncoder
from keras_imp.models.embedders import Embedded, Embedder
from keras_imp.models.modalities import modalities_of
from keras_imp.models.modality import EmbedderOptions
from keras_imp.models.patching import Patching
from keras_imp.models.text_pooling import (
    check_all_kept,
    pooled_places,
    tokens_at,
)
from keras_imp.models.weight_places import place_weights
from keras_imp.typing import Tensor


class MultimodalEncoder(CheckedEncoder):
    """Each modality is its own pass: embedder, blocks, norm, pooling.

    A subclass has the attributes below and calls `_build_parts` at the end of
    its constructor.

    Attributes:
        modalities: Names of the modalities.
        hidden_dim: Width of the tokens.
        pooling: `"mean"`, `"token"` or `"attention"`.
        text_pooling: `"eos"`, `"last"`, or None for `pooling`.
        num_first_tokens: Tokens that `pooling="token"` prepends.
        embedders: Embedder by name; modalities may share one.
        body: The encoder blocks.
        entry_norm: Layer before the blocks, or None.
        final_norm: Layer between the blocks and the projection of an embedder.
        pool: Layer from the tokens to one vector.
    """

    modalities: tuple[str, ...]
    hidden_dim: int
    pooling: str
    text_pooling: str | None
    num_first_tokens: int
    embedders: dict[str, Embedder]
    body: EncoderBody
    entry_norm: keras.layers.Layer | None
    final_norm: keras.layers.Layer
    pool: keras.layers.Layer

    def call(
        self,
        inputs: dict[str, Tensor],
        training: bool | None = None,
        kept: dict[str, Tensor] | None = None,
    ) -> dict[str, dict[str, Tensor]]:
        kept = self._check_call(inputs, kept)
        return {
            name: self.encode(name, inputs[name], kept.get(name), training)[0]
            for name in self.modalities
            if name in inputs
        }

    def compute_output_spec(self, inputs, training=None, kept=None):
        del training
        kept = self._check_call(inputs, kept)
        return {
            name: self._spec_of(name, inputs[name], kept.get(name))
            for name in self.modalities
            if name in inputs
        }

    def encode(
        self,
        name: str,
        inputs: Tensor,
        kept: Tensor | None = None,
        training: bool | None = None,
    ) -> tuple[dict[str, Tensor], RoutingReport | None]:
        """What a call returns for one modality, and what was routed.

        Args:
            name: Modality.
            inputs: Its values, as for `call`.
            kept: Which tokens to encode, int, shape `(batch, kept)`. Defaults
                to all.
            training: Whether to apply dropout.

        Returns:
            The features, and the `RoutingReport` of all routed layers, each
            value with a layer axis first; None in a dense encoder.
        """
        embedded = self.embed(name, inputs, kept)
        tokens, report = self.body(
            embedded.tokens,
            modality=name,
            padding_mask=embedded.padding_mask,
            training=training,
        )
        return self.finish(embedded, tokens), report

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
            ValueError: If the input does not have the form of its modality, or
                tokens of a text are dropped that is pooled at one of them.

        Example:
            >>> import numpy as np, keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("text",), vocabulary_size=10)
            >>> tuple(encoder.embed("text", np.array([[1, 9, 0]])).tokens.shape)
            (1, 3, 8)
        """
        self._check_form(self._record_of(name), inputs)
        embedded = self.embedder_of(name)(inputs, kept=kept)
        tokens, mask = embedded["tokens"], embedded["padding_mask"]
        pooled_at = None
        if self._pools_at_a_token(name):
            check_all_kept(name, kept, self.text_pooling)
            pooled_at = pooled_places(inputs, mask, str(self.text_pooling))
        elif self.pooling == "token":
            tokens, mask = self._prepend_tokens(name, tokens, mask)
        if self.entry_norm is not None:
            tokens = self.entry_norm(tokens)
        return Embedded(name, tokens, mask, pooled_at)

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
        name, mask = embedded.modality, embedded.padding_mask
        x = self.embedder_of(name).after(self.final_norm(tokens))
        if embedded.pooled_at is not None:
            pooled = tokens_at(x, embedded.pooled_at)
        else:
            pooled = self.pool(x, padding_mask=mask)
        first = self.num_first_tokens_of(name)
        if first:
            x, mask = x[:, first:], None if mask is None else mask[:, first:]
        if mask is None:
            mask = ops.ones(ops.shape(x)[:2], dtype="bool")
        return {
            "sequence_output": x,
            "padding_mask": mask,
            "pooled_output": pooled,
        }

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
        return self.embedders[self._record_of(modality).embedder]

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
        self._record_of(name).check_rank(tuple(shape))
        # Of waveforms the tokens are those of their spectrograms.
        grid = known_grid(self.embedder_of(name).grid(tuple(shape)))
        return None if grid is None else math.prod(grid)

    def padding_mask(self, name: str, inputs: Tensor) -> Tensor | None:
        """Which tokens of an input are real.

        Args:
            name: Modality.
            inputs: Its values, as for `call`.

        Returns:
            Booleans, shape `(batch, tokens)`; None if all are, as in a
            modality of patches.

        Example:
            >>> import numpy as np, keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("text",), vocabulary_size=10)
            >>> mask = encoder.padding_mask("text", np.array([[1, 9, 0]]))
            >>> [bool(is_real) for is_real in mask[0]]
            [True, True, False]
        """
        return self.embedder_of(name).padding_mask(inputs)

    def num_first_tokens_of(self, name: str) -> int:
        """Learned tokens that stand before those of an input.

        Args:
            name: Modality.

        Returns:
            Number of tokens; 0 unless it is pooled at the first of them.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("image",), pooling="token")
            >>> encoder.num_first_tokens_of("image")
            1
        """
        prepends = self.pooling == "token" and not self._pools_at_a_token(name)
        return self.num_first_tokens if prepends else 0

    @property
    def patchings(self) -> dict[str, Patching]:
        """How each modality of patches is cut; for `data.drop_tokens`."""
        return {
            name: self.embedder_of(name).patching(record)
            for name, record in self._records.items()
            if not record.token_ids
        }

    @property
    def routed_layers(self) -> tuple[int, ...]:
        """Indices of the layers with experts."""
        return self.body.routed_layers

    @property
    def routing_metrics(self) -> dict[str, RoutingTotals]:
        """What the routed layers did since the metrics were reset."""
        return self.body.routing_totals

    def _use_modalities(self, given: Any) -> None:
        """Take names or records of modalities, checked."""
        records = modalities_of(given)
        self._records = {modality.name: modality for modality in records}
        self.modalities = tuple(self._records)

    def _make_embedders(self) -> dict[str, Embedder]:
        """One embedder for all modalities that name it."""
        embedders: dict[str, Embedder] = {}
        for modality in self._records.values():
            name = modality.embedder
            if name not in embedders:
                options = EmbedderOptions.of(self, name)
                embedders[name] = modality.make_embedder(options)
            if not isinstance(embedders[name], Embedder):
                raise TypeError(
                    message(
                        "`make_embedder` of a modality must return a "
                        "keras_imp.models.Embedder.",
                        "Use models.patch_embedder or models.token_embedder.",
                        modality=modality.name,
                        returned=type(embedders[name]).__name__,
                    )
                )
            if modality.raw is not None and embedders[name].log_mel is None:
                raise ValueError(
                    message(
                        "The embedder of a modality with `raw` must have a "
                        "`log_mel`, which makes spectrograms of waveforms.",
                        "Give it to models.patch_embedder, or leave out `raw`.",
                        modality=modality.name,
                    )
                )
        return embedders

    def _build_parts(self) -> None:
        """Create every weight now: training starts with all of them known."""
        shape = (None, None, self.hidden_dim)
        save_by_name(self, "embedder", self.embedders)
        for embedder in self.embedders.values():
            embedder.build()
        if self.pooling == "token":
            users = (n for n in self.modalities if self.num_first_tokens_of(n))
            names = dict.fromkeys(self._records[n].embedder for n in users)
            self.first_tokens = {
                name: self.add_weight(
                    name=f"first_token_{name}",
                    shape=(1, self.num_first_tokens, self.hidden_dim),
                    initializer="glorot_normal",
                )
                for name in names
            }
        for layer in (self.entry_norm, self.body, self.final_norm, self.pool):
            if layer is not None:
                layer.build(shape)
        place_weights(self)
        self.built = True

    def _pools_at_a_token(self, name: str) -> bool:
        """Whether one of an input's own tokens stands for it."""
        return self.text_pooling is not None and self._record_of(name).token_ids

    def _prepend_tokens(
        self, name: str, tokens: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        first = self.first_tokens[self._record_of(name).embedder]
        batch = ops.shape(tokens)[0]
        first = ops.cast(first, tokens.dtype)
        count = self.num_first_tokens
        first = ops.broadcast_to(first, (batch, count, self.hidden_dim))
        tokens = ops.concatenate([first, tokens], axis=1)
        if mask is not None:
            real = ops.ones((batch, count), dtype="bool")
            mask = ops.concatenate([real, mask], axis=1)
        return tokens, mask

    def _spec_of(
        self, name: str, inputs: Any, kept: Any
    ) -> dict[str, keras.KerasTensor]:
        self._check_form(self._record_of(name), inputs)
        embedder = self.embedder_of(name)
        tokens = embedder.compute_output_spec(inputs, kept)["tokens"]
        self.body.check_length(tokens)
        shape, dtype = tokens.shape, self.compute_dtype
        return {
            "sequence_output": keras.KerasTensor(shape, dtype=dtype),
            "padding_mask": keras.KerasTensor(shape[:2], dtype="bool"),
            "pooled_output": keras.KerasTensor(
                (shape[0], self.hidden_dim), dtype=dtype
            ),
        }

    def _check_call(self, inputs: Any, kept: Any) -> dict[str, Any]:
        self.check_names(inputs)
        for name in kept or ():
            if name not in inputs:
                raise ValueError(
                    message(
                        "`kept` must name inputs of the call, "
                        f"{tuple(inputs)}.",
                        modality=name,
                    )
                )
        return kept or {}
